"""Which cards a planner reads, of more than it can tell apart."""

import random

from agents.planners.shortlist import LIMIT, by_reading, kept, shortlist
from common.card import Card


def card(name: str, takes: str = "", gives: str = "Text", optional: bool = False, literal: bool = False) -> Card:
    given = {"kinds": [takes], "many": False, "optional": optional, "literal": literal}
    return {
        "name": name,
        "doc": "",
        "inputs": {"it": given} if takes else {},  # type: ignore[dict-item]  # a literal dict
        "params": {},
        "required": [],
        "one_of": [],
        "returns": {"kind": gives, "many": False},
        "examples": [],
    }


def read(cards: list[Card], scores: list[float], request: str = "do it", **given: object) -> list[str]:
    chosen = shortlist(request, cards, scores, **{"have": [], **given})  # type: ignore[arg-type]  # as given
    return [one["name"] for one in kept(cards, chosen)]


def test_with_no_more_than_the_limit_all_are_read_in_their_order() -> None:
    cards = [card(f"t{n}") for n in range(LIMIT)]
    assert read(cards, [random.Random(n).random() for n in range(LIMIT)]) == [f"t{n}" for n in range(LIMIT)]


def test_of_more_the_best_are_read_in_the_order_of_the_tools_the_first_of_equal_ones() -> None:
    cards = [card(f"t{n}") for n in range(20)]
    scores = [float(n == 17) + float(n % 2) for n in range(20)]
    assert read(cards, scores) == [f"t{n}" for n in (1, 3, 5, 7, 9, 11, 13, 17)]


def test_the_best_maker_of_what_a_chosen_tool_needs_is_kept() -> None:
    cards = [card("hands", takes="Poses", gives="Number"), *(card(f"t{n}") for n in range(12))]
    cards += [card("stand", takes="Image", gives="Poses"), card("stand_worse", takes="Image", gives="Poses")]
    scores = [9.0, *([1.0] * 12), -1.0, -2.0]
    assert "stand" in read(cards, scores, have=["Image"]) and "stand_worse" not in read(cards, scores, have=["Image"])
    offered = [card("pose", takes="Image", gives="Poses")]
    assert "stand" not in read(cards, scores, have=["Image"], offered=offered)
    assert "stand" not in read(cards, scores, have=["Poses"])
    optional = [card("hands", takes="Poses", optional=True), *cards[1:]]
    assert "stand" not in read(optional, scores, have=["Image"])


def test_makers_of_makers_are_kept_and_never_more_than_the_limit() -> None:
    cards = [card("count_them", "Detections", "Number"), *(card(f"t{n}") for n in range(12))]
    cards += [card("found", "Frames", "Detections"), card("frames", "Image", "Frames")]
    chosen = read(cards, [9.0, *([1.0] * 12), -1.0, -2.0], have=["Image"])
    assert {"count_them", "found", "frames"} <= set(chosen) and len(chosen) == LIMIT
    ring = [card(f"r{n}", takes=f"K{n}", gives=f"K{n + 1}") for n in range(30)]
    assert len(read(ring, [0.0] * 30)) == LIMIT


def test_tools_of_examples_are_read_whatever_they_score() -> None:
    cards = [card(f"t{n}") for n in range(20)]
    assert "t19" in read(cards, [-float(n) for n in range(20)], demonstrated={"t19", "elsewhere"})
    chain = [card(f"c{n}", takes=f"K{n}", gives=f"K{n + 1}") for n in range(9)]
    shown = {"c8", "t19"}
    assert shown <= set(read([*chain, *cards], [1.0] * 9 + [0.0] * 20, demonstrated=shown)), "the makers took its place"


def test_a_tool_that_is_asked_for_by_its_own_example_is_read_whatever_it_scores() -> None:
    cards: list[Card] = [{**card(f"t{n}"), "examples": [f"the {n}th, please", f"{n}"]} for n in range(20)]
    scores = [-float(n) for n in range(20)]
    assert "t19" in read(cards, scores, "The 19th please!")
    assert "t19" in read(cards, scores, "blur the faces, then the 19th, please")
    assert "t19" in read(cards, scores, "19") and "t19" not in read(cards, scores, "blur 19 of them")
    cards[19]["examples"] = ["?"]
    assert "t19" not in read(cards, scores, "!")


def test_what_was_considered_is_said_with_scores_and_reasons() -> None:
    cards = [card("hands", takes="Poses", gives="Number"), *(card(f"t{n}") for n in range(9))]
    cards.append(card("stand", takes="Image", gives="Poses"))
    chosen = shortlist("do it", cards, [2.0, *([0.5] * 9), -0.25], ["Image"], [card("detect")])
    assert chosen.names == {"detect", "hands", "stand", *(f"t{n}" for n in range(6))}
    first, *_, last = chosen.to_json()["considered"]
    assert first == {"tool": "hands", "score": 2.0, "read": True, "reason": "fits best"}
    assert last == {"tool": "stand", "score": -0.25, "read": True, "reason": "makes Poses for hands"}
    lines = chosen.lines()
    assert lines[:2] == ["Always offered: detect", "Considered by score: 11, of which the planner read 8"]
    assert lines[2] == "    2.00  hands  read: fits best"
    assert "    0.50  t8     left out: others fit better" in lines


def test_built_in_tools_need_no_reading() -> None:
    cards = [card("detect"), card("mine")]
    own, known = by_reading(cards, ("detect", "pose"))
    assert ([one["name"] for one in own], [one["name"] for one in known]) == (["mine"], ["detect"])
