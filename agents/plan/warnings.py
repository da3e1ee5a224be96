"""Warnings about plans that passed every check: they can run, but a person should look at them first."""

import re
from collections.abc import Collection, Iterator, Mapping

from agents.plan.interpreter import uses
from agents.plan.plan import Plan, reference
from agents.plan.problems import Problem
from agents.plan.types import AnyTool, cards_of
from common.card import Card

# First words of examples that do not identify the tool: question words, and verbs such as "make" that fit many tools.
_GENERAL = frozenset(
    [
        "a",
        "an",
        "are",
        "can",
        "cut",
        "do",
        "does",
        "draw",
        "find",
        "get",
        "give",
        "how",
        "in",
        "is",
        "it",
        "keep",
        "let",
        "look",
        "make",
        "put",
        "say",
        "show",
        "take",
        "tell",
        "that",
        "the",
        "this",
        "turn",
        "what",
        "where",
        "which",
        "who",
        "write",
    ]
)
# An imperative verb is the first word, or the word after one of these.
_BEGINS = re.compile(
    r"(?:^|[.,;:!?]|\b(?:and|then|also|please|just|to|you|first|afterwards)\b)\s*(?=([a-z]+))", re.IGNORECASE
)


def warnings(plan: Plan, tools: Mapping[str, AnyTool], given: Collection[str]) -> list[Problem]:
    """Look for parts of a request that a plan leaves out.

    Args:
        plan: one that passed every check.
        tools: name to tool.
        given: names of the values that came with the request.

    Returns:
        One warning for each value that no step uses, and for each verb of the request that stands in the name or the
        examples of tools of which no step runs any.
    """
    if not plan.steps:
        return []
    return [*_unused(plan, given), *_dropped(plan, cards_of(tools))]


def _unused(plan: Plan, given: Collection[str]) -> Iterator[Problem]:
    used = {name for step in plan.steps for name in uses(step)} | set(map(reference, plan.outputs))
    for name in given:
        if name not in used:
            yield Problem(
                "",
                "",
                f"no step uses ${name}, which came with the request",
                "Say what should happen to it, or leave it out",
            )


def _dropped(plan: Plan, cards: Mapping[str, Card]) -> Iterator[Problem]:
    verbs: dict[str, list[str]] = {}
    for name, card in cards.items():
        words = {name.split("_")[0], *(example.split()[0].lower() for example in card["examples"])}
        for word in words - _GENERAL:
            verbs.setdefault(word, []).append(name)
    run = {step.tool for step in plan.steps}
    for verb in dict.fromkeys(found[1].lower() for found in _BEGINS.finditer(plan.request)):
        able = verbs.get(verb)
        if able and run.isdisjoint(able):
            yield Problem(
                "",
                "",
                f'the request says "{verb}", and no step does ({" or ".join(able)} would)',
                "Say it in other words, or edit the plan",
            )
