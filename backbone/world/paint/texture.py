"""Patterns on things: those of training, and those of the shifted style."""

from collections.abc import Callable

import skia

from backbone.world.paint.palette import Colour, dark, pale

TEXTURES = ("stripes", "bands", "dots", "checks")
SHIFTED_TEXTURES = ("zigzag", "scales", "diagonal")


def paint_texture(canvas: skia.Canvas, box: skia.Rect, name: str, colour: Colour) -> None:
    """Cover a box with a pattern in the colour and a shade of it; the canvas is clipped to the shape."""
    second = dark(colour, 0.28) if sum(colour) > 330 else pale(colour, 0.26)
    paint = skia.Paint(AntiAlias=True, Color=skia.Color(*second, 255))
    step = max(0.05, min(box.width(), box.height()) / 5)
    _PATTERNS[name](canvas, box, paint, step)


def _lines(paint: skia.Paint, width: float) -> skia.Paint:
    paint.setStyle(skia.Paint.kStroke_Style)
    paint.setStrokeWidth(width)
    return paint


def _stripes(canvas: skia.Canvas, box: skia.Rect, paint: skia.Paint, step: float) -> None:
    x = box.left() + step / 2
    while x < box.right():
        canvas.drawRect(skia.Rect.MakeLTRB(x, box.top(), x + step * 0.42, box.bottom()), paint)
        x += step


def _bands(canvas: skia.Canvas, box: skia.Rect, paint: skia.Paint, step: float) -> None:
    y = box.top() + step / 2
    while y < box.bottom():
        canvas.drawRect(skia.Rect.MakeLTRB(box.left(), y, box.right(), y + step * 0.42), paint)
        y += step


def _dots(canvas: skia.Canvas, box: skia.Rect, paint: skia.Paint, step: float) -> None:
    y, odd = box.top() + step / 2, False
    while y < box.bottom() + step:
        x = box.left() + (step if odd else step / 2)
        while x < box.right() + step:
            canvas.drawCircle(x, y, step * 0.24, paint)
            x += step
        y, odd = y + step * 0.85, not odd


def _checks(canvas: skia.Canvas, box: skia.Rect, paint: skia.Paint, step: float) -> None:
    paint.setAlphaf(0.45)
    _stripes(canvas, box, paint, step)
    _bands(canvas, box, paint, step)


def _zigzag(canvas: skia.Canvas, box: skia.Rect, paint: skia.Paint, step: float) -> None:
    _lines(paint, step * 0.3)
    y = box.top()
    while y < box.bottom() + step:
        path, x, up = skia.Path(), box.left() - step, False
        path.moveTo(x, y)
        while x < box.right() + step:
            x, up = x + step * 0.6, not up
            path.lineTo(x, y - (step * 0.5 if up else 0))
        canvas.drawPath(path, paint)
        y += step


def _scales(canvas: skia.Canvas, box: skia.Rect, paint: skia.Paint, step: float) -> None:
    _lines(paint, step * 0.16)
    y, odd = box.top(), False
    while y < box.bottom() + step:
        x = box.left() - (step / 2 if odd else 0)
        while x < box.right() + step:
            canvas.drawArc(skia.Rect.MakeLTRB(x, y - step / 2, x + step, y + step / 2), 0, 180, False, paint)
            x += step
        y, odd = y + step / 2, not odd


def _diagonal(canvas: skia.Canvas, box: skia.Rect, paint: skia.Paint, step: float) -> None:
    _lines(paint, step * 0.34)
    x = box.left() - box.height()
    while x < box.right():
        canvas.drawLine(x, box.bottom(), x + box.height(), box.top(), paint)
        x += step


_PATTERNS: dict[str, Callable[[skia.Canvas, skia.Rect, skia.Paint, float], None]] = {
    "stripes": _stripes,
    "bands": _bands,
    "dots": _dots,
    "checks": _checks,
    "zigzag": _zigzag,
    "scales": _scales,
    "diagonal": _diagonal,
}
