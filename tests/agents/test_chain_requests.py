"""The requests that join new tools with built-in ones: every expected plan is one that the product would run."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from agents.plan.check import wire_and_check
from agents.plan.plan import Plan
from backbone.training.scoring import same, words
from benchmarks.planner import CATALOGUES, Row, catalogue, read
from common.kinds import KIND_OF_INPUT
from tests.agents.expected import plain, steps_of
from tools.runtime.registry import file_tools, load
from tools.runtime.tool import Tool

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ROWS = read(BENCHMARKS / "chain_requests.jsonl")
NEW = {tool.name: tool for tool in file_tools(BENCHMARKS / "chain_tools.py")}
OTHER = {tool.name: tool for tool in file_tools(BENCHMARKS / "unseen_tools.py")}


@pytest.fixture(scope="module")
def tools() -> dict[str, Tool]:
    return {**load(entry_points=False), **NEW}


def wired(row: Row, plan: list[tuple[str, dict[str, object] | None]], tools: dict[str, Tool]) -> tuple[Plan, list[str]]:
    """Return an expected plan as the product wires it, and its problems."""
    values = {medium: KIND_OF_INPUT[medium] for medium in row["media"]}
    written = Plan(request=row["request"], steps=steps_of(plan))
    result, problems = wire_and_check(written, tools, values)
    return result, [f"{row['request']}: {problem}" for problem in problems]


def test_every_expected_plan_passes_wiring_and_check(tools: dict[str, Tool]) -> None:
    assert len(ROWS) == 80 and len(NEW) == 16
    assert not [problem for row in ROWS for plan in row["plans"] for problem in wired(row, plan, tools)[1]]


def test_every_step_is_used_or_shown_and_most_steps_are_linked(tools: dict[str, Tool]) -> None:
    """A plan is a chain: some step takes the result of an earlier one, or two results are asked for."""
    for row in ROWS:
        result, _ = wired(row, row["plans"][0], tools)
        linked = [step for step in result.steps if re.search(r"\$s\d", json.dumps(step.args))]
        assert linked or len(result.outputs) > 1, row["request"]


def test_texts_and_lists_of_a_plan_stand_in_the_request() -> None:
    """All but the endings of their words."""
    for row in ROWS:
        asked = words(row["request"])
        for value in (v for _, args in row["plans"][0] for v in (args or {}).values()):
            said = plain(value)
            texts = said if isinstance(said, list) else [said] if said != value else []
            for word in (word for text in texts for word in words(text)):
                assert any(one.startswith(word[:4]) for one in asked), (row["request"], word)


def test_the_requests_spread_over_tools_lengths_and_kinds() -> None:
    first = [[tool for tool, _ in row["plans"][0]] for row in ROWS]
    used = Counter(tool for plan in first for tool in plan)
    assert min(used[name] for name in NEW) >= 4
    assert all(set(plan) & NEW.keys() for plan in first)
    assert {len(plan) for plan in first} == {2, 3, 4, 5}
    assert {medium for row in ROWS for medium in row["media"]} == {"image", "audio", "video"}


def test_no_request_stands_twice_or_in_another_file() -> None:
    asked = [" ".join(words(row["request"])) for file in BENCHMARKS.glob("*requests.jsonl") for row in read(file)]
    assert len(asked) == len(set(asked)) > len(ROWS)


@pytest.mark.parametrize("size", CATALOGUES)
def test_a_catalogue_holds_the_tools_of_the_plans_and_is_the_same_each_time(size: int) -> None:
    cards = {name: tool.card() for name, tool in {**load(entry_points=False), **OTHER, **NEW}.items()}
    for row in ROWS:
        offered = [card["name"] for card in catalogue(row, cards, size)]
        assert len(set(offered)) == size
        assert {tool for plan in row["plans"] for tool, _ in plan} <= set(offered)
        assert offered == [card["name"] for card in catalogue(row, cards, size)]


def test_a_text_of_an_earlier_step_must_not_be_written_out() -> None:
    assert same("", None) and not same("", "the text") and not same("~the text", None)


def test_notes_are_compared_in_order_and_labels_are_not() -> None:
    notes = {"in order": ["E5", "G5", "E5"]}
    assert same(notes, ["E5", "G5", "E5"]) and not same(notes, ["G5", "E5", "E5"]) and not same(notes, ["E5", "G5"])
    assert same(["dogs", "cat"], ["cat", "dog"])
