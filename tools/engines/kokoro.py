"""Neural English voices by Kokoro-82M (92 MB, int8): about 0.4 CPU seconds for each second of speech.

espeak-ng, in its own process because of its licence, turns words into phonemes. It drops the punctuation, from which
Kokoro takes pauses and melody, so that is put back here.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError
from tools.core.progress import track
from tools.core.settings import settings
from tools.engines import espeak
from tools.engines.onnx_session import Network
from tools.engines.vits import pieces
from tools.runtime.model_cache import resident
from tools.values import Audio
from tools.weights import weights

_RATE = 24_000
_PHONEMES = "espeak-ng"
_STYLE = 256  # numbers of a voice for each length of text
_MOST = 509  # tokens at once: a voice has styles for no more
_PAUSE = 0.2  # seconds between two pieces
# Punctuation ends a clause where a space or the end follows: not in "9:30" or "1,000".
_CLAUSE = re.compile(r"([.,!?;:…]+[\"”’)]*(?=\s|$)|—)")
_SPELLINGS = str.maketrans({"ʲ": "j", "r": "ɹ", "x": "k", "ɬ": "l", "^": None, "\u0361": None})
"""From espeak-ng's phonemes to those that Kokoro was trained on."""

Vocabulary = Mapping[str, int]


def say(text: str, weights_id: str, speed: float = 1.0) -> Audio:
    """Speak a text with the voice of the role voice; the same text gives the same sound.

    Args:
        text: English words.
        weights_id: Of Kokoro.
        speed: 1 is the voice's own, 2 is twice as fast.

    Raises:
        WeightsMissing: when the weights, the voice or espeak-ng are not on this computer.
        ToolError: when they are for something else, or when nothing in the text can be spoken.
    """
    folder, voice_id = weights.use(weights_id), settings().role("voice")
    voice_file = weights.use(voice_id)
    styles = _styles(voice_file, voice_id)
    accent = "en" if voice_file.name.startswith("b") else "en-us"
    with _load.lease(folder, weights_id) as (network, vocabulary):
        spoken = [
            network.run(np.array([[0, *ids, 0]], np.int64), styles[len(ids)][None], np.array([speed], np.float32))[0]
            for ids in track(list(_tokens(text, vocabulary, accent)))
        ]
    if not spoken:
        raise ToolError("Nothing in the text can be spoken", "Give words in letters or digits")
    pause = np.zeros(round(_PAUSE * _RATE), np.float32)
    parts = [part for samples in spoken for part in (pause, samples.reshape(-1))][1:]
    return Audio(np.clip(np.concatenate(parts), -1, 1), _RATE)


@resident(bytes=250_000_000, device="cpu")
def _load(folder: Path, weights_id: str) -> tuple[Network, Vocabulary]:
    try:
        read = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        vocabulary = {str(letter): int(number) for letter, number in read["vocab"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(
            f"The weights {weights_id} in {folder} have no vocabulary of Kokoro's: {error}",
            "Choose other weights for the role speak in settings.toml",
        ) from error
    return Network(folder / "model.onnx"), vocabulary


def _styles(file: Path, voice_id: str) -> NDArray[np.float32]:
    """Return a voice's styles (N, 256): one for each number of tokens."""
    data = file.read_bytes()
    if len(data) != (_MOST + 1) * _STYLE * 4:
        raise ToolError(
            f"The weights {voice_id} in {file} are no voice of Kokoro's: they have {len(data)} bytes",
            "Choose another voice for the role voice in settings.toml, such as kokoro-af-heart",
        )
    return np.frombuffer(data, "<f4").reshape(-1, _STYLE)


def _tokens(text: str, vocabulary: Vocabulary, accent: str) -> Iterator[list[int]]:
    """Yield the tokens of each piece of a text, `_MOST` of them at most."""
    split = [_CLAUSE.split(piece) for piece in pieces(text)]
    clauses = [part for parts in split for part in parts[::2]]  # between them stands the punctuation
    spoken = iter(espeak.phonemes(clauses, _PHONEMES, accent))
    for parts in split:
        line = "".join(next(spoken) if number % 2 == 0 else f"{part} " for number, part in enumerate(parts))
        if any(letter.isalpha() for letter in line):
            letters = line.translate(_SPELLINGS).strip()
            yield from _short([vocabulary[letter] for letter in letters if letter in vocabulary], vocabulary.get(" "))


def _short(tokens: Sequence[int], space: int | None) -> Iterator[list[int]]:
    """Cut tokens after words into lists of at most `_MOST`."""
    rest = list(tokens)
    while len(rest) > _MOST:
        end = next((place for place in range(_MOST, 0, -1) if rest[place] == space), _MOST)
        yield rest[:end]
        rest = rest[end:]
    if rest:
        yield rest
