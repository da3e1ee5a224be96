"""Measure how long one change of a plan in the page's editor takes, without network and browser.

    python benchmarks/plan_editor.py [--runs 20]

A change is: the argument is set, the plan before and after it is checked and its missing weights are looked for, and
all forms and headings are made anew. Printed are the median and the longest time for plans of 2, 8 and 64 steps (the
most that a plan may have), beside the bar of 150 ms.
"""

import argparse
import statistics
import time
from dataclasses import replace

from pydantic import JsonValue

from agents.plan.plan import Plan
from agents.plan.types import value_types
from tools.runtime.registry import load
from ui.plans.card import title_html
from ui.plans.edits import add, set_argument
from ui.plans.forms import fields
from ui.plans.scope import Scope, examine

BAR = 150
"""Milliseconds."""


def plan_of(steps: int, scope: Scope) -> Plan:
    """A plan whose steps find things and blur them, in turn."""
    plan = Plan()
    while len(plan.steps) < steps:
        labels: list[JsonValue] = ["dog", f"thing {len(plan.steps)}"]
        plan = set_argument(add(plan, "detect", scope), len(plan.steps), "labels", labels, scope)
        plan = add(plan, "redact", scope)
    return plan


def change(plan: Plan, how: str, scope: Scope) -> None:
    """One change, and everything that the editor makes of it."""
    after = set_argument(plan, len(plan.steps) - 1, "how", how, scope)
    for one in (plan, after):
        at = examine(one, scope)
        for number in range(len(one.steps)):
            title_html(number, one, scope, at)
    for number in range(len(after.steps)):
        fields(after, number, scope)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    given = parser.parse_args()
    scope = Scope(load(entry_points=False), value_types({"image": "Image"}))
    print("| steps | median, ms | longest, ms | bar, ms |\n|---|---|---|---|")
    for steps in (2, 8, 64):
        plan, times = plan_of(steps, scope), []
        for run in range(given.runs):
            began = time.perf_counter()
            change(plan, ("blur", "fill")[run % 2], replace(scope))  # a scope of its own, as every event has
            times.append((time.perf_counter() - began) * 1000)
        print(f"| {steps} | {statistics.median(times):.0f} | {max(times):.0f} | {BAR} |")


if __name__ == "__main__":
    main()
