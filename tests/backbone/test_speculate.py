"""Draft tokens are allowed by the grammar, and are right where a text is copied."""

import random

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.grammar import Grammar
from backbone.planner.layout import Layout
from backbone.planner.speculate import MAX_SPECULATED, speculate
from backbone.planner.vocabulary import Vocabulary
from backbone.planner.walk import Walk
from backbone.training.synthetic_tools import draw_tool
from backbone.training.tool_templates import tool_templates

from .test_grammar import RESIZE, wander


def _walk(layout: Layout, vocabulary: Vocabulary, have: list[str], ids: list[int]) -> Walk:
    walk = Walk(Grammar(layout, vocabulary, [*BUILTIN_CARDS.values(), RESIZE]), have)
    for token in ids:
        walk.push(token)
    return walk


def test_the_first_tool_with_its_inputs_is_drafted(layout: Layout, vocabulary: Vocabulary) -> None:
    for have, tool, argument in (
        (["Image"], "detect", " labels="),
        (["Audio"], "transcribe", ""),
        ([], "generate", " prompt="),
    ):
        drafted = speculate(_walk(layout, vocabulary, have, []), layout.request(have, "do it"))
        wanted = [layout.tool_tokens[tool], *layout.piece(argument)]
        assert drafted == wanted[:MAX_SPECULATED]


def test_the_tools_of_the_likest_example_that_begins_alike_are_drafted(layout: Layout, vocabulary: Vocabulary) -> None:
    detect, crop, resize = (
        {"tool": name, "args": args} for name, args in (("detect", {"labels": ["x"]}), ("crop", {}), ("resize_all", {}))
    )
    request = layout.request(["Image"], "find the dog")
    found = [layout.tool_tokens["detect"], *layout.piece(" labels="), *layout.text(" dog")]
    for begun, shown, wanted in (
        ([], [[crop]], layout.head("crop")),
        ([], [[crop], [resize]], layout.head("resize_all")),
        (found, [[resize], [detect, crop], [detect]], [layout.sep, *layout.head("crop")]),
        (found, [[detect, crop], [detect, resize]], [layout.sep, *layout.head("resize_all")]),
        (found, [[{"tool": "detect", "args": {"labels": ["x"], "min_score": 1}}, crop]], [layout.sep]),
        (found, [[crop, resize]], [layout.sep]),
    ):
        drafted = speculate(_walk(layout, vocabulary, ["Image"], begun), request, shown)
        assert drafted[: len(wanted)] == wanted[:MAX_SPECULATED] and (wanted != [layout.sep] or drafted == wanted)


def test_a_text_is_drafted_as_a_copy(layout: Layout, vocabulary: Vocabulary) -> None:
    request = layout.request([], "draw a red hen")
    begun = [layout.tool_tokens["generate"], *layout.piece(" prompt="), *layout.text(" a r")]
    assert speculate(_walk(layout, vocabulary, [], begun), request) == [*layout.text("ed hen"), layout.sep]


def test_an_item_is_drafted_as_one_word(layout: Layout, vocabulary: Vocabulary) -> None:
    request = layout.request(["Image"], "find the dog here")
    begun = [layout.tool_tokens["detect"], *layout.piece(" labels="), *layout.text(" d")]
    assert speculate(_walk(layout, vocabulary, ["Image"], begun), request) == [*layout.text("og"), layout.sep]


def test_nothing_is_drafted_where_nothing_is_likely(layout: Layout, vocabulary: Vocabulary) -> None:
    begun = [layout.tool_tokens["detect"], *layout.piece(" labels="), *layout.text(" dog"), layout.sep]
    assert speculate(_walk(layout, vocabulary, ["Image"], begun), layout.request(["Image"], "find the dog")) == []


def test_every_draft_is_allowed_and_leaves_the_walk_unchanged(layout: Layout, vocabulary: Vocabulary) -> None:
    rng = random.Random(4)
    for seed in range(25):
        made_up = {card["name"]: card for card in (draw_tool(t, rng).card for t in rng.sample(tool_templates(), 3))}
        grammar = Grammar(layout, vocabulary, [*BUILTIN_CARDS.values(), *made_up.values(), RESIZE])
        ids = wander(Walk(grammar, ["Image"], seed % 2 == 0), rng, layout)
        walk = Walk(grammar, ["Image"], seed % 2 == 0)
        for token in ids:
            ahead = walk.fork()
            for draft in speculate(walk, layout.request(["Image"], "turn the dog by 45.5 and make it red")):
                ahead.push(draft)
            walk.push(token)
        again = Walk(grammar, ["Image"], seed % 2 == 0)
        for token in ids:
            again.push(token)
        assert walk.done and walk.calls == again.calls
