"""Targets from rendered pictures, the loss of a linked decoder, and a training that is stopped and goes on."""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from backbone.training import eyes, vision_data
from backbone.training.dense_loss import assign, losses
from backbone.training.dense_scores import average_precisions
from backbone.training.vision_data import (
    PHRASES,
    SHARD,
    DenseTargets,
    drawn_pictures,
    meant_by_phrases,
    mirrored,
    targets,
)
from backbone.vision.dense_head import Dense, cells
from backbone.vision.eyes import Eyes
from backbone.vision.finds import Find, finds
from backbone.world import Rendered, compose, render
from tests.backbone.tiny_model import tiny_config

SIZE = 64


@pytest.fixture(scope="module")
def drawn() -> list[Rendered]:
    """Pictures with people among them."""
    return [render(compose(seed, "train"), SIZE) for seed in range(6)]


@pytest.fixture(scope="module")
def batch(drawn: list[Rendered]) -> DenseTargets:
    return targets(drawn)


def centres() -> Tensor:
    return cells(tuple(torch.zeros(1, 1, SIZE // stride, SIZE // stride) for stride in (8, 16, 32)))[0]


def perfect(batch: DenseTargets) -> Dense:
    """What a decoder without fault gives: each responsible cell its thing, all others nothing."""
    places, things = centres(), batch.boxes.shape[1]
    middle = (batch.boxes[..., :2] + batch.boxes[..., 2:]) / 2
    distance = (places[None, :, None] - middle[:, None]).abs().sum(-1)
    nearest = distance.masked_fill(~batch.present[:, None], torch.inf).argmin(-1)
    boxes = batch.boxes.gather(1, nearest[..., None].expand(-1, -1, 4))
    scores = torch.zeros(len(boxes), batch.matches.shape[1], len(places))
    owner = assign(Dense(scores, boxes, None, None, None), batch.boxes, batch.present, batch.matches, places).owner
    meant = batch.matches.gather(2, owner.clamp_min(0)[:, None].expand(-1, scores.shape[1], -1))
    meant &= (owner >= 0)[:, None]
    owned = torch.stack([batch.owners == n + 1 for n in range(things)], 1).float()
    prototypes = torch.logit(functional.avg_pool2d(owned, 4), 0.01)
    boxes = batch.boxes.gather(1, owner.clamp_min(0)[..., None].expand(-1, -1, 4))
    boxes[owner < 0] = 0
    return Dense(torch.where(meant, 12.0, -12.0), boxes, torch.eye(things)[owner.clamp_min(0)], prototypes, None)


def test_targets_are_the_truth_of_the_pictures(drawn: list[Rendered], batch: DenseTargets) -> None:
    for row, picture in enumerate(drawn):
        assert int(batch.present[row].sum()) == len(picture.instances)
        for number, one in enumerate(picture.instances):
            assert np.array_equal((batch.owners[row] == number + 1).numpy(), one.mask)
            assert batch.boxes[row, number].tolist() == list(one.box)
            asked = {PHRASES[query] for query in batch.matches[row, :, number].nonzero()[:, 0].tolist()}
            own = one.thing.category not in ("person", "pizza")
            assert asked == {one.thing.category} | ({f"{one.thing.colour} thing"} if own else set())
            assert bool(batch.people[row, number]) == any(v for _, _, v in one.keypoints)


def test_a_mirrored_picture_has_mirrored_targets(batch: DenseTargets) -> None:
    every = torch.ones(len(batch.pixels), dtype=torch.bool)
    turned = mirrored(batch, every)
    for row, number in batch.present.nonzero().tolist():
        y, x = (turned.owners[row] == number + 1).nonzero(as_tuple=True)
        assert turned.boxes[row, number].tolist() == [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]
    row, number = batch.people.nonzero()[0].tolist()
    left, right = 5, 6  # shoulders
    assert turned.joints[row, number, left, 0] == SIZE - batch.joints[row, number, right, 0]
    back = mirrored(turned, every)
    for name, value in vars(batch).items():
        assert torch.allclose(vars(back)[name].float(), value.float(), atol=1e-4), name
    half = mirrored(batch, every & False)
    assert torch.equal(half.pixels, batch.pixels) and torch.equal(half.joints, batch.joints)


def test_pictures_go_on_where_a_training_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision_data, "pictures", lambda numbers, *_, **__: numbers)  # seeds instead of pictures

    def seeds(start: int, count: int) -> list[object]:
        return list(islice(drawn_pictures(2 * SHARD, 3, start, 32, 0, None), count))

    whole = seeds(0, 5 * SHARD)
    assert sorted(whole[: 2 * SHARD]) == list(range(2 * SHARD)) and whole[:SHARD] != list(range(2 * SHARD))
    assert seeds(SHARD + 5, 3 * SHARD) == whole[SHARD + 5 : 4 * SHARD + 5]
    with pytest.raises(ValueError, match="40 pictures cannot be divided"):
        next(drawn_pictures(40, 3, 0, 32, 0, None))


def test_each_thing_has_responsible_cells(batch: DenseTargets) -> None:
    assigned = assign(perfect(batch), batch.boxes, batch.present, batch.matches, centres())
    for row in range(len(batch.boxes)):
        owners = set(assigned.owner[row].tolist())
        assert owners - {-1} <= set(batch.present[row].nonzero()[:, 0].tolist())
    shares = [len(set(row.tolist()) - {-1}) for row in assigned.owner]
    assert sum(shares) >= 0.9 * int(batch.present.sum())  # where boxes cover one another, a cell has one owner
    assert (assigned.quality[assigned.owner < 0] == 0).all() and (assigned.quality <= 1).all()


def test_the_loss_is_least_without_fault(batch: DenseTargets) -> None:
    right = perfect(batch)
    least = losses(right, batch, batch.matches, centres())
    assert least["score"] < 0.15 and least["box"] < 1e-3 and least["mask"] < 2, least
    wrong = {
        "score": right._replace(scores=-right.scores),
        "box": right._replace(boxes=right.boxes + torch.tensor([-8.0, 0.0, 8.0, 9.0])),
        "mask": right._replace(coefficients=-right.coefficients),  # type: ignore[operator]
    }
    for name, dense in wrong.items():
        assert losses(dense, batch, batch.matches, centres())[name] > 2 * least[name] + 0.5, name


def test_joints_are_those_of_people(batch: DenseTargets) -> None:
    right = perfect(batch)
    owner = assign(right, batch.boxes, batch.present, batch.matches, centres()).owner
    nearest = owner.clamp_min(0)
    joints = batch.joints.gather(1, nearest[..., None, None].expand(-1, -1, 17, 3))
    joints = torch.cat([joints[..., :2], (joints[..., 2:] > 0) * 24.0 - 12], -1)
    pose = Dense(
        torch.where(batch.people.gather(1, nearest) & (owner >= 0), 12.0, -12.0)[:, None],
        right.boxes,
        None,
        None,
        joints,
    )
    least = losses(pose, batch, batch.people[:, None], centres())
    assert least["joint"] < 0.05 and least["visible"] < 0.01 and least["score"] < 0.15
    near, far = (
        losses(pose._replace(joints=joints + apart), batch, batch.people[:, None], centres())["joint"]
        for apart in (40, 60)
    )
    assert far > near + 1 > 2  # joints that are far off still count by how far
    nobody = replace(batch, joints=torch.zeros_like(batch.joints))
    assert losses(pose, nobody, nobody.people[:, None], centres())["joint"] < 1e-3


def test_precision_is_whole_for_finds_without_fault(drawn: list[Rendered], batch: DenseTargets) -> None:
    dense = perfect(batch)
    rows = [list(finds(dense, n, 0.5, SIZE)) for n in range(len(drawn))]

    def found(_: object) -> list[tuple[list[Find], list[Find]]]:
        return [(row, []) for row in rows]

    scores = average_precisions([drawn], found, meant_by_phrases)
    assert scores["box"] > 0.9 and scores["mask"] > 0.5 and "joint" not in scores  # masks are of 16 pixels here
    nothing = [one._replace(boxes=one.boxes + 30) for one in rows[0]]
    rows[:] = [nothing] * len(rows)
    assert average_precisions([drawn], found, meant_by_phrases)["box"] < 0.2


def test_a_picture_has_a_hundred_finds_at_most() -> None:
    """Those of the best scores, whatever they are of; the same thing again is left out."""
    boxes = torch.tensor([[n * 10.0, 0, n * 10 + 8, 8] for n in range(80)]).repeat(1, 2, 1)
    logits = torch.linspace(3, 1, 160).repeat(1, 3, 1) - torch.tensor([0.0, 0.2, 40.0])[:, None]
    found = list(finds(Dense(logits, boxes, None, None, None), 0, 0.5, 1000))
    assert sum(len(one.scores) for one in found) == 100 and not len(found[2].scores)
    assert found[0].boxes[0].tolist() == [0, 0, 8, 8] and len({tuple(box) for box in found[0].boxes}) == len(
        found[0].boxes
    )
    least = min(found[0].scores.min(), found[1].scores.min())
    assert np.isclose(least, logits[0, :2, :80].sigmoid().flatten().sort(descending=True).values[99])


def test_imagenet_weights_are_taken_over(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, other = Eyes(tiny_config()), Eyes(tiny_config())
    theirs = {"_fc.weight": torch.zeros(2, 2)}
    for name, module in (("_conv_stem", source.stem.conv), ("_bn0", source.stem.norm)):
        theirs |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for number, block in enumerate(block for stage in source.stages for block in stage):  # type: ignore[union-attr]
        for norm, (part, name) in enumerate(
            (("expand", "_expand_conv"), ("depthwise", "_depthwise_conv"), ("project", "_project_conv"))
        ):
            layer = getattr(block, part)
            theirs |= {f"_blocks.{number}.{name}.{key}": value for key, value in layer.conv.state_dict().items()}
            theirs |= {f"_blocks.{number}._bn{norm}.{key}": value for key, value in layer.norm.state_dict().items()}
    torch.save(theirs, tmp_path / "encoder.pth")
    other.load_imagenet(tmp_path / "encoder.pth")
    for name, value in source.stages.state_dict().items():
        assert torch.equal(other.stages.state_dict()[name], value), name
    assert torch.equal(other.stem.conv.weight, source.stem.conv.weight)
    del theirs["_blocks.2._bn1.weight"]
    torch.save(theirs, tmp_path / "encoder.pth")
    with pytest.raises(ValueError, match=r"_blocks\.2\._bn1\.weight"):
        other.load_imagenet(tmp_path / "encoder.pth")


def test_frozen_stages_stay_as_they_are_in_training() -> None:
    model = eyes.DenseModel(tiny_config())
    model.eyes.freeze(1)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sum(model.loss(targets([render(compose(1), SIZE)] * 2)).values()).backward()  # type: ignore[union-attr]
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1).step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith(("eyes.stem", "eyes.stages.0.")) for name in changed)
    assert any(name.startswith("eyes.stages.1.") for name in changed)


def test_a_training_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    recipe = eyes.Recipe(steps=4, rows=2, pictures=SHARD, warmup=2)
    for name, stops in (("whole", [None]), ("parts", [2, None])):
        for stop in stops:
            eyes.train(tmp_path / name, recipe, tiny_config(), every=2, stop=stop, validation=0, workers=0)
    whole, parts = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 4
    for name, value in whole["model"].items():
        assert torch.equal(parts["model"][name], value), name
    curve = [json.loads(line) for line in (tmp_path / "parts" / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in curve] == [2, 4] and curve[1]["pose_joint"] > 0
    weights = (tmp_path / "parts" / "eyes.safetensors").stat().st_mtime_ns
    eyes.train(tmp_path / "parts", recipe, tiny_config(), validation=0, workers=0)  # nothing is left to do
    assert (tmp_path / "parts" / "eyes.safetensors").stat().st_mtime_ns == weights


def test_a_training_measures_itself_on_pictures_of_val(tmp_path: Path) -> None:
    torch.manual_seed(0)
    scores = eyes.validate(eyes.DenseModel(tiny_config()), 4, SIZE)
    assert set(scores) <= {"box", "mask", "joint"} and "box" in scores and all(0 <= v <= 1 for v in scores.values())
