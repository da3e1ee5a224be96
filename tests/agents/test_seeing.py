"""The model that sees, as tools run it: a small random one, of real files, through the real engine."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from agents import seeing
from backbone.vision.seer import Seer
from backbone.vision.shipped import SENSES
from tests.backbone.conftest import write_tiny_core
from tests.backbone.tiny_model import write_seeing
from tools.ask import ask
from tools.core.errors import WeightsMissing
from tools.core.settings import settings
from tools.detect import detect
from tools.engines import linked
from tools.pose import pose
from tools.runtime.execute import call
from tools.runtime.model_cache import evict_idle
from tools.segment import segment
from tools.storage.store import Ref, Store
from tools.values import Detections, Image, Text
from tools.weights import weights

PICTURE = np.random.default_rng(3).integers(0, 255, (48, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The packed weights of a random model, and its core."""
    core = write_tiny_core(tmp_path_factory.mktemp("core"), spread=0.02)
    return write_seeing(core, tmp_path_factory.mktemp("seeing")), core


@pytest.fixture
def store(home: Path, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store, with the model chosen for all that it does, and scores that let something pass."""
    core = weights.add("tiny-core", files[1], "planner", "MIT", trust=True)
    weights.add("tiny-seeing", files[0], "detect", "MIT", engine="backbone")
    monkeypatch.setattr(linked, "_core_of", lambda weights_id: core.id)
    monkeypatch.setattr(linked, "USUAL_SCORE", 0.0)
    for role in ("detect", "segment", "segment_boxes", "pose", "ask"):
        monkeypatch.setenv(f"SUPERLINK_ROLE_{role.upper()}", "tiny-seeing")
    settings.cache_clear()
    yield Store(home / "store")
    evict_idle()


def run(tool: object, store: Store, **args: object) -> Ref:
    ref = call(tool, {"image": store.put(Image.from_numpy(PICTURE)), **args}, store)  # type: ignore[arg-type]
    assert not isinstance(ref, list)
    return ref


def test_the_tools_run_it_and_look_at_a_picture_once(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = Seer.look
    monkeypatch.setattr(Seer, "look", lambda self, images: looks.append(len(images)) or look(self, images))
    ref = run(detect, store, labels=["sofa", "the dog left of the car"])
    boxes, outlines = store.get(ref), store.get(run(segment, store, labels=["car"]))
    assert isinstance(boxes, Detections) and isinstance(outlines, Detections) and boxes.size == (48, 80)
    assert set(boxes.labels) <= {"sofa", "the dog left of the car"} and len(boxes)
    assert outlines.masks is not None
    assert [one["asked"] for one in ref["provenance"]["links"]] == ["couch", "the dog left of the car"]
    said = store.get(run(ask, store, question="how many dogs are there?"))
    assert isinstance(said, Text)
    assert run(pose, store)["provenance"]["links"] == [{"decoder": "pose", "queries": 4, "asked": "person"}]
    store.get(run(segment, store, regions=store.put(boxes)))
    assert looks == [1]
    assert len(list((home / "seeing").glob("*.safetensors"))) == 1


def test_another_picture_is_looked_at_again(store: Store, files: tuple[Path, Path]) -> None:
    sight = seeing.Sight.load(files[0], "tiny-core")
    for number in range(seeing.KEPT + 2):
        sight.answer(PICTURE + np.uint8(number), "why?", 1)
    assert len(sight._looks) == seeing.KEPT
    assert "person" in sight.categories
    for limit, strange in ((0.0, True), (torch.inf, False)):
        sight._familiar = sight._familiar._replace(limit=torch.tensor(limit))
        assert sight.strange(PICTURE) is strange


def test_damaged_weights_are_told(store: Store, files: tuple[Path, Path], tmp_path: Path) -> None:
    for file in files[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / SENSES).write_bytes(b"")
    with pytest.raises(WeightsMissing, match="backbone's weights are damaged"):
        seeing.Sight.load(tmp_path, "tiny-core")
