"""Composes imperative clauses for built-in and synthetic tools to one request for a chain of steps.

A clause is drawn only where its tools can have their inputs, and mostly where it uses what the clause before it made.
So plans are chains across tools of all kinds, and texts that a step makes are never in the request.
"""

import random
from collections.abc import Mapping, Sequence

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.layout import Call
from backbone.training.phrasings import Phrasing, chains
from backbone.training.samples import JOINTS, Sample, fill, frame, lower_first
from backbone.training.synthetic_tools import SyntheticTool, worded
from backbone.training.tool_templates import TEXTS, ToolTemplate, Wording, outputs
from common.card import Card

MEDIA = ((), ("Image",), ("Image",), ("Image",), ("Audio",), ("Audio",), ("Video",), ("Video",), ("Image", "Audio"))
"""What comes with a request, as often as each is drawn."""

MOST_CALLS = 6

VERBS = frozenset(
    """
    add anonymise arrange blur box brighten build calculate change check circle clean colour combine compare compute
    convert count cover crop cut darken delete describe detect draw erase estimate explain extract fade fill find fix
    flip follow get give grab hide highlight identify invent isolate join list locate look make mark mask measure merge
    mix move outline paint pick pixelate plot print produce pull put read redact remove render replace report rewrite
    score search segment select set shorten show simplify sketch slow sort speed split summarise swap take tell
    tighten trace track transcribe translate turn type work wrap write zoom
    """.split()  # noqa: SIM905
)
"""Verbs that clauses begin with."""

# Forms of two clauses, of which a is done first.
BACKWARDS = (
    "before you {b}, {a}",
    "{b}, but first {a}",
    "{b}, but {a} first",
    "{b}, but before that {a}",
    "{b} after you {a}",
    "{b}. Before that, {a}",
    "after you {a}, {b}",
    "prior to anything else {a}, since I want you to {b}",
    "{b} - only once you did this: {a}",
    "to begin with {a}, so that you can {b}",
    "{b}. That needs you to {a} beforehand",
    "i'd like you to {b}. first though, {a}",
)
FORWARDS = (
    "first {a}, then {b}",
    "{a} and {b}",
    "could you {a}, and then {b}?",
    "please {a} and afterwards {b}",
    "I want you to {a}. Then {b}",
    "{a}; with what you get, {b}",
    "{a}, and from the result {b}",
    "{a}. Take that and {b}",
    "{a} so that you can {b}",
    "help me {a}, then {b}",
    "1. {a} 2. {b}",
    "1) {a}\n2) {b}",
    "i have to {a} and {b}",
    "two things: {a}, then {b}",
    "when you're done with this: {a}, go on and {b}",
)
# Forms that say first of all that the result is to be spoken.
SPOKEN = (
    "Aloud, please: {a}",
    "By voice: {a}",
    "I want to hear what comes out of this: {a}",
    "As speech at the end: {a}",
    "I can't look at the screen, so tell me the result aloud. {a}",
    "let me hear the outcome: {a}",
    "for the answer, use your voice: {a}",
)
# Forms of three and more clauses: how the clauses are joined, and the last one.
LISTS = (
    (", ", " and "),
    (", ", ", and "),
    (", ", ", then "),
    (", then ", ", then "),
    (", then ", " and finally "),
    ("; ", "; "),
    (". ", ". "),
    (". then ", ". last, "),
    (" and ", " and then "),
    (" -> ", " -> "),
    (", after that ", ", and in the end "),
)


def is_clause(words: str) -> bool:
    """Return whether a request can stand within a sentence as an imperative clause."""
    first = words.split()[0]
    return first.lower() in VERBS and "?" not in words and ". " not in words and len(words) < 110


def clauses_of(template: ToolTemplate) -> tuple[Wording, ...]:
    """Return the clauses of a template; those of its requests that are imperative where it has none."""
    return template.clauses or tuple(ask for ask in template.asks if is_clause(ask.words))


class Composer:
    """Composes requests.

    Args:
        phrasings: The requests for built-in tools that may be used.
    """

    def __init__(self, phrasings: Sequence[Phrasing]) -> None:
        self.phrasings = [p for p in phrasings if p.calls and is_clause(p.request) and "speak" not in p.family]

    def compose(self, rng: random.Random, tools: Sequence[SyntheticTool]) -> Sample | None:
        """Draw a request of two to four clauses; None where the tools and the media drawn give none."""
        have = rng.choice(MEDIA)
        able = [tool for tool in tools if clauses_of(tool.template)]
        parts: list[Sample] = []
        at_hand, newest = set(have), set(have)
        for _ in range(rng.choice((2, 2, 2, 3, 3, 4))):
            found = self._clause(rng, able, parts, at_hand, newest)
            if found is None:
                break
            sample, newest = found
            if sum(len(part.calls) for part in (*parts, sample)) > MOST_CALLS:
                break
            at_hand |= newest
            parts.append(sample)
        if len(parts) < 2:
            return None
        request = joined([part.request for part in parts], rng)
        calls = tuple(call for part in parts for call in part.calls)
        says = newest & set(TEXTS) and calls[-1]["tool"] != "speak" and len(calls) < MOST_CALLS
        if says and rng.random() < 0.25:
            words = rng.choice([words for kind, _, words in chains().after if kind == "Text"])
            if rng.random() < 0.3:
                request = rng.choice(SPOKEN).format(a=lower_first(request))
            else:
                request = request.rstrip(".!? ") + ("" if words[:1] in " ,.;" else " ") + words
            calls = (*calls, {"tool": "speak", "args": {}})
        return Sample(have, frame(request, rng, True), calls)

    def _clause(
        self,
        rng: random.Random,
        able: Sequence[SyntheticTool],
        parts: Sequence[Sample],
        at_hand: set[str],
        newest: set[str],
    ) -> tuple[Sample, set[str]] | None:
        """Draw a clause whose tools can run on the values at hand, and the kinds of value that it makes."""
        called = {call["tool"] for part in parts for call in part.calls}
        for _ in range(40):
            if able and rng.random() < 0.65:
                synthetic = rng.choice(able)
                if synthetic.card["name"] in called:
                    continue
                wording = rng.choice(clauses_of(synthetic.template))
                sample = worded(synthetic, wording, rng, further=0.25)
                needs = set(sample.have)
                cards: Mapping[str, Card] = {**BUILTIN_CARDS, synthetic.card["name"]: synthetic.card}
            else:
                phrasing = rng.choice(self.phrasings)
                sample, needs, cards = fill(phrasing, rng), set(phrasing.have), BUILTIN_CARDS
            texts = needs == {"Text"} and at_hand & set(TEXTS)
            if not (needs <= at_hand or texts) or (not needs and rng.random() < 0.8):
                continue
            if "Detections" in needs - newest:  # "count them" speaks of what the clause before has found
                continue
            if parts and not (needs & newest or (texts and newest & set(TEXTS))) and rng.random() < 0.8:
                continue
            made = _made(sample.calls, cards, at_hand)
            if made is not None:
                return sample, made
        return None


def _made(calls: Sequence[Call], cards: Mapping[str, Card], at_hand: set[str]) -> set[str] | None:
    """Return the kinds that calls make of the values at hand; None where one of them lacks an input."""
    kinds = set(at_hand)
    try:
        for call in calls:
            made = outputs(cards[call["tool"]], kinds)
            kinds |= made
    except ValueError:
        return None
    return made


def joined(clauses: Sequence[str], rng: random.Random) -> str:
    """Join clauses in the order in which they are to be done to one request, told forwards or backwards."""
    clauses = [lower_first(clause.strip().rstrip(".!;, ")) for clause in clauses]
    if len(clauses) > 2:
        roll = rng.random()
        if roll < 0.3:
            return joined([clauses[0], joined_list(clauses[1:], rng)], rng)
        if roll < 0.55:
            return joined([joined_list(clauses[:-1], rng), clauses[-1]], rng)
        return joined_list(clauses, rng)
    a, b = clauses
    if rng.random() < 0.3:
        return _sentence(rng.choice(BACKWARDS).format(a=a, b=b), rng)
    if rng.random() < 0.5:
        return _sentence(rng.choice(FORWARDS).format(a=a, b=b), rng)
    return _sentence(a + rng.choice(JOINTS) + b, rng)


def joined_list(clauses: Sequence[str], rng: random.Random) -> str:
    """Join clauses to a list."""
    between, last = rng.choice(LISTS)
    return between.join(clauses[:-1]) + last + clauses[-1]


def _sentence(text: str, rng: random.Random) -> str:
    """Begin a sentence with a capital, at times."""
    return text[:1].upper() + text[1:] if rng.random() < 0.5 else text
