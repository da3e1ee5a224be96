"""The wordy test set (``benchmarks/wordy_requests.jsonl``): every expected plan runs, and nothing is asked twice.

Spread of the 200 requests, by the first plan of each:

    steps in the plan   0: 12, 1: 74, 2: 63, 3: 36, 4: 9, 5: 6
    media               image: 131, video: 24, none: 22, audio: 10, text: 5, image+audio: 4, image+text: 2,
                        image+video: 2
    tool, steps         ask: 12, caption: 21, count: 29, crop: 19, detect: 101, edit: 12, generate: 14, pick: 25,
                        pose: 8, read_text: 21, redact: 22, remove: 16, segment: 10, speak: 30, track: 15,
                        transcribe: 19
    choice, steps       best: 3, bottom: 3, fill: 6, largest: 5, left: 4, pixelate: 5, right: 4, smallest: 3, top: 3
    other argument      min_score: 5, prompt: 26, question: 12, regions: 5, text: 4
"""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from agents.plan.check import wire_and_check
from agents.plan.plan import Plan
from agents.plan.types import AnyTool
from backbone.training.phrasings import FREE_TEXT, requests
from backbone.training.scoring import right, words
from backbone.training.tool_templates import tool_templates
from benchmarks.planner import Row, read
from common.kinds import KIND_OF_INPUT
from tests.agents.expected import steps_of
from tools.runtime.registry import load

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ROWS = read(BENCHMARKS / "wordy_requests.jsonl")


@pytest.fixture(scope="module")
def built_in() -> dict[str, AnyTool]:
    return load(entry_points=False)


def test_every_expected_plan_can_run(built_in: dict[str, AnyTool]) -> None:
    faults = []
    for row in ROWS:
        values = {kind: KIND_OF_INPUT[kind] for kind in row["media"]}
        for expected in row["plans"]:
            _, problems = wire_and_check(Plan(steps=steps_of(expected)), built_in, values)
            faults += [(row["request"], expected, str(problem)) for problem in problems]
    assert not faults


@pytest.mark.parametrize("row", ROWS, ids=[str(n) for n in range(len(ROWS))])
def test_every_expected_plan_scores_and_copies_its_texts_from_the_request(row: Row) -> None:
    for plan in row["plans"]:
        steps = steps_of(plan)
        assert right(plan, [{"tool": step.tool, "args": dict(step.args)} for step in steps]) == (True, True)
        for step in steps:
            text = step.args.get(FREE_TEXT.get(step.tool, ""), "")
            assert f" {_normal(str(text))} " in f" {_normal(row['request'])} " or not text, (row["request"], text)


def test_plans_of_a_request_differ() -> None:
    for row in ROWS:
        plans = [json.dumps(plan, sort_keys=True) for plan in row["plans"]]
        assert plans and len(set(plans)) == len(plans), row["request"]


def test_nothing_is_asked_twice() -> None:
    """Neither here nor in another test set or the training's phrasings, whatever case and punctuation."""
    others = [
        json.loads(line)["request"]
        for file in sorted(BENCHMARKS.glob("*.jsonl"))
        if file.name != "wordy_requests.jsonl"
        for line in file.read_text().splitlines()
    ]
    trained = [phrasing.request for phrasing in requests()]
    trained += [asked.words for tool in tool_templates() for asked in (*tool.asks, *tool.clauses)]
    asked = Counter(_normal(row["request"]) for row in ROWS)
    assert [request for request, times in asked.items() if times > 1] == []
    assert not asked.keys() & {_normal(request) for request in others + trained}


def test_no_request_of_the_optional_test_set_is_asked_again(shared: Path) -> None:
    lines = (shared / "planning" / "dev.jsonl").read_text().splitlines()
    assert not {_normal(row["request"]) for row in ROWS} & {_normal(json.loads(line)["request"]) for line in lines}


def _normal(text: str) -> str:
    return " ".join(words(text))


def test_the_spread_is_that_of_the_table() -> None:
    steps = [step for row in ROWS for step in steps_of(row["plans"][0])]
    calls = [(step.tool, step.args) for step in steps]
    choices = Counter(str(args[name]) for _, args in calls for name in ("which", "how") if name in args)
    arguments = Counter(name for _, args in calls for name in args if name not in ("which", "how", "labels"))
    counted = {
        "steps in the plan": Counter(str(len(row["plans"][0])) for row in ROWS),
        "media": Counter("+".join(row["media"]) or "none" for row in ROWS),
        "tool, steps": Counter(tool for tool, _ in calls),
        "choice, steps": choices,
        "other argument": arguments,
    }
    table = re.findall(r"^    (\w\S*(?: \S+)*)\s{2,}((?:.+\n)(?:\s{20,}.+\n)*)", __doc__ or "", re.MULTILINE)
    written = {title: {name: int(n) for name, n in re.findall(r"([\w+]+): (\d+)", row)} for title, row in table}
    assert written == counted
