"""A sheet of what the model that sees got wrong."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from backbone_figures import Failure, Scores

from tools.imaging.drawing import contact_sheet, draw
from tools.values import Detections, Image

SHOWN = 24
"""Failures on a sheet, at most."""


def sheet(scores: Sequence[Scores], file: Path) -> None:
    """Draw failures of all kinds in turn, each with what was asked, given and right."""
    kinds: dict[str, list[Failure]] = {}
    failures = [failure for some in scores for failure in some.failures]
    for one in random.Random(0).sample(failures, len(failures)):
        kinds.setdefault(one.kind, []).append(one)
    turns = itertools.zip_longest(*kinds.values())
    picked = [one for turn in turns for one in turn if one is not None][:SHOWN]
    if not picked:
        print(f"there are no failures to draw; {file} is not written")
        return
    words = [f"{one.kind}: {one.words}" for one in picked]
    file.write_bytes(contact_sheet([drawn(one) for one in picked], words).to_bytes())
    print(f"wrote {file}")


def drawn(one: Failure) -> Image:
    """Draw the boxes of a failure over its picture."""
    image = Image.from_numpy(one.picture)
    if not one.boxes:
        return image
    boxes = np.array(list(one.boxes.values()), np.float32)
    return draw(image, Detections.from_model(boxes, tuple(one.boxes), np.ones(len(boxes)), image.size))
