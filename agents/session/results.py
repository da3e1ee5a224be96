"""Writes the outputs of a turn to a folder, as files that other programs open, and its record."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from agents.plan.plan import PlanJson, references
from agents.session.events import Record
from tools.storage import atomic
from tools.storage.store import Ref, Refs, Store, as_list
from tools.values import Detections, Image, Poses, Transcript, Value

RECORD = "record.json"


def write_results(folder: Path, record: Record, store: Store) -> list[Path]:
    """Write the outputs of a turn, and ``record.json``, each file whole.

    Media are written as they are stored; boxes, masks, poses and read text as JSON and drawn on their picture;
    transcripts also as ``.txt``, and as ``.srt`` where they have times. Steps in between are not written: the picture
    before its faces were hidden may not be meant for others.

    Args:
        folder: made when missing; files in it of the same names are replaced.
        record: of the turn.
        store: where the values are.

    Returns:
        The files, the record last.

    Raises:
        WriteError: a file cannot be written; those before it are complete.
        StoreError: a value is no longer in the store, or damaged.
    """
    files: list[Path] = []
    outputs: dict[str, list[str]] = {}
    at_hand = {**record["given"], **{step["id"]: step["refs"] for step in record["steps"] if "refs" in step}}
    for name, refs in record["outputs"].items():
        tool = next((step["tool"] for step in record["steps"] if step["id"] == name), "")
        written = write_value(folder, name, tool, refs, record["plan"], at_hand, store)
        outputs[name] = [file.name for file in written]
        files += written
    return [*files, write_record(folder, record, outputs)]


def write_record(folder: Path, record: Record, files: Mapping[str, Sequence[str]]) -> Path:
    """Write ``record.json``.

    Args:
        folder: made when missing.
        record: of the turn.
        files: names of the files of each output, by its name.

    Raises:
        WriteError: it cannot be written.
    """
    text = json.dumps({**record, "files": files}, indent=2, ensure_ascii=False) + "\n"
    return atomic.write(folder / RECORD, text)


def written_names(folder: Path) -> frozenset[str]:
    """Names of the files that the record in a folder names; without the record's own."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        written: Iterable[list[str]] = record["files"].values()
        return frozenset(name for names in written for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return frozenset()  # a file of somebody else's by this name


def write_value(
    folder: Path,
    name: str,
    tool: str,
    refs: Refs,
    plan: PlanJson | None,
    at_hand: Mapping[str, Refs],
    store: Store,
) -> list[Path]:
    """Write one value, or each value of a list, as `write_results` does.

    Args:
        folder: made when missing; files in it of the same names are replaced.
        name: of the value, such as "s2".
        tool: that made it; "" for a value that a person gave.
        refs: of the value or of the list of values.
        plan: that made it.
        at_hand: references of the values at hand, by name.
        store: where the values are.

    Raises:
        WriteError: a file cannot be written; those before it are complete.
        StoreError: a value is no longer in the store, or damaged.
    """
    written: list[Path] = []
    for number, ref in enumerate(as_list(refs), 1):
        stem = (f"{name}_{tool}" if tool else name) + (f"_{number}" if isinstance(refs, list) else "")
        written += _write(folder, stem, ref, picture_of(name, ref, plan, at_hand), store)
    return written


def _write(folder: Path, stem: str, ref: Ref, picture: Ref | None, store: Store) -> Iterator[Path]:
    value = store.get(ref)
    yield atomic.write(folder / f"{stem}{value.suffix}", value.to_bytes())
    if isinstance(value, Transcript):
        yield atomic.write(folder / f"{stem}.txt", value.text + "\n")
    if isinstance(value, Transcript) and value.segments and all(s.start is not None for s in value.segments):
        yield atomic.write(folder / f"{stem}.srt", value.to_srt())
    drawn = drawing(value, picture, store)
    if drawn is not None:
        yield atomic.write(folder / f"{stem}.png", drawn.to_bytes())


def drawing(value: Value, picture: Ref | None, store: Store) -> Image | None:
    """Detections, poses or read text drawn on their picture; None for other values."""
    from tools.imaging.drawing import draw

    if picture is None or not isinstance(value, Detections | Poses | Transcript):
        return None
    image = store.get(picture)
    return draw(image, value) if isinstance(image, Image) else None


def picture_of(name: str, ref: Ref, plan: PlanJson | None, refs: Mapping[str, Refs]) -> Ref | None:
    """The picture in which something was found: the nearest one, up the plan, that went into it.

    Args:
        name: of the value.
        ref: of the value, or of one item of the list that it is.
        plan: that made the value.
        refs: references of the values at hand, by name.

    Returns:
        None for what has no place in a picture.
    """
    return source_of(name, ref, plan, refs) if ref["kind"] in ("Detections", "Poses", "Transcript") else None


def source_of(
    name: str, ref: Ref, plan: PlanJson | None, refs: Mapping[str, Refs], kinds: Collection[str] = ("Image",)
) -> Ref | None:
    """The nearest value of some kinds, up the plan, that went into a value; arguments are those of `picture_of`."""
    if plan is None:
        return None
    steps = {step["id"]: step for step in plan["steps"]}
    inputs = set(ref.get("provenance", {}).get("inputs", ()))
    waiting = [name]
    while waiting:
        step = steps.get(waiting.pop(0))
        names = [n for value in step.get("args", {}).values() for n in references(value)] if step else []
        for found in (r for n in names for r in as_list(refs.get(n, []))):
            # The inputs of what led here are followed, so that item 3 of a list is drawn on picture 3.
            if found["sha256"] in inputs:
                if found["kind"] in kinds:
                    return found
                inputs |= set(found.get("provenance", {}).get("inputs", ()))
        waiting += names
    return None
