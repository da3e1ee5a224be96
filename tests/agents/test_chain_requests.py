"""The requests that join new tools with built-in ones: every expected plan is one that the product would run."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from agents.plan.check import wire_and_check
from agents.plan.plan import ABOVE, Plan, Step
from backbone.training.scoring import right, same, words
from benchmarks.planner import CATALOGUES, Answer, Row, catalogue, judged, product, read, written
from common.kinds import KIND_OF_INPUT
from tests.agents.expected import plain, steps_of
from tests.agents.fakes import UNSURE, Confident, plan
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
    # Houses ask for the same in the same words.
    files = set(BENCHMARKS.glob("*requests.jsonl")) - {BENCHMARKS / "house_requests.jsonl"}
    asked = [" ".join(words(row["request"])) for file in files for row in read(file)]
    assert len(asked) == len(set(asked)) > len(ROWS)


@pytest.mark.parametrize("size", CATALOGUES)
def test_a_catalogue_holds_the_tools_of_the_plans_and_is_the_same_each_time(size: int) -> None:
    every = {**load(entry_points=False), **OTHER, **NEW}
    for row in ROWS:
        offered = list(catalogue(row, every, size))
        assert len(set(offered)) == size
        assert {tool for plan in row["plans"] for tool, _ in plan} <= set(offered)
        assert offered == list(catalogue(row, every, size))


def test_what_wiring_filled_in_is_not_compared_and_what_was_written_out_is(tools: dict[str, Tool]) -> None:
    """A wired plan is scored as the planner wrote it."""
    spoken = Plan(
        steps=(
            Step(id="s1", tool="detect", args={"labels": ["dog"]}),
            Step(id="s2", tool="segment", args={"regions": ABOVE}),
            Step(id="s3", tool="caption"),
            Step(id="s4", tool="speak"),
        )
    )
    wired, problems = wire_and_check(spoken, tools, {"image": "Image"})
    assert not problems and wired.steps[3].args == {"text": "$s3"} and wired.steps[1].args["regions"] == "$s1"
    calls = written(wired, tools)
    assert calls == [{"tool": step.tool, "args": step.args} for step in spoken.steps]
    expected = [("detect", {}), ("segment", {"regions": ABOVE}), ("caption", {}), ("speak", {"text": ""})]
    assert right(expected, calls) == (True, True)
    copied = written(
        wired.model_copy(update={"steps": (*wired.steps[:3], Step(id="s4", tool="speak", args={"text": "$$5"}))}), tools
    )
    assert copied[3]["args"] == {"text": "$5"} and right(expected, copied) == (True, False)


def test_a_plan_that_cannot_run_is_wrong(tools: dict[str, Tool]) -> None:
    row: Row = {"request": "count the dogs", "media": ["image"], "plans": [[("detect", {}), ("count", {})]]}
    calls = [{"tool": "detect", "args": {"labels": ["dog"]}}, {"tool": "count", "args": {}}]
    answers = [Answer(calls), Answer(calls, valid=False), Answer([])]
    assert [judged(lambda row, tools, a=a: a, row, tools).full for a in answers] == [True, False, False]  # type: ignore[misc]


def test_the_benchmark_plans_as_the_product_does(tools: dict[str, Tool], monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks again after a faulty plan, and gives the confidence of the last one."""
    faulty, good = plan(("count", {})), plan(("detect", {"labels": ["dog"]}), ("count", {}))
    monkeypatch.setattr("benchmarks.planner.BackbonePlanner", lambda adapter: Confident([faulty, good]))
    row: Row = {"request": "count the dogs", "media": ["image"], "plans": [[("detect", {}), ("count", {})]]}
    verdict = judged(product(BENCHMARKS), row, tools)
    assert verdict.full and verdict.answer.valid and verdict.answer.confidence == UNSURE


def test_a_text_of_an_earlier_step_must_not_be_written_out() -> None:
    assert same("", None) and not same("", "the text") and not same("~the text", None)


def test_notes_are_compared_in_order_and_labels_are_not() -> None:
    notes = {"in order": ["E5", "G5", "E5"]}
    assert same(notes, ["E5", "G5", "E5"]) and not same(notes, ["G5", "E5", "E5"]) and not same(notes, ["E5", "G5"])
    assert same(["dogs", "cat"], ["cat", "dog"])
