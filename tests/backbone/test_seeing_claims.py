"""The claims about the model that sees: their pictures, the models that are compared, the figures, and what is kept."""

import importlib
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from backbone.training.seeing_data import Phrase
from backbone.vision.finds import Find
from backbone.world import Rendered, render

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = ("verdicts", *(f"seeing.{name}" for name in ("scenes", "asking", "small", "scores", "training", "lab")))


@pytest.fixture(scope="module")
def seeing() -> SimpleNamespace:
    """The modules of ``benchmarks``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return SimpleNamespace(**{name.rpartition(".")[2]: importlib.import_module(name) for name in NAMES})


@pytest.fixture(scope="module")
def drawn(seeing: SimpleNamespace) -> list[Rendered]:
    return [render(seeing.scenes.compose(seed, "train"), seeing.scenes.SIZE) for seed in range(4)]


@pytest.fixture(scope="module")
def lab(seeing: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A laboratory whose trainings have one step of each task."""
    steps = dict.fromkeys(("detect", "pose"), 1)
    recipe = seeing.training.Recipe(
        pictures=4, tests=2, eyes=1, base={"answers": 1, "words": 1}, linked=steps, joint=steps, third=steps, rows=2
    )
    made: SimpleNamespace = seeing.lab.Lab(recipe, (1, 2), tmp_path_factory.mktemp("claims"))
    return made


def find(**given: object) -> Find:
    """Finds from the best on; scores do not matter."""
    return Find(**{"scores": np.ones(1, np.float32), "boxes": None, "masks": None, "joints": None, **given})  # type: ignore[arg-type]


def boxes(*rows: tuple[float, float, float, float]) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return np.array(rows, np.float32).reshape(-1, 4)


def test_precision_falls_with_what_is_wrong_before_what_is_right(seeing: SimpleNamespace) -> None:
    one, other, wrong = (0, 0, 10, 10), (20, 0, 40, 10), (60, 60, 70, 70)
    precision = seeing.scores.precision
    assert precision(boxes(one, other), boxes(one, other)) == 1
    assert precision(boxes(one), boxes(one, other)) == 0.5
    assert precision(boxes(wrong, one), boxes(one)) == 0.5
    assert precision(boxes(one, one, other), boxes(one, other)) == pytest.approx((1 + 2 / 3) / 2)  # found twice
    assert precision(boxes((0, 0, 10, 4)), boxes(one)) == 0  # an IoU of 0.4
    assert precision(boxes(), boxes(one)) == 0


def test_masks_are_compared_with_as_many_finds_as_there_are_things(seeing: SimpleNamespace) -> None:
    left, right = np.zeros((2, 4, 4), bool)
    left[:, :2], right[:, 2:] = True, True
    masks = np.stack([left, right])
    assert seeing.scores.mask_iou(find(masks=masks), [left, right]) == 1
    assert seeing.scores.mask_iou(find(masks=masks), [left]) == 1
    assert seeing.scores.mask_iou(find(masks=masks[::-1]), [left]) == 0
    assert seeing.scores.mask_iou(find(masks=masks[:1]), [left, right]) == 0.5
    assert seeing.scores.mask_iou(find(masks=masks[:0]), [left]) == 0


def test_joints_are_right_near_their_place(seeing: SimpleNamespace) -> None:
    truth = [(10.0, 10.0, 2), (20.0, 10.0, 1), (0.0, 0.0, 0)]
    placed = np.array([[[10, 15, 1], [20, 23, 1], [0, 0, 1]]], np.float32)  # 5 and 13 pixels off
    assert seeing.scores.pck(find(joints=placed), truth, (0, 0, 30, 60)) == 0.5
    assert seeing.scores.pck(find(joints=placed), truth, (0, 0, 30, 20)) == 0.5
    assert seeing.scores.pck(find(joints=placed), truth, (0, 0, 20, 20)) == 0
    assert seeing.scores.pck(find(joints=placed[:0]), truth, (0, 0, 30, 60)) == 0


def test_scenes_are_of_few_categories_and_the_same_from_a_file(
    seeing: SimpleNamespace, drawn: list[Rendered], tmp_path: Path
) -> None:
    for _ in range(2):
        again = seeing.scenes.drawn(4, "train", tmp_path)
        assert [one.digest() for one in again] == [one.digest() for one in drawn]
        for one, other in zip(again, drawn, strict=True):
            assert [i.keypoints for i in one.instances] == [i.keypoints for i in other.instances]
    scenes = [seeing.scenes.compose(seed, "test") for seed in range(60)]
    assert {thing.category for scene in scenes for thing in scene.things} == set(seeing.scenes.FEW)


def test_items_mean_things_and_held_out_phrasings_are_not_trained(
    seeing: SimpleNamespace, drawn: list[Rendered]
) -> None:
    kinds = set()
    for number, picture in enumerate(drawn):
        for one in seeing.asking.items(picture, random.Random(number)):
            assert one.phrase.meant and (one.kind in ("classes",) or len(one.phrase.meant) == 1)
            assert (one.phrase.region is not None) == (one.phrase.words is None)
            kinds.add(one.kind)
    assert {"classes", "regions"} <= kinds <= set(seeing.asking.KINDS)
    trained, held_out = ({one.request for one in seeing.asking.phrasings(test)} for test in (False, True))
    assert not trained & held_out and len(held_out) >= 400


def test_a_message_does_not_see_the_picture(
    seeing: SimpleNamespace, lab: SimpleNamespace, drawn: list[Rendered]
) -> None:
    model, layout = lab.small(1, seeing.lab.PLAIN)
    item = seeing.asking.Item("classes", "detect", Phrase((0,), "dogs"))
    pixels = torch.randn(2, 3, seeing.scenes.SIZE, seeing.scenes.SIZE)
    trainer = seeing.scores.Trainer(model.eval(), layout, seeing.scores.StageRecipe())
    with torch.no_grad():
        for sees in (True, False):
            row = seeing.scores.rows_of(layout, [item], sees)
            vectors = trainer.read([row, row], pixels, model.eyes(pixels))[-1].links["perception"].vectors
            assert torch.equal(vectors[0], vectors[1]) != sees


def test_tokens_are_found_by_who_predicts_them(seeing: SimpleNamespace, lab: SimpleNamespace) -> None:
    model, layout = lab.small(1, seeing.lab.Variant(way="tokens"))
    ids = torch.tensor([[*layout.segment("detect", "dogs"), *layout.segment("pose", "dogs")]])
    read = model.read(ids)
    model.spelling.backward()
    assert all(model.links[name].table.grad.abs().sum() > 0 for name in ("perception", "pose"))
    assert [model.spelled[name].tolist() for name in ("perception", "pose")] == [[False], [False]]
    queries = ids[0, (ids >= layout.first_place)[0]] - 2
    sure = torch.nn.functional.one_hot(queries, layout.first_place + 8).float()
    for wrong in (False, True):
        if wrong:
            sure[1] = sure[0]
        given = iter(sure.split(4))
        model.scores = lambda states, given=given: next(given)
        model.read(ids)
        assert model.spelled["perception"].tolist() == [not wrong] and model.spelled["pose"].tolist() == [True]
    with torch.no_grad():
        del model.scores
        start = model.read(ids[:, : len(layout.segment("detect", "dogs")) - 4], use_cache=True)
        assert torch.allclose(model.spell("perception", start), read.links["perception"].vectors, atol=1e-5)


def test_shared_queries_stay_one_table(seeing: SimpleNamespace, lab: SimpleNamespace) -> None:
    state = lab.kept("shared", lambda: lab.small(3, seeing.lab.Variant(shared=True))[0].state_dict())
    for shared in (True, False):
        model, _ = lab.small(4, seeing.lab.Variant(shared=shared))
        seeing.small.take(model, state, seeing.lab.PARTS)
        assert (model.links["pose"].table is model.links["perception"].table) == shared
        assert torch.equal(model.links["pose"].table, state["links.perception.table"])
    with pytest.raises(ValueError, match="of another model"):
        seeing.small.take(model, {}, ("eyes",))


def test_what_is_made_is_kept(seeing: SimpleNamespace, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    model, layout = lab.linked(1, seeing.lab.PLAIN)
    base = lab.base(1)
    for name, value in model.state_dict().items():
        if name.startswith("core."):
            assert torch.equal(value, base[name]), name
    figures = lab.figures("found", lambda seed: seeing.scores.finding(model, layout, lab.tests, lab.said))
    assert {len(rows) for rows in figures.values()} == {2}
    monkeypatch.setattr(seeing.lab, "train", lambda *_: pytest.fail("trained again"))
    again = seeing.lab.Lab(lab.recipe, lab.seeds, lab.folder.parent)
    assert torch.equal(again.linked(1, seeing.lab.PLAIN)[0].rows, model.rows)
    assert again.figures("found", lambda seed: pytest.fail("measured again")).keys() == figures.keys()
    other = seeing.training.Recipe(rate=1.0)
    assert seeing.lab.Lab(other, (1,), lab.folder.parent).folder != lab.folder


def test_one_stage_takes_the_steps_of_three(seeing: SimpleNamespace) -> None:
    recipe = seeing.training.Recipe()
    assert sum(recipe.once.values()) == sum(sum(part.values()) for part in (recipe.base, recipe.second, recipe.third))
    assert all(recipe.third[task] == 12 * recipe.second[task] for task in recipe.third)


def test_verdicts_of_what_is_no_worse_or_alike(seeing: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    most, none = np.tile(np.arange(400) % 50 > 0, (3, 1)).astype(float), np.ones((3, 400))  # 2 points less
    assert seeing.verdicts.say("by 3", most, none, -3, losing=True)
    assert not seeing.verdicts.say("by 1", most, none, -1, losing=True)
    assert seeing.verdicts.alike("within 3", most, none, 3) and not seeing.verdicts.alike("within 1", most, none, 1)
    assert capsys.readouterr().out.count("not reproduced") == 2
    base = np.array([[0.0], [0.4], [0.8]]).repeat(400, 1)  # seeds differ more than ways do
    assert not seeing.verdicts.say("by 5", base + 0.1, base, 5)
    assert seeing.verdicts.say("by 5, seed by seed", base + 0.1, base, 5, paired=True)


def test_an_answer_is_right_if_all_its_tokens_are(seeing: SimpleNamespace) -> None:
    row = seeing.asking.Row([1, 2, 3, 4, 5, 6], [0, 1, 1, 1, 2, 2], [0] * 6, [False, False, True, True, False, True])
    target, ids = torch.tensor(row.target), torch.tensor(row.ids)
    one = seeing.asking.PictureRow(row, ())
    for wrong, right in ((None, [1, 1]), (2, [0, 1]), (4, [1, 0]), (0, [1, 1])):  # the first is not to be predicted
        likeliest = torch.tensor([2, 3, 4, 5, 6, 7])
        if wrong is not None:
            likeliest[wrong] = 0
        assert seeing.scores._blocks(one, target, ids, likeliest) == right


def test_understanding_is_of_pictures_plans_and_chat(
    seeing: SimpleNamespace, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [one for one in seeing.asking.phrasings(True) if not one.calls][:4]
    few += [one for one in seeing.asking.phrasings(True) if one.calls and seeing.asking.copied(one)][:2]
    monkeypatch.setattr(seeing.scores, "phrasings", lambda test: few)
    model, layout = lab.small(1, seeing.lab.PLAIN)
    found = seeing.scores.understanding(model.eval(), layout, lab.tests)
    assert [len(found[name]) for name in ("plans", "routes", "calls")] == [2 * 2 + 4, 2 * 3, 4 * 2]
    assert 0 < len(found["answers"]) <= seeing.asking.QUESTIONS * len(lab.tests)
    with torch.no_grad():
        model.core.norm.weight.zero_()  # the likeliest token is the first of all
    assert not any(sum(seeing.scores.understanding(model, layout, lab.tests).values(), []))
