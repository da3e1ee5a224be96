"""Pictures from worker processes are those rendered here, in order; cached shards are read again."""

from pathlib import Path

import numpy as np
import pytest

from backbone.world import Rendered, compose, render
from backbone.world.io.loader import pictures

SEEDS = [3, 11, 4, 60, 5]


def same(one: Rendered, other: Rendered) -> bool:
    """Return whether scene, pixels and all annotations are equal."""
    fields = ("thing", "box", "area", "visible", "truncated", "keypoints")
    return (
        one.scene == other.scene
        and np.array_equal(one.pixels, other.pixels)
        and len(one.instances) == len(other.instances)
        and all(
            np.array_equal(a.mask, b.mask) and all(getattr(a, field) == getattr(b, field) for field in fields)
            for a, b in zip(one.instances, other.instances, strict=True)
        )
    )


@pytest.fixture(scope="module")
def drawn() -> list[Rendered]:
    return [render(compose(seed, "val"), 64) for seed in SEEDS]


@pytest.mark.parametrize(("workers", "shard"), [(0, 2), (1, 1), (2, 2), (2, 32)])
def test_order_and_content_do_not_depend_on_the_workers(drawn: list[Rendered], workers: int, shard: int) -> None:
    given = list(pictures(SEEDS, "val", 64, workers=workers, shard=shard))
    assert len(given) == len(drawn) and all(map(same, given, drawn))


def test_shards_are_kept_and_read_again(drawn: list[Rendered], tmp_path: Path) -> None:
    first = list(pictures(SEEDS, "val", 64, workers=0, shard=3, cache=tmp_path))
    files = sorted(tmp_path.iterdir())
    assert [file.suffix for file in files] == [".npz", ".npz"] and all(map(same, first, drawn))
    # Other pixels in the file show that it is read.
    with np.load(files[0]) as read:
        changed = dict(read)
    changed["pixels"] = changed["pixels"] ^ 1
    np.savez(files[0], **changed)
    again = list(pictures(SEEDS, "val", 64, workers=0, shard=3, cache=tmp_path))
    assert sum(same(a, b) for a, b in zip(again, drawn, strict=True)) == len(SEEDS) - len(changed["pixels"])


def test_other_sizes_and_splits_are_other_shards(tmp_path: Path) -> None:
    for split, size in (("val", 64), ("val", 48), ("test", 64)):
        (one,) = pictures([3], split, size, workers=0, cache=tmp_path)
        assert one.pixels.shape[0] == size and one.scene.split == split
    assert len(list(tmp_path.iterdir())) == 3


def test_leaving_early_stops_the_workers() -> None:
    run = pictures(range(200), "val", 48, workers=1, shard=2)
    assert next(run).scene.seed == 0
    run.close()  # type: ignore[attr-defined]
    assert next(run, None) is None
