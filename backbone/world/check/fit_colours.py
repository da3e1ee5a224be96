"""Fit the network that names colours (``colours.py``) on rendered scenes.

    python -m backbone.world.check.fit_colours --out FOLDER [--scenes 2500]

The scenes are drawn like those of training, a quarter of them in the shifted style, with seeds from 100,000 on. Every
thing gets a colour drawn anew, also in combinations that are held out from training, because the checker has to know
what the models under test have not seen. Nine in ten scenes are fitted on. Writes ``colours.safetensors``, and
``curve.jsonl`` with the accuracy on the other scenes.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor

from backbone.world.check.colours import FEATURES, WORDS, features
from backbone.world.paint.categories import CATEGORIES
from backbone.world.paint.palette import shade_of
from backbone.world.scene.camera import LIGHT
from backbone.world.scene.compose import compose
from backbone.world.scene.splits import rng_for
from backbone.world.truth.relations import noticeable
from backbone.world.truth.render import render

Network = dict[str, Tensor]
"""Weights (in, out) and biases of the two layers, by the names that ``colours.py`` reads."""

HIDDEN = 160
FIRST_SEED = 100_000


def examples(seed: int) -> tuple[NDArray[np.float32], list[int]]:
    """Return features and colour indices of a scene's visible things, with each colour and the light drawn anew."""
    rng = rng_for("train", seed, "fit colours")
    scene = compose(seed, rng.choice(("train", "train", "train", "shifted")))
    colours = [rng.choice(CATEGORIES[thing.category].colours) for thing in scene.things]
    things = [
        replace(thing, colour=colour, shade=shade_of(colour, rng))
        for thing, colour in zip(scene.things, colours, strict=True)
    ]
    picture = render(
        replace(scene, light=rng.choice(list(LIGHT)), things=tuple(things)), rng.choice((192, 256, 256, 384))
    )
    visible = noticeable(picture, 0.3)
    rows = [features(picture.pixels, one.mask, one.thing.category, picture.scene.light) for one in visible]
    return np.array(rows, np.float32).reshape(-1, FEATURES), [WORDS.index(one.thing.colour) for one in visible]


def fit(
    rows: NDArray[np.float32],
    answers: NDArray[np.int64],
    epochs: int = 25,
    on_epoch: Callable[[int, float, Network], None] | None = None,
) -> Network:
    """Train the network.

    Args:
        rows: Features (N, ``FEATURES``).
        answers: Index in ``WORDS`` of each row's colour.
        epochs: Passes over the rows.
        on_epoch: Called after each pass with its number from 1, the mean loss, and the network.
    """
    torch.manual_seed(0)
    first, second = torch.nn.Linear(FEATURES, HIDDEN), torch.nn.Linear(HIDDEN, len(WORDS))
    layers = torch.nn.Sequential(torch.nn.Dropout(0.1), first, torch.nn.ReLU(), torch.nn.Dropout(0.2), second)
    network = {"first": first.weight.T, "first_bias": first.bias, "second": second.weight.T, "second_bias": second.bias}
    steps = epochs * -(-len(rows) // 128)
    optimiser = torch.optim.AdamW(layers.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    x, y = torch.from_numpy(rows), torch.from_numpy(answers)
    for epoch in range(1, epochs + 1):
        losses = []
        for part in torch.randperm(len(x)).split(128):  # type: ignore[no-untyped-call]
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(layers(x[part]), y[part])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        if on_epoch is not None:
            on_epoch(epoch, sum(losses) / len(losses), network)
    return network


@torch.no_grad()
def accuracy(network: Network, rows: NDArray[np.float32], answers: NDArray[np.int64]) -> float:
    """Return the share of rows whose colour is named rightly, among the colours that their category comes in."""
    hidden = torch.relu(torch.from_numpy(rows) @ network["first"] + network["first_bias"])
    scores = (hidden @ network["second"] + network["second_bias"]).numpy()
    category = rows[:, -len(CATEGORIES) :].argmax(1)
    possible = np.array([[word in kind.colours for word in WORDS] for kind in CATEGORIES.values()])
    return float(np.mean(np.where(possible[category], scores, -np.inf).argmax(1) == answers))


def save(network: Network, file: Path) -> None:
    """Write the network in float16, as ``colours.py`` reads it."""
    # safetensors writes the memory of an array as it is, so a transposed one has to be copied.
    save_file(
        {name: np.ascontiguousarray(part.detach().numpy().astype(np.float16)) for name, part in network.items()}, file
    )


def main() -> None:
    """Render the scenes, fit the network, and write it with its curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=2500)
    parser.add_argument("--out", type=Path, required=True, help="folder of the network and its curve")
    given = parser.parse_args()
    parts = [examples(seed) for seed in range(FIRST_SEED, FIRST_SEED + given.scenes)]
    fitted = given.scenes * 9 // 10
    rows, other_rows = (np.concatenate([rows for rows, _ in some]) for some in (parts[:fitted], parts[fitted:]))
    answers, other_answers = (
        np.array([answer for _, found in some for answer in found]) for some in (parts[:fitted], parts[fitted:])
    )
    print(f"fitting on {len(rows)} things of {fitted} scenes", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.time()
    with (given.out / "curve.jsonl").open("w") as curve:

        def log(epoch: int, loss: float, network: Network) -> None:
            facts = {
                "epoch": epoch,
                "loss": round(loss, 4),
                "accuracy": round(accuracy(network, other_rows, other_answers), 4),
            }
            facts["seconds"] = round(time.time() - began)
            print(json.dumps(facts), flush=True)
            curve.write(json.dumps(facts) + "\n")

        network = fit(rows, answers, on_epoch=log)
    print(f"of {len(other_rows)} other things {accuracy(network, other_rows, other_answers):.2%} named rightly")
    save(network, given.out / "colours.safetensors")


if __name__ == "__main__":
    main()
