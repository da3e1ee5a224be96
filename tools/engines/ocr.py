"""Text recognition by RapidOCR: PaddleOCR's small models, run by ONNX Runtime on the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError
from tools.core.progress import counted, track
from tools.core.settings import settings
from tools.runtime.model_cache import resident
from tools.values import Image, Segment, Transcript
from tools.weights import weights

_MODELS = {"Det": "*det*.onnx", "Rec": "*rec*.onnx", "Cls": "*cls*.onnx"}
# Lines are detected in tiles of at most this side. The picture is scaled down so that its shorter side fits, then cut
# along the longer one: a long screenshot stays legible, and the number of tiles small.
_TILE = 2000
_OVERLAP = 200
_MAX_ASPECT = 4  # longer tiles are padded, because the detector scales up the shorter side
_MIN_CONFIDENCE = 0.5  # below, most results are no text
_LINES = 6  # that are recognised together
_SAME_ROW = 0.5  # lines are in one row when they share this part of the higher one's height


class _Lines(Protocol):
    boxes: NDArray[np.float32] | None
    txts: Sequence[str]
    scores: Sequence[float]


class _Engine(Protocol):
    """What is used of a `rapidocr.RapidOCR`; quadrilaterals are (N, 4, 2)."""

    def __call__(self, pixels: NDArray[np.uint8], *, use_det: bool, use_cls: bool, use_rec: bool) -> _Lines: ...
    def crop_text_regions(self, pixels: NDArray[np.uint8], quads: NDArray[np.float32]) -> list[NDArray[np.uint8]]: ...
    def cls_and_rotate(self, crops: list[NDArray[np.uint8]]) -> tuple[list[NDArray[np.uint8]], object]: ...
    def recognize_txt(self, crops: list[NDArray[np.uint8]]) -> _Lines: ...


def read(image: Image) -> Transcript:
    """Read the lines of text in a picture, rows from the top, each from the left.

    Returns:
        One segment for each line, with its box in pixels and a score.

    Raises:
        WeightsMissing: when the weights are not on this computer.
        ToolError: when they are for something else.
    """
    weights_id = settings().role("read_text")
    folder = weights.use(weights_id)
    pixels = np.ascontiguousarray(image.pixels[:, :, ::-1])  # BGR
    with _load.lease(folder, weights_id) as engine:
        quads = _find(engine, pixels)
        if not quads:
            return Transcript(())
        crops = engine.crop_text_regions(pixels, np.stack(quads))
        upright = engine.cls_and_rotate(crops)[0]
        read_lines = _recognise(engine, upright)
    limit = np.array([image.width, image.height])
    lines = []
    for quad, (text, score) in zip(quads, read_lines, strict=True):
        if text.strip() and score >= _MIN_CONFIDENCE:
            x0, y0 = np.clip(quad.min(axis=0), 0, limit).tolist()
            x1, y1 = np.clip(quad.max(axis=0), 0, limit).tolist()
            lines.append(Segment(text.strip(), box=(x0, y0, x1, y1), score=min(score, 1.0)))
    return Transcript(tuple(in_reading_order(lines)))


def _recognise(engine: _Engine, crops: Sequence[NDArray[np.uint8]]) -> list[tuple[str, float]]:
    """Return the text and the score of each line."""
    found = [("", 0.0)] * len(crops)
    # The batches that the library itself makes: lines of about the same shape.
    order = sorted(range(len(crops)), key=lambda number: crops[number].shape[1] / crops[number].shape[0])
    with counted(len(crops)) as tell:
        for start in range(0, len(order), _LINES):
            tell(start)
            part = order[start : start + _LINES]
            lines = engine.recognize_txt([crops[number] for number in part])
            for number, text, score in zip(part, lines.txts, lines.scores, strict=True):
                found[number] = text, float(score)
    return found


def in_reading_order(lines: Sequence[Segment]) -> list[Segment]:
    """Sort lines that have boxes into rows from the top, each row from the left."""
    rows: list[list[Segment]] = []
    for line in sorted(lines, key=lambda line: _span(line)[0] + _span(line)[1]):
        if rows:
            (top, bottom), (other_top, other_bottom) = _span(line), _span(rows[-1][-1])
            shared = min(bottom, other_bottom) - max(top, other_top)
            if shared >= _SAME_ROW * max(bottom - top, other_bottom - other_top):
                rows[-1].append(line)
                continue
        rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box or ())]


def _span(line: Segment) -> tuple[float, float]:
    return (line.box[1], line.box[3]) if line.box else (0.0, 0.0)


@resident(bytes=300_000_000, device="cpu")
def _load(folder: Path, weights_id: str) -> _Engine:
    try:
        import onnxruntime
        from rapidocr import RapidOCR
    except ModuleNotFoundError as error:
        raise ToolError(f"The package {error.name} is not installed", "Run: pip install 'superlink[ocr]'") from error
    onnxruntime.disable_telemetry_events()
    params: dict[str, str | int] = {"Global.log_level": "error", "Rec.rec_batch_num": _LINES}
    for part, pattern in _MODELS.items():
        # RapidOCR downloads models whose paths it is not given.
        files = sorted(folder.glob(pattern))
        if len(files) != 1:
            raise ToolError(
                f"The weights {weights_id} in {folder} have {len(files)} files called {pattern}, not one",
                "Choose other weights for the role read_text in settings.toml",
            )
        params[f"{part}.model_path"] = str(files[0])
    engine: _Engine = RapidOCR(params=params)
    return engine


@dataclass(eq=False)
class _Line:
    quad: NDArray[np.float32]  # (4, 2) corners from the upper left, clockwise
    tile: int


def _find(engine: _Engine, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return the four corners (4, 2) of each line, in pixels of the picture."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, _TILE / min(height, width))
    small = pixels
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    back = np.array([width / small.shape[1], height / small.shape[0]], dtype=np.float32)
    tall = height > width
    lines: list[_Line] = []
    for number, start in enumerate(track(_starts(max(small.shape[:2])))):
        tile = small[start : start + _TILE] if tall else small[:, start : start + _TILE]
        corner = np.array([0, start] if tall else [start, 0], dtype=np.float32)
        found = engine(_padded(tile), use_det=True, use_cls=False, use_rec=False)
        for quad in found.boxes if found.boxes is not None else ():
            inside = np.clip(quad.astype(np.float32), 0, np.array(tile.shape[1::-1], dtype=np.float32))
            if np.ptp(inside, axis=0).min() >= 1:  # not in the padding
                _join(lines, _Line(inside + corner, number))
    return [line.quad * back for line in lines]


def _starts(length: int) -> list[int]:
    """Return the starts of tiles at equal distances, with at least the overlap between neighbours."""
    count = 1 if length <= _TILE else -(-(length - _OVERLAP) // (_TILE - _OVERLAP))
    return [round(i * (length - _TILE) / (count - 1)) for i in range(count)] if count > 1 else [0]


def _padded(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = tile.shape[:2]
    least = -(-max(height, width) // _MAX_ASPECT)
    missing = max(0, least - height), max(0, least - width)
    return np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else tile


def _join(lines: list[_Line], line: _Line) -> None:
    """Add a line, merged with the lines of earlier tiles that show the whole or a part of it."""
    for other in [other for other in lines if other.tile < line.tile and _same(other.quad, line.quad)]:
        lines.remove(other)
        corners = np.concatenate([other.quad, line.quad])
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        line = _Line(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float32), line.tile)
    lines.append(line)


def _same(one: NDArray[np.float32], two: NDArray[np.float32]) -> bool:
    """Return whether two outlines overlap, over most of the height of the lower one."""
    low = np.minimum(one.max(axis=0), two.max(axis=0)) - np.maximum(one.min(axis=0), two.min(axis=0))
    heights = np.ptp(one[:, 1]), np.ptp(two[:, 1])
    return bool(low[0] > 0 and low[1] >= 0.6 * min(heights))
