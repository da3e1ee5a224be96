"""The specialists' training, on a few small pictures, with ultralytics' own trainer."""

import zipfile
from pathlib import Path

import pytest
import torch

from backbone.training import specialists as train_specialists
from backbone.training.specialists import data, train
from tools.core.settings import settings
from tools.engines import yolo
from tools.weights import weights


def test_specialists_are_trained_and_shipped_clean(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_specialists, "SIZE", 64)
    monkeypatch.setitem(train_specialists._RECIPE, "imgsz", 64)
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    threads = torch.get_num_threads()
    folder = data(tmp_path / "data", 8, 4)
    stamp = (folder / "ready.txt").stat().st_mtime_ns
    made = {}
    for task in ("segment", "pose", "colours"):
        made[task] = train(task, tmp_path, folder, epochs=1)
        again = made[task].stat().st_mtime_ns
        assert train(task, tmp_path, folder, epochs=1).stat().st_mtime_ns == again  # what is trained stays
        assert len((tmp_path / f"{task}.csv").read_text().splitlines()) == 2
    assert data(tmp_path / "data", 8, 4) == folder and (folder / "ready.txt").stat().st_mtime_ns == stamp
    with zipfile.ZipFile(made["segment"]) as file:
        assert str(tmp_path).encode() not in b"".join(file.read(name) for name in file.namelist())
    for task, role in (("segment", "segment"), ("pose", "pose"), ("colours", "detect_open")):
        weights.add(f"mine-{task}", made[task], role, "AGPL-3.0-only", trust=True)
        monkeypatch.setenv(f"SUPERLINK_ROLE_{role.upper()}", f"mine-{task}")
    settings.cache_clear()
    assert yolo.class_names("segment", masks=True)[0] == "person"
    assert yolo.class_names("pose") == {0: "person"}
    assert "red thing" in yolo.class_names("detect_open").values()
    torch.set_num_threads(threads)
