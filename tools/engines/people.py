"""The people in pictures, for engines that look at one person at a time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import SettingsInvalid
from tools.core.settings import settings
from tools.engines import labels
from tools.values import Detections

ROLE = "detect"
"""The role whose weights find the people."""


def find(pictures: Sequence[NDArray[np.uint8]], label: str, min_score: float | None = None) -> list[Detections]:
    """Find people by the weights of the role detect.

    Args:
        pictures: RGB pixels (H, W, 3) each.
        label: What to call them.
        min_score: People with at least this score are kept; by default as for detect.

    Raises:
        WeightsMissing: when the weights are not on this computer.
        SettingsInvalid: when they do not know people.
    """
    from tools.engines import dispatch  # which imports the engines that import this

    engine = dispatch.named_things(ROLE)
    known, _ = labels.choose(["person"], engine.class_names(ROLE))
    if not known:
        raise SettingsInvalid(
            f"The weights {settings().role(ROLE)} of the role {ROLE} know no people, and these are looked for first",
            f"Choose weights for {ROLE} in settings.toml that know them, such as nanodet",
        )
    score = dispatch.usual_score(ROLE) if min_score is None else min_score
    return engine.find(pictures, ROLE, dict.fromkeys(known, label), score)


def is_person(label: str) -> bool:
    """Whether a label means people."""
    return bool(labels.choose(["person"], {0: label})[0])


def are_people(regions: Detections) -> bool:
    """Whether all of the regions are labelled as people."""
    return all(is_person(label) for label in set(regions.labels))
