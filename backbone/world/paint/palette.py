"""The eleven basic colour words, with shades of each."""

import random
from collections.abc import Sequence

Colour = tuple[int, int, int]
"""Red, green, blue, from 0 to 255."""

COLOURS: dict[str, tuple[Colour, ...]] = {
    "red": ((214, 48, 44), (196, 32, 48), (226, 66, 56)),
    "orange": ((243, 144, 42), (236, 126, 30), (248, 156, 60)),
    "yellow": ((248, 212, 66), (244, 200, 40), (250, 222, 96)),
    "green": ((72, 160, 78), (52, 140, 84), (104, 176, 74)),
    "blue": ((52, 112, 200), (40, 92, 180), (82, 142, 220)),
    "purple": ((132, 74, 172), (112, 60, 156), (150, 96, 190)),
    "pink": ((242, 144, 178), (236, 122, 164), (246, 168, 194)),
    "brown": ((134, 86, 50), (118, 72, 42), (150, 102, 64)),
    "black": ((42, 42, 48), (50, 48, 52), (34, 36, 44)),
    "white": ((246, 244, 240), (250, 250, 248), (240, 242, 246)),
    "gray": ((148, 150, 156), (130, 134, 140), (164, 164, 168)),
}
"""Shades of each word that are unambiguous."""

SKINS: tuple[Colour, ...] = (
    (255, 222, 196),
    (243, 200, 164),
    (226, 174, 132),
    (196, 138, 96),
    (150, 98, 66),
    (108, 70, 50),
)
HAIRS: tuple[Colour, ...] = (
    (46, 36, 34),
    (84, 56, 38),
    (132, 88, 48),
    (196, 148, 74),
    (228, 190, 110),
    (170, 78, 40),
    (186, 186, 190),
)


def shade_of(word: str, rng: random.Random) -> Colour:
    """Draw a shade of a colour word."""
    red, green, blue = rng.choice(COLOURS[word])
    return clamp((red + rng.randint(-5, 5), green + rng.randint(-5, 5), blue + rng.randint(-5, 5)))


def clamp(colour: Sequence[float]) -> Colour:
    """Round and clip to a valid colour."""
    red, green, blue = (min(255, max(0, round(part))) for part in colour)
    return red, green, blue


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Interpolate from ``one`` (share 0) to ``other`` (share 1)."""
    return clamp([a + (b - a) * share for a, b in zip(one, other, strict=True)])


def dark(colour: Colour, share: float = 0.3) -> Colour:
    """Return a darker shade of the same hue."""
    return clamp([part * (1 - share) for part in colour])


def pale(colour: Colour, share: float = 0.3) -> Colour:
    """Return a lighter shade."""
    return mix(colour, (255, 255, 255), share)
