"""Tools that run without weights, for tests of what goes on around them; each call is written down where tests look."""

import hashlib
import os
from typing import Literal

import numpy as np

from tools import Audio, Batch, Detections, Image, Poses, Segment, Transcript, Video, tool


def note(name: str, image: Image | None = None) -> None:
    log = os.environ.get("FINDING_LOG")
    if log:
        with open(log, "a") as file:
            file.write(f"{name} {seen(image)}\n" if image else f"{name}\n")


def seen(image: Image) -> str:
    """Tells pictures apart by their pixels."""
    return hashlib.sha256(image.pixels).hexdigest()


@tool(examples=["find the bright parts"])
def bright(image: Batch[Image], level: int = 128) -> Batch[Detections]:
    """Find the bright half and quarter of an image, by its pixels."""
    found = []
    for one in image:
        grey = one.pixels.mean(axis=2)
        columns = np.arange(one.width)[None] < one.width // 2
        masks = np.stack([(grey > level) & columns, (grey > level) & ~columns])
        scores = [round(float(grey[:, : one.width // 2].mean()) / 256, 4), round(float(grey.mean()) / 256, 4)]
        found.append(Detections.from_masks(masks, ["left", "right"], scores))
        note("bright", one)
    return found


@tool
def halves(image: Image) -> Detections:
    """Find the upper and the lower half of an image."""
    height, width = image.size
    boxes = [[0.5, 1.25, width - 2.5, height / 2], [4, height / 2, width, height]]
    return Detections(np.array(boxes, np.float32), ('up & "over"', "unten: ü"), [0.75, 0.5], image.size)


@tool
def darken(image: Image, regions: Detections, how: Literal["black", "grey"] = "black") -> Image:
    """Darken regions of an image."""
    pixels = np.array(image.pixels)
    for x0, y0, x1, y1 in regions.xyxy.astype(int):
        pixels[y0:y1, x0:x1] = 0 if how == "black" else 128
    note("darken", image)
    return Image.from_numpy(pixels)


@tool
def stand(image: Image) -> Poses:
    """Put one person into an image."""
    h, w = image.size
    points = np.array([[[w * (n + 1) / 20, h * (n + 1) / 20, 0.9 if n else 0.1] for n in range(17)]], np.float32)
    return Poses(points, [0.8], [[w * 0.05, h * 0.05, w * 0.9, h * 0.9]], image.size)


@tool
def quarters(image: Image, regions: Detections) -> list[Image]:
    """Cut regions out of an image."""
    return [Image.from_numpy(image.pixels[int(y0) : int(y1), int(x0) : int(x1)]) for x0, y0, x1, y1 in regions.xyxy]


@tool
def hear(audio: Audio) -> Transcript:
    """Write down what is said."""
    half = audio.seconds / 2
    return Transcript(
        (
            Segment("first <half>", 0, half),
            Segment("", half, half),
            Segment("2\n\n\n second & last\r\n\r\nhalf --> end ", half, audio.seconds),
        ),
        "en",
    )


@tool
def spell(image: Image) -> Transcript:
    """Read two words in an image, one of them over its edge."""
    height, width = image.size
    return Transcript(
        (
            Segment("STOP", box=(2, 3, 40, 20), score=0.9),
            Segment("<EXIT>", box=(width - 9, 5, width + 4, height), score=0.4),
        )
    )


@tool
def glow(video: Video) -> Detections:
    """Follow what glows green through a video."""
    seen = [(n, np.argwhere(pixels[:, :, 1].astype(int) - pixels[:, :, 0] > 80)) for n, _, pixels in video.frames()]
    boxes = [(n, [*points.min(0)[::-1], *(points.max(0)[::-1] + 1)]) for n, points in seen if len(points)]
    return Detections(
        np.array([box for _, box in boxes], np.float32).reshape(-1, 4),
        ("glow",) * len(boxes),
        [0.9] * len(boxes),
        video.size,
        ids=[1] * len(boxes),
        frames=[n for n, _ in boxes],
    )
