"""Saying text out loud."""

from collections.abc import Iterator, Mapping

import numpy as np

from tools.core.errors import ValueInvalid
from tools.core.settings import settings
from tools.runtime.tool import tool
from tools.values import Audio, Text
from tools.weights.catalogue import find
from tools.weights.needs import Need

_RATE = 22_050
_LONGEST = 100_000
"""Characters; about an hour and a half of speech."""


def _needs(_: Mapping[str, object]) -> Iterator[Need]:
    voice = settings().role("speak")
    yield Need(voice)
    for other in find(voice).needs:  # of the voices of Kokoro, the role chooses one
        yield Need(settings().role("voice") if "voice" in find(other).roles else other)


@tool(examples=["read this out loud", "say it"], words="Say out loud: {text}", needs=_needs)
def speak(text: Text) -> Audio:
    """Say a text out loud.

    The role `speak` in the settings chooses the voice: `espeak-ng`, which sounds like a machine and speaks English;
    `kokoro-82m`, neural English speech in the voice of the role `voice`; or the weights id of a VITS model, such as
    those of MMS for many languages.

    Args:
        text: The words.

    Returns:
        The speech, one channel; half a second of silence when there are no words (a picture may have none to read).

    Raises:
        ValueInvalid: when the text is longer than 100 000 characters.
        ToolError: when nothing in it can be spoken.
        WeightsMissing: when the chosen voice is not on this computer.
    """
    if not any(letter.isalnum() for letter in text.text):
        return Audio(np.zeros((_RATE // 2, 1), np.float32), _RATE)
    if len(text.text) > _LONGEST:
        raise ValueInvalid(
            f"The text is too long to be spoken at once: {len(text.text)} characters, above {_LONGEST}",
            "Cut it into parts",
        )
    from tools.engines import espeak, kokoro, vits
    from tools.weights import weights

    voice = settings().role("speak")
    entry = weights.find(voice)
    if entry.format == "native":
        return espeak.say(text.text, voice)
    return kokoro.say(text.text, voice) if entry.engine == "kokoro" else vits.say(text.text, voice)
