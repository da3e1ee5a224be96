"""Detections, poses and text drawn onto a picture for people to look at, and contact sheets of pictures."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from common.skeleton import EDGES, KEYPOINTS
from tools.core.errors import ValueInvalid
from tools.imaging.regions import check_size
from tools.values import Detections, Image, Poses, Transcript

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]

_PALETTE: tuple[Colour, ...] = (
    (255, 76, 96),
    (0, 184, 148),
    (255, 176, 32),
    (84, 112, 255),
    (168, 85, 247),
    (0, 180, 230),
    (255, 122, 60),
    (236, 72, 153),
    (110, 190, 50),
    (200, 150, 90),
    (20, 140, 160),
    (240, 220, 60),
)
_LEFT, _RIGHT, _MIDDLE = (0, 200, 160), (255, 140, 40), (90, 140, 255)
_TEXT = (0, 150, 200)
_PERSON = "person"
_SHADE = 0.35  # darker edge of lines, so that they show on any background
_MASK_OPACITY = 0.4
_KEYPOINT_SCORE = 0.3  # below it, keypoints are guesses outside the picture or behind something
_LEGIBLE = 384  # pixels of the longer side; smaller pictures are enlarged
_LONGEST_LABEL = 40  # characters
_FRACTION = 4  # bits below the pixel in which cv2 is given positions
# Scripts that DejaVu does not have, and files that have them where a system font is installed.
_EAST_ASIAN = re.compile("[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_EAST_ASIAN_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "msyh.ttc",
    "PingFang.ttc",
    "Arial Unicode.ttf",
    "DroidSansFallbackFull.ttf",
)


class _Label(NamedTuple):
    text: str
    box: Box
    colour: Colour
    font: int
    optional: bool = False


def draw(image: Image, *values: Detections | Poses | Transcript) -> Image:
    """Draw boxes, masks, tracks, poses and read text onto a picture.

    Every label has its colour, the same in every picture unless two labels of one picture would share it.
    Keypoints with a score below 0.3 are left out, as are segments of a transcript that have no box. The words of
    a segment are written beside its box if there is room that hides no other line. Pictures with a longer side
    below 384 pixels are enlarged by a whole number, so that the labels can be read.

    Args:
        image: The picture.
        values: Detections, poses and text of this picture; of tracks, the rows of this frame.

    Returns:
        A new picture.

    Raises:
        ValueInvalid: when a value belongs to a picture of another size.
    """
    for value in values:
        if not isinstance(value, Transcript):
            check_size(image, value)
    enlarge = max(1, math.ceil(_LEGIBLE / max(image.size)))
    canvas = _resized(image.pixels, image.width * enlarge, image.height * enlarge)
    middle_side = math.sqrt(canvas.shape[0] * canvas.shape[1])
    line = max(2, round(middle_side / 320))
    font = max(12, round(middle_side / 40))
    colours = _colours(values)
    labels: list[_Label] = []
    for value in values:
        if isinstance(value, Detections):
            labels += _draw_detections(canvas, value, enlarge, line, font, colours)
        elif isinstance(value, Poses):
            labels += _draw_poses(canvas, value, enlarge, line, font, colours[_PERSON])
        else:
            labels += _draw_transcript(canvas, value, enlarge, line, font)
    return Image.from_pil(_write_labels(canvas, labels))


def contact_sheet(images: Sequence[Image], captions: Sequence[str]) -> Image:
    """Lay pictures out in a grid, each with its caption below.

    Args:
        images: At least one picture.
        captions: One for each; long ones are cut to two lines.

    Returns:
        A picture of at most about 4000 pixels in width.

    Raises:
        ValueInvalid: without pictures, or when there are not as many captions.
    """
    from PIL import Image as Pil
    from PIL import ImageDraw

    if not images or len(images) != len(captions):
        raise ValueInvalid(
            f"A contact sheet needs pictures and as many captions, not {len(images)} pictures "
            f"and {len(captions)} captions"
        )
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    cell = min(320, max(48, 4000 // columns))
    gap, size = max(4, cell // 16), max(9, cell // 20)
    below = round(size * 3.2)
    sheet = Pil.new("RGB", (columns * (cell + gap) + gap, rows * (cell + below + gap) + gap), (250, 250, 252))
    pen = ImageDraw.Draw(sheet)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, top = gap + i % columns * (cell + gap), gap + i // columns * (cell + below + gap)
        scale = cell / max(image.size)
        small = Pil.fromarray(
            _resized(image.pixels, max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        )
        pen.rectangle((left, top, left + cell - 1, top + cell - 1), (236, 237, 241))
        sheet.paste(small, (left + (cell - small.width) // 2, top + (cell - small.height) // 2))
        font = _font(size, caption)
        for n, text in enumerate(_lines(caption, font, cell)):
            pen.text((left + cell / 2, top + cell + size * (0.9 + 1.25 * n)), text, (40, 42, 50), font, anchor="mm")
    return Image.from_pil(sheet)


def _colours(values: Iterable[Detections | Poses | Transcript]) -> dict[str, Colour]:
    """Return a colour for each label: the one at the hash of its name in the palette, or the next free one."""
    names = {name for v in values if isinstance(v, Detections) for name in v.labels} | {_PERSON}
    label_at: dict[int, str] = {}
    for name in sorted(names):
        start = crc32(name.encode())
        places = [(start + i) % len(_PALETTE) for i in range(len(_PALETTE))]
        place = next((p for p in places if p not in label_at), None)
        if place is None:
            break
        label_at[place] = name
    chosen = {name: _PALETTE[place] for place, name in label_at.items()}
    return {name: chosen.get(name, _PALETTE[crc32(name.encode()) % len(_PALETTE)]) for name in names}


def _draw_detections(
    canvas: Pixels, found: Detections, enlarge: int, line: int, font: int, colours: dict[str, Colour]
) -> list[_Label]:
    labels: list[_Label] = []
    boxes = found.xyxy * enlarge
    # Large things first, so that small ones in front of them stay visible.
    for i in np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable"):
        name, colour = found.labels[i], colours[found.labels[i]]
        box = _corners(boxes[i])
        if found.masks is not None:
            _draw_mask(canvas, found.mask_array(int(i)), enlarge, colour, line)
        _draw_box(canvas, box, colour, line if found.masks is None else max(1, line // 2))
        number = "" if found.ids is None else f" #{found.ids[i]}"
        labels.append(_Label(f"{_shortened(name)}{number} {found.scores[i]:.2f}", box, colour, font))
    return labels


def _draw_poses(canvas: Pixels, poses: Poses, enlarge: int, line: int, font: int, colour: Colour) -> list[_Label]:
    labels: list[_Label] = []
    for keypoints, score, xyxy in zip(poses.keypoints, poses.scores, poses.xyxy * enlarge, strict=True):
        box = _corners(xyxy)
        _draw_box(canvas, box, colour, max(1, line // 2))
        labels.append(_Label(f"{_PERSON} {score:.2f}", box, colour, font))
        # Limbs as thick as the person is large: people in the distance would otherwise be blots.
        limb = max(1, min(round(line * 1.5), round((box[3] - box[1]) / 60)))
        seen = keypoints[:, 2] >= _KEYPOINT_SCORE
        points = keypoints[:, :2] * enlarge
        for shade, width in ((_SHADE, limb + 2), (1.0, limb)):
            for a, b in EDGES:
                if seen[a] and seen[b]:
                    side = _side(KEYPOINTS[a]) if _side(KEYPOINTS[a]) == _side(KEYPOINTS[b]) else _MIDDLE
                    _line(canvas, points[a], points[b], _scaled(side, shade), width)
        for name, point in zip(np.array(KEYPOINTS)[seen], points[seen], strict=True):
            _dot(canvas, point, (255, 255, 255), limb * 1.5 + 1)
            _dot(canvas, point, _side(str(name)), limb * 1.5)
    return labels


def _draw_transcript(canvas: Pixels, transcript: Transcript, enlarge: int, line: int, font: int) -> list[_Label]:
    labels: list[_Label] = []
    for segment in transcript.segments:
        if segment.box is None:
            continue
        box = _corners(np.array(segment.box) * enlarge)
        _draw_box(canvas, box, _TEXT, max(1, line // 2))
        # Lines of text stand close together: labels are smaller than the words that they repeat.
        size = max(9, min(font, round((box[3] - box[1]) * 0.6)))
        score = "" if segment.score is None else f" {segment.score:.2f}"
        labels.append(_Label(f"{_shortened(segment.text)}{score}", box, _TEXT, size, optional=True))
    return labels


def _draw_box(canvas: Pixels, box: Box, colour: Colour, line: int) -> None:
    """Draw a frame whose outer edge is the box, with a darker line inside it."""
    height, width = canvas.shape[:2]
    x0, y0 = min(max(round(box[0]), 0), width - 1), min(max(round(box[1]), 0), height - 1)
    x1, y1 = min(max(round(box[2]), x0 + 1), width), min(max(round(box[3]), y0 + 1), height)
    for thickness, paint in ((line + max(1, line // 3), _scaled(colour, _SHADE)), (line, colour)):
        canvas[y0 : min(y0 + thickness, y1), x0:x1] = paint
        canvas[max(y1 - thickness, y0) : y1, x0:x1] = paint
        canvas[y0:y1, x0 : min(x0 + thickness, x1)] = paint
        canvas[y0:y1, max(x1 - thickness, x0) : x1] = paint


def _draw_mask(canvas: Pixels, mask: NDArray[np.bool_], enlarge: int, colour: Colour, line: int) -> None:
    """Tint a mask (H, W) and draw its outline."""
    import cv2

    large = np.repeat(np.repeat(mask, enlarge, axis=0), enlarge, axis=1)
    tinted = canvas[large] * (1 - _MASK_OPACITY) + np.array(colour) * _MASK_OPACITY
    canvas[large] = tinted.round().astype(np.uint8)
    outlines, _ = cv2.findContours(large.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(canvas, outlines, True, _scaled(colour, _SHADE), line + 2, cv2.LINE_AA)
    cv2.polylines(canvas, outlines, True, colour, line, cv2.LINE_AA)


def _line(canvas: Pixels, start: Floats, end: Floats, colour: Colour, thickness: int) -> None:
    import cv2

    cv2.line(canvas, _fixed(start), _fixed(end), colour, thickness, cv2.LINE_AA, _FRACTION)


def _dot(canvas: Pixels, centre: Floats, colour: Colour, radius: float) -> None:
    import cv2

    cv2.circle(canvas, _fixed(centre), round(radius * 2**_FRACTION), colour, -1, cv2.LINE_AA, _FRACTION)


def _write_labels(canvas: Pixels, labels: Sequence[_Label]) -> "PilImage":
    """Write the labels last, each where it covers the others least; an optional one only where it covers nothing."""
    from PIL import Image as Pil
    from PIL import ImageDraw

    picture = Pil.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    written: list[Box] = []
    lines = [label.box for label in labels if label.optional]
    for label in sorted(labels, key=lambda label: label.optional):
        font = _font(label.font, label.text)
        gap = max(3, label.font // 4)
        text = _fitted(label.text, font, picture.width - 2 * gap)
        width = math.ceil(font.getlength(text)) + 2 * gap
        height = round(label.font * 1.4)
        blocked = written + lines if label.optional else written
        (x, y), covered = _place(label.box, width, height, picture.size, blocked)
        if label.optional and covered:
            continue
        written.append((x, y, x + width, y + height))
        pen.rectangle((x, y, x + width - 1, y + height - 1), label.colour)
        dark = np.dot(label.colour, (0.299, 0.587, 0.114)) < 150
        pen.text((x + gap, y + height / 2), text, (255, 255, 255) if dark else (20, 20, 24), font, anchor="lm")
    return picture


def _place(
    box: Box, width: int, height: int, size: tuple[int, int], blocked: Sequence[Box]
) -> tuple[tuple[int, int], float]:
    """Choose a label's place: above its box, or whichever place around it covers the least of `blocked`.

    Returns:
        Left and top of the label, and the area in pixels that it covers there.
    """
    x0, y0, x1, y1 = (round(v) for v in box)
    others = np.array(blocked, np.float64).reshape(-1, 4)

    def covered(x: int, y: int) -> float:
        across = np.minimum(others[:, 2], x + width) - np.maximum(others[:, 0], x)
        down = np.minimum(others[:, 3], y + height) - np.maximum(others[:, 1], y)
        return float((across.clip(0) * down.clip(0)).sum())

    best, least = (0, 0), math.inf
    for x, y in (
        (x0, y0 - height),
        (x1 - width, y0 - height),
        (x0, y0),
        (x0, y1),
        (x1 - width, y1),
        (x0, y1 - height),
        (x1, y0),
    ):
        if y < 0 or y + height > size[1]:
            continue
        x = max(0, min(x, size[0] - width))
        if covered(x, y) < least:
            best, least = (x, y), covered(x, y)
    return best, least


def _font(size: int, text: str) -> "FreeTypeFont | ImageFont":
    """Return DejaVu Sans, for East Asian text a font of the system if there is one, or Pillow's own."""
    return _loaded_font(size, _EAST_ASIAN.search(text) is not None)


@cache
def _loaded_font(size: int, east_asian: bool) -> "FreeTypeFont | ImageFont":
    from PIL import ImageFont

    for name in (*(_EAST_ASIAN_FONTS if east_asian else ()), *_dejavu()):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _dejavu() -> Iterator[str]:
    """Yield the path of the font that matplotlib carries, without importing matplotlib, which is slow."""
    package = find_spec("matplotlib")
    for folder in (package.submodule_search_locations or []) if package else []:
        yield str(Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf")


def _fitted(text: str, font: "FreeTypeFont | ImageFont", width: float) -> str:
    """Return the text, cut to a width in pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _lines(text: str, font: "FreeTypeFont | ImageFont", width: float) -> list[str]:
    """Return the text as at most two lines of a width in pixels."""
    words = text.split()
    first = ""
    while words and font.getlength(f"{first} {words[0]}".strip()) <= width:
        first = f"{first} {words.pop(0)}".strip()
    if not first and words:
        return [_fitted(" ".join(words), font, width)]
    return [first, _fitted(" ".join(words), font, width)] if words else [first]


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return a writable copy of the pixels (H, W, 3) in another size."""
    import cv2

    if (height, width) == pixels.shape[:2]:
        return np.array(pixels)
    smaller = width < pixels.shape[1]
    resized: Pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return resized


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1].rstrip()}…"


def _corners(xyxy: Floats) -> Box:
    x0, y0, x1, y1 = (float(v) for v in xyxy)
    return x0, y0, x1, y1


def _fixed(point: Floats) -> tuple[int, int]:
    """Return x and y in the fixed point form of cv2, from the middle of a pixel."""
    x, y = (round((float(v) - 0.5) * 2**_FRACTION) for v in point)
    return x, y


def _scaled(colour: Colour, share: float) -> Colour:
    red, green, blue = (round(v * share) for v in colour)
    return red, green, blue


def _side(keypoint: str) -> Colour:
    return _LEFT if keypoint.startswith("left") else _RIGHT if keypoint.startswith("right") else _MIDDLE
