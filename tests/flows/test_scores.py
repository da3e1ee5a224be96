"""Least scores of labels as a step of the plan."""

import json
from pathlib import Path

import pytest

from agents.plan.check import wire_and_check
from agents.plan.plan import Plan
from flows.batch.scores import scores_of, with_scores, without_scores
from tests.flows.conftest import DARKEN, FIND, TOOLS, Run
from tools.core.errors import SettingsInvalid
from tools.runtime.registry import load


def test_every_later_step_uses_what_is_kept() -> None:
    tools = load([TOOLS], entry_points=False)
    plan = Plan.load(DARKEN)
    kept = with_scores(plan, tools, {"left": 0.5, "$odd": 0.25})
    assert [(step.id, step.tool) for step in kept.steps] == [("s1", "bright"), ("s3", "keep"), ("s2", "darken")]
    assert kept.steps[1].args == {"regions": "$s1", "labels": ["$$odd", "left"], "min_scores": [0.25, 0.5]}
    assert kept.steps[2].args["regions"] == "$s3" and kept.outputs == ("$s2",)
    assert wire_and_check(kept, tools, {"image": "Image"}) == (kept, [])
    assert scores_of(kept) == {"left": 0.5, "$odd": 0.25}
    again = with_scores(kept, tools, {"left": 0.9})
    assert scores_of(again) == {"left": 0.9} and len(again.steps) == 3
    assert without_scores(again) == plan and with_scores(plan, tools, {}) is plan
    assert with_scores(Plan.load(FIND), tools, {"left": 0.5}).outputs == ("$s2",)
    with pytest.raises(SettingsInvalid, match="finds nothing"):
        with_scores(
            Plan.load({"steps": [{"id": "s1", "tool": "caption", "args": {"image": "$image"}}]}), tools, {"a": 1}
        )


def test_what_is_below_is_in_no_export(pictures: Path, tmp_path: Path, log: Path, run: Run) -> None:
    run(pictures, formats=["jsonl"])

    def scores() -> list[float]:
        rows = map(json.loads, (tmp_path / "out/jsonl/items.jsonl").read_text().splitlines())
        finds = (value for row in rows for step in row["results"].values() for value in step)
        return [score for find in finds for score in find["value"]["scores"]]

    before, worked = scores(), log.read_text().count("bright")
    bar = sorted(before)[len(before) // 2]
    run(pictures, formats=["jsonl"], scores={"left": bar, "right": bar})
    assert scores() and min(scores()) >= bar > min(before) and len(scores()) < len(before)
    assert log.read_text().count("bright") == worked  # nothing was searched again
