"""Pictures of the world with eight categories."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from backbone.world import Rendered, Scene, Thing, render
from backbone.world.paint.categories import Category
from backbone.world.scene.compose import Composer
from backbone.world.truth.render import instance
from tools.storage import atomic

FEW = ("person", "dog", "cat", "car", "chair", "ball", "duck", "balloon")
SIZE = 96
"""Sides of a picture in pixels."""
SHARD = 64
"""Pictures in a file."""


class FewComposer(Composer):
    """Composes scenes of ``FEW`` categories alone."""

    def belongs(self, kind: Category) -> bool:
        """Return whether things of this category occur in this place."""
        return kind.name in FEW and super().belongs(kind)

    def add(self, name: str) -> Thing | None:
        """Add a thing, unless it is none of the few: a table is drawn without being asked for."""
        return super().add(name) if name in FEW else None


def compose(seed: int, split: str) -> Scene:
    """Return the scene of a seed, as `backbone.world.compose`."""
    return FewComposer(seed, split, SIZE, SIZE).scene()


def drawn(count: int, split: str, folder: Path) -> list[Rendered]:
    """Return the pictures of the first seeds of a split; they are rendered once, and kept in a folder."""
    found: list[Rendered] = []
    for first in range(0, count, SHARD):
        seeds = range(first, min(first + SHARD, count))
        file = folder / f"{split}-{first}-{len(seeds)}.npz"
        if not file.exists():
            rendered = [render(compose(seed, split), SIZE) for seed in seeds]
            with atomic.replace_file(file) as partial, partial.open("wb") as out:
                np.savez(out, **_pack(rendered))  # type: ignore[arg-type]
        with np.load(file) as read:
            found += _unpack(dict(read), list(seeds), split)
    return found


def _pack(rendered: list[Rendered]) -> dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]:
    most = max(len(one.scene.things) for one in rendered)
    owners = np.zeros((len(rendered), SIZE, SIZE), np.uint8)
    whole, cut = np.zeros((len(rendered), most), np.int32), np.zeros((len(rendered), most), bool)
    for row, picture in enumerate(rendered):
        places = {thing.id: place for place, thing in enumerate(picture.scene.things)}
        for one in picture.instances:
            place = places[one.thing.id]
            owners[row][one.mask] = place + 1
            whole[row, place], cut[row, place] = round(one.area / one.visible), one.truncated
    return {"pixels": np.stack([one.pixels for one in rendered]), "owners": owners, "whole": whole, "cut": cut}


def _unpack(
    shard: dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"], seeds: list[int], split: str
) -> Iterator[Rendered]:
    for row, seed in enumerate(seeds):
        scene, owners = compose(seed, split), shard["owners"][row].astype(np.uint8)
        things = [
            instance(scene, place + 1, owners, int(shard["whole"][row, place]), bool(shard["cut"][row, place]))
            for place in range(len(scene.things))
        ]
        yield Rendered(scene, shard["pixels"][row].astype(np.uint8), tuple(one for one in things if one))
