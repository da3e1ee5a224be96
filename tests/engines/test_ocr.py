"""Text is read off drawn and real pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont

from tools import Image, Store, Transcript
from tools.execute import call
from tools.read_text import read_text

pytest.importorskip("rapidocr")


def written(lines: list[tuple[int, int, str]], size: tuple[int, int] = (900, 420), font: int = 64) -> Image:
    picture = Pil.new("RGB", size, (252, 250, 244))
    pen = ImageDraw.Draw(picture)
    for x, y, text in lines:
        pen.text((x, y), text, fill=(30, 20, 60), font=ImageFont.load_default(font))
    return Image.from_pil(picture)


def read(image: Image, store: Store) -> Transcript:
    ref = call(read_text, {"image": store.put(image)}, store, "s1")
    assert not isinstance(ref, list)
    assert ref["provenance"]["weights"][0]["id"] == "rapidocr"
    value = store.get(ref)
    assert isinstance(value, Transcript)
    return value


def test_lines_come_in_reading_order_with_their_boxes(store: Store) -> None:
    image = written([(520, 40, "RIGHT"), (40, 44, "LEFT"), (40, 240, "BELOW 42")])
    found = read(image, store)
    assert [segment.text.replace(" ", "") for segment in found.segments] == ["LEFT", "RIGHT", "BELOW42"]
    left, right, below = (segment.box for segment in found.segments)
    assert left and right and below
    assert left[2] < right[0] and left[3] < below[1]
    assert 20 < left[0] < 60 and 30 < left[1] < 80
    assert all(segment.score and segment.score > 0.7 for segment in found.segments)


def test_no_text_is_an_empty_transcript(store: Store) -> None:
    assert read(Image.from_numpy(np.full((200, 300, 3), 128, np.uint8)), store).segments == ()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (600, 8)])
def test_tiny_pictures_are_no_fault(size: tuple[int, int], store: Store) -> None:
    assert read(Image.from_numpy(np.zeros((*size, 3), np.uint8)), store).text == ""


def test_a_large_picture_is_read_in_its_own_pixels(store: Store) -> None:
    found = read(written([(3000, 2000, "WIDE OPEN")], size=(6000, 3000), font=300), store)
    assert "WIDE" in found.text
    box = found.segments[0].box
    assert box and box[0] > 2900 and box[1] > 1950


def test_the_same_picture_gives_the_same_bytes(store: Store) -> None:
    image = written([(40, 60, "again and again")])
    assert read(image, store).to_bytes() == read(image, store).to_bytes()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("2380325.jpg", {"ABBEY", "ROAD", "NW8", "CITY", "OF", "WESTMINSTER"}),
        ("COCO_train2014_000000113236.jpg", {"STOP"}),
    ],
)
def test_real_signs(shared: Path, file: str, words: set[str], store: Store) -> None:
    assert words <= set(read(Image.open(shared / "media" / "photos" / file), store).text.split())
