"""The demo: its page shows what records say and runs nothing, and a scene goes from a request to the page."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from superlink import Image, Store, settings
from tests.conftest import ROOT
from tools.core.errors import WeightsMissing
from tools.weights.weights import locate


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("superlink_demo", ROOT / "examples" / "demo.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def _written(folder: Path, answer: str) -> None:
    """Write what ``superlink run`` writes for a picture that was found and transcribed."""
    store = Store(settings().store_url)
    picture = Image.from_numpy(np.zeros((4, 6, 3), np.uint8))
    given = store.put(picture)
    folder.mkdir(parents=True)
    (folder / "s1_detect.png").write_bytes(picture.to_bytes())
    (folder / "s1_detect.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\n<b>Hello</b>\n")
    used = {"id": "nanodet", "licence": "Apache-2.0", "sha256": "ab" * 32}
    step = {"id": "s1", "tool": "detect", "state": "finished", "seconds": 0.25}
    ref = {**given, "provenance": {"weights": [used]}}
    record = {
        "plan": {"request": "find it", "steps": [{"id": "s1", "tool": "detect", "args": {"image": "$image"}}]},
        "given": {"image": given},
        "steps": [{**step, "refs": ref}],
        "answer": answer,
        "result": "done",
        "files": {"s1": ["s1_detect.png", "s1_detect.srt"]},
    }
    (folder / "record.json").write_text(json.dumps(record))


def test_the_page_shows_what_the_records_say_and_escapes_it(
    demo: ModuleType, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def superlink(arguments: list[str]) -> int:
        _written(Path(arguments[arguments.index("--out") + 1]), "Found <script>alert(1)</script>")
        return 0

    monkeypatch.setattr(demo, "superlink", superlink)
    scene = demo.Scene("one", "A title", "find it", lambda _: [tmp_path / "a photo.png"])
    shown = demo.run_scene(scene, tmp_path)
    page = demo.write_page(tmp_path, [shown], 12_000_000, 3.0).read_text()

    assert "<script" not in page and "Found &lt;script&gt;" in page
    assert "&lt;b&gt;Hello&lt;/b&gt;" in page
    assert page.count('src="data:image/jpeg;base64,') == 2  # before and after, whole in the page
    assert "a photo" in page and "detect 250 ms" in page and "12 MB" in page
    assert re.search(r"nanodet</td><td><span class=licence>Apache-2.0</span>", page)
    assert {"one/s1_detect.png", "one/s1_detect.srt", "one/record.json"} == set(re.findall(r'href="([^"]+)"', page))
    assert all((tmp_path / href).is_file() for href in re.findall(r'href="([^"]+)"', page))


def test_a_scene_that_fails_is_told_as_failed(
    demo: ModuleType, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "superlink", lambda arguments: 1)
    shown = demo.run_scene(demo.Scene("one", "A title", "find it", lambda _: [tmp_path / "a.png"]), tmp_path)
    assert shown.failed
    assert "No plan" in demo.write_page(tmp_path, [shown], 0, 0.0).read_text()


@pytest.mark.parametrize("missing", ["", "ultralytics"])
def test_every_scene_has_photographs_that_are_installed(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(demo, "find_spec", lambda package: None if package == missing else find_spec(package))
    for scene in demo.SCENES:
        if scene.name in ("speak", "hear"):  # their files are made
            continue
        files = scene.files(tmp_path)
        assert files and all(file.is_file() for file in files), scene.name


def test_faces_are_blurred_from_request_to_page(demo: ModuleType, tmp_path: Path) -> None:
    try:
        for needed in ("smollm2-135m", "centerface"):
            locate(needed)
    except WeightsMissing as error:
        pytest.skip(str(error))
    pictures = demo.photographs("astronaut")(tmp_path)
    shown = demo.run_scene(demo.Scene("blur", "Faces", "blur every face", lambda _: pictures), tmp_path)
    (item,) = shown.items
    assert not shown.failed and not item.failed and "Blurred 1 face" in item.answer
    assert {row.tool: row.licence for row in shown.weights} == {"detect": "MIT"}
    before, after = (
        Image.from_bytes(file.read_bytes()).pixels for file in (pictures[0], tmp_path / "blur/s2_redact.png")
    )
    assert before.shape == after.shape and (before != after).any(axis=2).mean() < 0.2
