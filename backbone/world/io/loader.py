"""Renders pictures for training in worker processes, in the order of the seeds, with an optional cache on disk."""

import functools
import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backbone.world.scene.compose import compose
from backbone.world.truth.render import Rendered, instance, render

Shard = dict[str, NDArray[np.generic]]
"""Arrays of N pictures.

``pixels``: (N, H, W, 3). ``owners``: (N, H, W), index of the visible thing from 1, or 0. ``whole``: (N, things),
pixels of each thing before others hide it. ``cut``: (N, things), whether the edge of the picture cuts it.
"""


def pictures(
    seeds: Sequence[int],
    split: str = "train",
    size: int = 256,
    *,
    workers: int = 2,
    shard: int = 32,
    cache: Path | None = None,
) -> Iterator[Rendered]:
    """Yield the pictures of the seeds in their order, which does not depend on the number of workers.

    Args:
        seeds: Seeds of the scenes.
        split: One of ``splits.SPLITS``.
        size: Height in pixels.
        workers: Processes that render; they are spawned, so the caller's module must be importable. 0 renders in this
            process.
        shard: Pictures that a worker renders at a time; at most two shards for each worker wait in memory.
        cache: Folder in which shards are stored and found again; a change to the world's code invalidates them.
    """
    parts = [list(seeds[at : at + shard]) for at in range(0, len(seeds), shard)]
    files = [cache / _name(part, split, size) if cache else None for part in parts]
    if cache:
        cache.mkdir(parents=True, exist_ok=True)
    if workers == 0:
        for part, file in zip(parts, files, strict=True):
            yield from _unpack(_load_or_render(part, split, size, file), part, split)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        waiting = deque(
            pool.submit(_load_or_render, part, split, size, file)
            for part, file in zip(parts[: 2 * workers], files, strict=False)
        )
        for number, part in enumerate(parts):
            drawn = waiting.popleft().result()
            ahead = number + 2 * workers
            if ahead < len(parts):
                waiting.append(pool.submit(_load_or_render, parts[ahead], split, size, files[ahead]))
            yield from _unpack(drawn, part, split)
    finally:
        pool.shutdown(cancel_futures=True)


def _load_or_render(seeds: list[int], split: str, size: int, file: Path | None) -> Shard:
    """Read a shard from its file, or render it; the file is renamed into place when it is complete."""
    if file and file.exists():
        with np.load(file) as read:
            return dict(read)
    shard = _pack([render(compose(seed, split), size) for seed in seeds])
    if file:
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        with part.open("wb") as out:
            np.savez(out, **shard)  # type: ignore[arg-type]
        part.replace(file)
    return shard


def _pack(drawn: list[Rendered]) -> Shard:
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


def _unpack(shard: Shard, seeds: list[int], split: str) -> Iterator[Rendered]:
    for row, seed in enumerate(seeds):
        scene = compose(seed, split)
        owners = shard["owners"][row]
        found = [
            instance(scene, n, owners, int(shard["whole"][row, n - 1]), bool(shard["cut"][row, n - 1]))
            for n in range(1, len(scene.things) + 1)
        ]
        yield Rendered(scene, shard["pixels"][row], tuple(one for one in found if one))


def _name(seeds: list[int], split: str, size: int) -> str:
    which = hashlib.sha256(f"{_source_hash()}/{split}/{size}/{seeds}".encode()).hexdigest()[:20]
    return f"{split}_{size}_{seeds[0]:08d}_{which}.npz"


@functools.cache
def _source_hash() -> str:
    """Return a hash of the world's source code, part of the name of a cached shard."""
    sha = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        sha.update(file.read_bytes())
    return sha.hexdigest()
