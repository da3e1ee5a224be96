"""Draws furniture and household objects."""

from backbone.world.paint.letters import lettering
from backbone.world.paint.palette import dark, mix, pale
from backbone.world.paint.pen import Pen

WOOD = (150, 104, 66)
INK = (44, 40, 44)
CREAM = (250, 244, 230)


def chair(pen: Pen, shape: int, text: str) -> None:
    """Draw a chair from the side or the front, or a stool; the seat is at 0.5."""
    frame = dark(pen.main, 0.2)
    if shape == 2:
        for x in (-0.24, 0.24):
            pen.line([(x * 0.8, -0.5), (x, -0.03)], frame, 0.06, edge=True)
        pen.line([(-0.2, -0.2), (0.2, -0.2)], frame, 0.04, edge=True)
        pen.fill(pen.box(-0.3, -0.56, 0.3, -0.46, 0.04), textured=True)
        return
    if shape == 0:
        pen.line([(-0.22, -0.5), (-0.28, -0.97)], pen.main, 0.08, edge=True)
        for x in (-0.24, 0.24):
            pen.line([(x, -0.5), (x * 1.08, -0.03)], frame, 0.06, edge=True)
        pen.fill(pen.box(-0.3, -0.55, 0.3, -0.46, 0.03), textured=True)
        return
    for x in (-0.24, 0.24):
        pen.line([(x, -0.5), (x, -0.97)], frame, 0.06, edge=True)
    pen.fill(pen.box(-0.26, -0.96, 0.26, -0.68, 0.05), textured=True)
    for x in (-0.26, 0.26):
        pen.line([(x, -0.46), (x, -0.03)], frame, 0.06, edge=True)
    pen.fill(pen.poly([(-0.27, -0.55), (0.27, -0.55), (0.32, -0.42), (-0.32, -0.42)], 0.03))


def couch(pen: Pen, shape: int, text: str) -> None:
    """Draw a couch with two or three seats."""
    half = 0.85 if shape == 0 else 1.15
    for x in (-half + 0.12, half - 0.12):
        pen.line([(x, -0.1), (x, -0.03)], WOOD, 0.07)
    pen.fill(pen.box(-half + 0.08, -1.0, half - 0.08, -0.3, 0.16), textured=True)
    count = shape + 2
    wide = (2 * half - 0.4) / count
    for i in range(count):
        pen.fill(pen.box(-half + 0.2 + i * wide, -0.52, -half + 0.2 + (i + 1) * wide, -0.3, 0.06), pale(pen.main, 0.12))
    pen.fill(pen.box(-half + 0.1, -0.34, half - 0.1, -0.1, 0.06))
    for x in (-half, half - 0.24):
        pen.fill(pen.box(x, -0.66, x + 0.24, -0.08, 0.11), dark(pen.main, 0.1))


def table(pen: Pen, shape: int, text: str) -> None:
    """Draw a table with four legs, or a round one on one foot; the top is at 1."""
    half = 0.95 if shape == 0 else 0.75
    if shape == 0:
        for x, far in ((-0.7, True), (0.7, True), (-0.86, False), (0.86, False)):
            pen.line([(x, -0.9), (x, -0.16 if far else -0.05)], dark(pen.main, 0.4 if far else 0.2), 0.09, edge=True)
        pen.fill(
            pen.poly([(-half + 0.12, -1.06), (half - 0.12, -1.06), (half, -0.84), (-half, -0.84)], 0.03), textured=True
        )
        pen.fill(pen.box(-half, -0.85, half, -0.76, 0.02), dark(pen.main, 0.2))
        return
    pen.fill(
        pen.poly([(-0.07, -0.9), (0.07, -0.9), (0.09, -0.1), (0.34, -0.0), (-0.34, -0.0), (-0.09, -0.1)], 0.05),
        dark(pen.main, 0.25),
    )
    pen.fill(pen.oval(0, -0.9, half, 0.17), dark(pen.main, 0.25))
    pen.fill(pen.oval(0, -0.95, half, 0.16), textured=True)


def bed(pen: Pen, shape: int, text: str) -> None:
    """Draw a bed from the side."""
    pen.fill(pen.box(-1.25, -1.0, -1.12, 0, 0.05), WOOD)
    pen.fill(pen.box(1.12, -0.66 if shape == 0 else -0.9, 1.25, 0, 0.05), WOOD)
    pen.fill(pen.box(-1.15, -0.36, 1.15, -0.16, 0.03), WOOD)
    pen.fill(pen.box(-1.12, -0.56, 1.12, -0.3, 0.06), CREAM)
    pen.fill(pen.box(-1.08, -0.74, -0.5, -0.52, 0.1), (252, 250, 246))
    pen.fill(
        pen.blob(
            [(-0.55, -0.62), (0.2, -0.68), (1.05, -0.62), (1.12, -0.4), (1.1, -0.24), (0.2, -0.22), (-0.55, -0.26)]
        ),
        textured=True,
    )


def lamp(pen: Pen, shape: int, text: str) -> None:
    """Draw a lamp: slim, or with a round foot."""
    if shape == 0:
        pen.line([(0, -0.6), (0, -0.06)], (120, 110, 104), 0.04, edge=True)
        pen.fill(pen.oval(0, -0.04, 0.18, 0.04), (120, 110, 104))
    else:
        pen.fill(pen.blob([(0, -0.56), (0.14, -0.3), (0.1, 0), (-0.1, 0), (-0.14, -0.3)]), (222, 206, 180))
    pen.fill(pen.oval(0, -0.58, 0.06), (255, 240, 170))
    pen.fill(pen.poly([(-0.16, -1.0), (0.16, -1.0), (0.3, -0.6), (-0.3, -0.6)], 0.03), textured=True)


def potted_plant(pen: Pen, shape: int, text: str) -> None:
    """Draw a plant, a cactus or a flower; the pot has the thing's colour."""
    green = (82, 150, 78)
    if shape == 1:
        pen.line([(0.0, -0.66), (0.2, -0.66), (0.2, -0.8)], green, 0.1, edge=True)
        pen.line([(0.0, -0.54), (-0.2, -0.54), (-0.2, -0.7)], green, 0.1, edge=True)
        pen.line([(0, -0.4), (0, -0.88)], green, 0.17, edge=True)
    else:
        for turn, x, y in (
            (-50, -0.24, -0.62),
            (50, 0.24, -0.62),
            (-22, -0.12, -0.74),
            (22, 0.12, -0.74),
            (0, 0, -0.7),
        ):
            pen.fill(pen.oval(x, y, 0.085, 0.26, turn), mix(green, (40, 110, 60), 0.3 if turn else 0.0))
        if shape == 2:
            for x, y in ((-0.22, -0.86), (0.2, -0.88), (0.0, -0.94)):
                pen.fill(pen.oval(x, y, 0.075), (250, 230, 236))
                pen.dot(x, y, 0.03, (244, 190, 60))
    pen.fill(pen.poly([(-0.24, -0.4), (0.24, -0.4), (0.17, 0), (-0.17, 0)], 0.03), textured=True)
    pen.fill(pen.box(-0.27, -0.46, 0.27, -0.36, 0.03), dark(pen.main, 0.1))


def book(pen: Pen, shape: int, text: str) -> None:
    """Draw a book: upright, or lying open."""
    if shape == 0:
        pen.fill(pen.poly([(0.3, -0.98), (0.42, -0.92), (0.42, -0.02), (0.3, 0)]), CREAM)
        pen.fill(pen.box(-0.36, -1.0, 0.32, 0, 0.04), textured=False)
        pen.plain(pen.box(-0.36, -1.0, -0.27, 0, 0.03), dark(pen.main, 0.3))
        pen.fill(pen.box(-0.16, -0.8, 0.22, -0.56, 0.02), CREAM, edge=False)
        for y in (-0.72, -0.64):
            pen.line([(-0.1, y), (0.16, y)], dark(pen.main, 0.3), 0.025)
        return
    for way in (-1, 1):
        pen.fill(pen.poly([(0, -0.3), (way * 0.9, -0.5), (way * 0.9, -0.06), (0, 0)], 0.04))
        pen.fill(
            pen.blob(
                [(0, -0.34), (way * 0.4, -0.62), (way * 0.82, -0.6), (way * 0.82, -0.18), (way * 0.4, -0.2), (0, -0.06)]
            ),
            CREAM,
        )
        for k in (0.0, 0.1, 0.2):
            pen.line([(way * 0.2, -0.4 + k), (way * 0.7, -0.48 + k)], (150, 140, 136), 0.025)


def clock(pen: Pen, shape: int, text: str) -> None:
    """Draw a clock: round or square; the frame has the thing's colour."""
    outer = pen.oval(0, -0.5, 0.5) if shape == 0 else pen.box(-0.48, -0.98, 0.48, -0.02, 0.12)
    pen.fill(outer)
    pen.fill(pen.oval(0, -0.5, 0.38), (252, 250, 244))
    for x, y in ((0, -0.82), (0.32, -0.5), (0, -0.18), (-0.32, -0.5)):
        pen.dot(x, y, 0.035, INK)
    pen.line([(0, -0.5), (0.02, -0.76)], INK, 0.045)
    pen.line([(0, -0.5), (0.18, -0.4)], INK, 0.055)


def suitcase(pen: Pen, shape: int, text: str) -> None:
    """Draw a suitcase: upright or flat."""
    half, top = ((0.36, -0.84), (0.7, -0.8))[shape]
    pen.line([(-0.16, top), (-0.16, top - 0.14), (0.16, top - 0.14), (0.16, top)], (90, 70, 56), 0.06, edge=True)
    pen.fill(pen.box(-half, top, half, -0.03, 0.08), textured=True)
    for x in (-half * 0.55, half * 0.55):
        pen.fill(pen.box(x - 0.05, top, x + 0.05, -0.03), dark(pen.main, 0.35), edge=False)
        pen.fill(pen.box(x - 0.06, top + 0.2, x + 0.06, top + 0.3, 0.02), (226, 196, 110))


def umbrella(pen: Pen, shape: int, text: str) -> None:
    """Draw an open umbrella."""
    pen.line([(0, -0.7), (0, -0.08), (0.06, -0.02), (0.13, -0.08)], (110, 80, 56), 0.035, edge=True)
    tall = -0.98 if shape == 0 else -0.9
    top = pen.poly([(-0.62, -0.46)], closed=False)
    top.cubicTo(-0.58, tall - 0.08, 0.58, tall - 0.08, 0.62, -0.46)
    for x in (0.31, 0.0, -0.31, -0.62):
        top.quadTo(x + 0.155, -0.58, x, -0.46)
    top.close()
    pen.fill(top, textured=True)
    for x in (-0.31, 0.0, 0.31):
        pen.line([(0, tall + 0.04), (x * 0.9, -0.72), (x, -0.48)], dark(pen.main, 0.3), 0.015, smooth=True)
    pen.line([(0, tall), (0, tall - 0.03)], INK, 0.03)


def ball(pen: Pen, shape: int, text: str) -> None:
    """Draw a beach ball, a football or a ball with a star."""
    disc = pen.oval(0, -0.5, 0.49)
    pen.fill(disc, textured=shape == 2)
    pen.canvas.save()
    pen.canvas.clipPath(disc, True)
    if shape == 0:
        for turn in (0, 60, 120):
            pen.plain(pen.oval(0.0, -0.5, 0.12, 0.6, turn), pen.accent(), 0.9)
    elif shape == 1:
        for x, y in ((0, -0.5), (0.42, -0.62), (-0.42, -0.62), (0.26, -0.12), (-0.26, -0.12), (0, -0.95)):
            pen.plain(
                pen.poly(
                    [
                        (x, y - 0.15),
                        (x + 0.14, y - 0.04),
                        (x + 0.09, y + 0.12),
                        (x - 0.09, y + 0.12),
                        (x - 0.14, y - 0.04),
                    ]
                ),
                pen.accent(),
            )
    pen.canvas.restore()
    pen.shine(disc, -0.16, -0.72, 0.14, 0.08, 0.5)


def kite(pen: Pen, shape: int, text: str) -> None:
    """Draw a kite with a tail of bows."""
    pen.line([(0, -0.34), (0.1, -0.22), (-0.04, -0.12), (0.06, -0.01)], INK, 0.014, smooth=True)
    for x, y in ((0.08, -0.22), (-0.02, -0.1)):
        for way in (-1, 1):
            pen.fill(pen.poly([(x, y), (x + way * 0.08, y - 0.04), (x + way * 0.08, y + 0.04)]), pen.accent())
    half = 0.3 if shape == 0 else 0.38
    corners = [(0.0, -1.0), (half, -0.74), (0.0, -0.32), (-half, -0.74)]
    pen.fill(pen.poly(corners), textured=True)
    # One corner only: with two, a gray kite with white corners would look like a white kite with gray corners.
    pen.plain(pen.poly([corners[0], corners[1], (0, -0.74)]), pen.accent(), 0.75)
    for a, b in ((0, 2), (1, 3)):
        pen.line([corners[a], corners[b]], dark(pen.main, 0.3), 0.014)


def balloon(pen: Pen, shape: int, text: str) -> None:
    """Draw a balloon on a string: round or long."""
    pen.line([(0, -0.46), (0.05, -0.3), (-0.05, -0.16), (0.02, 0)], (120, 116, 120), 0.014, smooth=True)
    wide = 0.27 if shape == 0 else 0.2
    skin = pen.blob([(0, -1.0), (wide, -0.8), (wide * 0.75, -0.56), (0, -0.44), (-wide * 0.75, -0.56), (-wide, -0.8)])
    pen.fill(pen.poly([(0, -0.46), (0.045, -0.41), (-0.045, -0.41)]))
    pen.fill(skin, textured=True)
    pen.shine(skin, -wide * 0.4, -0.84, wide * 0.22, 0.09, 0.6)


def sign(pen: Pen, shape: int, text: str) -> None:
    """Draw a sign on a post, with text; the frame has the thing's colour."""
    post = (140, 112, 84) if shape != 1 else (150, 152, 158)
    pen.line([(0, -0.5), (0, -0.02)], post, 0.06, edge=True)
    half = max(0.34, 0.1 * len(text) + 0.12)
    if shape == 2:
        board = pen.poly([(-half, -0.96), (half, -0.96), (half + 0.16, -0.74), (half, -0.52), (-half, -0.52)], 0.02)
    else:
        board = pen.box(-half, -0.98, half, -0.5, 0.06 if shape == 0 else 0.14)
    pen.fill(board)
    light = sum(pen.main) > 480
    ink = INK if light else CREAM
    pen.stroke(lettering(text, 0, -0.74, 2 * half - 0.16, 0.3), ink, 0.042)
