"""HTML of the conversation, the list of sessions and the chips of files; the templates escape every text."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from agents.plan.plan import PlanJson
from common.kinds import input_of
from ui.access.links import file_url
from ui.conversation.thumbnails import thumbnail
from ui.templates import Templates
from ui.turns.view import QueuePlace, SessionView, TurnView
from ui.units import byte_size

_render = Templates("ui.conversation").render

_THUMBNAILS = 6  # results of a turn that are shown small in the conversation
Words = Callable[[PlanJson], Sequence[str]]
"""Gives the steps of a plan in words."""


@dataclass(frozen=True)
class Chip:
    """A file in the box, before it is sent.

    Attributes:
        path: The upload.
        name: Its name.
        kind: "image", "audio", "video" or "text"; "" where it cannot be read.
        detail: Size in words, and pixels or seconds.
        error: Why it is refused; "" where it is not.
        words: Whether its speech can be written down here and become the request.
    """

    path: str
    name: str
    kind: str
    detail: str
    error: str = ""
    words: bool = False


@dataclass(frozen=True)
class SessionLine:
    """A session in the list.

    Attributes:
        thread: Name of the thread.
        title: Its title.
        day: In words, such as "Today".
        status: In a few words.
        colour: Colour of the status.
    """

    thread: str
    title: str
    day: str
    status: str
    colour: str


def conversation_html(view: SessionView, words: Words, folder: Path, chosen: int = 0) -> str:
    """Return all turns of a session.

    Args:
        view: The session.
        words: Gives the steps of a plan in words.
        folder: Folder of the thread's results; small pictures are kept in it.
        chosen: Number of the turn whose results are shown beside; 0 for the last.
    """
    last = len(view.turns)
    return _render(
        "turns.html.j2",
        view=view,
        status=view.turn.status if view.turn else "",
        turns=[_turn(turn, view, words, folder, turn.number == (chosen or last)) for turn in view.turns],
    )


def sessions_html(lines: Sequence[SessionLine], current: str, deleted: SessionLine | None, searched: str) -> str:
    """Return the list of sessions.

    Args:
        lines: Newest first.
        current: Thread that is shown.
        deleted: Session that was just deleted, which can be restored.
        searched: Words that were searched for.
    """
    days: dict[str, list[SessionLine]] = {}
    for line in lines:
        days.setdefault(line.day, []).append(line)
    return _render(
        "sessions.html.j2",
        days=days,
        current=current,
        deleted=deleted,
        searched=searched,
        address=lambda thread: "?" + urlencode({"s": thread}),
    )


def chips_html(chips: Sequence[Chip]) -> str:
    """Return the files in the box with their names, kinds and sizes, and why one is refused."""
    return _render("chips.html.j2", chips=chips, url=file_url) if chips else ""


def samples_html(samples: Sequence[Mapping[str, object]]) -> str:
    """Return the offer of samples: mappings with path, caption, licence, kind and requests."""
    return _render("samples.html.j2", samples=samples, url=file_url)


def header_html(state: str, keys: Mapping[str, str]) -> str:
    """Return the line at the top of the page.

    Args:
        state: `Turns.planner_state`.
        keys: What each key does.
    """
    return _render("header.html.j2", state=state, keys=keys)


def note_html(words: str) -> str:
    """Return a sentence beside the box, which screen readers say at once; "" without words."""
    return _render("note.html.j2", words=words) if words else ""


def queue_words(queue: QueuePlace | None) -> str:
    """Return the place in the queue, such as "2nd in line, about 20 s"; "" without a queue."""
    if queue is None:
        return ""
    place = "Next in line" if queue.place <= 1 else f"{ordinal(queue.place)} in line"
    return place if queue.seconds is None else f"{place}, about {duration(queue.seconds)}"


def ordinal(number: int) -> str:
    """Return a number as "1st", "2nd", "3rd", "4th", "11th"."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"


def duration(seconds: float) -> str:
    """Return seconds in words: "20 s", "3 min", "2 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"


def _turn(turn: TurnView, view: SessionView, words: Words, folder: Path, chosen: bool) -> Mapping[str, object]:
    last = turn is view.turn
    running = last and view.works
    shown = [file for result in turn.results if result.final or running for file in result.files]
    pictures = [file for file in shown if input_of(file.name) in ("image", "video")]
    return {
        "number": turn.number,
        "request": turn.request,
        "files": [
            {
                "name": file.name,
                "kind": file.kind,
                "detail": ", ".join(filter(None, (file.kind, byte_size(file.size), file.detail))),
                "picture": _small(file.path, folder) if file.kind == "image" else "",
            }
            for file in turn.files
        ],
        "steps": list(words(turn.plan)) if turn.plan is not None else [],
        "open": last and view.stage in ("approval", "editing", "running"),
        "answer": by_place(turn.answer, turn.plan),
        "status": turn.status,
        "colour": turn.colour,
        "busy": running,
        "thumbnails": [_small(file, folder) for file in pictures[:_THUMBNAILS]],
        "further": max(0, len(pictures) - _THUMBNAILS),
        "results": len(shown),
        "chosen": chosen,
    }


def by_place(answer: str, plan: PlanJson | None) -> str:
    """Return an answer whose lines about steps that failed name them by their place, as the card does."""
    numbers = {step["id"]: number for number, step in enumerate(plan["steps"] if plan else (), 1)}
    if not numbers:
        return answer
    ids = "|".join(map(re.escape, numbers))

    def said(line: re.Match[str]) -> str:
        reason = line["reason"]
        if line["what"] == "was not run":  # for want of the results of others
            reason = re.sub(rf"\b({ids})\b", lambda one: f"step {numbers[one[0]]}", reason)
        return f"Step {numbers[line['id']]} {line['what']}: {reason}"

    pattern = rf"^(?P<id>{ids}) \(\w+\) (?P<what>failed|was not run): (?P<reason>.*)$"
    return re.sub(pattern, said, answer, flags=re.MULTILINE)


def _small(file: Path, folder: Path) -> str:
    """Return the address of a small copy of a picture or of a video's first frame; "" where the file is gone."""
    small = thumbnail(file, folder / "thumbnails")
    return file_url(small) if small else ""
