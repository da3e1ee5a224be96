"""Words to be spoken, and how the voice is to sound: the voice itself is another module's."""

from dataclasses import dataclass

from backbone.world.scene.splits import rng_for


@dataclass(frozen=True)
class Spoken:
    """A text for the voice.

    Attributes:
        text: what is said.
        rate: words a minute.
        pitch: 0 to 99, as espeak-ng counts.
        voice: a variant of espeak-ng's English voice.
        noise_db: loudness of the noise against the voice, in decibels.
    """

    text: str
    rate: int
    pitch: int
    voice: str
    noise_db: float


def spoken(text: str, seed: int, split: str = "train") -> Spoken:
    """The text as it is to be spoken; voices ``m7`` and ``f5`` are kept for the shifted test."""
    rng = rng_for(split, seed, f"spoken/{text}")
    voices = ("m7", "f5") if split == "shifted" else ("m1", "m3", "f1", "f2", "f3", "m4")
    return Spoken(
        text,
        rng.randint(130, 210),
        rng.randint(25, 75),
        f"en+{rng.choice(voices)}",
        rng.choice((-60.0, -40.0, -30.0, -24.0)),
    )
