"""Trains small YOLO models on drawn pictures: real files in the library's own format, in seconds."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import interpolate, normalize

from tests.engines.drawn import NAMES, SIZE, scene
from tools.engines import open_vocabulary, yolo

_WIDTH = 0.125  # half as wide as the library's smallest
_BATCH, _BATCHES = 8, 16


def train(architecture: str, file: Path, *, steps: int, names: tuple[str, ...] = NAMES,
          words: torch.Tensor | None = None) -> Path:
    """Train a model and save it.

    Args:
        architecture: One of the library's, without its size, such as "26/yolo26-seg".
        file: Where to save it.
        steps: How many batches to learn from.
        names: The things to learn, out of `drawn.NAMES`.
        words: (N, 512) embeddings of the names, for models that are prompted with words.
    """
    yolo.library()
    from ultralytics import YOLO
    from ultralytics.cfg import get_cfg
    from ultralytics.utils import DEFAULT_CFG, ROOT, YAML

    plan = YAML.load(ROOT / f"cfg/models/{architecture}.yaml")
    plan |= {"nc": len(names), "scales": {"n": [0.5, _WIDTH, 1024]}}
    series = Path(architecture).name
    recipe = file.parent / f"{file.stem}-{series}.yaml".replace(series, _with_size(series))
    YAML.save(recipe, plan)
    torch.manual_seed(0)
    model = YOLO(recipe)
    network = model.model
    network.args = get_cfg(DEFAULT_CFG)
    network.names = dict(enumerate(names))
    network.model[-1].nc = len(names)  # the models prompted with words begin with 80
    rng = random.Random(0)
    batches = [_batch(rng, names) for _ in range(_BATCHES)]
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
    network.train()
    for step in range(steps):
        batch = batches[step % _BATCHES]
        if words is not None:
            batch["txt_feats"] = words.expand(_BATCH, -1, -1)
        loss, _ = network.loss(batch)
        optimizer.zero_grad()
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimizer.step()
        schedule.step()
    network.eval()
    network.criterion = None
    model.ckpt = {"train_args": {"imgsz": SIZE, "task": model.task}}
    model.save(file)
    return file


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
    """Put the size into a name, as the library reads it from there: yolo26-seg -> yolo26n-seg, yoloe-11 -> yoloe-11n."""
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
    return {"img": torch.stack(pictures), "cls": torch.tensor(classes), "bboxes": torch.tensor(boxes),
            "batch_idx": torch.tensor(owners), "keypoints": torch.stack(keypoints), "masks": small,
            "sem_masks": _class_of_pixels(small, owners, classes)}


def _class_of_pixels(masks: torch.Tensor, owners: list[float], classes: list[list[float]]) -> torch.Tensor:
    """Return (B, h, w) with the class number where a mask has a thing's number."""
    made = torch.zeros_like(masks)
    for number, mask in enumerate(masks):
        own = [kind[0] for owner, kind in zip(owners, classes, strict=True) if owner == number]
        for i, kind in enumerate(own):
            made[number][mask == i + 1] = kind
    return made
