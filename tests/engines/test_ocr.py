"""Reading text in pictures: drawn ones, whose words and places are known, and photographs."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont

pytest.importorskip("rapidocr")

from tools.core.errors import ToolError
from tools.core.settings import settings
from tools.engines import ocr
from tools.read_text import read_text
from tools.runtime.execute import call
from tools.storage.store import Ref, Store
from tools.values import Image, Segment, Transcript
from tools.weights import weights

SIDE = 400  # of the tiles, in the tests that cut pictures up


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home / "store")


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_TILE", SIDE)
    monkeypatch.setattr(ocr, "_OVERLAP", 80)


def drawn(size: tuple[int, int], *words: tuple[int, int, str], height: int = 30) -> Image:
    picture = Pil.new("RGB", size, "white")
    for x, y, text in words:
        ImageDraw.Draw(picture).text((x, y), text, fill="black", font=ImageFont.load_default(height))
    return Image.from_pil(picture)


def run(store: Store, image: Image) -> tuple[Ref, Transcript]:
    ref = call(read_text, {"image": store.put(image)}, store, "s1")
    assert isinstance(ref, dict)
    value = store.get(ref)
    assert isinstance(value, Transcript)
    return ref, value


def test_lines_come_in_reading_order_with_their_boxes(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    image = drawn((400, 200), (20, 120, "Second line 42"), (220, 24, "RIGHT side"), (20, 20, "Hello world"))
    ref, transcript = run(store, image)
    assert [s.text for s in transcript.segments] == ["Hello world", "RIGHT side", "Second line 42"]
    assert transcript.text == "Hello world\nRIGHT side\nSecond line 42"
    for segment, (x, y) in zip(transcript.segments, [(20, 20), (220, 24), (20, 120)], strict=True):
        assert segment.box is not None and segment.score is not None
        assert segment.box[:2] == pytest.approx((x, y), abs=10)
        assert segment.box[3] - segment.box[1] == pytest.approx(30, abs=10)
        assert segment.score > 0.9 and segment.start is None
    assert [used["id"] for used in ref["provenance"]["weights"]] == ["rapidocr"]
    assert run(store, image)[0]["sha256"] == ref["sha256"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(1, 1), (150, 100), (8, 1000)])
def test_a_picture_without_text_gives_no_segments(
    store: Store, size: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    _, transcript = run(store, drawn(size))
    assert transcript.segments == () and transcript.text == ""
    assert capfd.readouterr() == ("", "")


def test_no_line_of_a_long_picture_is_lost_or_read_twice(store: Store, small_tiles: None) -> None:
    """Some of the lines lie across the tiles' edges."""
    expected = [f"line number {i}" for i in range(11)]
    image = drawn((200, 640), *((10, 57 * i + 10, text) for i, text in enumerate(expected)), height=28)
    assert [s.text for s in run(store, image)[1].segments] == expected


def test_a_line_longer_than_a_tile_is_read_whole(store: Store, small_tiles: None) -> None:
    words = "The quick brown fox jumps over the lazy dog"
    _, transcript = run(store, drawn((700, 100), (15, 30, words)))
    assert [s.text.replace(" ", "") for s in transcript.segments] == [words.replace(" ", "")]
    box = transcript.segments[0].box
    assert box is not None and box[0] < 30 and box[2] > 600


def test_a_large_picture_has_its_boxes_in_its_own_pixels(store: Store, small_tiles: None) -> None:
    _, transcript = run(store, drawn((1200, 1200), (300, 800, "Large letters"), height=120))
    assert transcript.text == "Large letters"
    assert transcript.segments[0].box == pytest.approx((300, 820, 1010, 920), abs=40)


def test_rows_go_from_the_top_and_each_from_the_left() -> None:
    def line(text: str, x: float, y: float, height: float = 20) -> Segment:
        return Segment(text, box=(x, y, x + 50, y + height))

    lines = [
        line("d", 0, 60),
        line("b", 100, 4),
        line("e", 100, 55),
        line("a", 0, 0),
        line("c", 0, 30),
        line("tall", 300, 0, 90),
    ]
    assert [s.text for s in ocr.in_reading_order(lines)] == ["a", "b", "c", "tall", "d", "e"]


@pytest.mark.parametrize("length", [1, 399, 400, 401, 720, 721, 5000])
def test_tiles_cover_the_picture_and_overlap(length: int, small_tiles: None) -> None:
    starts = ocr._starts(length)
    assert starts[0] == 0 and starts[-1] + SIDE >= length
    assert all(a + SIDE - b >= 80 for a, b in zip(starts, starts[1:], strict=False))
    assert length <= SIDE or starts[-1] + SIDE == length


def test_other_weights_are_refused_by_name(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "others"
    folder.mkdir()
    (folder / "other.onnx").write_bytes(b"not text")
    weights.add("others", folder, "read_text", "MIT", trust=True)
    monkeypatch.setenv("SUPERLINK_ROLE_READ_TEXT", "others")
    settings.cache_clear()
    with pytest.raises(ToolError, match=r"The weights others .*det.*Choose other weights for the role read_text"):
        run(store, drawn((50, 50)))


@pytest.mark.parametrize(
    ("name", "words"),
    [("COCO_train2014_000000113236.jpg", ["STOP"]), ("2380325.jpg", ["ABBEY", "ROAD NW8", "CITY OF WESTMINSTER"])],
)
def test_signs_in_photographs_are_read(store: Store, shared: Path, name: str, words: list[Any]) -> None:
    photo = shared / "media" / "photos" / name
    if not photo.is_file():
        pytest.skip("the photograph is not there")
    assert [s.text for s in run(store, Image.open(photo))[1].segments] == words
