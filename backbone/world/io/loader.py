"""Pictures for training: rendered by worker processes ahead of need, in the order of the seeds, and kept on disk if wanted."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backbone.world.scene.compose import compose
from backbone.world.truth.render import Rendered, instance, render

Shard = dict[str, NDArray[np.generic]]
"""``pixels``: n × height × width × 3; ``owners``: n × height × width, 0 or the number of the thing; ``whole``: n × things, pixels of each
were it alone; ``cut``: n × things, whether the edge cuts it."""


def pictures(
    seeds: Sequence[int],
    split: str = "train",
    size: int = 256,
    *,
    workers: int = 2,
    shard: int = 32,
    kept: Path | None = None,
) -> Iterator[Rendered]:
    """The pictures of the seeds, in their order, whatever the number of workers.

    Args:
        seeds: of the scenes.
        split: one of ``splits.SPLITS``.
        size: height in pixels.
        workers: processes that render (started by spawn, so the caller's module must be importable); 0 renders in this one.
        shard: how many pictures a worker draws at a time; at most two shards per worker wait in memory.
        kept: a folder in which shards are kept and found again; they count as others when any of the world's code has changed.
    """
    parts = [list(seeds[at : at + shard]) for at in range(0, len(seeds), shard)]
    files = [kept / _name(part, split, size) if kept else None for part in parts]
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
    if workers == 0:
        for part, file in zip(parts, files, strict=True):
            yield from _restored(_drawn(part, split, size, file), part, split)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        waiting = deque(
            pool.submit(_drawn, part, split, size, file)
            for part, file in zip(parts[: 2 * workers], files, strict=False)
        )
        for number, part in enumerate(parts):
            drawn = waiting.popleft().result()
            ahead = number + 2 * workers
            if ahead < len(parts):
                waiting.append(pool.submit(_drawn, parts[ahead], split, size, files[ahead]))
            yield from _restored(drawn, part, split)
    finally:
        pool.shutdown(cancel_futures=True)


def _drawn(seeds: list[int], split: str, size: int, file: Path | None) -> Shard:
    """A shard, from its file if it is there; a file is written whole or not at all."""
    if file and file.exists():
        with np.load(file) as read:
            return dict(read)
    shard = _packed([render(compose(seed, split), size) for seed in seeds])
    if file:
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        with part.open("wb") as out:
            np.savez(out, **shard)  # type: ignore[arg-type]
        part.replace(file)
    return shard


def _packed(drawn: list[Rendered]) -> Shard:
    most = max(len(picture.scene.things) for picture in drawn)
    owners = np.zeros((len(drawn), *drawn[0].pixels.shape[:2]), np.uint8)
    whole, cut = np.zeros((len(drawn), most), np.int32), np.zeros((len(drawn), most), bool)
    for row, picture in enumerate(drawn):
        numbers = {thing.id: number for number, thing in enumerate(picture.scene.things, 1)}
        for one in picture.instances:
            number = numbers[one.thing.id]
            owners[row][one.mask] = number
            whole[row, number - 1], cut[row, number - 1] = round(one.area / one.visible), one.truncated
    return {"pixels": np.stack([picture.pixels for picture in drawn]), "owners": owners, "whole": whole, "cut": cut}


def _restored(shard: Shard, seeds: list[int], split: str) -> Iterator[Rendered]:
    for row, seed in enumerate(seeds):
        scene = compose(seed, split)
        owners = shard["owners"][row]
        found = [
            instance(scene, n, owners, int(shard["whole"][row, n - 1]), bool(shard["cut"][row, n - 1]))
            for n in range(1, len(scene.things) + 1)
        ]
        yield Rendered(scene, shard["pixels"][row], tuple(one for one in found if one))


def _name(seeds: list[int], split: str, size: int) -> str:
    which = hashlib.sha256(f"{_code()}/{split}/{size}/{seeds}".encode()).hexdigest()[:20]
    return f"{split}_{size}_{seeds[0]:08d}_{which}.npz"


@cache
def _code() -> str:
    """A hash of the world's own code: what was drawn by other code is not the same picture."""
    sha = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        sha.update(file.read_bytes())
    return sha.hexdigest()
