"""Draws what several backgrounds have: gradients, flat shapes, hills, clouds, trees and houses."""

import random

import skia

from backbone.world.paint.palette import Colour, dark, mix, pale
from backbone.world.paint.pen import Pen, rgb


class Brush:
    """Draws in units of the picture's height: x from 0 to ``wide``, y from 0 to 1."""

    def __init__(self, canvas: skia.Canvas, wide: float, horizon: float, rng: random.Random) -> None:
        self.canvas, self.wide, self.horizon, self.rng = canvas, wide, horizon, rng

    def fade(self, top: float, bottom: float, first: Colour, last: Colour) -> None:
        """Draw a horizontal band with a vertical gradient."""
        shader = skia.GradientShader.MakeLinear([skia.Point(0, top), skia.Point(0, bottom)], [rgb(first), rgb(last)])
        self.canvas.drawRect(skia.Rect.MakeLTRB(-0.01, top, self.wide + 0.01, bottom), skia.Paint(Shader=shader))

    def shape(self, path: skia.Path, colour: Colour, alpha: float = 1.0) -> None:
        """Draw a flat shape."""
        self.canvas.drawPath(path, skia.Paint(AntiAlias=True, Color=rgb(colour, alpha)))

    def hills(self, base: float, tall: float, colour: Colour, count: int = 4) -> None:
        """Draw a smooth ridge of hills whose foot is at ``base``."""
        step = self.wide / count
        points = (
            [(-step, base)]
            + [(i * step, base - tall * self.rng.uniform(0.3, 1)) for i in range(count + 1)]
            + [(self.wide + step, base)]
        )
        path = Pen.blob(points, closed=False)
        path.close()
        self.shape(path, colour)

    def clouds(self, count: int, colour: Colour = (255, 255, 255)) -> None:
        """Draw clouds."""
        for _ in range(count):
            x, y, size = (
                self.rng.uniform(0, self.wide),
                self.rng.uniform(0.04, self.horizon * 0.5),
                self.rng.uniform(0.03, 0.06),
            )
            for dx, dy, r in ((-1.2, 0.2, 0.7), (0, -0.2, 1.0), (1.1, 0.15, 0.75), (0.2, 0.35, 0.8)):
                self.shape(Pen.oval(x + dx * size, y + dy * size, r * size * 1.2, r * size * 0.8), colour, 0.85)

    def tree(self, x: float, base: float, tall: float, leaf: Colour, fir: bool = False) -> None:
        """Draw a tree."""
        self.shape(Pen.box(x - tall * 0.05, base - tall * 0.5, x + tall * 0.05, base, tall * 0.02), (120, 86, 58))
        if fir:
            for k in range(3):
                y = base - tall * (0.2 + 0.24 * k)
                half = tall * (0.3 - 0.06 * k)
                self.shape(
                    Pen.poly([(x - half, y), (x + half, y), (x, y - tall * 0.4)], tall * 0.02),
                    dark(leaf, 0.12 * (2 - k)),
                )
            return
        for dx, dy, r in ((-0.17, -0.58, 0.2), (0.17, -0.58, 0.2), (0, -0.78, 0.23)):
            self.shape(Pen.oval(x + dx * tall, base + dy * tall, r * tall), dark(leaf, 0.1 if dx < 0 else 0.0))
        self.shape(Pen.oval(x + 0.06 * tall, base - 0.82 * tall, 0.1 * tall), pale(leaf, 0.15))

    def house(self, x: float, base: float, half: float, tall: float, wall: Colour, flat: bool = False) -> None:
        """Draw a house with windows and a door."""
        self.shape(Pen.box(x - half, base - tall, x + half, base), wall)
        if not flat:
            self.shape(
                Pen.poly(
                    [(x - half * 1.2, base - tall), (x + half * 1.2, base - tall), (x, base - tall - half * 0.8)], 0.01
                ),
                dark((178, 92, 72), 0.1),
            )
        rows = max(1, int(tall / 0.13))
        for row in range(rows):
            for way in (-0.5, 0.5):
                y = base - tall + (row + 0.3) * tall / rows
                self.shape(
                    Pen.box(x + way * half - half * 0.22, y, x + way * half + half * 0.22, y + tall / rows * 0.45),
                    pale(mix(wall, (150, 190, 220), 0.75), 0.1),
                )
