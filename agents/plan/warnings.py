"""Warnings about plans that passed every check: they can run, but a person should look at them first."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from agents.plan.interpreter import uses
from agents.plan.plan import Plan, Step, reference
from agents.plan.problems import Problem
from agents.plan.types import AnyTool, ValueType, cards_of
from common.card import Card
from tools.engines import labels

# First words of examples that do not identify the tool: question words, and verbs such as "make" that fit many tools.
_GENERAL = frozenset(
    """
    a an are can cut do does draw find get give how i in is it keep let look make put say show take tell that
    the this turn what where which who write
    """.split()  # noqa: SIM905
)
# An imperative verb is the first word, or the word after one of these.
_BEGINS = re.compile(
    r"(?:^|[.,;:!?]|\b(?:and|then|also|please|just|to|you|first|afterwards)\b)\s*(?=([a-z]+))", re.IGNORECASE
)


# Verbs by which people ask for another picture, sound or video, besides those in the examples of tools.
_CHANGES = frozenset(
    """
    add anonymise anonymize black brighten censor change clean colour color compress conceal convert cover
    darken delete drop enlarge erase fill fix flip mirror mute obscure paint pixelate pixelise pixelize
    redact repaint replace resize restore retouch rotate scale sharpen shrink smooth straighten swap trim
    wipe
    """.split()  # noqa: SIM905
)
# Verbs by which people ask to see where something is, or how many there are; and what they say of themselves.
_LOOKS = frozenset(
    """
    answer box check circle enumerate frame got had has have highlight identify indicate know like list
    locate mark mask name need number point photographed see spot tally think took tag trace want
    """.split()  # noqa: SIM905
)
# Words before an article or a pronoun that are no verbs.
_PARTICLES = frozenset(
    """
    about above across after all also and are around as at because before behind below beneath beside between both
    but by during except for from if in inside into is like near next nor not of off on once only onto or out outside
    over past since so than that then through to toward towards under until up upon was were when while with within
    without
    """.split()  # noqa: SIM905
)
# A second verb: the word after "and" or "then" that has an object.
_SECOND = re.compile(
    r"\b(?:and|then|also)\s+(?:then |also |please |afterwards )*(?P<verb>[a-z]+)\s+"
    r"(?=(?:it|them|this|that|these|those|the|a|an|my|your|his|her|our|their|me|us|each|every|all|everything)\b)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def warnings(
    plan: Plan,
    tools: Mapping[str, AnyTool],
    given: Collection[str],
    values: Mapping[str, ValueType] | None = None,
) -> list[Problem]:
    """Look for parts of a request that a plan leaves out, and for values that may not be meant.

    Args:
        plan: one that passed every check.
        tools: name to tool.
        given: names of the values that came with the request.
        values: types of the values at hand, by name; those of earlier turns are known from it.

    Returns:
        Warnings about values that no step uses; values of earlier turns that are used although the request came with
        new ones of their kind; verbs of the request that no step carries out; a request for a change and a plan that
        only looks.
    """
    if not plan.steps:
        return []
    cards = cards_of(tools)
    return [*_unused(plan, given, values or {}, cards), *_earlier(plan, given, values or {}), *_dropped(plan, cards)]


def _unused(
    plan: Plan, given: Collection[str], values: Mapping[str, ValueType], cards: Mapping[str, Card]
) -> Iterator[Problem]:
    used = {name for step in plan.steps for name in uses(step)} | set(map(reference, plan.outputs))
    # Of several files, one that is left out is often meant for later.
    kinds = {name: values[name].kind for name in given if name in values and used.isdisjoint(given)}
    for name in given:
        if name not in used:
            yield Problem(
                "",
                "",
                f"no step uses ${name}, which came with the request",
                "Say what should happen to it, or leave it out",
                [tool for tool, card in cards.items() if name in kinds and _takes(card, kinds[name])],
                first=name in kinds,  # later the newest value of its kind may be another one
            )


def _takes(card: Card, kind: str) -> bool:
    return any(kind in given["kinds"] for given in card["inputs"].values())


def _earlier(plan: Plan, given: Collection[str], values: Mapping[str, ValueType]) -> Iterator[Problem]:
    new: dict[str, str] = {}
    for name in given:
        if name in values:
            new.setdefault(values[name].kind, name)
    for step in plan.steps:
        for name in sorted(uses(step)):
            what = values.get(name)
            if what is not None and name not in given and what.kind in new:
                yield Problem(
                    step.id,
                    "",
                    f"it uses ${name} of an earlier request, although ${new[what.kind]} came with this one",
                    "Edit the plan if the new one is meant",
                )


def _dropped(plan: Plan, cards: Mapping[str, Card]) -> Iterator[Problem]:
    verbs: dict[str, list[str]] = {}
    for name, card in cards.items():
        words = {name.split("_")[0], *(example.split()[0].lower() for example in card["examples"])}
        for word in words - _GENERAL:
            verbs.setdefault(word, []).append(name)
    run = {step.tool for step in plan.steps}
    first, said = [found[1].lower() for found in _BEGINS.finditer(plan.request)], set[str]()
    for verb in dict.fromkeys(first):
        able = verbs.get(verb)
        if able and run.isdisjoint(able):
            yield Problem(
                "",
                "",
                f'the request says "{verb}", and no step does ({" or ".join(able)} would)',
                "Say it in other words, or edit the plan",
                able if len(able) == 1 else [],  # "read" may mean two things, and an earlier step may do one
            )
            said.add(verb)
    looks = all(cards[step.tool].get("read_only") for step in plan.steps)
    named = _words(label for step in plan.steps for label in _labels(step, cards[step.tool]))
    done = {word for name in run for word in name.split("_")}  # "send_email" does what "email it" says
    second = [found["verb"].lower() for found in _SECOND.finditer(plan.request)]
    understood = {*said, *verbs, *named, *done} | _GENERAL | _LOOKS | _PARTICLES
    for verb in dict.fromkeys([*first, *second]):
        if verb in understood:
            continue
        if looks and verb in _CHANGES:
            yield Problem(
                "",
                "",
                f'the request says "{verb}", and the plan only looks: it changes nothing',
                "Say it in other words, or edit the plan",
            )
        elif verb in second:
            yield Problem(
                "",
                "",
                f'the request says "{verb}", and no step does, nor does any tool know the word',
                "Leave it out, or say it in other words",
            )


def unnamed(plan: Plan, tools: Mapping[str, AnyTool], taught: Collection[str] = ()) -> Iterator[Problem]:
    """Look for labels of a planner's plan that the request does not name, in any form or synonym.

    Args:
        plan: one that passed every check.
        tools: name to tool.
        taught: labels that need not be named.

    Returns:
        One warning for each label.
    """
    for step, label in unnamed_labels(plan, tools):
        if label not in taught:
            yield Problem(
                step,
                "labels",
                f'it looks for "{label}", which the request does not name',
                "Edit the plan, or name in English what is meant",
            )


def unnamed_labels(plan: Plan, tools: Mapping[str, AnyTool]) -> Iterator[tuple[str, str]]:
    """The labels that `unnamed` warns of, each with the id of its step; all tools of the plan have to be there."""
    cards = cards_of(tools)
    said = _WORD.findall(plan.request)
    # Up to three words together, as labels have few.
    phrases = {" ".join(said[n : n + length]) for length in (1, 2, 3) for n in range(len(said) - length + 1)}
    names = dict(enumerate(sorted(phrases)))
    sought = [(step.id, label) for step in plan.steps for label in _labels(step, cards[step.tool])]
    parts = {label: [part for part in (label, *_WORD.findall(label)) if part.strip()] for _, label in sought}
    unknown = set(labels.choose([part for some in parts.values() for part in some], names)[1])
    for step, label in sought:
        if unknown.issuperset(parts[label]):
            yield step, label


def _labels(step: Step, card: Card) -> Iterator[str]:
    """Texts in lists of plain arguments, such as labels."""
    for name, value in step.args.items():
        if name in card["params"] and isinstance(value, list):
            yield from (item for item in value if isinstance(item, str))


def _words(texts: Iterable[str]) -> set[str]:
    return {word.lower() for text in texts for word in _WORD.findall(text)}
