"""The figures of the model that sees, for one that knows the truth, and for ones that are wrong in one respect."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from backbone.training.seeing_data import WHOLE, related
from backbone.vision.finds import Find
from backbone.vision.tokens import REGION
from backbone.world import Instance, Rendered, compose, render
from backbone.world.words.questions import questions, referring
from backbone.world.words.wording import noun
from common.masks import Mask

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def table() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.setenv("SUPERLINK_WEIGHTS", "world")  # the import sets it; what was set before is set again
        import backbone_table
    return backbone_table


@pytest.fixture(scope="module")
def figures(table: ModuleType) -> ModuleType:
    return sys.modules["backbone_figures"]


@pytest.fixture(scope="module")
def drawn() -> list[Rendered]:
    """Pictures with things of one name among them."""
    return [render(compose(seed, "test"), 96) for seed in range(10)]


class Knowing:
    """Knows the truth of some pictures."""

    def __init__(self, drawn: Sequence[Rendered], score: float = 0.9) -> None:
        self.drawn, self.score = drawn, score

    def look(self, images: Sequence[np.ndarray]) -> Rendered:
        return next(picture for picture in self.drawn if picture.pixels is images[-1])

    def answer(self, look: Rendered, question: str, region: Mask | None = None, most: int = 48) -> str:
        if region is not None:
            assert question == REGION
            return noun(self.under(look, region).thing)
        known = {one.question: one.answer for one in questions(look)}
        return {**known, **{request: caption(look) for caption, request in WHOLE.items()}}[question]

    def answers(self, look: Rendered, questions: Sequence[str], most: int = 48) -> list[str]:
        return [self.answer(look, question) for question in questions]

    def find(self, look: Rendered, tool: str, asked: Sequence[str | Mask], least: float = 0.4) -> list[Find]:
        things = (self.meant(look, one) if isinstance(one, str) else [self.under(look, one)] for one in asked)
        return [self.found(some) for some in things]

    def under(self, look: Rendered, region: Mask) -> Instance:
        def alike(one: Instance) -> float:
            shared = float((one.mask & region).sum())
            return shared / float(region.sum()) + shared / one.area

        return max(look.instances, key=alike)

    def meant(self, look: Rendered, words: str) -> list[Instance]:
        for expression, index in (*referring(look), *related(look)):
            if expression == words:
                return [look.instances[index]]
        coloured = [one for one in look.instances if one.thing.category not in ("person", "pizza")]
        own = [one for one in coloured if f"{one.thing.colour} thing" == words]
        return own or [one for one in look.instances if words in (one.thing.category, noun(one.thing))]

    def found(self, things: Sequence[Instance]) -> Find:
        size = self.drawn[0].pixels.shape[:2]
        people = [np.array(one.keypoints or [(0, 0, 0)] * 17, np.float32) for one in things]
        return Find(
            np.full(len(things), self.score, np.float32),
            np.array([one.box for one in things], np.float32).reshape(-1, 4),
            np.array([one.mask for one in things], bool).reshape(-1, *size),
            np.array(people, np.float32).reshape(-1, 17, 3),
        )


def scores_of(figures: ModuleType, model: Knowing, *measures: str) -> Any:
    looking, scores = figures.Looking(model), figures.Scores()
    for picture in model.drawn:
        for measure in measures:
            getattr(figures, measure)(looking, picture, scores)
    return scores


def test_who_knows_the_truth_is_right(figures: ModuleType, drawn: list[Rendered]) -> None:
    scores = scores_of(figures, Knowing(drawn), "refer", "question", "describe", "name_regions", "point_out")
    names = ["VQA", "caption precision", "caption recall", "regions named", "by region"]
    names += [f"VQA {kind}" for kind in ("count", "colour", "relation", "exist", "compare", "pose")]
    for name in (*names, "referring", "referring by relation", "referring by name or place"):
        assert scores.mean(name) == 1, name
    assert not scores.failures and scores.mean("another") is None
    # A name that several things have says less than a region.
    assert len(scores.values["in words"]) >= 4 and scores.mean("in words") < 0.8


def test_a_box_beside_the_thing_is_wrong(figures: ModuleType, drawn: list[Rendered]) -> None:
    class Beside(Knowing):
        def found(self, things: Sequence[Instance]) -> Find:
            found = super().found(things)
            masks = np.zeros_like(found.masks) if found.masks is not None else None
            return found._replace(boxes=found.boxes + 60, masks=masks)

    scores = scores_of(figures, Beside(drawn), "refer", "point_out")
    assert scores.mean("referring") == 0 == scores.mean("by region")
    assert {failure.kind for failure in scores.failures} == {"referring"}
    assert set(scores.failures[0].boxes) == {"meant", "found"}

    class Nothing(Knowing):
        def found(self, things: Sequence[Instance]) -> Find:
            return super().found([])

    assert scores_of(figures, Nothing(drawn), "refer", "point_out").mean("referring") == 0


def test_a_mask_is_compared_with_all_that_it_covers(figures: ModuleType, drawn: list[Rendered]) -> None:
    one = Knowing(drawn).found([drawn[0].instances[0]])
    truth = drawn[0].instances[0].mask
    assert one.masks is not None and figures.mask_iou(one, truth) == 1
    every = np.ones_like(one.masks)
    assert figures.mask_iou(one._replace(masks=every), truth) == pytest.approx(truth.mean())
    assert figures.mask_iou(one, np.ones_like(truth)) == pytest.approx(truth.mean())
    assert figures.mask_iou(one._replace(masks=None), truth) == 0


def test_only_the_best_find_counts(figures: ModuleType, drawn: list[Rendered]) -> None:
    class Several(Knowing):
        def meant(self, look: Rendered, words: str) -> list[Instance]:
            own = super().meant(look, words)
            return [*(one for one in look.instances if one not in own), *own]

    several = [picture for picture in drawn if len(picture.instances) > 3]
    assert scores_of(figures, Several(several), "refer").mean("referring") < 0.2


def test_an_answer_is_the_same_text(figures: ModuleType, drawn: list[Rendered]) -> None:
    class Miscounts(Knowing):
        def answer(self, look: Rendered, question: str, region: Mask | None = None, most: int = 48) -> str:
            right = super().answer(look, question, region, most)
            return str(int(right) + 1) if question.startswith("How many") else f" {right} "

    scores = scores_of(figures, Miscounts(drawn), "question")
    assert scores.mean("VQA count") == 0 and scores.mean("VQA colour") == 1
    counts = len(scores.values["VQA count"])
    assert scores.mean("VQA") == pytest.approx(1 - counts / len(scores.values["VQA"]))
    assert len(scores.failures) == counts and "(right: " in scores.failures[0].words


def test_who_is_blind_gives_the_most_frequent_answer(figures: ModuleType, drawn: list[Rendered]) -> None:
    count = next(one for picture in drawn for one in questions(picture) if one.kind == "count")
    blind = figures.Blind(drawn)
    other = replace(count, question="How many unicorns are there?")
    assert blind.answer(other) == "1" and figures.Blind([]).answer(count) == ""
    scores = figures.Scores()
    for picture in drawn:
        figures.guess(blind, picture, scores)
    asked = [one for picture in drawn for one in questions(picture)]
    right = sum(blind.answer(one) == one.answer for one in asked)
    assert scores.mean("without the picture") == pytest.approx(right / len(asked)) and 0.3 < right / len(asked) < 0.95


@pytest.mark.parametrize(
    ("change", "precision", "recall"),
    [
        (lambda text: text.replace("dog", "cat"), False, False),
        (lambda text: text.partition(". ")[0].rstrip(".") + ".", True, False),
        (lambda text: f"{text} There is a purple unicorn.", False, True),
        (lambda text: "", None, False),
    ],
)
def test_captions_are_judged_by_their_facts(
    change: Callable[[str], str], precision: bool | None, recall: bool, figures: ModuleType, drawn: list[Rendered]
) -> None:
    class Changed(Knowing):
        def answer(self, look: Rendered, question: str, region: Mask | None = None, most: int = 48) -> str:
            return change(super().answer(look, question, region, most))

    scores = scores_of(figures, Changed(drawn), "describe")
    for name, right in (("precision", precision), ("recall", recall)):
        mean = scores.mean(f"caption {name}")
        assert mean is None if right is None else (mean == 1) == right, name


def test_a_wrong_name_of_a_region_is_wrong(figures: ModuleType, drawn: list[Rendered]) -> None:
    class Colourless(Knowing):
        def answer(self, look: Rendered, question: str, region: Mask | None = None, most: int = 48) -> str:
            return super().answer(look, question, region, most).rpartition(" ")[2]

    assert scores_of(figures, Colourless(drawn), "name_regions").mean("regions named") == 0


def test_finds_are_measured_as_those_of_the_specialists(
    figures: ModuleType, drawn: list[Rendered], monkeypatch: pytest.MonkeyPatch
) -> None:
    specialists = sys.modules["specialists"]
    few = drawn[:5]
    monkeypatch.setattr(specialists, "pictures", lambda *_: few)

    def measured(model: Knowing, threshold: float = 0.4) -> tuple[dict[str, float], float]:
        scores = figures.Scores()
        found = specialists.measure("test", 5, 96, figures.finders(figures.Looking(model).find, scores, threshold))
        return {name: half for name, (half, _) in found.items()}, scores.mean("absent")

    right, absent = measured(Knowing(few))
    assert right == dict.fromkeys(right, 1.0) and len(right) == 5 and absent == 0

    class Wrong(Knowing):
        """Takes every thing for whatever it is asked for."""

        def meant(self, look: Rendered, words: str) -> list[Instance]:
            return list(look.instances)

    wrong, absent = measured(Wrong(few))
    assert max(wrong.values()) < 0.6 and absent == 1
    assert measured(Wrong(few, score=0.3))[1] == 0  # too low to be found at work


def test_a_bar_is_met_where_it_is_meant(table: ModuleType) -> None:
    splits = ["test", "compositions", "shifted"]
    figures = {"test": 0.91, "compositions": 0.8, "shifted": 0.1}
    line = table.Line("boxes", figures, 0.9)
    assert line.verdict() == "met"
    assert line.text(splits).split() == ["boxes", "0.910", "0.800", "0.100", "≥", "0.9", "met"]
    assert line._replace(on=("test", "compositions")).verdict() == "MISSED"
    assert line._replace(most=True).verdict() == "MISSED" and line._replace(most=True, bar=0.95).verdict() == "met"
    assert line._replace(values=dict.fromkeys(splits)).verdict() == "not trained"
    assert line._replace(values=dict.fromkeys(splits)).text(splits, "none asked").endswith("  none asked")
    assert line._replace(values={"shifted": 0.1}).verdict() == "" == line._replace(bar=None).verdict()
    assert table.Line("load", {"": 2.5}, 3, most=True).text(splits).split() == ["load", "2.500", "≤", "3", "met"]
    assert len(line.text(splits)) == len(table.Line("load", {"": 2.5}, 0.9).text(splits))


def test_lines_hold_the_figures_of_all_splits(table: ModuleType, figures: ModuleType) -> None:
    found = {split: figures.Scores() for split in ("test", "shifted")}
    for split, value in (("test", 0.8), ("shifted", 0.4)):
        for name, score in (("boxes", value), ("specialist boxes", 0.8), ("by region", 0.9), ("in words", value)):
            found[split].add(name, score)
    own, theirs, share, *_ = table.dense_lines(found, list(found))
    assert own.values == {"test": 0.8, "shifted": 0.4} and set(theirs.values.values()) == {0.8}
    assert share.values == {"test": 1.0, "shifted": 0.5} and share.verdict() == "met"
    words = {line.name.strip(): line for line in table.word_lines(found, list(found))}
    assert words["more than in words"].values == pytest.approx({"test": 0.1, "shifted": 0.5})
    assert words["VQA"].verdict() == "not trained"


def test_routing_counts_the_first_tool_and_calls_on_chat(table: ModuleType) -> None:
    class Always:
        def __init__(self, *calls: str) -> None:
            self.calls = [{"tool": call, "args": {}} for call in calls]

        def plan(self, *_: object) -> list[dict[str, object]]:
            return self.calls

    right, called = table.route(Always(), 400)
    assert right == called == 0
    right, called = table.route(Always("detect", "speak"), 400)
    assert 0.5 < right < 1 and called == 1
    posing, _ = table.route(Always("pose"), 400)
    assert 0 < posing < 0.2


def test_failures_are_drawn(table: ModuleType, figures: ModuleType, drawn: list[Rendered], tmp_path: Path) -> None:
    from tools.values import Image

    scores = figures.Scores()
    for n in range(5):
        scores.failures.append(figures.Failure("VQA count", drawn[n].pixels, "How many? 2 (right: 3)"))
    boxes = {"meant": drawn[0].instances[0].box}
    scores.failures.append(figures.Failure("referring", drawn[0].pixels, "the red car", boxes))
    file = tmp_path / "failures.png"
    table.sheet([scores], file)
    assert Image.open(file).width > 600
    plain = figures.Scores(failures=[scores.failures[-1]._replace(boxes={})])
    table.sheet([plain], tmp_path / "plain.png")
    table.sheet([figures.Scores(failures=scores.failures[-1:])], tmp_path / "boxed.png")
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "boxed.png").read_bytes()  # boxes are drawn
    table.sheet([figures.Scores()], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
