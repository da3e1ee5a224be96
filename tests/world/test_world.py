"""Annotations against pixels, the splits, and equal results every time."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from backbone.world import Scene, Thing, compose, render
from backbone.world.paint.backgrounds import BACKGROUNDS, SHIFTED_BACKGROUNDS
from backbone.world.paint.categories import CATEGORIES, WORDS
from backbone.world.paint.figure import BUILDS, KEYPOINTS, joints, keypoints
from backbone.world.paint.letters import lettering
from backbone.world.paint.palette import COLOURS
from backbone.world.paint.poses import POSES, draw_pose
from backbone.world.scene.clips import clip
from backbone.world.scene.splits import HELD_OUT_COUNTS, SPLITS, is_held_out_colour, rng_for
from backbone.world.truth.overlay import draw_annotations
from backbone.world.words.edits import EDIT_KINDS, edits
from backbone.world.words.questions import questions, referring
from backbone.world.words.specs import spec
from superlink.cli import main
from tests.waiting import WAIT

SIZE = 96


def test_there_is_enough_of_everything() -> None:
    assert len(CATEGORIES) >= 25 and len(COLOURS) == 11 and len(BACKGROUNDS) >= 10 and len(POSES) == 6
    assert not set(BACKGROUNDS) & set(SHIFTED_BACKGROUNDS)


@pytest.mark.parametrize("name", [name for name, kind in CATEGORIES.items() if kind.draw])
def test_every_shape_draws_something_of_its_size(name: str) -> None:
    kind = CATEGORIES[name]
    height = min(0.7, 0.4 / kind.wide)
    for shape in range(kind.shapes):
        thing = Thing(
            1,
            name,
            kind.colours[0],
            COLOURS[kind.colours[0]][0],
            0.5,
            0.9,
            height,
            shape,
            text="ZOO" if name == "sign" else "",
        )
        (one,) = render(Scene(1, "train", "snow", "overcast", True, 9.0, 0.5, 0.0, (thing,)), SIZE).instances
        tall = (one.box[3] - one.box[1]) / SIZE
        assert 0.55 * height < tall < 1.35 * height and one.visible == 1.0


@pytest.mark.parametrize("split", SPLITS)
def test_masks_boxes_and_joints_agree(split: str) -> None:
    for seed in range(6):
        picture = render(compose(seed, split), SIZE)
        assert picture.pixels.shape == (SIZE, SIZE, 3)
        owned = np.zeros((SIZE, SIZE), int)
        for one in picture.instances:
            owned += one.mask
            x0, y0, x1, y1 = one.box
            assert one.mask[y0:y1, x0:x1].sum() == one.area == one.mask.sum() and 0 < one.visible <= 1
            assert bool(one.keypoints) == (one.thing.category == "person")
            for x, y, v in one.keypoints:
                assert v != 2 or one.mask[int(y), int(x)]
        assert owned.max() <= 1


def test_a_figure_has_its_left_on_its_left() -> None:
    rng = rng_for("test", 0)
    pose = draw_pose("arms up", rng)
    while pose.view != "front":
        pose = draw_pose("arms up", rng)
    marks = dict(zip(KEYPOINTS, keypoints(joints(pose, BUILDS["adult"])), strict=True))
    assert marks["left_shoulder"][0] > marks["right_shoulder"][0]
    assert (
        marks["left_wrist"][1]
        < marks["left_shoulder"][1]
        < marks["left_hip"][1]
        < marks["left_knee"][1]
        < marks["left_ankle"][1]
    )


def test_the_same_seed_is_the_same_picture_in_another_process() -> None:
    code = (
        "from backbone.world import *; scenes = [compose(seed, 'test') for seed in range(3)]; "
        "print(*(scene.digest() + render(scene, 96).digest() for scene in scenes))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WAIT
    ).stdout.split()
    assert output == [compose(s, "test").digest() + render(compose(s, "test"), SIZE).digest() for s in range(3)]


def test_held_out_compositions_stay_out_of_training() -> None:
    held = 0
    for seed in range(150):
        for split in ("train", "val", "test", "shifted"):
            scene = compose(seed, split)
            assert (scene.background in SHIFTED_BACKGROUNDS) == (split == "shifted")
            assert not any(is_held_out_colour(thing.category, thing.colour) for thing in scene.things)
            for name in HELD_OUT_COUNTS:
                assert sum(thing.category == name for thing in scene.things) != 4
        held += any(is_held_out_colour(thing.category, thing.colour) for thing in compose(seed, "compositions").things)
    assert held > 75


def test_ids_are_unique_and_what_stands_on_something_has_it() -> None:
    for seed in range(100):
        things = compose(seed).things
        ids = [thing.id for thing in things]
        assert len(set(ids)) == len(ids)
        assert all(thing.on is None or thing.on in ids for thing in things)


def test_answers_follow_from_the_scene() -> None:
    kinds = set()
    for seed in range(60):
        picture = render(compose(seed), SIZE)
        for asked in questions(picture):
            kinds.add(asked.kind)
            if asked.kind == "count":
                name = next(n for n, k in CATEGORIES.items() if f" {k.plural} " in asked.question)
                assert int(asked.answer) == sum(one.thing.category == name for one in picture.instances)
        assert len({words for words, _ in referring(picture)}) == len(referring(picture))
        found = spec(picture)
        assert found is None or sum(count for _, _, count in found.counts) == len(picture.instances)
    assert kinds >= {"count", "colour", "relation", "exist", "compare", "read", "pose"}


def test_an_edit_changes_one_thing() -> None:
    kinds = set()
    for seed in range(25):
        for change in edits(seed, size=SIZE):
            kinds.add(change.kind)
            before = {thing.id: thing for thing in change.before.things}
            after = {thing.id: thing for thing in change.after.things}
            different = {i for i in before.keys() | after.keys() if before.get(i) != after.get(i)}
            assert different == ({change.thing} if change.thing is not None else set()), change.instruction
    assert kinds == set(EDIT_KINDS)


def test_ids_persist_through_a_clip() -> None:
    scene = next(s for s in map(compose, range(100)) if any(t.pose and t.pose.name == "walking" for t in s.things))
    frames = clip(scene, 6)
    assert len({frozenset(thing.id for thing in frame.things) for frame in frames}) == 1
    assert frames[0] != frames[5]


def test_every_word_can_be_lettered() -> None:
    for word in (*WORDS, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"):
        bounds = lettering(word, 0, 0, 2, 0.3).getBounds()
        assert bounds.width() <= 2.02 and bounds.height() > 0.05


def test_the_command_writes_what_coco_readers_open(tmp_path: Path) -> None:
    import supervision

    assert main(["world", "--n", "3", "--seed", "7", "--size", "96", "--out", str(tmp_path)]) == 0
    data = COCO(str(tmp_path / "annotations.json"))
    assert len(data.getImgIds()) == 3
    for row in data.loadAnns(data.getAnnIds()):
        assert data.annToMask(row).sum() == row["area"]
    read = supervision.DetectionDataset.from_coco(
        str(tmp_path / "images"), str(tmp_path / "annotations.json"), force_masks=True
    )
    assert len(read) == 3
    assert json.loads((tmp_path / "annotations.json").read_text())["categories"][0]["keypoints"][0] == "nose"


def test_a_wrong_split_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world", "--split", "tset", "--out", str(tmp_path / "out")]) == 1
    assert "compositions" in capsys.readouterr().err


def test_a_sheet_shows_every_picture(tmp_path: Path) -> None:
    from PIL import Image

    sheet = tmp_path / "new" / "sheet.png"
    assert main(["world", "--n", "3", "--size", "96", "--sheet", str(sheet)]) == 0
    assert min(Image.open(sheet).size) > 600 and not (tmp_path / "annotations.json").exists()


def test_the_overlay_marks_what_is_there_and_nothing_else() -> None:
    picture = next(p for seed in range(20) if (p := render(compose(seed), SIZE)).instances[0].keypoints)
    shown = draw_annotations(picture)
    things = np.any([one.mask for one in picture.instances], axis=0)
    assert (shown != picture.pixels).any(2)[things].mean() > 0.95
    near = np.zeros(things.shape, bool)
    for one in picture.instances:
        x0, y0, x1, y1 = one.box
        near[max(0, y0 - 4) : y1 + 4, max(0, x0 - 4) : x1 + 4] = True
    assert (shown == picture.pixels).all(2)[~near].all()


@pytest.mark.parametrize("asked", [["--n", "2"], ["--sheet", "sheet.txt"]])
def test_what_cannot_be_written_is_refused(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["world", *asked]) == 1
    assert "--" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_no_pictures_at_all_are_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["world", "--n", "0", "--sheet", "sheet.png"])
    assert "--n: give a whole number of at least 1" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_missing_library_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "skia", None)
    assert main(["world", "--n", "1", "--out", str(tmp_path / "out")]) == 1
    assert "pip install 'superlink[world]'" in capsys.readouterr().err


def test_a_missing_library_of_the_system_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "skia", raising=False)
    (tmp_path / "skia.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["world", "--n", "1", "--out", str(tmp_path / "out")]) == 1
    assert "libGL.so.1" in (output := capsys.readouterr().err) and "apt-get install libgl1" in output


def test_samples_say_that_they_are_rendered(tmp_path: Path) -> None:
    from agents.worlds import samples

    given = samples(tmp_path / "samples")
    assert len({caption for _, caption in given}) == len(given) == 4
    assert all(file.exists() and caption.startswith("Rendered sample: ") for file, caption in given)
