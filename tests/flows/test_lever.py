"""Growing sequences for a bank: the flow goes on where it was stopped, to the same bytes. The planner is a stand-in."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from filelock import FileLock
from pydantic import JsonValue

from agents.lever import Anchors
from flows.lever import grow_file
from tools.core.errors import ArgumentsInvalid
from tools.runtime.registry import load

TOOLS = load(entry_points=False)
CALLS = [{"tool": "caption", "args": {}}]


class Killed(BaseException):
    """Ends the flow where it is."""


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    file = tmp_path / "bank.jsonl"
    parts = ["pool"] * 3 + ["anchor"] * 5
    file.write_text(
        "".join(
            json.dumps({"id": f"{n}", "have": ["Image"], "request": f"do {n}", "calls": CALLS, "part": part}) + "\n"
            for n, part in enumerate(parts)
        )
    )
    return file


@pytest.fixture(autouse=True)
def grown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The anchors that were grown; of more than four in one run, the process is killed at the fifth."""
    names: list[str] = []

    def stand_in(self: Anchors, wanted: Sequence[tuple[str, str]]) -> Iterator[dict[str, JsonValue]]:
        for _, anchor in wanted:
            names.append(anchor)
            yield {"anchor": anchor, "sequences": []}

    monkeypatch.setattr(Anchors, "grown", stand_in)
    monkeypatch.setattr(Anchors, "settings", lambda self: {"seed": self._seed})
    return names


def test_a_flow_that_was_killed_goes_on_to_the_same_file(bank: Path, tmp_path: Path, grown: list[str]) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    grow_file(bank, whole, TOOLS)
    assert grown == ["3", "4", "5", "6", "7"]

    def kill(done: int, of: int) -> None:
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        grow_file(bank, cut, TOOLS, on_progress=kill)
    with cut.open("ab") as file:
        file.write(b'{"anchor":"5","sequ')  # half a line, as a power cut leaves it
    seen, grown[:] = list[tuple[int, int]](), []
    grow_file(bank, cut, TOOLS, on_progress=lambda done, of: seen.append((done, of)))
    assert grown == ["5", "6", "7"] and seen == [(2, 5), (3, 5), (4, 5), (5, 5)]
    assert cut.read_bytes() == whole.read_bytes()
    grow_file(bank, cut, TOOLS)
    assert grown == ["5", "6", "7"] and cut.read_bytes() == whole.read_bytes()


def test_a_file_of_another_seed_is_left_alone(bank: Path, tmp_path: Path, grown: list[str]) -> None:
    out = tmp_path / "grown.jsonl"
    grow_file(bank, out, TOOLS)
    before = out.read_bytes()
    with pytest.raises(ArgumentsInvalid, match="another bank, planner or seed"):
        grow_file(bank, out, TOOLS, seed=8)
    assert out.read_bytes() == before


def test_two_processes_do_not_write_one_file(bank: Path, tmp_path: Path) -> None:
    out = tmp_path / "grown.jsonl"
    with FileLock(f"{out}.lock"), pytest.raises(ArgumentsInvalid, match="another process"):
        grow_file(bank, out, TOOLS)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{}\n", "line 1"),
        ('{"id": "a", "have": [], "request": "mug", "calls": [{"tool": "mug_it", "args": {}}]}\n', "mug_it"),
        (None, "No such file"),
    ],
)
def test_a_bank_that_cannot_be_used_is_refused(tmp_path: Path, content: str | None, problem: str) -> None:
    file = tmp_path / "bank.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ArgumentsInvalid, match=problem):
        grow_file(file, tmp_path / "grown.jsonl", TOOLS)
    assert not (tmp_path / "grown.jsonl").exists()
