"""Statuses and sentences of the page."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from agents.plan.types import AnyTool
from agents.session.events import Record
from common.kinds import MEDIA_KINDS
from tools.core.errors import SuperlinkError
from tools.storage.store import as_list
from ui.turns.view import Colour

_WORD = re.compile(r"[a-z]+(?=[ ,:;]|\.(?!\w)|$)")


class Status(NamedTuple):
    """The state of a turn in a few words, and its colour."""

    words: str
    colour: Colour = ""


QUEUED = Status("Waits in line …")
PLANNING = Status("Planning …")
MENDING = Status("Mending the plan …")
RUNNING = Status("Running …")
WAITS = Status("Waits for you", "wait")
STOPPING = Status("Stopping …")
STOPPED = Status("Stopped", "wait")
PARTLY = Status("Partly done", "wait")
FAILED = Status("Failed", "bad")
REJECTED = Status("Rejected")
REPLACED = Status("Replaced by a new request")
NOTHING_FOUND = Status("Nothing found", "wait")
NOTHING_TO_RUN = Status("Nothing to run", "wait")


def status_of(record: Record, tools: Mapping[str, AnyTool]) -> Status:
    """Return the status of a turn that has ended.

    Args:
        record: Of the turn.
        tools: Tools by name.
    """
    if record["superseded"]:
        return REPLACED
    match record["result"]:
        case "done":
            return NOTHING_FOUND if _counts_nothing(record) else Status("Done", "good")
        case "nothing":
            return Status("Nothing changed", "wait") if _leaves_media(record, tools) else NOTHING_FOUND
        case "partly":
            return PARTLY
        case "failed":
            return FAILED
    decision = record["decision"]
    return REJECTED if decision is not None and decision["action"] == "reject" else NOTHING_TO_RUN


def _counts_nothing(record: Record) -> bool:
    """Whether all outputs are numbers, and each of them is 0."""
    refs = [ref for output in record["outputs"].values() for ref in as_list(output)]
    return bool(refs) and all(ref["kind"] == "Number" and ref["summary"].get("value") == 0 for ref in refs)


def _leaves_media(record: Record, tools: Mapping[str, AnyTool]) -> bool:
    """Whether pictures, sound or videos came out of a plan as they went in: no step before made another."""
    made = {
        step["id"]
        for step in record["steps"]
        if step["tool"] in tools and tools[step["tool"]].returns.kind in MEDIA_KINDS
    }
    return bool(made) and made <= record["outputs"].keys()


def sentences(*parts: str) -> str:
    """Return the parts, such as message and hint, as sentences. A file name at the start keeps its letters."""
    ended = (part if part[-1] in ".?!…" else f"{part}." for part in map(str.strip, parts) if part)
    return " ".join(part[0].upper() + part[1:] if _WORD.match(part) else part for part in ended)


def explain(error: SuperlinkError) -> str:
    """Return an error as sentences."""
    return sentences(error.message, error.hint)
