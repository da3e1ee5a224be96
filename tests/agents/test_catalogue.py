"""The plans that the backbone is trained on hold against the tools that there really are."""

import random

from agents.plan.check import wire_and_check
from agents.plan.plan import Plan, Step, escape
from tools.runtime.registry import load


def test_plans_of_the_training() -> None:
    from backbone.training.phrasings import requests
    from backbone.training.samples import fill

    rng, tools = random.Random(0), load(entry_points=False)
    for phrasing in requests()[::20]:
        sample = fill(phrasing, rng)
        # What is at hand besides the first thing came from earlier steps.
        values = {"given" if n == 0 else f"s{n}": kind for n, kind in enumerate(sample.have)}
        steps = tuple(
            Step(id=f"s{n}", tool=call["tool"], args={name: escape(value) for name, value in call["args"].items()})
            for n, call in enumerate(sample.calls, len(values) + 1)
        )
        plan, problems = wire_and_check(Plan(request=sample.request, steps=steps), tools, values)
        assert problems == [], plan.tree()
        assert not steps or plan.outputs
