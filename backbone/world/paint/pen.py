"""Drawing with skia: smooth outlines, soft shading, edges and textures.

Coordinates are in units of the thing's height: the ground is y = 0, up is negative, the middle is x = 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import skia

from backbone.world.paint.palette import Colour, dark, mix, pale
from backbone.world.paint.texture import paint_texture

Point = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """The drawing style of a picture.

    Attributes:
        edge: Width of outlines, in thousandths of the thing's height; 0 for none.
        soft: Strength of the shading from the lit to the far side, from 0 to 1.
        light_left: Whether the light comes from the left.
    """

    edge: float = 9.0
    soft: float = 0.5
    light_left: bool = True


def rgb(colour: Colour, alpha: float = 1.0) -> int:
    """Return a colour as skia's integer."""
    return int(skia.Color(*colour, round(alpha * 255)))


class Pen:
    """Draws one thing.

    Args:
        canvas: A skia canvas in units of the thing's height.
        main: The colour that names the thing.
        texture: Pattern of its main parts; "plain" for none.
        style: Style of the picture.
        flipped: Whether the canvas is mirrored; shading is mirrored back, so that the light comes from one side.
    """

    def __init__(self, canvas: skia.Canvas, main: Colour, texture: str, style: Style, flipped: bool = False) -> None:
        self.canvas = canvas
        self.main = main
        self.texture = texture
        self.style = style
        self.flipped = flipped
        self.edge = style.edge / 1000

    @staticmethod
    def blob(points: Sequence[Point], closed: bool = True) -> skia.Path:
        """Return a smooth path through points (Catmull-Rom spline), closed by default."""
        path = skia.Path()
        count = len(points)
        path.moveTo(*points[0])
        for i in range(count if closed else count - 1):
            if closed:
                a, b, c, d = (points[(i + k) % count] for k in (-1, 0, 1, 2))
            else:
                a, b, c, d = (points[min(count - 1, max(0, i + k))] for k in (-1, 0, 1, 2))
            path.cubicTo(
                b[0] + (c[0] - a[0]) / 6,
                b[1] + (c[1] - a[1]) / 6,
                c[0] - (d[0] - b[0]) / 6,
                c[1] - (d[1] - b[1]) / 6,
                *c,
            )
        if closed:
            path.close()
        return path

    @staticmethod
    def poly(points: Sequence[Point], round_: float = 0.0, closed: bool = True) -> skia.Path:
        """Return a path of straight lines through points, with corners rounded by ``round_``."""
        path = skia.Path()
        if not round_:
            path.moveTo(*points[0])
            for point in points[1:]:
                path.lineTo(*point)
            if closed:
                path.close()
            return path
        count = len(points)
        for i, corner in enumerate(points):
            before, after = points[i - 1], points[(i + 1) % count]
            first, last = _towards(corner, before, round_), _towards(corner, after, round_)
            path.moveTo(*first) if i == 0 else path.lineTo(*first)
            path.quadTo(*corner, *last)
        path.close()
        return path

    @staticmethod
    def box(x0: float, y0: float, x1: float, y1: float, round_: float = 0.0) -> skia.Path:
        """Return a rectangle with corners rounded by ``round_``."""
        path = skia.Path()
        path.addRoundRect(skia.Rect.MakeLTRB(x0, y0, x1, y1), round_, round_)
        return path

    @staticmethod
    def oval(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0) -> skia.Path:
        """Return an ellipse around its centre, turned by degrees."""
        ry = rx if ry is None else ry
        path = skia.Path()
        path.addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))
        if turn:
            path.transform(skia.Matrix().setRotate(turn, x, y))
        return path

    def fill(self, path: skia.Path, colour: Colour | None = None, *, edge: bool = True, textured: bool = False) -> None:
        """Draw a shape: its edge, its colour with soft shading, and the thing's texture if ``textured``."""
        colour = self.main if colour is None else colour
        if edge and self.edge:
            self.stroke(path, dark(colour, 0.45), 2 * self.edge)
        paint = skia.Paint(AntiAlias=True, Color=rgb(colour))
        if self.style.soft:
            bounds = path.getBounds()
            left, right = bounds.left(), bounds.right()
            if self.style.light_left == self.flipped:
                left, right = right, left
            lit, far = pale(colour, 0.22 * self.style.soft), dark(colour, 0.24 * self.style.soft)
            paint.setShader(
                skia.GradientShader.MakeLinear(
                    [skia.Point(left, bounds.top()), skia.Point(right, bounds.bottom())],
                    [rgb(lit), rgb(colour), rgb(far)],
                    [0.0, 0.45, 1.0],
                )
            )
        self.canvas.drawPath(path, paint)
        if textured and self.texture != "plain":
            self.canvas.save()
            self.canvas.clipPath(path, True)
            paint_texture(self.canvas, path.getBounds(), self.texture, colour)
            self.canvas.restore()

    def line(
        self, points: Sequence[Point], colour: Colour, width: float, *, smooth: bool = False, edge: bool = False
    ) -> None:
        """Draw a line with round ends; with ``edge`` it gets an outline."""
        path = self.blob(points, closed=False) if smooth else self.poly(points, closed=False)
        if edge and self.edge:
            self.stroke(path, dark(colour, 0.45), width + 2 * self.edge)
        self.stroke(path, colour, width)

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a flat disc."""
        self.canvas.drawCircle(x, y, radius, skia.Paint(AntiAlias=True, Color=rgb(colour)))

    def plain(self, path: skia.Path, colour: Colour, alpha: float = 1.0) -> None:
        """Draw a shape in flat colour, without edge and shading."""
        self.canvas.drawPath(path, skia.Paint(AntiAlias=True, Color=rgb(colour, alpha)))

    def shine(self, path: skia.Path, x: float, y: float, rx: float, ry: float, alpha: float = 0.35) -> None:
        """Draw a highlight inside a shape."""
        self.canvas.save()
        self.canvas.clipPath(path, True)
        self.plain(self.oval(x, y, rx, ry), (255, 255, 255), alpha)
        self.canvas.restore()

    def glass(self, path: skia.Path) -> None:
        """Draw a window pane."""
        self.fill(path, (176, 214, 236))
        box = path.getBounds()
        self.canvas.save()
        self.canvas.clipPath(path, True)
        width, height = box.width(), box.height()
        streak = [
            (box.left() + width * a, box.top() + height * b) for a, b in ((0.1, 1), (0.55, 0), (0.75, 0), (0.3, 1))
        ]
        self.plain(self.poly(streak), (255, 255, 255), 0.35)
        self.canvas.restore()

    def eye(self, x: float, y: float, size: float) -> None:
        """Draw an animal's eye."""
        self.dot(x, y, size, (36, 30, 34))
        self.dot(x + size * 0.3, y - size * 0.35, size * 0.38, (255, 255, 255))

    def stroke(self, path: skia.Path, colour: Colour, width: float) -> None:
        """Draw a path as a line with round ends."""
        self.canvas.drawPath(
            path,
            skia.Paint(
                AntiAlias=True,
                Color=rgb(colour),
                Style=skia.Paint.kStroke_Style,
                StrokeWidth=width,
                StrokeCap=skia.Paint.kRound_Cap,
                StrokeJoin=skia.Paint.kRound_Join,
            ),
        )

    def accent(self) -> Colour:
        """Return a second colour that contrasts with the main one."""
        return mix(self.main, (255, 255, 255), 0.75) if sum(self.main) < 500 else dark(self.main, 0.45)


def _towards(start: Point, goal: Point, length: float) -> Point:
    away = math.hypot(goal[0] - start[0], goal[1] - start[1]) or 1.0
    share = min(0.5, length / away)
    return start[0] + (goal[0] - start[0]) * share, start[1] + (goal[1] - start[1]) * share
