"""Engines that superlink's own model runs: a language core that sees, and addresses decoders with what it understood.

The model is handed down (`tools.core.provided`), as tools know nothing of it. Each label of a call is one segment that
it reads behind the picture; the record names the decoder, the number of queries and the words. It knows the rendered
world alone: on pictures of another kind, such as photographs, the value gets a note that says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from common.masks import Mask, box_mask
from tools.core.errors import ValueInvalid
from tools.core.progress import track
from tools.core.provided import BACKBONE, provided
from tools.core.settings import settings
from tools.engines import labels as names
from tools.engines.scores import usual_score
from tools.runtime.model_cache import resident
from tools.values import Detections, Image, Poses, Text
from tools.weights import weights
from tools.weights.usage import note, record_link

ENGINE = BACKBONE
"""Its name in the catalogue, and that of the weights that are shipped."""

USUAL_SCORE = 0.4
"""The lowest score that is kept, if neither the request nor the catalogue gives one."""

TAKES_PEOPLE = False
"""Whether `poses` looks at the people that it is given."""

STRANGE = (
    "{} not look like superlink's rendered pictures, and the backbone's weights know no others, such as photographs: "
    "what they find or say is not to be relied on"
)
"""The note about pictures of another kind."""

_PERSON = "person"


class Found(Protocol):
    """What was found for one phrase or region, in pixels of the picture.

    Attributes:
        scores: (N,), from 0 to 1, the best first.
        boxes: (N, 4), x0, y0, x1, y1.
        masks: (N, H, W); None from a decoder of joints.
        joints: (N, 17, 3), x, y and a score; None from a decoder of masks.
    """

    @property
    def scores(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def boxes(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def masks(self) -> NDArray[np.bool_] | None: ...  # noqa: D102
    @property
    def joints(self) -> NDArray[np.float32] | None: ...  # noqa: D102


class Sight(Protocol):
    """A model that sees.

    Attributes:
        categories: Names of what it was trained on.
        links: Decoder and number of queries of each tool.
    """

    categories: tuple[str, ...]
    links: Mapping[str, tuple[str, int]]

    def strange(self, picture: NDArray[np.uint8]) -> bool:
        """Return whether a picture (H, W, 3) is of another kind than those of the training."""

    def find(self, picture: NDArray[np.uint8], tool: str, asked: Sequence[str | Mask], least: float) -> Sequence[Found]:
        """Return what each phrase or region (H, W) means, from the score ``least`` on."""

    def answer(self, picture: NDArray[np.uint8], question: str, longest: int) -> str:
        """Answer a question in at most so many tokens."""

    def caption(self, picture: NDArray[np.uint8], longest: int) -> str:
        """Describe a picture in a sentence of at most so many tokens."""


def class_names(role: str, masks: bool = False) -> dict[int, str]:
    """Return the names of what the model was trained on; other words can be asked for, too.

    Raises:
        WeightsMissing: when the weights or the language core are not on this computer.
    """
    with _model(settings().role(role)) as sight:
        return dict(enumerate(sight.categories))


def find(
    pictures: Sequence[NDArray[np.uint8]], role: str, labels: Mapping[int, str], min_score: float, masks: bool = False
) -> list[Detections]:
    """Find things that the model has a name for; see `dispatch.NamedThings.find`."""
    every = class_names(role)
    return find_phrases(pictures, role, {label: every[number] for number, label in labels.items()}, min_score, masks)


def read(phrases: Sequence[str], role: str, masks: bool = False) -> dict[str, str]:
    """Return what the model is asked for each label: a name of its training in place of its plurals and synonyms.

    Labels that are forms of the same name are asked for once, under the first.

    Args:
        phrases: Labels, which may be references such as "the dog left of the red car".
        role: The role, as in the settings.
        masks: Whether masks will be wanted.

    Raises:
        WeightsMissing: when the weights or the language core are not on this computer.
    """
    with _model(settings().role(role)) as sight:
        every = dict(enumerate(sight.categories))
        asked: dict[str, str] = {}
        for phrase in phrases:
            known, _ = names.choose([phrase], every)
            words = every[next(iter(known))] if known else phrase
            if words not in asked.values():
                asked[phrase] = words
        _record(sight, "segment" if masks else "detect", list(asked.values()))
        return asked


def find_phrases(
    pictures: Sequence[NDArray[np.uint8]], role: str, asked: Mapping[str, str], min_score: float, masks: bool = False
) -> list[Detections]:
    """Find what phrases mean.

    Args:
        pictures: RGB pixels (H, W, 3) each, of any sizes.
        role: The role, as in the settings.
        asked: As returned by `read`.
        min_score: Lowest score of a detection, between 0 and 1.
        masks: Whether the detections must have masks.
    """
    tool = "segment" if masks else "detect"
    with _model(settings().role(role)) as sight:
        _record(sight, tool, list(asked.values()))
        found = []
        for picture in _each(sight, pictures):
            finds = sight.find(picture, tool, list(asked.values()), min_score)
            parts = [_detections(one, label, picture, masks) for label, one in zip(asked, finds, strict=True)]
            found.append(Detections.concat(parts))
        return found


def _detections(found: Found, label: str, picture: NDArray[np.uint8], masks: bool) -> Detections:
    size = picture.shape[0], picture.shape[1]
    labels = [label] * len(found.scores)
    return Detections.from_model(found.boxes, labels, found.scores, size, found.masks if masks else None)


def masks_in(picture: NDArray[np.uint8], regions: Detections) -> Detections:
    """Outline the thing in each region, by the weights of the role segment_boxes.

    Args:
        picture: RGB pixels (H, W, 3).
        regions: Boxes in this picture, or masks where they have them: each is a region prompt.

    Returns:
        The regions with masks, and boxes drawn closely around these. Those in which nothing is made out are left out.

    Raises:
        WeightsMissing: when the weights or the language core are not on this computer.
    """
    prompts = [_prompt(regions, number) for number in range(len(regions))]
    found, kept = list[Mask](), list[int]()
    with _model(settings().role("segment_boxes")) as sight:
        _note_strange(sight.strange(picture), 1)
        if prompts:
            _record(sight, "segment", [""])
        least = usual_score("segment_boxes", USUAL_SCORE)
        for number, one in enumerate(sight.find(picture, "segment", prompts, least)):
            if one.masks is not None and len(one.masks) and one.masks[0].any():
                found.append(one.masks[0])
                kept.append(number)
    chosen = regions.select(kept)
    masks = np.array(found, bool).reshape(len(found), *regions.size)
    return Detections.from_masks(masks, chosen.labels, chosen.scores)


def _prompt(regions: Detections, number: int) -> Mask:
    """Return the mask (H, W) of a region, or that of its box."""
    if regions.masks is not None:
        return regions.mask_array(number)
    return box_mask(regions.xyxy[number].tolist(), regions.size)


def poses(
    pictures: Sequence[NDArray[np.uint8]],
    role: str,
    min_score: float | None = None,
    people: Sequence[Detections] | None = None,
) -> list[Poses]:
    """Find people with COCO's 17 keypoints.

    Args:
        pictures: RGB pixels (H, W, 3) each.
        role: The role, as in the settings.
        min_score: The lowest score that is kept; by default the catalogue's, or `USUAL_SCORE`.
        people: Not used: the model finds the people itself.
    """
    least = usual_score(role, USUAL_SCORE) if min_score is None else min_score
    with _model(settings().role(role)) as sight:
        _record(sight, "pose", [_PERSON])
        found = ((sight.find(picture, "pose", [_PERSON], least)[0], picture) for picture in _each(sight, pictures))
        return [_poses(*one) for one in found]


def _poses(found: Found, picture: NDArray[np.uint8]) -> Poses:
    assert found.joints is not None
    return Poses(found.joints, found.scores, found.boxes, (picture.shape[0], picture.shape[1]))


def answer(image: Image, question: str, weights_id: str, longest: int) -> Text:
    """Answer a question about a picture; the same picture and question give the same answer.

    Args:
        image: The picture.
        question: A question.
        weights_id: Id of the weights.
        longest: Maximum number of tokens.

    Raises:
        ValueInvalid: when the question is empty.
        WeightsMissing: when the weights or the language core are not on this computer.
    """
    if not question.strip():
        raise ValueInvalid("The question is empty", "Say in a few words what to find out about the picture")
    with _model(weights_id) as sight:
        _note_strange(sight.strange(image.pixels), 1)
        return Text(sight.answer(image.pixels, question.strip(), longest))


def describe(image: Image, weights_id: str, longest: int) -> Text:
    """Describe a picture in a sentence; the arguments are those of `answer`."""
    with _model(weights_id) as sight:
        _note_strange(sight.strange(image.pixels), 1)
        return Text(sight.caption(image.pixels, longest))


def _record(sight: Sight, tool: str, asked: Sequence[str]) -> None:
    decoder, queries = sight.links[tool]
    for words in asked:
        record_link(decoder, queries, words)


def _each(sight: Sight, pictures: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures, and note at the end whether some are of another kind than those that the model knows.

    Both happen picture by picture: a model keeps what it saw of the last ones alone.
    """
    strange = 0
    for picture in track(pictures):
        strange += sight.strange(picture)
        yield picture
    _note_strange(strange, len(pictures))


def _note_strange(strange: int, count: int) -> None:
    if strange:
        note(STRANGE.format("The picture does" if count == 1 else "Some of the pictures do"))


@contextmanager
def _model(weights_id: str) -> Iterator[Sight]:
    """Lease the model of weights, and note the use of these and of the language core."""
    folder, core = weights.use(weights_id), _core_of(weights_id)
    weights.use(core)
    with _load.lease(folder, core) as sight:
        yield sight


def _core_of(weights_id: str) -> str:
    """Return the id of the language core that weights belong to: for a person's own that of the shipped ones."""
    return (weights.find(weights_id).needs or weights.find(ENGINE).needs)[0]


@resident(bytes=350_000_000, device="cpu")
def _load(folder: Path, core: str) -> Sight:
    return cast(Sight, provided(ENGINE)(folder, core))
