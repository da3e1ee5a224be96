"""Renders a scene to pixels, with exact annotations.

The drawing of each thing is recorded once and played twice: on the picture, and as a flat number on a map that holds
the index of the visible thing for each pixel. Masks, boxes and areas follow from this map.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import skia

from backbone.world.paint.backgrounds import ALL_BACKGROUNDS, paint_background
from backbone.world.paint.categories import CATEGORIES
from backbone.world.paint.figure import joints, keypoints
from backbone.world.paint.pen import Pen, Style, rgb
from backbone.world.paint.people import draw_person
from backbone.world.scene.camera import expose
from backbone.world.scene.compose import ALL_BUILDS
from backbone.world.scene.scene import Scene, Thing
from backbone.world.scene.splits import rng_for
from common.masks import Mask, bounding_box


@dataclass(frozen=True)
class Instance:
    """The annotations of one visible thing.

    Attributes:
        thing: The thing of the scene.
        mask: (H, W), True on its visible pixels.
        box: x0, y0, x1, y1 of the visible pixels, x1 and y1 exclusive.
        area: Number of visible pixels.
        visible: Visible share of its pixels within the picture.
        truncated: Whether the edge of the picture cuts it.
        keypoints: For people, x, y and visibility of COCO's 17 keypoints: 2 visible, 1 hidden, 0 outside the picture.
    """

    thing: Thing
    mask: Mask
    box: tuple[int, int, int, int]
    area: int
    visible: float
    truncated: bool
    keypoints: tuple[tuple[float, float, int], ...] = ()


@dataclass(frozen=True)
class Rendered:
    """A rendered picture with its annotations.

    Attributes:
        scene: The scene.
        pixels: (H, W, 3), RGB, uint8.
        instances: All visible things, in the scene's order.
    """

    scene: Scene
    pixels: "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]"
    instances: tuple[Instance, ...]

    def digest(self) -> str:
        """Return a hash of pixels and masks."""
        sha = hashlib.sha256(self.pixels.tobytes())
        for instance in self.instances:
            sha.update(np.packbits(instance.mask).tobytes())
        return sha.hexdigest()


def render(scene: Scene, size: int | None = None) -> Rendered:
    """Render a scene.

    Args:
        scene: The scene.
        size: Height of the picture in pixels; by default that of the scene.
    """
    height = size or scene.height
    width = round(scene.width * height / scene.height)
    picture = np.zeros((height, width, 4), np.uint8)
    owners = np.zeros((height, width, 4), np.uint8)
    canvas, map_ = skia.Surface(picture), skia.Surface(owners)
    with canvas as c:
        c.save()
        c.scale(height, height)
        paint_background(
            c, ALL_BACKGROUNDS[scene.background], width / height, rng_for(scene.split, scene.seed, "background")
        )
        c.restore()
    whole: list[int] = []
    cut: list[bool] = []
    for number, thing in enumerate(scene.things, 1):
        drawing = _record(thing, Style(scene.edge, scene.soft, scene.light_left))
        place = _matrix(thing, width, height)
        with canvas as c:
            _shadow(c, scene, thing, drawing, place, height)
            c.save()
            c.concat(place)
            c.drawPicture(drawing)
            c.restore()
        with map_ as c:
            c.saveLayer(None, skia.Paint(ColorFilter=_flat(number)))
            c.concat(place)
            c.drawPicture(drawing)
            c.restore()
        mine = owners[:, :, 0] == number
        whole.append(int(mine.sum()))
        cut.append(bool(mine[0].any() or mine[:, 0].any() or mine[:, -1].any() or mine[-1].any()))
    pixels = expose(picture[:, :, :3], scene)
    ids = owners[:, :, 0]
    found = [instance(scene, n, ids, whole[n - 1], cut[n - 1]) for n in range(1, len(scene.things) + 1)]
    return Rendered(scene, pixels, tuple(one for one in found if one))


def _record(thing: Thing, style: Style) -> skia.Picture:
    recorder = skia.PictureRecorder()
    canvas = recorder.beginRecording(skia.Rect.MakeLTRB(-2, -2, 2, 0.5))
    pen = Pen(canvas, thing.shade, thing.texture, style, thing.flipped)
    draw = CATEGORIES[thing.category].draw
    if draw:
        draw(pen, thing.shape, thing.text)
    elif thing.pose and thing.looks:
        pen.edge *= 0.6
        draw_person(pen, joints(thing.pose, ALL_BUILDS[thing.build]), thing.looks)
    return recorder.finishRecordingAsPicture()


def _matrix(thing: Thing, width: int, height: int) -> skia.Matrix:
    scale = thing.height * height
    matrix = skia.Matrix()
    matrix.setScale(-scale if thing.flipped else scale, scale)
    matrix.postTranslate(thing.x * width, thing.y * height)
    return matrix


def _flat(number: int) -> skia.ColorFilter:
    """Return a filter that paints every pixel of more than half opacity with one number."""
    return skia.ColorFilters.Matrix([0, 0, 0, 0, number / 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 510, -254])


def _shadow(c: skia.Canvas, scene: Scene, thing: Thing, drawing: skia.Picture, place: skia.Matrix, height: int) -> None:
    kind = CATEGORIES[thing.category]
    if kind.place == "air" or (thing.category == "bird" and thing.shape == 1):
        return
    x, y, scale = place.getTranslateX(), place.getTranslateY(), thing.height * height
    half = kind.wide * scale * (0.9 if thing.category != "sign" else 0.3)
    if scene.light in ("day", "evening") and thing.on is None:
        slant = 0.55 if scene.light_left else -0.55
        dim = skia.ColorFilters.Matrix([0, 0, 0, 0, 0.1, 0, 0, 0, 0, 0.08, 0, 0, 0, 0, 0.16, 0, 0, 0, 0.22, 0])
        c.save()
        c.translate(x, y)
        c.concat(skia.Matrix.MakeAll(1, -slant, 0, 0, 0.28 if scene.light == "day" else 0.4, 0, 0, 0, 1))
        c.translate(-x, -y)
        c.saveLayer(None, skia.Paint(ColorFilter=dim))
        c.concat(place)
        c.drawPicture(drawing)
        c.restore()
        c.restore()
    c.save()
    c.translate(x, y)
    c.scale(half, max(1.0, half * 0.16))
    shader = skia.GradientShader.MakeRadial(skia.Point(0, 0), 1.0, [rgb((20, 16, 30), 0.42), rgb((20, 16, 30), 0.0)])
    c.drawCircle(0, 0, 1, skia.Paint(AntiAlias=True, Shader=shader))
    c.restore()


def instance(
    scene: Scene, number: int, ids: "np.ndarray[tuple[int, int], np.dtype[np.uint8]]", whole: int, cut: bool
) -> Instance | None:
    """Return the annotations of one thing, from the map of visible things.

    Args:
        scene: The scene.
        number: Index of the thing in the scene's order, from 1.
        ids: (H, W), index of the visible thing, or 0.
        whole: Number of its pixels before others were drawn over it.
        cut: Whether the edge of the picture cuts it.

    Returns:
        The annotations; None where it is not visible.
    """
    mask = ids == number
    area = int(mask.sum())
    if not area:
        return None
    thing = scene.things[number - 1]
    marks: list[tuple[float, float, int]] = []
    if thing.pose:
        height, width = mask.shape
        way = -1 if thing.flipped else 1
        for x, y, shows in keypoints(joints(thing.pose, ALL_BUILDS[thing.build]), thing.flipped):
            px, py = thing.x * width + way * x * thing.height * height, (thing.y + y * thing.height) * height
            column, row = math.floor(px), math.floor(py)
            if not (0 <= column < width and 0 <= row < height):
                marks.append((0.0, 0.0, 0))
            else:
                marks.append((px, py, 2 if shows and mask[row, column] else 1))
    return Instance(thing, mask, bounding_box(mask), area, area / max(1, whole), cut, tuple(marks))
