"""Pictures of the world with dense targets, drawn from seeds, and batches of them.

Pictures are rendered in worker processes and kept on disk (``backbone.world.io.loader``), so a second pass reads them.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backbone.world import Rendered
from backbone.world.io.loader import pictures
from backbone.world.io.yolo import has_own_colour
from backbone.world.paint.categories import CATEGORIES
from backbone.world.paint.palette import COLOURS
from common.skeleton import FLIP, KEYPOINTS

PHRASES = (*CATEGORIES, *(f"{colour} thing" for colour in COLOURS))
"""What stage 0 asks for: each category, and what has each colour."""

SHARD = 32
"""Pictures that are rendered, stored and shuffled together."""


@dataclass(frozen=True)
class DenseTargets:
    """The things of B pictures of S x S pixels, at most I in each.

    Attributes:
        pixels: (B, 3, S, S), uint8, RGB.
        owners: (B, S, S), uint8: index of the visible thing, from 1; 0 for the background.
        present: (B, I), whether there is a thing.
        boxes: (B, I, 4), x0, y0, x1, y1 in pixels.
        joints: (B, I, 17, 3), x and y in pixels and COCO's visibility; zeros for all but people.
        matches: (B, Q, I), whether a phrase means a thing.
    """

    pixels: Tensor
    owners: Tensor
    present: Tensor
    boxes: Tensor
    joints: Tensor
    matches: Tensor

    @property
    def people(self) -> Tensor:
        """Whether a thing is a person with joints in the picture, (B, I)."""
        return self.present & (self.joints[..., 2] > 0).any(-1)

    def to(self, device: torch.device) -> "DenseTargets":
        """Return the targets on another device."""
        return replace(self, **{name: value.to(device) for name, value in vars(self).items()})


def normalised(pixels: Tensor) -> Tensor:
    """Return pixels (uint8) from -1 to 1, as the eyes take them."""
    return pixels.float() / 127.5 - 1


def targets(drawn: Sequence[Rendered], phrases: Sequence[Sequence[Sequence[int]]] | None = None) -> DenseTargets:
    """Return the targets of pictures of one size.

    Args:
        drawn: B rendered pictures.
        phrases: For each picture the indices of the instances that each of its phrases means; by default those of
            ``PHRASES``.
    """
    if phrases is None:
        phrases = [meant_by_phrases(picture) for picture in drawn]
    count, most = len(drawn), max(1, *(len(picture.instances) for picture in drawn))
    height, width = drawn[0].pixels.shape[:2]
    owners = np.zeros((count, height, width), np.uint8)
    boxes = np.zeros((count, most, 4), np.float32)
    joints = np.zeros((count, most, len(KEYPOINTS), 3), np.float32)
    present = np.zeros((count, most), bool)
    matches = np.zeros((count, max(1, *(len(asked) for asked in phrases)), most), bool)
    for row, (picture, asked) in enumerate(zip(drawn, phrases, strict=True)):
        for number, one in enumerate(picture.instances):
            owners[row][one.mask] = number + 1
            boxes[row, number] = one.box
            present[row, number] = True
            if one.keypoints:
                joints[row, number] = one.keypoints
        for query, meant in enumerate(asked):
            matches[row, query, list(meant)] = True
    pixels = np.stack([picture.pixels for picture in drawn]).transpose(0, 3, 1, 2)
    arrays = (np.ascontiguousarray(pixels), owners, present, boxes, joints, matches)
    return DenseTargets(*(torch.from_numpy(array) for array in arrays))


def meant_by_phrases(picture: Rendered) -> list[list[int]]:
    """Return the instances that each of ``PHRASES`` means."""
    meant: dict[str, list[int]] = {phrase: [] for phrase in PHRASES}
    for number, one in enumerate(picture.instances):
        meant[one.thing.category].append(number)
        if has_own_colour(one):
            meant[f"{one.thing.colour} thing"].append(number)
    return list(meant.values())


def mirrored(batch: DenseTargets, rows: Tensor) -> DenseTargets:
    """Return the targets with some pictures mirrored, left for right.

    Args:
        batch: The targets.
        rows: (B,), whether to mirror a picture.
    """
    width = batch.pixels.shape[-1]
    x0, y0, x1, y1 = batch.boxes.unbind(-1)
    boxes = torch.stack([width - x1, y0, width - x0, y1], -1) * batch.present[..., None]
    joints = batch.joints[:, :, list(FLIP)]
    seen = joints[..., 2:] > 0
    joints = torch.cat([torch.where(seen, width - joints[..., :1], joints[..., :1]), joints[..., 1:]], -1)
    return replace(
        batch,
        pixels=torch.where(rows[:, None, None, None], batch.pixels.flip(-1), batch.pixels),
        owners=torch.where(rows[:, None, None], batch.owners.flip(-1), batch.owners),
        boxes=torch.where(rows[:, None, None], boxes, batch.boxes),
        joints=torch.where(rows[:, None, None, None], joints, batch.joints),
    )


def shuffled(count: int, seed: int, start: int) -> list[int]:
    """Return the picture numbers of one pass and those after it, from position ``start`` on, to the end of its pass.

    Whole shards change places from pass to pass, the pictures of a shard stay together.

    Args:
        count: Pictures in a pass, a multiple of ``SHARD``.
        seed: Seed of the order.
        start: Pictures that were already given, over all passes; a multiple of ``SHARD``.
    """
    passed, position = divmod(start, count)
    shards = list(range(count // SHARD))
    random.Random(f"{seed}:{passed}").shuffle(shards)
    return [shard * SHARD + n for shard in shards for n in range(SHARD)][position:]


def drawn_pictures(
    count: int, seed: int, start: int, size: int, workers: int, cache: Path | None, split: str = "train"
) -> Iterator[Rendered]:
    """Yield pictures without end, pass after pass over the first ``count`` seeds of a split.

    The same seed and position give the same picture, however often a training was stopped before it.

    Args:
        count: Pictures in a pass, a multiple of ``SHARD``.
        seed: Seed of the order.
        start: Position of the first one over all passes.
        size: Sides of a picture in pixels.
        workers: Processes that render.
        cache: Folder of the shards on disk.
        split: One of ``splits.SPLITS``.

    Raises:
        ValueError: ``count`` is no multiple of ``SHARD``.
    """
    if count % SHARD or count <= 0:
        raise ValueError(f"{count} pictures cannot be divided into shards of {SHARD}")
    skipped = start % SHARD
    position = start - skipped
    while True:
        numbers = shuffled(count, seed, position)
        for number, picture in enumerate(pictures(numbers, split, size, workers=workers, shard=SHARD, cache=cache)):
            if number >= skipped:
                yield picture
        position, skipped = position + len(numbers), 0


def batches(run: Iterator[Rendered], rows: int, seed: int, step: int) -> Iterator[DenseTargets]:
    """Yield batches of targets, each picture mirrored or not by a coin of its step.

    Args:
        run: Pictures, from the first one of ``step`` on.
        rows: Pictures in a batch.
        seed: Seed of the coins.
        step: Number of the first batch.
    """
    while True:
        batch = targets([next(run) for _ in range(rows)])
        rng = random.Random(f"{seed}:mirrored:{step}")
        yield mirrored(batch, torch.tensor([rng.random() < 0.5 for _ in range(rows)]))
        step += 1
