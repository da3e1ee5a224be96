"""Which engine runs the weights of a role: the catalogue names it for each entry."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import SettingsInvalid
from tools.core.settings import DEFAULT_ROLES, settings
from tools.engines import linked, movenet, nanodet, people, sam, scores, selfie, vision_language, yolo
from tools.values import Detections, Image, Poses, Text
from tools.weights import weights
from tools.weights.needs import Need, with_needed

_PEOPLE_FIRST = ("movenet", "selfie")
"""Engines that look at one person at a time, whom the weights of another role find."""

Picture = NDArray[np.uint8]
T = TypeVar("T")


class NamedThings(Protocol):
    """Finds things whose names the weights know."""

    USUAL_SCORE: float
    """The lowest score that is kept, if neither the request nor the catalogue gives one."""

    def class_names(self, role: str, masks: bool = False) -> dict[int, str]:
        """Return the class names of the role's weights by number; empty for weights that are prompted with words."""

    def find(
        self, pictures: Sequence[Picture], role: str, labels: Mapping[int, str], min_score: float, masks: bool = False
    ) -> list[Detections]:
        """Find things of some classes.

        Args:
            pictures: RGB pixels (H, W, 3) each, of any sizes.
            role: The role, as in the settings.
            labels: Labels of the detections by class number; other classes are not detected.
            min_score: Lowest score of a detection, between 0 and 1.
            masks: Whether the detections must have masks.
        """


class Joints(Protocol):
    """Finds people with COCO's 17 keypoints."""

    TAKES_PEOPLE: bool
    """Whether `poses` uses the argument `people`."""

    def poses(
        self,
        pictures: Sequence[Picture],
        role: str,
        min_score: float | None = None,
        people: Sequence[Detections] | None = None,
    ) -> list[Poses]:
        """Find the people in RGB pixels (H, W, 3); those in `people`, one value for each picture, if they are given."""


class MasksInBoxes(Protocol):
    """Outlines the thing in a box."""

    def masks_in(self, picture: Picture, regions: Detections) -> Detections:
        """Return the regions in which something is made out, with masks."""


class Words(Protocol):
    """Says in words what is in a picture."""

    def answer(self, image: Image, question: str, weights_id: str, longest: int) -> Text:
        """Answer a question in at most so many tokens."""

    def describe(self, image: Image, weights_id: str, longest: int) -> Text:
        """Describe a picture in a sentence of at most so many tokens."""


def words(role: str) -> Words:
    """Return the engine that runs a role's weights.

    Raises:
        SettingsInvalid: when they are for something else.
    """
    engines: dict[str, Words] = {"transformers": vision_language, linked.ENGINE: linked}
    return _engine(role, engines)


def is_linked(role: str) -> bool:
    """Whether the role's weights are addressed through a language core, which takes any words."""
    return _engine_name(role) == linked.ENGINE


class Pointed(Protocol):
    """Outlines what a person points at."""

    def outline(self, picture: Picture, points: Sequence[tuple[float, float, bool]]) -> NDArray[np.bool_]:
        """Return the mask (H, W) of one thing, given x, y, and whether that is in it, of some points."""


def named_things(role: str) -> NamedThings:
    """Return the engine that runs a role's weights.

    Raises:
        SettingsInvalid: when they are for something else.
    """
    engines: dict[str, NamedThings] = {"ultralytics": yolo, "nanodet": nanodet, "selfie": selfie, linked.ENGINE: linked}
    return _engine(role, engines)


def joints(role: str) -> Joints:
    """Return the engine that runs a role's weights.

    Raises:
        SettingsInvalid: when they are for something else.
    """
    engines: dict[str, Joints] = {"ultralytics": yolo, "movenet": movenet, linked.ENGINE: linked}
    return _engine(role, engines)


def masks_in_boxes(role: str) -> MasksInBoxes:
    """Return the engine that runs a role's weights.

    Raises:
        SettingsInvalid: when they are for something else.
    """
    engines: dict[str, MasksInBoxes] = {"ultralytics": sam, "selfie": selfie, linked.ENGINE: linked}
    return _engine(role, engines)


def pointed(role: str) -> Pointed:
    """Return the engine that runs a role's weights.

    Raises:
        SettingsInvalid: when they are for something else.
    """
    engines: dict[str, Pointed] = {"ultralytics": sam}
    return _engine(role, engines)


def usual_score(role: str) -> float:
    """Return the lowest score that is kept of the role's weights, if the caller gives none."""
    return scores.usual_score(role, named_things(role).USUAL_SCORE)


def needs(role: str, what: str = "") -> Iterator[Need]:
    """Yield the weights of a role, and those of the role detect where its engine looks for people first.

    Args:
        role: The role, as in the settings.
        what: What they are to find, for messages.
    """
    yield from with_needed(settings().role(role), what)
    if _engine_name(role) in _PEOPLE_FIRST:
        yield from with_needed(settings().role(people.ROLE), what)


def _engine_name(role: str) -> str:
    return weights.find(settings().role(role)).engine or weights.find(DEFAULT_ROLES[role]).engine


def _engine(role: str, engines: Mapping[str, T]) -> T:
    name = _engine_name(role)
    if name not in engines:
        raise SettingsInvalid(
            f"The weights {settings().role(role)} are run by {name}, which cannot do the work of the role {role}",
            f"Choose weights for {role} in settings.toml that are run by {' or '.join(engines)}; "
            "superlink models list shows their roles",
        )
    return engines[name]
