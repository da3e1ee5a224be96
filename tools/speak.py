"""Text to speech."""

import numpy as np

from tools.base import tool
from tools.engines import espeak, vits
from tools.settings import settings
from tools.values import Audio, Text
from tools.weights import locate

_RATE = 22_050


@tool(examples=["read it to me", "say good morning out loud", "make a spoken version of this text"])
def speak(text: Text) -> Audio:
    """Say a text aloud.

    The voice is espeak-ng's English one, clear and mechanical, unless the settings name other weights for the role `speak`.

    Args:
        text: What to say.

    Returns:
        The spoken words, one channel; half a second of silence when there are none (a picture may have no text to read).
    """
    if not any(letter.isalnum() for letter in text.text):
        return Audio(np.zeros((_RATE // 2, 1), np.float32), _RATE)
    voice = settings().role("speak")
    neural = (locate(voice) / "config.json").exists()  # a folder of transformers
    return vits.speak(text.text, voice) if neural else espeak.speak(text.text, voice)
