"""The same seed gives the same bytes, also in processes that hash strings otherwise."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from backbone.world import compose, render
from backbone.world.check.falsify import FAULTS, falsify
from backbone.world.io.coco import annotation
from backbone.world.scene.clips import clip
from backbone.world.scene.splits import SPLITS
from backbone.world.words.captions import long_caption, short_caption
from backbone.world.words.edits import edits
from backbone.world.words.questions import questions, referring, region_prompts
from backbone.world.words.specs import spec
from backbone.world.words.spoken import spoken

SIZE = 64
ROOT = Path(__file__).resolve().parents[2]


def content(seed: int, split: str) -> dict[str, Any]:
    """Return everything that is made from a seed, by kind; pictures and masks as hashes."""
    picture = render(compose(seed, split), SIZE)
    specification = spec(picture)
    changes = edits(seed, split, SIZE)
    frames = clip(picture.scene, 4)
    lines = [short_caption(picture), long_caption(picture)]
    wrong = [falsify(picture, specification, kind) for kind in FAULTS] if specification else []
    return {
        "scene": picture.scene.digest(),
        "pixels": hashlib.sha256(picture.pixels.tobytes()).hexdigest(),
        "truth": [annotation(one, number, 1) for number, one in enumerate(picture.instances)],
        "captions": lines,
        "questions": [asdict(question) for question in questions(picture)],
        "referring": [*referring(picture), *region_prompts(picture)],
        "edits": [(change.kind, change.instruction, change.after.digest(), change.thing) for change in changes],
        "edited": [render(change.after, SIZE).digest() for change in changes[:1]],
        "specs": asdict(specification) if specification else None,
        "wrong": [other.digest() if other else None for other in wrong],
        "spoken": [asdict(spoken(line, seed, split)) for line in lines],
        "clips": [frame.digest() for frame in frames] + [render(frames[-1], SIZE).digest()],
    }


def every() -> dict[str, str]:
    """Return a hash for each split and kind, over a few seeds."""
    found = {}
    for split in SPLITS:
        rows = [content(seed, split) for seed in range(3)]
        for kind in rows[0]:
            found[f"{split} {kind}"] = hashlib.sha256(json.dumps([row[kind] for row in rows]).encode()).hexdigest()
    return found


@pytest.mark.parametrize("hashed", ["1", "77"])
def test_another_process_gives_the_same_bytes(hashed: str) -> None:
    code = "import json; from tests.world.test_same_bytes import every; print(json.dumps(every()))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hashed},
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    there, here = json.loads(run.stdout), every()
    assert {kind for kind in here if there[kind] != here[kind]} == set()


def test_another_seed_gives_other_bytes() -> None:
    one, other = content(0, "test"), content(1, "test")
    assert not [kind for kind in one if one[kind] == other[kind] and kind not in ("specs", "wrong")]
