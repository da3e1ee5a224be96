"""Text in pictures by RapidOCR: PaddleOCR's models in ONNX, which come inside the package."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tools import weights
from tools.errors import WeightsMissing
from tools.resident import resident
from tools.settings import settings
from tools.values import Image, Segment, Transcript

_SMALLEST = 32  # the detector sees nothing in pictures with a shorter side
_LARGEST = 4000  # longer sides are brought down to this; small writing in a wall-sized scan is lost
_SAME_LINE = 0.5  # of two lines that overlap in height by this share, the left one is read first


class _Line(NamedTuple):
    text: str
    box: tuple[float, float, float, float]
    score: float


def read(image: Image) -> Transcript:
    """Read a picture.

    Raises:
        WeightsMissing: when the package `rapidocr` is not installed.
    """
    import cv2

    folder = weights.use(settings().role("read_text"))
    pixels = image.pixels[:, :, ::-1]  # as OpenCV has them
    longest, shortest = max(pixels.shape[:2]), min(pixels.shape[:2])
    scale = min(1.0, _LARGEST / longest)
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if shortest * scale < _SMALLEST:
        missing = _SMALLEST - min(pixels.shape[:2])
        pixels = np.pad(pixels, ((0, missing), (0, missing), (0, 0)), mode="edge")
    with _load.lease(folder) as reader:
        found = reader(np.ascontiguousarray(pixels))
    if found.boxes is None:
        return Transcript(())
    lines = [
        _Line(text, _box(corners / scale, image), float(np.clip(score, 0, 1)))
        for text, corners, score in zip(found.txts, found.boxes, found.scores, strict=True)
        if any(letter.isalnum() for letter in text)  # stars and rules are drawn, not written
    ]
    return Transcript(tuple(Segment(line.text, box=line.box, score=round(line.score, 4)) for line in _ordered(lines)))


@resident(bytes=250_000_000, device="cpu")
def _load(folder: Path) -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise WeightsMissing("The package rapidocr is not installed", "Run: pip install 'superlink[ocr]'") from error
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Det.model_path": str(folder / "PP-OCRv6_det_small.onnx"),
            "Rec.model_path": str(folder / "PP-OCRv6_rec_small.onnx"),
            "Cls.model_path": str(folder / "ch_ppocr_mobile_v2.0_cls_mobile.onnx"),
        }
    )


def _box(corners: Any, image: Image) -> tuple[float, float, float, float]:
    """The upright box around four corners (4, 2), within the picture."""
    x, y = np.clip(corners[:, 0], 0, image.width), np.clip(corners[:, 1], 0, image.height)
    return tuple(round(float(v), 1) for v in (x.min(), y.min(), x.max(), y.max()))  # type: ignore[return-value]


def _ordered(lines: list[_Line]) -> list[_Line]:
    """Lines from top to bottom, and from left to right where they stand side by side."""
    rows: list[list[_Line]] = []
    for line in sorted(lines, key=lambda each: each.box[1]):
        _, top, _, bottom = line.box
        for row in rows:
            _, first_top, _, first_bottom = row[0].box
            shared = min(bottom, first_bottom) - max(top, first_top)
            if shared > _SAME_LINE * min(bottom - top, first_bottom - first_top):
                row.append(line)
                break
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda each: each.box[0])]
