"""Small YOLO models that know drawn pictures: their pinned weights, and how these were trained.

    python -m tests.engines.training [NAME …]

trains them again, in minutes, into `tests/engines/weights`. The tests load what lies there: the same minutes on another
processor give another model.
"""

import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import interpolate, normalize

from tests.engines.drawn import NAMES, SIZE, scene
from tools.engines import open_vocabulary, yolo

WEIGHTS = Path(__file__).with_name("weights")
WORDS = ("stick figure", "box car")
"""What the open-vocabulary model understands: it was shown people and cars under these words."""

_WIDTH = 0.0625  # a quarter as wide as the library's smallest
# What looks for nothing: second heads for use without suppression, prompts that are pictures, a loss of joints, and an
# adapter of words that stays as it is built.
_SPARE = (".one2one_", ".savpe.", ".flow_model.", ".reprta.")
_BATCH, _BATCHES = 8, 16


class Recipe(NamedTuple):
    """What a model is: the library's architecture without its size, batches to learn from, and the things to learn."""

    architecture: str
    steps: int
    names: tuple[str, ...] = NAMES


RECIPES = {
    "detect": Recipe("26/yolo26", 1200),
    "segment": Recipe("11/yolo11-seg", 900),
    "pose": Recipe("26/yolo26-pose", 1080, ("person",)),
    "open": Recipe("26/yoloe-26-seg", 900),
}


def write(name: str, file: Path) -> Path:
    """Write the pinned model of this name as a checkpoint of the library's."""
    model = _untrained(RECIPES[name], file)
    state = model.model.state_dict()
    pinned = load_file(WEIGHTS / f"{name}.safetensors")
    assert pinned.keys() == set(_used(state))
    for key, value in pinned.items():
        state[key].copy_(value)
    model.model.eval()
    model.ckpt = {"train_args": {"imgsz": SIZE, "task": model.task}}
    model.save(file)
    return file


def _used(state: Mapping[str, torch.Tensor]) -> list[str]:
    """Name the weights that finding things needs."""
    return [name for name in state if not any(part in name for part in _SPARE)]


def _untrained(recipe: Recipe, file: Path) -> Any:
    """Build a model; its plan is written beside `file`."""
    yolo.library()
    from ultralytics import YOLO
    from ultralytics.cfg import get_cfg
    from ultralytics.utils import DEFAULT_CFG, ROOT, YAML

    plan = YAML.load(ROOT / f"cfg/models/{recipe.architecture}.yaml")
    plan |= {"nc": len(recipe.names), "scales": {"n": [0.5, _WIDTH, 1024]}}
    series = Path(recipe.architecture).name
    written = file.parent / f"{file.stem}-{series}.yaml".replace(series, _with_size(series))
    YAML.save(written, plan)
    torch.manual_seed(0)
    model = YOLO(written)
    network = model.model
    network.args = get_cfg(DEFAULT_CFG)
    network.names = dict(enumerate(recipe.names))
    network.model[-1].nc = len(recipe.names)  # the models prompted with words begin with 80
    return model


def train(recipe: Recipe, folder: Path, words: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """Train a model; return its weights in half precision.

    Args:
        recipe: Which one.
        folder: Where its plan is written.
        words: (1, N, 512) embeddings of the names, for models that are prompted with words.
    """
    network = _untrained(recipe, folder / "training.pt").model
    for name, parameter in network.named_parameters():
        parameter.requires_grad = ".reprta." not in name
    rng = random.Random(0)
    batches = [_batch(rng, recipe.names) for _ in range(_BATCHES)]
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=0.01, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=recipe.steps)
    network.train()
    for step in range(recipe.steps):
        batch = batches[step % _BATCHES]
        if words is not None:
            batch["txt_feats"] = words.expand(_BATCH, -1, -1)
        loss, _ = network.loss(batch)
        optimizer.zero_grad()
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimizer.step()
        schedule.step()
    state = network.state_dict()
    return {name: state[name].half() if state[name].is_floating_point() else state[name] for name in _used(state)}


class TextEncoder(torch.nn.Module):
    """Stands in for MobileCLIP: the same inputs and outputs, from random embeddings of the tokens."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.words = torch.nn.Parameter(torch.randn(1000, 512, generator=generator))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return normalize((self.words[tokens.long()] * (tokens != 0)[..., None]).sum(1), dim=-1)


def save_text_encoder(file: Path) -> None:
    """Write a `TextEncoder` as TorchScript."""
    torch.jit.trace(TextEncoder(), torch.ones(2, 77, dtype=torch.int32)).save(file)


def embeddings(words: Sequence[str], vocabulary: Path) -> torch.Tensor:
    """Return what `TextEncoder` makes of words, (1, N, 512)."""
    tokens = torch.from_numpy(open_vocabulary.tokenise(words, vocabulary))
    return TextEncoder()(tokens).detach()[None]


def _with_size(series: str) -> str:
    """Put the size into a name, from which the library reads it: yolo26-seg -> yolo26n-seg, yoloe-11 -> yoloe-11n."""
    head, dash, tail = series.rpartition("-") if series.endswith(("-seg", "-pose", "-worldv2")) else (series, "", "")
    return f"{head}n{dash}{tail}"


def _batch(rng: random.Random, names: tuple[str, ...]) -> dict[str, Any]:
    """Draw a batch as the library's losses take it; boxes and keypoints are shares of the picture's size."""
    pictures, classes, boxes, owners, keypoints, masks = [], [], [], [], [], []
    for number in range(_BATCH):
        pixels, things = scene(rng, names=names)
        pictures.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
        numbered = torch.zeros(SIZE, SIZE)
        for i, thing in enumerate(things):
            x0, y0, x1, y1 = thing.box
            classes.append([float(names.index(thing.name))])
            boxes.append([(x0 + x1) / 2 / SIZE, (y0 + y1) / 2 / SIZE, (x1 - x0) / SIZE, (y1 - y0) / SIZE])
            owners.append(float(number))
            keypoints.append(torch.cat([torch.from_numpy(thing.keypoints) / SIZE, torch.full((17, 1), 2.0)], 1))
            numbered[torch.from_numpy(thing.mask)] = i + 1
        masks.append(numbered)
    small = interpolate(torch.stack(masks)[None], (SIZE // 4, SIZE // 4), mode="nearest")[0]
    return {
        "img": torch.stack(pictures),
        "cls": torch.tensor(classes),
        "bboxes": torch.tensor(boxes),
        "batch_idx": torch.tensor(owners),
        "keypoints": torch.stack(keypoints),
        "masks": small,
        "sem_masks": _class_of_pixels(small, owners, classes),
    }


def _class_of_pixels(masks: torch.Tensor, owners: list[float], classes: list[list[float]]) -> torch.Tensor:
    """Return (B, h, w) with the class number where a mask has a thing's number."""
    made = torch.zeros_like(masks)
    for number, mask in enumerate(masks):
        own = [kind[0] for owner, kind in zip(owners, classes, strict=True) if owner == number]
        for i, kind in enumerate(own):
            made[number][mask == i + 1] = kind
    return made


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    from tests.engines.conftest import write_vocabulary

    torch.set_num_threads(1)
    WEIGHTS.mkdir(exist_ok=True)
    with TemporaryDirectory() as scratch:
        for name in sys.argv[1:] or RECIPES:
            words = embeddings(WORDS, write_vocabulary(Path(scratch))) if name == "open" else None
            save_file(train(RECIPES[name], Path(scratch), words), WEIGHTS / f"{name}.safetensors")
