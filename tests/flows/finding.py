"""Tools that run without weights, for tests of what goes on around them; each call is written down where tests look."""

import os
from typing import Literal

import numpy as np

from tools import Audio, Batch, Detections, Image, Poses, Segment, Transcript, tool


def note(name: str) -> None:
    log = os.environ.get("FINDING_LOG")
    if log:
        with open(log, "a") as file:
            file.write(name + "\n")


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
        note("bright")
    return found


@tool
def darken(image: Image, regions: Detections, how: Literal["black", "grey"] = "black") -> Image:
    """Darken regions of an image."""
    pixels = np.array(image.pixels)
    for x0, y0, x1, y1 in regions.xyxy.astype(int):
        pixels[y0:y1, x0:x1] = 0 if how == "black" else 128
    note("darken")
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
    return [Image.from_numpy(image.pixels[int(y0):int(y1), int(x0):int(x1)]) for x0, y0, x1, y1 in regions.xyxy]


@tool
def hear(audio: Audio) -> Transcript:
    """Write down what is said."""
    half = audio.seconds / 2
    return Transcript((Segment("first <half>", 0, half), Segment("second half", half, audio.seconds)), "en")
