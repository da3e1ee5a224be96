"""Capital letters and digits as strokes, so that signs look the same on every machine without fonts.

A letter is a list of strokes, separated by ``/``. A stroke is a list of points on a grid of 5 × 7, each written as two
digits (x, y from the top). A stroke that begins with ``~`` is drawn as a smooth curve.
"""

import skia

_STROKES = {
    "A": "062046/1434",
    "B": "0006/~0030413203/~033344453606",
    "C": "~4130100105163645",
    "D": "0006/~003041453606",
    "E": "40000646/0333",
    "F": "400006/0333",
    "G": "~4130100105163645/454323",
    "H": "0006/4046/0343",
    "I": "2026",
    "J": "3034/~3435162505",
    "K": "0006/4003/1246",
    "L": "000646",
    "M": "0600234046",
    "N": "06004640",
    "O": "~100105163645413010",
    "P": "0006/~0030413203",
    "Q": "~100105163645413010/3446",
    "R": "0006/~0030413203/2346",
    "S": "~4130100102133344361605",
    "T": "0040/2026",
    "U": "0004/4044/~040516364544",
    "V": "002640",
    "W": "0016233640",
    "X": "0046/4006",
    "Y": "002340/2326",
    "Z": "00400646",
    "0": "~100105163645413010",
    "1": "112026/1636",
    "2": "~011030414206/0646",
    "3": "~01103041322313/~23334445361605",
    "4": "36300444",
    "5": "400002/~02324345361605",
    "6": "~4130100105163645433203",
    "7": "004016",
    "8": "~2312011030413223/~2304051636454423",
    "9": "~0516364541301001021343",
}


def lettering(text: str, x: float, y: float, width: float, height: float) -> skia.Path:
    """Return the strokes of a text centred on x, y, as large as fits into width and height.

    Raises:
        KeyError: For a character other than A-Z, 0-9 and space.
    """
    size = min(height / 6, width / max(1, 5.6 * len(text) - 1.6))
    left, top = x - size * (5.6 * len(text) - 1.6) / 2, y - 3 * size
    path = skia.Path()
    for i, letter in enumerate(text):
        if letter == " ":
            continue
        origin = left + i * 5.6 * size
        for stroke in _STROKES[letter].split("/"):
            curved = stroke.startswith("~")
            digits = stroke.lstrip("~")
            points = [
                (origin + int(a) * size, top + int(b) * size) for a, b in zip(digits[::2], digits[1::2], strict=True)
            ]
            _trace(path, points, curved)
    return path


def _trace(path: skia.Path, points: list[tuple[float, float]], curved: bool) -> None:
    path.moveTo(*points[0])
    if not curved:
        for point in points[1:]:
            path.lineTo(*point)
        return
    last = len(points) - 1
    for i in range(last):
        a, b, c, d = (points[min(last, max(0, i + k))] for k in (-1, 0, 1, 2))
        path.cubicTo(
            b[0] + (c[0] - a[0]) / 6, b[1] + (c[1] - a[1]) / 6, c[0] - (d[0] - b[0]) / 6, c[1] - (d[1] - b[1]) / 6, *c
        )
