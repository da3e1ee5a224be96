"""The value of a find, and the picture, video or recording in which it was found."""

from dataclasses import dataclass
from pathlib import Path

from agents.session.results import picture_of, source_of
from flows.batch.reading import DoneItem
from flows.batch.shard_store import ShardStore
from flows.ledger.ledger import Ledger
from flows.ledger.review_pages import Entry
from tools.core.errors import SuperlinkError
from tools.storage.store import Ref, as_list
from tools.values import Detections, Poses, Transcript

_KEPT = 32


class NotShown(SuperlinkError):
    """A find cannot be shown or judged."""


@dataclass(frozen=True)
class Found:
    """The value of a find.

    Attributes:
        value: As the tool gave it.
        source: The picture, video or recording.
        frame: Number of the video's frame; None for others.
    """

    value: Detections | Poses | Transcript
    source: Ref | None
    frame: int | None

    def box(self, place: int) -> list[float] | None:
        """Return the corners of a find as the tool gave them; None where it has no place in a picture."""
        if isinstance(self.value, Transcript):
            box = self.value.segments[place].box
            return None if box is None else list(box)
        corners: list[float] = self.value.xyxy[place].tolist()
        return corners


class Finder:
    """Finds the values of finds in a run; those that were found last are kept.

    Args:
        ledger: Of the run.
        store: Of the run; files of its source are registered in it.
    """

    def __init__(self, ledger: Ledger, store: ShardStore) -> None:
        self._ledger, self._store = ledger, store
        self._known: dict[int, Found] = {}
        self._version = -1

    def find(self, entry: Entry) -> Found:
        """Return the value of a find.

        Raises:
            NotShown: when it is of an earlier plan.
            StoreError: when it is lost or damaged.
        """
        version = self._ledger.version  # grows when another process writes, such as a run that goes on
        if version != self._version:
            self._version = version
            self._known.clear()
        if entry.id not in self._known:
            self._known[entry.id] = self._find(entry)
            for old in list(self._known)[:-_KEPT]:
                del self._known[old]
        return self._known[entry.id]

    def _find(self, entry: Entry) -> Found:
        rows = [DoneItem(*row) for row in self._ledger.done([entry.item])]
        ref = next(
            (r for row in rows for r in as_list(row.refs.get(entry.step, [])) if r["sha256"] == entry.sha256), None
        )
        if ref is None:
            raise NotShown("the item was worked again since, with another plan or another result", "Skip it")
        row = rows[0]
        if "://" not in row.entry.address and row.ref not in self._store:
            self._store.register_file(row.ref["sha256"], Path(row.entry.address))
        value = self._store.get(ref)
        assert isinstance(value, Detections | Poses | Transcript)
        timed = isinstance(value, Detections) and value.frames is not None
        frame = int(value.frames[entry.place]) if timed else None  # type: ignore[union-attr,index]
        refs = {row.ref["kind"].lower(): row.ref, **row.refs}
        source: Ref | None
        if ref["kind"] == "Transcript":
            source = (
                source_of(entry.step, ref, self._ledger.plan.to_json(), refs, ("Image", "Audio", "Video")) or row.ref
            )
        elif row.ref["kind"] == "Video":
            source = row.ref
        else:
            source = picture_of(entry.step, ref, self._ledger.plan.to_json(), refs)
        return Found(value, source, frame)
