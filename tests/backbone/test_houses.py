"""The house requests: what is in the file, and that every plan in it can be written by the planner."""

from collections import Counter, defaultdict

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.grammar import Grammar
from backbone.planner.layout import Layout
from backbone.planner.vocabulary import Vocabulary
from backbone.planner.walk import Walk
from benchmarks import house_tools, houses
from benchmarks.houses import SIZES
from common.kinds import KIND_OF_INPUT
from tools import Tool

CARDS = {**BUILTIN_CARDS, **{name: tool.card() for name, tool in vars(house_tools).items() if isinstance(tool, Tool)}}
ROWS = houses.read()


def test_the_file_is_made_from_the_pieces() -> None:
    assert houses.generate() == [{**row, "plans": [[tuple(call) for call in p] for p in row["plans"]]} for row in ROWS]


def test_parts_have_their_sizes_and_share_no_request() -> None:
    by_house = defaultdict(list)
    for row in ROWS:
        by_house[row["house"]].append(row)
    assert len(by_house) >= 30 and sum(row["part"] == "test" for row in ROWS) >= 400
    for rows in by_house.values():
        assert len({row["request"].lower() for row in rows}) == len(rows)
        assert {part: Counter(row["kind"] for row in rows if row["part"] == part) for part in SIZES} == SIZES


def test_most_of_what_a_test_joins_no_anchor_joins() -> None:
    joined = defaultdict(set)
    for row in ROWS:
        if row["kind"] == "both":
            joined[row["house"], row["part"]].add(str(row["plans"][0]))
    for house in {row["house"] for row in ROWS}:
        assert len(joined[house, "test"] - joined[house, "anchor"]) >= 3
        assert not joined[house, "pool"]


def test_the_planner_can_write_every_plan(layout: Layout, vocabulary: Vocabulary) -> None:
    for row in ROWS:
        cards = [card for name, card in CARDS.items() if name in BUILTIN_CARDS or name in row["tools"]]
        for plan in row["plans"]:
            calls = [{"tool": tool, "args": args} for tool, args in plan]
            walk = Walk(Grammar(layout, vocabulary, cards), [KIND_OF_INPUT[kind] for kind in row["media"]], typed=True)
            for token in layout.calls(calls, CARDS):
                walk.push(token)
            assert walk.calls == calls
