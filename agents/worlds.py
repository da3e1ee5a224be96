"""Rendered pictures for the doors: the one place outside training that asks the backbone's world for them."""

from pathlib import Path

from backbone.world.splits import SPLITS
from tools.errors import ArgumentsInvalid


def write_world(count: int, seed: int, split: str, size: int, folder: Path) -> Path:
    """Write pictures of the world and their truth as a COCO data set.

    Args:
        count: how many pictures.
        seed: of the first; the others follow.
        split: one of ``backbone.world.splits.SPLITS``.
        size: height and width in pixels.
        folder: where ``images/`` and ``annotations.json`` go.

    Returns:
        The path of the annotations.

    Raises:
        ArgumentsInvalid: a number is out of range, there is no such split, or skia cannot be loaded.
    """
    problems = []
    if count < 1:
        problems.append(f"--n {count}: ask for at least one picture")
    if not 32 <= size <= 4096:
        problems.append(f"--size {size}: give 32 to 4096 pixels")
    if split not in SPLITS:
        problems.append(f"--split {split}: use one of {', '.join(SPLITS)}")
    if problems:
        raise ArgumentsInvalid("world", problems)
    try:
        from backbone.world import compose, render
        from backbone.world.coco import export
    except ImportError as error:
        raise ArgumentsInvalid(
            "world", [f"skia cannot be loaded ({error}); on Linux it needs libGL and libEGL: apt-get install libgl1 libegl1"]
        ) from error
    return export((render(compose(seed + k, split), size) for k in range(count)), folder)
