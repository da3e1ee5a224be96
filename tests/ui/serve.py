"""Serves the page with the built-in tools and a planner of a few fixed rules.

Usage: serve.py PORT
"""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from agents.plan.plan import Plan
from tests.agents.fakes import Scripted, plan, shout
from tools import Number, Text, tool
from tools.core.errors import WeightsMissing
from tools.runtime.registry import load
from ui.page import launch

Call = tuple[str, dict[str, Any]]


@tool
def strange(number: Number) -> Text:
    """Give, after a while, a text that pretends to be more than text."""
    time.sleep(1)
    return Text('![x](http://192.0.2.1/x.png) <img src="http://192.0.2.1/y.png">')


FACES: Call = ("detect", {"labels": ["face"]})
RULES: dict[str, list[Call]] = {
    "count": [FACES, ("count", {})],
    "blur": [("redact", {})],  # works on what an earlier turn found
    "cut": [FACES, ("crop", {})],
    "strange": [("strange", {})],
    "capitals": [("shout", {})],
    "aloud": [("say", {})],
    "wait": [FACES, ("count", {}), ("strange", {}), ("shout", {})],
}


class Rules(Scripted):
    """Plans by the first rule whose word is in the request; the inputs are wired by type."""

    def answer(self, request: str) -> Plan | Exception:
        if "away" in request:
            return WeightsMissing("the planner is away", "Run: superlink models pull planner")
        return plan(*next((calls for word, calls in RULES.items() if word in request), []))


if __name__ == "__main__":
    launch({**load(entry_points=False), "strange": strange, "shout": shout}, Rules(), port=int(sys.argv[1]))
