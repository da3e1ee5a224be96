"""Pictures to work on, made from real photographs, and how tests start a run."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pil

from agents.plan.plan import Plan
from flows.annotate import annotate
from flows.batch.summary import Summary
from flows.ledger.ledger import Ledger

TOOLS = str(Path(__file__).with_name("finding.py"))
FIND: dict[str, Any] = {
    "request": "find the bright parts",
    "outputs": ["$s1"],
    "steps": [{"id": "s1", "tool": "bright", "args": {"image": "$image"}}],
}
DARKEN: dict[str, Any] = {
    "request": "darken the bright parts",
    "outputs": ["$s2"],
    "steps": [*FIND["steps"], {"id": "s2", "tool": "darken", "args": {"image": "$image", "regions": "$s1"}}],
}

Run = Callable[..., Summary]


def raw_sql(ledger: Ledger, sql: str, *rows: Sequence[Any]) -> list[Any]:
    """Run SQL on a ledger's file, one statement for each of `rows`, and return the rows that it selects."""
    with closing(sqlite3.connect(ledger.file)) as db, db:
        return [found for row in rows or [()] for found in db.execute(sql, row)]


def write_plan(folder: Path, plan: dict[str, Any] = DARKEN) -> Path:
    file = folder / "plan.json"
    file.write_text(Plan.load(plan).dumps())
    return file


def annotate_command(source: Path, out: Path, *more: str, plan: dict[str, Any] = DARKEN) -> list[str]:
    """Arguments of `superlink annotate` with the tools of these tests; the plan is written beside `out`."""
    file = str(write_plan(out.parent, plan))
    return ["annotate", "", str(source), "--out", str(out), "--tools", TOOLS, "--yes", "--plan", file, *more]


def read_files(out: Path, formats: Sequence[str]) -> dict[str, bytes]:
    """Content of every file of these exports, by its path relative to `out`."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for name in formats
        for path in (out / name).rglob("*")
        if path.is_file()
    }


def make(folder: Path, count: int, damaged: int = 0) -> Path:
    """Write `count` different pictures and `damaged` damaged files."""
    data = pytest.importorskip("skimage.data")
    photos = [Pil.fromarray(photo) for photo in (data.astronaut(), data.cat(), data.coffee())]
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        photo = photos[number % 3]
        left, top = number * 7 % 200, number * 11 % 150
        piece = photo.crop((left, top, left + 120 + number % 5, top + 90 + number % 7))
        if number % 2:
            piece = piece.transpose(Pil.Transpose.FLIP_LEFT_RIGHT)
        piece.save(folder / ("sub" if number % 4 == 3 else "") / f"p{number:04}.jpg", quality=90)
    whole = next(folder.glob("*.jpg")).read_bytes() if count else b"\xff\xd8\xff"
    for number in range(damaged):
        (folder / f"bad{number}.jpg").write_bytes([b"", whole[: len(whole) // 3], b"no picture at all"][number % 3])
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return make(tmp_path / "pictures", 12, 3)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "calls.txt"
    file.touch()
    monkeypatch.setenv("FINDING_LOG", str(file))
    return file


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Run:
    def start(source: Path | str, plan: dict[str, Any] = FIND, **more: Any) -> Summary:
        out = more.pop("out", tmp_path / "out")
        return annotate("", str(source), out, plan=Plan.load(plan), tools=[TOOLS], **{"pilot": 0, **more})

    return start
