"""Every plan that the grammar allows can be parsed."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.cards import UnplannableTool, card_text, parameters
from backbone.planner.grammar import Grammar
from backbone.planner.layout import ABOVE, Layout
from backbone.planner.vocabulary import Vocabulary
from backbone.planner.walk import MAX_CALLS, MAX_ITEMS, Walk
from backbone.training.synthetic_tools import draw_tool
from backbone.training.tool_templates import tool_templates
from common.card import Card
from tests.backbone.cards import card

RESIZE: Card = {
    "name": "resize_all",
    "doc": "Resize.",
    "inputs": {"image": {"kinds": ["Image"], "many": False, "optional": False, "literal": False}},
    "params": {
        "width": {"type": "integer"},
        "scale": {"type": "number"},
        "keep": {"type": "boolean"},
        "filters": {"type": "array", "items": {"enum": ["sharp", "soft"]}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["width"],
    "one_of": [],
    "returns": {"kind": "Image", "many": False},
    "examples": ["make it 300 wide"],
}


def wander(walk: Walk, rng: random.Random, layout: Layout, close: float = 0.3) -> list[int]:
    """Random allowed tokens until the plan is closed."""
    ids = []
    while not walk.done:
        allowed = walk.allowed()
        options = np.flatnonzero(allowed).tolist() if isinstance(allowed, np.ndarray) else allowed
        assert options, "a walk never gets stuck"
        token = rng.choice(options)
        if layout.sep in options and rng.random() < close:
            token = layout.sep
        walk.push(token)
        ids.append(token)
    return ids


def check_types(calls: list[dict[str, Any]], cards: dict[str, Card]) -> None:
    for call in calls:
        known = {p.name: p for p in parameters(cards[call["tool"]])}
        for name, value in call["args"].items():
            parameter = known[name]
            assert isinstance(value, list) == parameter.many
            for item in value if parameter.many else [value]:
                wanted = {"text": str, "choice": str, "above": str, "integer": int, "number": float, "boolean": bool}[
                    parameter.kind
                ]
                assert type(item) is wanted
                if parameter.kind == "choice":
                    assert item in parameter.choices
                if parameter.kind == "text":
                    assert item.strip() and item.encode().decode() == item
        required = {p.name for p in known.values() if p.required and not p.given_by}
        assert required <= set(call["args"])
        one_of = cards[call["tool"]]["one_of"]
        assert not one_of or any(name in call["args"] for name in one_of)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    typed=st.booleans(),
    media=st.sets(st.sampled_from(["Image", "Audio", "Video", "Detections", "Text"])),
)
def test_every_walk_is_a_plan(layout: Layout, vocabulary: Vocabulary, seed: int, typed: bool, media: set[str]) -> None:
    rng = random.Random(seed)
    made_up = [draw_tool(tool, rng).card for tool in rng.sample(tool_templates(), 4)]
    cards = [*BUILTIN_CARDS.values(), *{card["name"]: card for card in made_up}.values(), RESIZE]
    grammar = Grammar(layout, vocabulary, cards)
    walk = Walk(grammar, media, typed)
    ids = wander(walk, rng, layout)
    assert len(walk.calls) <= MAX_CALLS
    check_types(walk.calls, grammar.cards)
    again = Walk(grammar, media, typed)
    for token in ids:
        again.push(token)
    assert again.calls == walk.calls


def test_plan_and_tokens_round_trip(layout: Layout, vocabulary: Vocabulary) -> None:
    calls = [
        {"tool": "detect", "args": {"labels": ["naïve café", "red car"], "min_score": 0.6}},
        {"tool": "segment", "args": {"regions": ABOVE}},
        {"tool": "segment", "args": {"labels": ["dog"]}},
        {"tool": "segment", "args": {"regions": ABOVE, "labels": ["dog"]}},
        {
            "tool": "resize_all",
            "args": {"width": -12, "scale": 2.5, "keep": False, "filters": ["soft", "sharp"], "note": "ünï 🎈"},
        },
        {"tool": "speak", "args": {"text": "hello there"}},
    ]
    grammar = Grammar(layout, vocabulary, [*BUILTIN_CARDS.values(), RESIZE])
    walk = Walk(grammar, ["Image"])
    for token in layout.calls(calls, grammar.cards):
        walk.push(token)
    assert walk.done
    assert walk.calls == calls


def test_typed_walks_allow_only_tools_with_their_inputs(layout: Layout, vocabulary: Vocabulary) -> None:
    grammar = Grammar(layout, vocabulary, BUILTIN_CARDS.values())
    offered = set(Walk(grammar, [], typed=True).allowed())
    assert offered == {layout.tool_tokens["generate"], layout.tool_tokens["speak"], layout.end}
    heard = set(Walk(grammar, ["Audio"], typed=True).allowed())
    assert layout.tool_tokens["transcribe"] in heard and layout.tool_tokens["detect"] not in heard
    assert layout.tool_tokens["redact"] in set(Walk(grammar, ["Image", "Detections"], typed=True).allowed())


def test_a_typed_walk_needs_every_input_and_one_of_the_choices(layout: Layout, vocabulary: Vocabulary) -> None:
    both = card("both", needs=["Image", "Audio"])
    either = card("either", above=["Poses", "Video"], one_of=["video", "poses"])
    grammar = Grammar(layout, vocabulary, [both, either])

    def offered(*have: str, typed: bool = True) -> set[str]:
        walk = Walk(grammar, have, typed)
        return {name for name in grammar.cards if tuple(layout.head(name)) in walk._pending}

    assert offered("Image") == offered("Audio") == offered() == set()
    assert offered("Image", "Audio") == {"both"}
    assert offered("Poses") == offered("Video") == {"either"}
    assert offered(typed=False) == {"both", "either"}
    for have, args in ((["Poses"], {"poses": ABOVE}), (["Video"], {"video": ABOVE}), ([], {})):
        walk = Walk(grammar, have)
        for token in layout.head("either"):
            walk.push(token)
        wander(walk, random.Random(1), layout)
        assert walk.calls[0] == {"tool": "either", "args": args}


def test_a_tool_whose_one_of_cannot_be_written_is_left_out(layout: Layout, vocabulary: Vocabulary) -> None:
    odd = {**RESIZE, "params": {**RESIZE["params"], "table": {"type": "object"}}, "one_of": ["table"]}
    with pytest.raises(UnplannableTool, match="none of table can be asked for in words"):
        parameters(odd)


def test_the_name_of_a_required_argument_is_forced(layout: Layout, vocabulary: Vocabulary) -> None:
    walk = Walk(Grammar(layout, vocabulary, BUILTIN_CARDS.values()), ["Image"])
    walk.push(layout.tool_tokens["edit"])
    for expected in layout.piece(" prompt="):
        assert walk.allowed() == [expected]
        walk.push(expected)


def test_everything_can_be_looked_for(layout: Layout, vocabulary: Vocabulary) -> None:
    walk = Walk(Grammar(layout, vocabulary, BUILTIN_CARDS.values()), ["Image"])
    for token in (layout.tool_tokens["detect"], layout.tool_tokens["count"], layout.end):
        walk.push(token)
    assert walk.calls == [{"tool": "detect", "args": {}}, {"tool": "count", "args": {}}]
    walk = Walk(Grammar(layout, vocabulary, BUILTIN_CARDS.values()), ["Image"])
    walk.push(layout.tool_tokens["segment"])
    assert layout.end not in walk.allowed()


def test_words_flow_from_an_earlier_step(layout: Layout, vocabulary: Vocabulary) -> None:
    walk = Walk(Grammar(layout, vocabulary, BUILTIN_CARDS.values()), ["Audio"])
    for token in (layout.tool_tokens["transcribe"], layout.tool_tokens["generate"]):
        walk.push(token)
    assert {layout.end, layout.piece(" prompt=")[0]} <= set(walk.allowed())


def test_a_wrong_token_is_refused(layout: Layout, vocabulary: Vocabulary) -> None:
    walk = Walk(Grammar(layout, vocabulary, BUILTIN_CARDS.values()), ["Image"])
    with pytest.raises(ValueError, match="cannot follow"):
        walk.push(layout.sep)


def test_lists_and_text_are_bounded(layout: Layout, vocabulary: Vocabulary) -> None:
    walk = Walk(Grammar(layout, vocabulary, BUILTIN_CARDS.values()), ["Image"])
    for token in [layout.tool_tokens["detect"], *layout.piece(" labels=")]:
        walk.push(token)
    for _ in range(MAX_ITEMS - 1):
        for token in [*layout.text(" a"), layout.item]:
            walk.push(token)
    for token in layout.text(" a"):
        walk.push(token)
    assert not walk.allowed()[layout.item]
    long = Walk(Grammar(layout, vocabulary, BUILTIN_CARDS.values()), [])
    wander(long, random.Random(3), layout, close=0.0)


def test_a_tool_that_cannot_be_planned_is_left_out(layout: Layout, vocabulary: Vocabulary) -> None:
    odd = {**RESIZE, "name": "odd", "params": {"table": {"type": "object"}}, "required": ["table"]}
    with pytest.raises(UnplannableTool, match="odd.*table"):
        parameters(odd)
    grammar = Grammar(layout, vocabulary, [RESIZE, odd])
    assert list(grammar.cards) == ["resize_all"] and "table" in grammar.left_out["odd"]


def test_a_card_reads_as_one_line() -> None:
    assert card_text(RESIZE) == (
        " resize_all(width: integer, scale?: number, keep?: boolean, filters?: sharp/soft list, note?: text)"
        " image -> image: Resize. e.g. make it 300 wide"
    )
