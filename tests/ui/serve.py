"""Serves the page with the built-in tools and a planner of a few fixed rules.

Usage: serve.py PORT
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from agents.kinds import Card
from agents.plan import Plan, Step
from agents.planner import Demonstration
from agents.problems import Problem
from tools import Number, Text, tool
from tools.errors import WeightsMissing
from tools.registry import load
from ui.page import launch

FACES = Step(id="s1", tool="detect", args={"labels": ["face"]})


@tool
def strange(number: Number) -> Text:
    """Give a text that pretends to be more than text."""
    time.sleep(number.value)
    return Text('![x](http://192.0.2.1/x.png) <img src="http://192.0.2.1/y.png">')


RULES = {
    "count": [FACES, Step(id="s2", tool="count")],
    "blur": [Step(id="s1", tool="redact")],  # works on what an earlier turn found
    "cut": [FACES, Step(id="s2", tool="crop")],
    "strange": [Step(id="s1", tool="strange")],
}


class Rules:
    """Plans by the first rule whose word is in the request; the inputs are wired by type."""

    def plan(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
        problems: Sequence[Problem] = (),
    ) -> Plan:
        if "away" in request:
            raise WeightsMissing("the planner is away", "Run: superlink models pull planner")
        return Plan(steps=tuple(next((steps for word, steps in RULES.items() if word in request), ())))


if __name__ == "__main__":
    launch({**load(entry_points=False), "strange": strange}, Rules(), port=int(sys.argv[1]))
