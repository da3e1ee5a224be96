"""Texts to be spoken, with settings of the voice; the speech itself is made elsewhere."""

from dataclasses import dataclass

from backbone.world.scene.splits import rng_for


@dataclass(frozen=True)
class Spoken:
    """A text with settings of the voice.

    Attributes:
        text: The text.
        rate: Words per minute.
        pitch: 0 to 99, as in espeak-ng.
        voice: A variant of espeak-ng's English voice.
        noise_db: Level of the background noise relative to the voice, in decibels.
    """

    text: str
    rate: int
    pitch: int
    voice: str
    noise_db: float


def spoken(text: str, seed: int, split: str = "train") -> Spoken:
    """Draw the settings of the voice for a text; voices ``m7`` and ``f5`` occur in the split ``shifted`` alone."""
    rng = rng_for(split, seed, f"spoken/{text}")
    voices = ("m7", "f5") if split == "shifted" else ("m1", "m3", "f1", "f2", "f3", "m4")
    return Spoken(
        text,
        rng.randint(130, 210),
        rng.randint(25, 75),
        f"en+{rng.choice(voices)}",
        rng.choice((-60.0, -40.0, -30.0, -24.0)),
    )
