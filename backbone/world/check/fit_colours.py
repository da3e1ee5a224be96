"""Fit the network that names colours (``colours.py``) on rendered scenes.

    python -m backbone.world.fit_colours [--scenes 2500] [--out FILE]

Scenes like those of training, a quarter in the shifted style, from seed 100,000 on, with every thing in a colour drawn anew, kept-out ones
too: what checks pictures is an instrument, it must know what the models under test have not seen. Prints how many things it names
rightly in scenes it was not fitted on.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from backbone.world.check.colours import FEATURES, WEIGHTS, WORDS, features
from backbone.world.paint.categories import CATEGORIES
from backbone.world.paint.palette import shade_of
from backbone.world.scene.camera import LIGHT
from backbone.world.scene.compose import compose
from backbone.world.scene.splits import rng_for
from backbone.world.truth.relations import shown
from backbone.world.truth.render import render

HIDDEN = 160


def examples(seed: int) -> tuple[NDArray[np.float32], list[int]]:
    """Features and colour numbers of what can be seen in one scene, recoloured."""
    rng = rng_for("train", seed, "fit colours")
    scene = compose(seed, rng.choice(("train", "train", "train", "shifted")))
    words = [rng.choice(CATEGORIES[thing.category].colours) for thing in scene.things]
    things = [
        replace(thing, colour=word, shade=shade_of(word, rng)) for thing, word in zip(scene.things, words, strict=True)
    ]
    picture = render(
        replace(scene, light=rng.choice(list(LIGHT)), things=tuple(things)), rng.choice((192, 256, 256, 384))
    )
    seen = shown(picture, 0.3)
    rows = [features(picture.pixels, one.mask, one.thing.category, picture.scene.light) for one in seen]
    return np.array(rows, np.float32).reshape(-1, FEATURES), [WORDS.index(one.thing.colour) for one in seen]


def fit(rows: NDArray[np.float32], answers: NDArray[np.int64], epochs: int = 25) -> dict[str, torch.Tensor]:
    """Train the network.

    Args:
        rows: examples × ``FEATURES``.
        answers: the number of the word for each.
        epochs: passes over them.
    """
    torch.manual_seed(0)
    first, second = torch.nn.Linear(FEATURES, HIDDEN), torch.nn.Linear(HIDDEN, len(WORDS))
    net = torch.nn.Sequential(torch.nn.Dropout(0.1), first, torch.nn.ReLU(), torch.nn.Dropout(0.2), second)
    steps = epochs * -(-len(rows) // 128)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    x, y = torch.from_numpy(rows), torch.from_numpy(answers)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(128):  # type: ignore[no-untyped-call]
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(x[part]), y[part]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return {"first": first.weight.T, "first_bias": first.bias, "second": second.weight.T, "second_bias": second.bias}


def save(net: dict[str, torch.Tensor], file: Path) -> None:
    """Write the network as ``colours.py`` reads it, in float16."""
    # safetensors writes an array as it lies in memory, so a transposed one must be laid out anew.
    save_file(
        {name: np.ascontiguousarray(part.detach().numpy().astype(np.float16)) for name, part in net.items()}, file
    )


def main() -> None:
    """Render, fit, say how well it does, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=2500)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    parts = [examples(seed) for seed in range(100_000, 100_000 + given.scenes)]
    kept = given.scenes * 9 // 10
    rows, answers = (
        np.concatenate([r for r, _ in parts[:kept]]),
        np.array([a for _, some in parts[:kept] for a in some]),
    )
    net = fit(rows, answers)
    others, right = (
        np.concatenate([r for r, _ in parts[kept:]]),
        np.array([a for _, some in parts[kept:] for a in some]),
    )
    with torch.no_grad():
        scores = (
            torch.relu(torch.from_numpy(others) @ net["first"] + net["first_bias"]) @ net["second"] + net["second_bias"]
        )
    kinds = others[:, -len(CATEGORIES) :].argmax(1)
    comes_in = np.array([[word in kind.colours for word in WORDS] for kind in CATEGORIES.values()])
    named = np.where(comes_in[kinds], scores.numpy(), -np.inf).argmax(1)
    print(f"fitted on {len(rows)} things; of {len(others)} others {np.mean(named == right):.2%} named rightly")
    save(net, given.out)


if __name__ == "__main__":
    main()
