"""Small pictures of items: with their detections drawn on them, or as the plan edited them."""

import base64
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from agents.session.results import picture_of
from flows.batch.reading import LOCATION_KINDS, DoneItem, Reading
from flows.batch.shard_store import ShardStore
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError
from tools.imaging.drawing import draw
from tools.storage.store import Ref
from tools.values import Detections, Image, Poses, Transcript, Video

SIDE = 480
"""Pixels of a sample's longer side."""
_NAMED = 5
_FRAMES = 300  # what is further into a video takes too long to decode for one picture


class Found(NamedTuple):
    """A detection or pose in a picture: its label, score, and box (x0, y0, x1, y1) in parts of width and height."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Viewer:
    """Draws items with the results of a run.

    A plan that makes pictures shows these alone: the picture before its faces were hidden may not be meant for others.
    Detections are drawn on them if they still have the size of the picture that was searched.

    Args:
        ledger: of the run.
        shard_store: of the run.
        steps: whose results to show; by default the plan's outputs.
        finds: steps whose detections to draw; by default the plan's outputs that are some, or else the last such steps.
    """

    def __init__(
        self, ledger: Ledger, shard_store: ShardStore, steps: tuple[str, ...] = (), finds: tuple[str, ...] = ()
    ) -> None:
        """Choose the steps to show."""
        self.shard_store = shard_store
        self.shown = Reading(
            ledger, shard_store, (*LOCATION_KINDS, "Transcript", "Text", "Number", "Image", "Video"), steps
        )
        self.finds = Reading(ledger, shard_store, (*LOCATION_KINDS, "Transcript"), finds)
        self._made = Reading(ledger, shard_store, ("Image", "Video"))

    def picture(self, row: DoneItem) -> Image | None:
        """An item as a picture; None when it is neither picture nor video, and no step made one.

        Raises:
            SuperlinkError: its file or a value is missing or was changed.
        """
        found = self._picture_and_marks(row)
        if found is None:
            return None
        picture, marks = found
        return draw(picture, *marks) if marks else picture

    def plain_picture(self, row: DoneItem) -> tuple[Image, list[Found]] | None:
        """An item as `picture` shows it with nothing drawn on it, and the detections and poses that would be.

        Raises:
            SuperlinkError: its file or a value is missing or was changed.
        """
        found = self._picture_and_marks(row)
        if found is None:
            return None
        picture, marks = found
        height, width = picture.size
        return picture, [
            Found(label, float(score), (x0 / width, y0 / height, x1 / width, y1 / height))
            for mark in marks
            if isinstance(mark, Detections | Poses)
            for label, score, (x0, y0, x1, y1) in zip(
                mark.labels if isinstance(mark, Detections) else ("person",) * len(mark),
                mark.scores,
                mark.xyxy.tolist(),
                strict=True,
            )
        ]

    def _picture_and_marks(self, row: DoneItem) -> tuple[Image, list[Detections | Poses | Transcript]] | None:
        """The picture of an item, of a video the frame in which most was found, and what is to be drawn on it."""
        if "://" not in row.entry.address and row.ref not in self.shard_store:
            self.shard_store.register_file(row.ref["sha256"], Path(row.entry.address))
        own = [] if self._made.steps else [row.ref]
        results = [ref for reading in (self.shown, self._made) for _, _, ref in reading.refs(row, ("Image", "Video"))]
        base = next((ref for ref in (*results, *own) if ref["kind"] in ("Image", "Video")), None)
        if base is None:
            return None
        value = self.shard_store.get(base)
        assert isinstance(value, Image | Video)
        marks = list(self._marks(row, base, value.size))
        if isinstance(value, Image):
            return value, marks
        number = _fullest(marks)
        picture = Image.from_numpy(value.frame(min(number, value.frame_count - 1)))
        return picture, [_at(mark, number) for mark in marks]

    def labels_and_scores(self, row: DoneItem) -> list[tuple[str, float]]:
        """Label and score of all detections and poses in an item, the highest score first."""
        found: list[tuple[str, float]] = []
        for _, value, _ in self.finds.locations(row):
            labels = value.labels if isinstance(value, Detections) else ("person",) * len(value)
            found += zip(labels, map(float, value.scores), strict=True)
        return sorted(found, key=lambda one: (-one[1], one[0]))

    def texts(self, row: DoneItem) -> Iterator[str]:
        """Texts and numbers that steps gave for an item; of a long text its start."""
        for _, _, ref in self.shown.refs(row, ("Transcript", "Text", "Number")):
            facts = ref["summary"]
            text = f"{facts['value']:g} {facts['unit'] or ''}" if ref["kind"] == "Number" else facts["start"]
            if text.strip():
                yield text.strip()

    def _marks(self, row: DoneItem, base: Ref, size: tuple[int, int]) -> Iterator[Detections | Poses | Transcript]:
        plan, refs = self.finds.plan.to_json(), {row.ref["kind"].lower(): row.ref, **row.refs}
        for step, _, ref in self.finds.refs(row):
            place = row.ref if row.ref["kind"] == "Video" else picture_of(step, ref, plan, refs)
            if place is None or (
                place["sha256"] != base["sha256"] and (place["sha256"] != row.ref["sha256"] or size != row.size)
            ):
                continue
            value = self.finds.value(row, step, ref)
            # The words that were hidden in a picture must not be written on it again.
            if isinstance(value, Detections | Poses) or (
                isinstance(value, Transcript) and place["sha256"] == base["sha256"]
            ):
                yield value


@dataclass(frozen=True)
class Sample:
    """One item as a page shows it.

    Attributes:
        name: of the item.
        found: label and score of the detections with the highest scores.
        count: number of all detections.
        said: texts and numbers that steps gave for it.
        jpeg: the picture in base64; "" if there is none.
        size: (height, width) of the picture in pixels.
        trouble: why it cannot be shown, or "".
    """

    name: str
    found: tuple[tuple[str, float], ...] = ()
    count: int = 0
    said: tuple[str, ...] = ()
    jpeg: str = ""
    size: tuple[int, int] = (0, 0)
    trouble: str = ""


def make_samples(viewer: Viewer, ids: Iterable[int]) -> Iterator[Sample]:
    """Items by number, in the given order, with pictures of at most `SIDE` pixels."""
    numbers = list(ids)
    rows = {entry.id: DoneItem(entry, refs) for entry, refs in viewer.shown.ledger.done(numbers)}
    for number in numbers:
        row = rows[number]
        try:
            found = viewer.labels_and_scores(row)
            picture = viewer.picture(row)
        except SuperlinkError as error:
            yield Sample(row.name, trouble=error.message)
            continue
        facts: dict[str, Any] = {
            "found": tuple(found[:_NAMED]),
            "count": len(found),
            "said": tuple(viewer.texts(row))[:_NAMED],
        }
        yield Sample(row.name, **facts, **({} if picture is None else _small(picture)))


def _small(picture: Image) -> dict[str, Any]:
    jpeg, size = small_jpeg(picture)
    return {"jpeg": base64.b64encode(jpeg).decode("ascii"), "size": size}


def small_jpeg(picture: Image, side: int = SIDE) -> tuple[bytes, tuple[int, int]]:
    """A picture as a JPEG file of at most `side` x `side` pixels, and its (height, width)."""
    from PIL import Image as Pil

    small = Pil.fromarray(picture.pixels)  # without what cameras write into files, such as places
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80, optimize=True)
    return buffer.getvalue(), (small.height, small.width)


def _fullest(marks: Iterable[Detections | Poses | Transcript]) -> int:
    """Number of the frame with the most detections, among the first `_FRAMES`."""
    frames = Counter(
        int(n)
        for mark in marks
        if isinstance(mark, Detections) and mark.frames is not None
        for n in mark.frames
        if n < _FRAMES
    )
    return min(frames, key=lambda n: (-frames[n], n), default=0)


def _at(mark: Detections | Poses | Transcript, frame: int) -> Detections | Poses | Transcript:
    return mark.select(mark.frames == frame) if isinstance(mark, Detections) and mark.frames is not None else mark
