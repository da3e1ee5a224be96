"""Conversation, sessions and chips as HTML: the words of others stay words."""

from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio")

import numpy as np
from PIL import Image

from tools import Video
from ui.conversation.html import (
    Chip,
    SessionLine,
    by_place,
    chips_html,
    conversation_html,
    note_html,
    queue_words,
    samples_html,
    sessions_html,
)
from ui.conversation.thumbnails import thumbnail
from ui.tabs.asking import Asking
from ui.tabs.sidebar import day_words
from ui.turns.view import FileView, QueuePlace, ResultView, SessionView, TurnView

EVIL = "<img src=x onerror=alert(1)>\"'&"
PROBLEM = {"kind": "x", "step": "s1", "argument": EVIL, "message": EVIL, "hint": EVIL}
PLAN = {
    "request": EVIL,
    "steps": [
        {"id": "s1", "tool": EVIL, "args": {"image": "$image", "labels": [EVIL], EVIL: 3}},
        {"id": "s2", "tool": "redact", "args": {"regions": ["$s1", "$image"]}},
    ],
    "outputs": ["$s2"],
}


TURN = {"request": EVIL, "plan": PLAN, "problems": [PROBLEM], "warnings": [PROBLEM], "status": "Failed", "answer": EVIL}
_ATTRIBUTES = {"alt", "class", "disabled", "height", "href", "id", "loading", "open", "role", "src", "title"} | {
    "type",
    "width",
}


class Page(HTMLParser):
    """The tags of a piece of HTML, and its words."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs if not name.startswith(("data-", "aria-"))}
        assert names <= _ATTRIBUTES, names
        assert all(
            (value or "").startswith(("/gradio_api/file=/", "?s=")) for name, value in attrs if name in ("src", "href")
        )
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def turn(**parts: object) -> TurnView:
    return TurnView(**{"number": 1, **TURN, **parts})  # type: ignore[arg-type]


def test_the_conversation_is_words_and_pictures(tmp_path: Path) -> None:
    picture = tmp_path / EVIL.replace("/", "")
    picture.write_bytes(b"x")
    files = [FileView(picture, EVIL, "image", 1234, EVIL), FileView(picture, EVIL, EVIL, 1, "")]
    results = [ResultView("s1", EVIL, "Image", [], (tmp_path / f"{EVIL}.png",), True)]
    shown = SessionView(EVIL, EVIL, turns=[turn(files=files, results=results)])
    page = Page(conversation_html(shown, lambda plan: [EVIL], tmp_path))
    lists, words = {"ol", "ul", "li", "details", "summary"}, {"div", "p", "img", "span", "b", "br", "button"}
    assert set(page.tags) <= {"section", *lists, *words}
    assert page.words.count(EVIL) == 8 and "1 kB" in page.words
    line = SessionLine(EVIL, EVIL, EVIL, EVIL, EVIL)
    assert Page(sessions_html([line], EVIL, line, EVIL)).words.count(EVIL) == 4
    chips = [
        Chip(EVIL, EVIL, "image", EVIL),
        Chip(EVIL, EVIL, "", "", EVIL),
        Chip(EVIL, EVIL, "audio", EVIL, words=True),
    ]
    assert Page(chips_html(chips)).words.count(EVIL) == 6
    sample = {"path": EVIL, "name": EVIL, "caption": EVIL, "licence": EVIL, "kind": "image", "requests": [EVIL]}
    assert Page(samples_html([{**sample, "width": 1, "height": 1}])).words.count(EVIL) == 2
    assert Page(note_html(EVIL)).tags == ["p"] and note_html("") == ""


def test_a_video_is_seen_by_its_first_frame(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(Video.from_frames([np.full((40, 600, 3), 200 - 50 * n, np.uint8) for n in range(3)], 5).to_bytes())
    small = thumbnail(film, tmp_path / "small")
    assert small is not None and small.parent == tmp_path / "small"
    with Image.open(small) as picture:
        colour = picture.convert("RGB").getpixel((3, 3))
        assert picture.size == (192, 13) and isinstance(colour, tuple) and min(colour) > 180
    results = [ResultView("s1", "redact", "Video", [], (film,), True)]
    html = conversation_html(SessionView("t", turns=[turn(results=results)]), lambda plan: [], tmp_path)
    assert '<img src="/gradio_api/file=' in html
    film.write_bytes(b"no film")
    assert thumbnail(film, tmp_path / "small") is None


def test_steps_that_failed_are_named_by_their_place(tmp_path: Path) -> None:
    plan: Any = {
        "steps": [{"id": "s3", "tool": "detect", "args": {}}, {"id": "s4", "tool": "redact", "args": {}}],
        "outputs": [],
    }
    answer = (
        "s3 (detect) failed: s4.png is odd.\ns4 (redact) was not run: it needs s3, which has no result.\nRead s3 (x)."
    )
    said = "Step 1 failed: s4.png is odd.\nStep 2 was not run: it needs step 1, which has no result.\nRead s3 (x)."
    assert by_place(answer, plan) == said
    failed = turn(plan=plan, answer=answer)
    assert said in conversation_html(SessionView("t", turns=[failed]), lambda plan: [], tmp_path)
    assert by_place(answer, None) == answer


def test_every_turn_stays_and_the_last_plan_is_open(tmp_path: Path) -> None:
    turns = [turn(number=1, status="Done", colour="good"), turn(number=2, status="Waits for you", colour="wait")]
    html = conversation_html(SessionView("t", stage="approval", turns=turns), lambda plan: ["Find: face"], tmp_path)
    assert html.count("<details") == 2 and html.count('<details class="sl-words" open') == 1
    assert html.index("turn-1") < html.index("open") and "sl-status good" in html


def test_places_and_days_in_words() -> None:
    assert [queue_words(QueuePlace(place, 20)) for place in (1, 2, 3, 11)] == [
        "Next in line, about 20 s",
        "2nd in line, about 20 s",
        "3rd in line, about 20 s",
        "11th in line, about 20 s",
    ]
    assert queue_words(QueuePlace(22, None)) == "22nd in line" and queue_words(None) == ""
    assert queue_words(QueuePlace(2, 200)).endswith("about 3 min")
    today = date(2026, 3, 2)
    assert [day_words(day, today) for day in ("2026-03-02", "2026-03-01", "2025-12-24")] == [
        "Today",
        "Yesterday",
        "24 December 2025",
    ]


def test_samples_are_those_of_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here: set[str] = set()
    monkeypatch.setattr("ui.conversation.samples.works_here", here.__contains__)
    context: Any = SimpleNamespace(tools={"transcribe": None}, folder=tmp_path)
    asking = Asking(context)
    assert "notice.ogg" not in asking.offer()
    here.add("transcribe")
    assert "notice.ogg" in asking.offer() and asking.samples_of([("Audio",)]) == [tmp_path / "samples" / "notice.ogg"]
