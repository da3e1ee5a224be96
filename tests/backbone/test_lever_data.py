"""The files of Lever-LM: banks, and what is grown for their anchors."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from backbone.lever.data import BankInvalid, grown_for, lessons, part_of, read_bank, read_grown, rows_of
from backbone.lever.growth import CANDIDATES
from backbone.retrieval.retriever import Retriever


def line(one: str, **more: object) -> dict[str, object]:
    return {"id": one, "have": ["Image"], "request": f"do {one}", "calls": [{"tool": "caption", "args": {}}], **more}


def written(folder: Path, lines: list[dict[str, object]]) -> Path:
    file = folder / "bank.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return file


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    lines = [line(f"{group}{n:02}", group=group, part="pool") for group in "ab" for n in range(20)]
    anchors = [
        line(f"{group}-ask", group=group, part="anchor", tools=["mug"] if group == "a" else []) for group in "ab"
    ]
    return written(tmp_path, [*lines, *anchors])


def test_a_bank_has_groups_and_parts(bank: Path) -> None:
    groups = read_bank(bank)
    assert {name: {part: len(ids) for part, ids in g.parts.items()} for name, g in groups.items()} == {
        "a": {"pool": 20, "anchor": 1, "test": 0},
        "b": {"pool": 20, "anchor": 1, "test": 0},
    }
    assert groups["a"].tools == {"mug"} and not groups["b"].tools


def test_parts_are_told_by_a_hash_where_a_bank_does_not_tell_them(tmp_path: Path) -> None:
    (group,) = read_bank(written(tmp_path, [line(f"{n:04}") for n in range(500)])).values()
    sizes = {part: len(ids) for part, ids in group.parts.items()}
    assert sum(sizes.values()) == 500 and 70 < sizes["test"] < 130 and min(sizes["pool"], sizes["anchor"]) > 150
    assert Counter(part_of(f"{n:04}") for n in range(500)) == sizes


@pytest.mark.parametrize("bad", [{"id": "x"}, line("x", part="nowhere"), line("a"), [1]])
def test_what_is_no_example_is_named_by_its_line(tmp_path: Path, bad: dict[str, object]) -> None:
    with pytest.raises(BankInvalid, match="line 2"):
        read_bank(written(tmp_path, [line("a"), bad]))


def test_candidates_depend_on_anchor_and_seed_alone(bank: Path) -> None:
    groups, reordered = (
        read_bank(bank),
        written(bank.parent, [json.loads(x) for x in bank.read_text().splitlines()[::-1]]),
    )

    def score(prompts: object) -> list[float]:
        return [0.1234567 * len(shown) for shown, _ in prompts]  # type: ignore[attr-defined]

    first = grown_for("a-ask", groups["a"], score, seed=1)
    assert first == grown_for("a-ask", read_bank(reordered)["a"], score, seed=1)
    assert first["candidates"] != grown_for("a-ask", groups["a"], score, seed=2)["candidates"]
    assert len(set(first["candidates"])) == CANDIDATES and set(first["candidates"]) <= set(groups["a"].parts["pool"])
    assert first["sequences"][0]["scores"] == [0.123457, 0.246913]


def test_lessons_are_what_was_grown(bank: Path, tmp_path: Path) -> None:
    groups, file = read_bank(bank), tmp_path / "grown.jsonl"
    one = {"group": "b", "anchor": "b-ask", "candidates": ["b07", "b03", "b11"], "without": 0.1}
    file.write_text(
        json.dumps({"seed": 7})
        + "\n"
        + json.dumps({**one, "sequences": [{"examples": ["b11", "b07"], "scores": [0.3, 0.7]}]})
    )
    (lesson,) = lessons(groups, read_grown(file), Retriever.read().words)
    assert lesson.sequences == [(2, 0)] and np.allclose(lesson.gains, [(0.2, 0.4)])
    rows = rows_of(groups)
    assert lesson.rows.tolist() == [rows["b", name] for name in ("b07", "b03", "b11")] == [27, 23, 31]
    assert len(lesson.candidates) == lesson.asked.found.shape[1] == 3
