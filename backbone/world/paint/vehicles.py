"""Draws vehicles, facing right."""

import math

from backbone.world.paint.palette import dark, pale
from backbone.world.paint.pen import Pen

TYRE = (48, 48, 54)
METAL = (190, 194, 200)
LAMP = (255, 232, 140)


def _wheel(pen: Pen, x: float, radius: float) -> None:
    pen.fill(pen.oval(x, -radius, radius), TYRE)
    pen.fill(pen.oval(x, -radius, radius * 0.55), METAL, edge=False)
    pen.dot(x, -radius, radius * 0.18, TYRE)


def car(pen: Pen, shape: int, text: str) -> None:
    """Draw a car: a saloon, a small car or a beetle."""
    if shape == 0:
        body = [
            (-1.1, -0.2),
            (-1.12, -0.5),
            (-0.95, -0.58),
            (-0.62, -0.62),
            (-0.36, -0.96),
            (0.3, -0.96),
            (0.66, -0.62),
            (1.05, -0.52),
            (1.14, -0.36),
            (1.12, -0.2),
        ]
        panes = [
            [(-0.5, -0.62), (-0.3, -0.86), (-0.06, -0.86), (-0.06, -0.62)],
            [(0.02, -0.62), (0.02, -0.86), (0.26, -0.86), (0.5, -0.62)],
        ]
        front, round_ = 1.1, 0.1
    elif shape == 1:
        body = [(-0.9, -0.2), (-0.92, -0.6), (-0.78, -1.0), (0.2, -1.0), (0.55, -0.62), (0.86, -0.54), (0.92, -0.2)]
        panes = [
            [(-0.74, -0.62), (-0.66, -0.9), (-0.3, -0.9), (-0.3, -0.62)],
            [(-0.22, -0.62), (-0.22, -0.9), (0.14, -0.9), (0.4, -0.62)],
        ]
        front, round_ = 0.88, 0.12
    else:
        body = [
            (-1.0, -0.2),
            (-0.98, -0.5),
            (-0.62, -0.84),
            (-0.1, -1.04),
            (0.4, -0.84),
            (0.62, -0.6),
            (0.95, -0.52),
            (1.02, -0.2),
        ]
        panes = [
            [(-0.52, -0.6), (-0.38, -0.8), (-0.1, -0.9), (-0.1, -0.6)],
            [(-0.02, -0.6), (-0.02, -0.9), (0.26, -0.82), (0.44, -0.6)],
        ]
        front, round_ = 0.98, 0.22
    pen.fill(pen.poly(body, round_), textured=True)
    for pane in panes:
        pen.glass(pen.poly(pane, 0.04))
    pen.line([(-0.06, -0.56), (-0.06, -0.24)], dark(pen.main, 0.3), 0.015)
    pen.line([(0.06, -0.48), (0.16, -0.48)], dark(pen.main, 0.4), 0.03)
    pen.fill(pen.oval(front - 0.08, -0.42, 0.07, 0.085), LAMP)
    pen.fill(pen.box(-front - 0.0, -0.5, -front + 0.08, -0.36, 0.02), (200, 50, 44))
    for x in (-0.62, 0.62):
        _wheel(pen, x, 0.23)


def bus(pen: Pen, shape: int, text: str) -> None:
    """Draw a bus with one floor or two."""
    half = 1.05 if shape == 0 else 0.72
    rows = (-0.66,) if shape == 0 else (-0.84, -0.5)
    tall = 0.19 if shape == 0 else 0.13
    pen.fill(pen.box(-half, -1.0, half, -0.12, 0.1), textured=True)
    for row in rows:
        count = 5 if shape == 0 else 4
        step = (2 * half - 0.2) / count
        for i in range(count):
            pen.glass(
                pen.box(-half + 0.1 + i * step, row - tall, -half + 0.04 + (i + 1) * step, row + tall - 0.06, 0.03)
            )
    pen.plain(pen.box(-half, -0.32, half, -0.27), pale(pen.main, 0.6))
    pen.fill(pen.oval(half - 0.04, -0.24, 0.045), LAMP)
    for x in (-half * 0.58, half * 0.58):
        _wheel(pen, x, 0.15)


def truck(pen: Pen, shape: int, text: str) -> None:
    """Draw a truck with a box, or with an open load."""
    if shape == 0:
        pen.fill(pen.box(-1.0, -1.0, 0.38, -0.22, 0.03), pale(pen.main, 0.15), textured=True)
    else:
        pen.fill(pen.blob([(-0.9, -0.58), (-0.6, -0.84), (-0.2, -0.9), (0.2, -0.76), (0.34, -0.58)]), (140, 104, 70))
        pen.fill(pen.poly([(-1.05, -0.7), (0.42, -0.6), (0.36, -0.22), (-0.9, -0.22)], 0.04), textured=True)
    pen.fill(pen.poly([(0.42, -0.18), (0.42, -0.84), (0.78, -0.84), (0.98, -0.48), (1.02, -0.18)], 0.07))
    pen.glass(pen.poly([(0.56, -0.5), (0.56, -0.74), (0.74, -0.74), (0.87, -0.5)], 0.03))
    pen.fill(pen.box(-1.0, -0.24, 1.0, -0.14, 0.02), (84, 86, 94))
    pen.fill(pen.oval(0.98, -0.34, 0.045), LAMP)
    for x in (-0.68, -0.28, 0.68):
        _wheel(pen, x, 0.17)


def bicycle(pen: Pen, shape: int, text: str) -> None:
    """Draw a bicycle with a high or a low bar."""
    r, main = 0.36, pen.main
    for x in (-0.52, 0.52):
        for spoke in range(6):
            turn = spoke * math.pi / 6
            dx, dy = r * math.cos(turn), r * math.sin(turn)
            pen.line([(x - dx, -r - dy), (x + dx, -r + dy)], METAL, 0.012)
        ring = [(x + r * math.cos(k * math.pi / 8), -r + r * math.sin(k * math.pi / 8)) for k in range(17)]
        pen.line(ring, TYRE, 0.06)
    top = (-0.18, -0.78) if shape == 0 else (-0.1, -0.6)
    for bar in (
        [(-0.52, -r), (-0.06, -r), (0.36, -0.72), top, (-0.06, -r)],
        [(-0.52, -r), top],
        [(0.34, -0.86), (0.52, -r)],
    ):
        pen.line(bar, main, 0.065, edge=True)
    pen.line([(-0.18, -0.78), (-0.21, -0.88)], METAL, 0.04)
    pen.line([(-0.3, -0.92), (-0.1, -0.9)], TYRE, 0.08)
    pen.line([(0.34, -0.86), (0.32, -0.97), (0.46, -0.99)], TYRE, 0.05)
    pen.fill(pen.oval(-0.06, -r, 0.075), METAL)


def boat(pen: Pen, shape: int, text: str) -> None:
    """Draw a sailing boat or a steamer."""
    if shape == 0:
        pen.line([(0, -0.24), (0, -0.98)], (130, 90, 56), 0.04, edge=True)
        pen.fill(pen.blob([(0.05, -0.94), (0.32, -0.6), (0.42, -0.32), (0.05, -0.32)]), (250, 248, 240))
        pen.fill(pen.poly([(-0.05, -0.86), (-0.05, -0.32), (-0.36, -0.32)], 0.02), pale(pen.main, 0.35))
    else:
        pen.fill(pen.box(-0.34, -0.56, 0.24, -0.24, 0.03), (250, 248, 240))
        for x in (-0.2, 0.0):
            pen.glass(pen.oval(x, -0.42, 0.07))
        pen.fill(pen.box(-0.2, -0.9, -0.02, -0.56, 0.02), pen.main)
        pen.fill(pen.box(-0.22, -0.8, 0.0, -0.72), (250, 248, 240), edge=False)
    pen.fill(pen.poly([(-0.66, -0.28), (0.76, -0.28), (0.5, 0), (-0.5, 0)], 0.08), textured=True)
    pen.plain(pen.box(-0.62, -0.26, 0.68, -0.2), pale(pen.main, 0.7))


def airplane(pen: Pen, shape: int, text: str) -> None:
    """Draw an airliner, or a small propeller plane."""
    main = pen.main
    if shape == 0:
        pen.fill(pen.poly([(-0.95, -0.5), (-1.16, -0.98), (-0.9, -0.98), (-0.6, -0.56)], 0.05), dark(main, 0.15))
        pen.fill(pen.poly([(0.1, -0.6), (-0.28, -0.92), (-0.1, -0.92), (0.4, -0.6)], 0.04), dark(main, 0.25))
        pen.fill(
            pen.blob(
                [
                    (-1.05, -0.56),
                    (-0.6, -0.66),
                    (0.6, -0.68),
                    (1.0, -0.58),
                    (1.1, -0.46),
                    (0.9, -0.36),
                    (0, -0.32),
                    (-0.7, -0.4),
                ]
            ),
            textured=True,
        )
        for i in range(6):
            pen.plain(pen.oval(-0.5 + i * 0.2, -0.54, 0.045, 0.05), (150, 200, 232))
        pen.glass(pen.poly([(0.8, -0.6), (0.96, -0.56), (1.0, -0.5), (0.8, -0.5)], 0.02))
        pen.fill(pen.poly([(0.25, -0.42), (-0.5, 0.0), (-0.26, 0.0), (0.5, -0.4)], 0.05), dark(main, 0.1))
        return
    pen.fill(pen.poly([(-0.8, -0.5), (-0.98, -0.9), (-0.76, -0.9), (-0.5, -0.52)], 0.05))
    pen.fill(
        pen.blob([(-0.92, -0.52), (-0.3, -0.68), (0.3, -0.8), (0.66, -0.7), (0.8, -0.48), (0.6, -0.28), (0, -0.26)]),
        textured=True,
    )
    pen.glass(pen.blob([(0.02, -0.72), (0.14, -0.92), (0.36, -0.9), (0.46, -0.74)]))
    pen.fill(pen.poly([(0.45, -0.46), (-0.36, -0.3), (-0.4, -0.2), (0.5, -0.34)], 0.04), dark(main, 0.2))
    pen.fill(pen.oval(0.84, -0.48, 0.035, 0.34), METAL)
    pen.fill(pen.oval(0.84, -0.48, 0.07), dark(main, 0.2))
    for x in (0.1, 0.4):
        pen.line([(x, -0.28), (x, -0.1)], METAL, 0.03)
        pen.fill(pen.oval(x, -0.08, 0.08), TYRE)
