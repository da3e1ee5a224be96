"""The shipped specialists at work: the tools, offline, on rendered pictures that none of them has seen."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from backbone.world import Rendered, compose, render
from backbone.world.paint.categories import CATEGORIES
from backbone.world.truth.relations import noticeable
from backbone.world.truth.render import Instance
from tools.core.errors import SettingsInvalid
from tools.core.settings import WORLD_ROLES, settings
from tools.detect import detect
from tools.engines import dispatch, yolo
from tools.pose import pose
from tools.segment import segment
from tools.values import Detections, Image
from tools.weights import weights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def drawn() -> list[Rendered]:
    return [render(compose(seed, "test"), 256) for seed in range(100, 116)]


@pytest.fixture(autouse=True)
def world(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_WEIGHTS", "world")
    settings.cache_clear()


def images(drawn: Sequence[Rendered]) -> list[Image]:
    return [Image.from_numpy(picture.pixels) for picture in drawn]


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def in_box(box: Sequence[float], size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(size, bool)
    x0, y0, x1, y1 = (round(side) for side in box)
    mask[y0:y1, x0:x1] = True
    return mask


def test_boxes_of_all_categories(drawn: list[Rendered]) -> None:
    wanted = found_again = right = found = 0
    for picture, boxes in zip(
        drawn, detect(images(drawn), [kind.plural for kind in CATEGORIES.values()], 0.4), strict=True
    ):

        def fits(one: Instance, n: int, boxes: Detections = boxes) -> bool:
            return (
                boxes.labels[n] == CATEGORIES[one.thing.category].plural
                and overlap(in_box(one.box, boxes.size), in_box(boxes.xyxy[n].tolist(), boxes.size)) > 0.5
            )

        clear = noticeable(picture)
        wanted += len(clear)
        found_again += sum(any(fits(one, n) for n in range(len(boxes))) for one in clear)
        found += len(boxes)
        right += sum(any(fits(one, n) for one in picture.instances) for n in range(len(boxes)))
    assert found_again / wanted > 0.85 and right / found > 0.85


def test_masks_follow_the_outline(drawn: list[Rendered]) -> None:
    agreed = []
    for picture, image in zip(drawn, images(drawn), strict=True):
        found = segment(image, labels=["people", "dogs", "cars", "elephants", "sheep"])
        for n, label in enumerate(found.labels):
            same = [one for one in noticeable(picture) if CATEGORIES[one.thing.category].plural == label]
            if same and found.scores[n] > 0.5:
                agreed.append(max(overlap(one.mask, found.mask_array(n)) for one in same))
    assert len(agreed) >= 10 and np.median(agreed) > 0.8


def test_joints_lie_where_they_are(drawn: list[Rendered]) -> None:
    distances = []
    for picture, image in zip(drawn, images(drawn), strict=True):
        found = pose(image)
        for one in noticeable(picture):
            if one.keypoints and len(found):
                true = np.array(one.keypoints)
                seen = true[:, 2] == 2
                off = np.linalg.norm(found.keypoints[:, seen, :2] - true[seen, :2], axis=2).mean(axis=1).min()
                distances.append(off / (one.box[3] - one.box[1]))
    assert len(distances) >= 10 and np.median(distances) < 0.05


def test_things_named_by_colour_alone(drawn: list[Rendered]) -> None:
    [found] = detect(images(drawn)[:1], ["red things", "blue objects", "people"])
    assert set(found.labels) <= {"red things", "blue objects", "people"}
    with pytest.raises(SettingsInvalid, match="'red car' cannot be looked for.*red thing"):
        detect(images(drawn)[:1], ["red car"])


def test_the_files_are_the_pinned_ones() -> None:
    for weights_id in set(WORLD_ROLES.values()):
        used = weights.use(weights_id)
        assert used.stat().st_size < 12_000_000 and weights.find(weights_id).licence == "AGPL-3.0-only"


def test_weights_say_which_score_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dispatch.usual_score("detect") == weights.find("world-detect").score == 0.45
    monkeypatch.setenv("SUPERLINK_WEIGHTS", "photographs")
    settings.cache_clear()
    assert dispatch.usual_score("detect") == yolo.USUAL_SCORE
