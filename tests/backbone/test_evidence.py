"""Evidence about which tools a request needs, and what it does to the choices of a plan."""

import numpy as np
import pytest

from backbone.planner.evidence import weighed
from backbone.planner.grammar import Grammar
from backbone.planner.layout import Layout
from backbone.planner.vocabulary import Vocabulary
from backbone.planner.walk import Walk
from tests.backbone.cards import card

SURE, UNLIKELY = 6.0, -6.0


class Chooser:
    """A plan that is written token by token, where the model has a preference and there is evidence."""

    def __init__(self, layout: Layout, vocabulary: Vocabulary) -> None:
        cards = [card("detect"), card("sew"), card("sing"), card("mow", params={"gap": {"type": "integer"}})]
        self.layout, self.walk = layout, Walk(Grammar(layout, vocabulary, cards), ())

    def write(self, *names: str) -> None:
        for token in (token for name in names for token in self.layout.head(name)):
            self.walk.push(token)

    def chosen(self, prefers: int, needed: dict[str, float], by: float = 3.0) -> int:
        """The token that is chosen where the model prefers one by some nats. It is not written."""
        tokens = self.walk.allowed()
        assert isinstance(tokens, list) and prefers in tokens
        logits = np.array([by * (token == prefers) for token in tokens], np.float32)
        return tokens[int(weighed(self.walk, tokens, logits, needed).argmax())]

    def named(self, prefers: str, needed: dict[str, float]) -> str:
        """The tool whose name is chosen after the token ``call``, where the model prefers one."""
        self.walk.push(self.layout.call)
        liked, count = self.layout.head(prefers), len(self.walk.calls)
        while len(self.walk.calls) == count:
            token, at = self.walk.forced(), len(self.walk._path)
            on_the_way = self.walk._path == liked[:at]
            tokens = self.walk.allowed()
            assert isinstance(tokens, list)
            self.walk.push(self.chosen(liked[at] if on_the_way else tokens[0], needed) if token is None else token)
        return self.walk.calls[-1]["tool"]


@pytest.fixture
def plan(layout: Layout, vocabulary: Vocabulary) -> Chooser:
    return Chooser(layout, vocabulary)


def test_a_plan_goes_on_while_a_tool_is_left_that_is_surely_needed(plan: Chooser, layout: Layout) -> None:
    needed = {"sew": SURE, "sing": SURE, "mow": UNLIKELY}
    assert plan.chosen(layout.end, needed) != layout.end
    plan.write("sing")
    assert plan.chosen(layout.end, needed) != layout.end
    plan.write("sew")
    assert plan.chosen(layout.end, needed) == layout.end


def test_evidence_that_may_well_be_wrong_ends_no_plan_later(plan: Chooser, layout: Layout) -> None:
    assert plan.chosen(layout.end, {"sew": 1.0, "sing": UNLIKELY}) == layout.end
    assert plan.chosen(layout.end, {}) == layout.end


def test_a_tool_without_its_inputs_does_not_keep_a_plan_from_ending(layout: Layout, vocabulary: Vocabulary) -> None:
    cards = [card("detect", "Detections"), card("wreath", needs=["Detections"]), card("sing")]
    tokens = [layout.tool_tokens["detect"], layout.call, layout.end]
    logits = np.array([0, -1, 5], np.float32)
    walk = Walk(Grammar(layout, vocabulary, cards), ())
    assert weighed(walk, tokens, logits, {"wreath": SURE, "sing": UNLIKELY}).argmax() == 2
    walk.push(tokens[0])
    assert weighed(walk, tokens, logits, {"wreath": SURE, "sing": UNLIKELY}).argmax() == 1
    assert walk.have == set()


@pytest.mark.parametrize(("likely", "named"), [("sew", "sew"), ("sing", "sing"), ("mow", "mow")])
def test_of_names_that_begin_alike_the_likely_one_is_written(plan: Chooser, likely: str, named: str) -> None:
    needed = {**dict.fromkeys(("sew", "sing", "mow"), UNLIKELY), likely: SURE}
    assert plan.named("sing", needed) == named


def test_of_two_tools_that_are_needed_the_model_says_which_comes_first(plan: Chooser) -> None:
    needed = {"sew": SURE, "sing": SURE + 4, "mow": UNLIKELY}
    assert plan.named("sew", needed) == "sew"
    assert plan.named("sing", needed) == "sing"


def test_a_tool_that_nothing_is_known_of_is_for_the_model_to_name(plan: Chooser) -> None:
    assert plan.named("sing", {"sew": UNLIKELY, "mow": UNLIKELY}) == "sing"
    assert plan.named("sing", {"sing": UNLIKELY, "sew": SURE}) == "sew"


def test_a_tool_may_be_called_again(plan: Chooser) -> None:
    assert [plan.named("sew", {"sew": SURE, "sing": UNLIKELY, "mow": UNLIKELY}) for _ in range(2)] == ["sew", "sew"]


def test_whether_an_argument_follows_is_for_the_model_to_say(plan: Chooser, layout: Layout) -> None:
    plan.write("mow")
    gap = layout.piece(" gap=")[0]
    needed = {"sew": SURE, "mow": SURE}
    assert plan.chosen(gap, needed, by=0.1) == gap
    assert plan.chosen(layout.end, needed, by=3.0) not in (gap, layout.end)


def test_nothing_changes_without_evidence_or_within_arguments(plan: Chooser, layout: Layout) -> None:
    logits = np.arange(2, dtype=np.float32)
    assert weighed(plan.walk, [layout.call, layout.end], logits, {}) is logits
    plan.write("mow")
    for token in layout.piece(" gap="):
        plan.walk.push(token)
    assert weighed(plan.walk, [1, layout.sep], logits, {"sew": SURE}) is logits
