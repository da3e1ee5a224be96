"""Superlink's own model as an engine: what it is asked, what the record says, and what it says of photographs.

The model itself is played; `tests/agents/test_seeing.py` runs a real one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.plan.preflight import missing_of
from common.masks import Mask
from tools.ask import ask
from tools.caption import caption
from tools.core import provided
from tools.core.errors import SettingsInvalid, ToolError
from tools.core.settings import settings
from tools.detect import detect
from tools.engines import linked
from tools.pose import pose
from tools.runtime.execute import call
from tools.runtime.model_cache import evict_idle
from tools.segment import segment
from tools.storage.store import Ref, Store
from tools.track import track
from tools.values import Detections, Image, Text, Video
from tools.weights import weights

ROLES = ("detect", "segment", "segment_boxes", "pose", "track", "caption", "ask")
PICTURE = Image.from_numpy(np.zeros((40, 60, 3), np.uint8))
PHOTO = Image.from_numpy(np.full((40, 60, 3), 200, np.uint8))


class Found(NamedTuple):
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    masks: NDArray[np.bool_] | None
    joints: NDArray[np.float32] | None


class Played:
    """Finds one thing for each phrase, and says what it was asked."""

    categories = ("person", "dog", "car")
    links = {"detect": ("perception", 4), "segment": ("perception", 4), "pose": ("pose", 3)}

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []
        self.looks: list[float] = []

    def strange(self, picture: NDArray[np.uint8]) -> bool:
        self.looks.append(float(picture.mean()))
        return bool(picture.mean() > 100)

    def find(self, picture: NDArray[np.uint8], tool: str, asked: Sequence[str | Mask], least: float) -> Sequence[Found]:
        self.looks.append(float(picture.mean()))
        self.asked += [(tool, one if isinstance(one, str) else int(one.sum())) for one in asked]
        found = []
        for number in range(len(asked)):
            box = np.array([[number, 1, number + 9, 11]], np.float32)
            masks = np.zeros((1, *picture.shape[:2]), bool)
            masks[0, 2:8, number + 1 : number + 7] = True
            joints = np.full((1, 17, 3), 0.5, np.float32)
            kept = np.array([least <= 0.6])
            scores = np.array([0.6], np.float32)[kept]
            pose = tool == "pose"
            found.append(Found(scores, box[kept], None if pose else masks[kept], joints[kept] if pose else None))
        return found

    def answer(self, picture: NDArray[np.uint8], question: str, longest: int) -> str:
        return f"you asked {question}"

    def caption(self, picture: NDArray[np.uint8], longest: int) -> str:
        return "a black picture"


@pytest.fixture
def played(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """The model, chosen for all of its roles; a folder and a file stand for its weights and its core."""
    (tmp_path / "seeing").mkdir()
    for name in ("seeing/config.json", "core.gguf"):
        (tmp_path / name).write_text("{}")
    core = weights.add("played-core", tmp_path / "core.gguf", "planner", "MIT", trust=True)
    weights.add("played", tmp_path / "seeing", "detect", "MIT", engine="backbone", trust=True)
    sight = Played()
    monkeypatch.setitem(provided._loaders, "backbone", lambda folder, weights_id: sight)
    monkeypatch.setattr("tools.engines.linked._core_of", lambda weights_id: core.id)
    for role in ROLES:
        monkeypatch.setenv(f"SUPERLINK_ROLE_{role.upper()}", "played")
    settings.cache_clear()
    evict_idle()
    return sight


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home / "store")


def run(tool: object, store: Store, image: Image = PICTURE, **args: object) -> Ref:
    ref = call(tool, {"image": store.put(image), **args}, store)  # type: ignore[arg-type]
    assert not isinstance(ref, list)
    return ref


def test_each_label_is_one_segment_and_the_record_names_it(played: Played, store: Store) -> None:
    ref = run(detect, store, labels=["people", "whatever the dog stands next to", "person"])
    found = store.get(ref)
    assert isinstance(found, Detections) and found.masks is None
    assert found.labels == ("people", "whatever the dog stands next to")
    assert played.asked == [("detect", "person"), ("detect", "whatever the dog stands next to")]
    provenance = ref["provenance"]
    assert provenance["links"] == [
        {"decoder": "perception", "queries": 4, "asked": "person"},
        {"decoder": "perception", "queries": 4, "asked": "whatever the dog stands next to"},
    ]
    assert {one["id"] for one in provenance["weights"]} == {"played", "played-core"}
    assert "notes" not in provenance


def test_without_labels_all_that_it_was_trained_on_is_asked_for(played: Played, store: Store) -> None:
    found = store.get(run(detect, store, labels=[]))
    assert isinstance(found, Detections) and found.labels == Played.categories


def test_the_lowest_score_is_the_callers(played: Played, store: Store) -> None:
    found = store.get(run(detect, store, labels=["dog"], min_score=0.7))
    assert isinstance(found, Detections) and len(found) == 0


def test_masks_by_words_and_in_boxes(played: Played, store: Store) -> None:
    found = store.get(run(segment, store, labels=["red car"]))
    assert isinstance(found, Detections) and found.masks is not None and found.mask_array(0).sum() == 36
    boxes = Detections(np.array([[1, 1, 11, 21]]), ["cup"], np.ones(1), (40, 60))
    ref = run(segment, store, regions=store.put(boxes))
    outlined = store.get(ref)
    assert isinstance(outlined, Detections) and outlined.labels == ("cup",) and outlined.xyxy.tolist() == [[1, 2, 7, 8]]
    assert played.asked[-1] == ("segment", 200)
    assert ref["provenance"]["links"] == [{"decoder": "perception", "queries": 4, "asked": ""}]


def test_poses(played: Played, store: Store) -> None:
    ref = run(pose, store)
    assert ref["summary"]["count"] == 1 and played.asked == [("pose", "person")]
    assert ref["provenance"]["links"] == [{"decoder": "pose", "queries": 3, "asked": "person"}]


def test_answers_and_descriptions(played: Played, store: Store) -> None:
    said = store.get(run(ask, store, question="why?"))
    assert isinstance(said, Text) and said.text == "you asked why?"
    described = store.get(run(caption, store))
    assert isinstance(described, Text) and described.text == "a black picture"
    with pytest.raises(ToolError, match="question is empty"):
        run(ask, store, question=" ")


def test_of_a_photograph_it_says_first_that_it_knows_none(played: Played, store: Store) -> None:
    for tool, args in ((detect, {"labels": ["dog"]}), (caption, {}), (ask, {"question": "why?"}), (pose, {})):
        (note,) = run(tool, store, PHOTO, **args)["provenance"]["notes"]
        assert note.startswith("The picture does not look like superlink's rendered pictures")


def test_a_picture_is_looked_at_once_however_many_there_are(played: Played) -> None:
    shades = [np.full((40, 60, 3), shade, np.uint8) for shade in (0, 40, 200)]
    linked.find_phrases(shades, "detect", {"dog": "dog"}, 0.4)
    linked.poses(shades, "pose")
    assert played.looks == [0, 0, 40, 40, 200, 200] * 2


def test_frames_are_followed_by_words(played: Played, store: Store) -> None:
    clip = Video.from_frames((np.zeros((40, 60, 3), np.uint8) for _ in range(3)), 3)
    ref = call(track, {"video": store.put(clip), "labels": ["the dog left of the car"]}, store)
    assert not isinstance(ref, list) and ref["provenance"]["links"][0]["asked"] == "the dog left of the car"
    assert ref["summary"]["tracks"] == 1


def test_without_its_weights_it_says_so(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tools.weights.weights._ROOT", tmp_path)
    for role in ROLES:
        monkeypatch.setenv(f"SUPERLINK_ROLE_{role.upper()}", "backbone")
    settings.cache_clear()
    store = Store(tmp_path)
    for tool, args in (
        (detect, {"labels": ["dog left of"]}),
        (segment, {"labels": ["dog"]}),
        (caption, {}),
        (pose, {}),
    ):
        with pytest.raises(ToolError, match="weights backbone are not in this installation"):
            run(tool, store, **args)
        lacks = missing_of(tool, args)
        assert {one.weights for one in lacks} == {"backbone", "smollm2-135m"}


def test_without_a_program_that_hands_it_down_it_says_so(
    played: Played, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(provided._loaders, "backbone")
    with pytest.raises(SettingsInvalid, match="engine backbone is not loaded"):
        provided.provided("backbone")
    with pytest.raises(ToolError, match="engine backbone is not loaded"):
        run(detect, store, labels=["dog"])
