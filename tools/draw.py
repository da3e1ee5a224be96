"""Drawing what was found onto a picture, for people to look at."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tools.errors import ValueInvalid
from tools.regions import check_size
from tools.values import Detections, Image, Poses, Transcript
from tools.values.poses import COCO17, SKELETON

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
Pixels = NDArray[np.uint8]

_PALETTE: tuple[Colour, ...] = (
    (255, 76, 96), (0, 184, 148), (255, 176, 32), (84, 112, 255), (168, 85, 247), (0, 180, 230),
    (255, 122, 60), (236, 72, 153), (110, 190, 50), (200, 150, 90), (20, 140, 160), (240, 220, 60),
)  # fmt: skip
_LEFT, _RIGHT, _MIDDLE = (0, 200, 160), (255, 140, 40), (90, 140, 255)
_TEXT = (0, 150, 200)
_PERSON = "person"
_SHADE = 0.35  # darker edge of lines, so that they show on any background
_MASK_OPACITY = 0.4
_KEYPOINT_SCORE = 0.3  # keypoints below are guesses outside the picture or behind something
_LEGIBLE = 384  # smaller pictures are enlarged
_LONGEST_LABEL = 40
_FRACTION = 4  # bits below the pixel in which cv2 is given positions
# Scripts that DejaVu does not have, and files that have them where a system font is installed.
_EAST_ASIAN = re.compile("[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_EAST_ASIAN_FONTS = ("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "wqy-zenhei.ttc", "wqy-microhei.ttc",
                     "msyh.ttc", "PingFang.ttc", "Arial Unicode.ttf", "DroidSansFallbackFull.ttf")


class _Label(NamedTuple):
    text: str
    box: Box
    colour: Colour
    font: int


def draw(image: Image, *values: Detections | Poses | Transcript) -> Image:
    """Draw boxes, masks, tracks, poses and read text onto a picture.

    Every label has its colour, the same in every picture unless two labels of one picture would share it.
    Keypoints with a score below 0.3 are left out, as are segments of a transcript that have no box. Pictures
    with a longer side below 384 pixels are enlarged by a whole number, so that the labels can be read.

    Args:
        image: The picture.
        values: What was found in it; of tracks, the rows of this frame.

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
    return Image.from_numpy(_write_labels(canvas, labels, line))


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
        raise ValueInvalid(f"A contact sheet needs pictures and as many captions, not {len(images)} pictures "
                           f"and {len(captions)} captions")
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
        small = Pil.fromarray(_resized(image.pixels, max(1, round(image.width * scale)),
                                       max(1, round(image.height * scale))))
        pen.rectangle((left, top, left + cell - 1, top + cell - 1), (236, 237, 241))
        sheet.paste(small, (left + (cell - small.width) // 2, top + (cell - small.height) // 2))
        font = _font(size, caption)
        for n, text in enumerate(_lines(caption, font, cell)):
            pen.text((left + cell / 2, top + cell + size * (0.9 + 1.25 * n)), text, (40, 42, 50), font, anchor="mm")
    return Image.from_pil(sheet)


def _colours(values: Iterable[Detections | Poses | Transcript]) -> dict[str, Colour]:
    """Give each label a colour that follows from its name, or the next free one."""
    names = {name for v in values if isinstance(v, Detections) for name in v.labels} | {_PERSON}
    taken: dict[int, str] = {}
    for name in sorted(names):
        start = crc32(name.encode())
        places = [(start + i) % len(_PALETTE) for i in range(len(_PALETTE))]
        place = next((p for p in places if p not in taken), None)
        if place is None:
            break
        taken[place] = name
    chosen = {name: _PALETTE[place] for place, name in taken.items()}
    return {name: chosen.get(name, _PALETTE[crc32(name.encode()) % len(_PALETTE)]) for name in names}


def _draw_detections(canvas: Pixels, found: Detections, enlarge: int, line: int, font: int,
                     colours: dict[str, Colour]) -> list[_Label]:
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
            for a, b in SKELETON:
                if seen[a] and seen[b]:
                    side = _side(COCO17[a]) if _side(COCO17[a]) == _side(COCO17[b]) else _MIDDLE
                    _line(canvas, points[a], points[b], _scaled(side, shade), width)
        for name, point in zip(np.array(COCO17)[seen], points[seen], strict=True):
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
        labels.append(_Label(f"{_shortened(segment.text)}{score}", box, _TEXT, size))
    return labels


def _draw_box(canvas: Pixels, box: Box, colour: Colour, line: int) -> None:
    """Draw a frame whose outer edge is the box."""
    height, width = canvas.shape[:2]
    x0, y0 = (min(round(v), side - 1) for v, side in zip(box[:2], (width, height), strict=True))
    x1, y1 = max(round(box[2]), x0 + 1), max(round(box[3]), y0 + 1)
    edge = 1 if line < 4 else line // 3
    for inset, thickness, paint in ((0, line + edge, _scaled(colour, _SHADE)), (0, line, colour)):
        for rows, columns in (
            (slice(y0, y0 + thickness), slice(x0, x1)), (slice(max(y1 - thickness, y0), y1), slice(x0, x1)),
            (slice(y0, y1), slice(x0, x0 + thickness)), (slice(y0, y1), slice(max(x1 - thickness, x0), x1)),
        ):
            canvas[rows, columns] = paint
