"""Neural voices: any VITS model that transformers can load from a folder, such as those of MMS."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError
from tools.core.progress import track
from tools.engines.folders import model_bytes, offline
from tools.runtime.model_cache import Resident, device, resident
from tools.values import Audio
from tools.weights import weights

if TYPE_CHECKING:
    import torch

_LONGEST = 300  # characters at once: with more, memory grows and the voice speeds up
_PAUSE = 0.25  # seconds between two pieces
_SEED = 0


class _Tokenizer(Protocol):
    pad_token_id: int

    def __call__(self, text: str, *, return_tensors: str) -> Any: ...


class _Model(Protocol):
    config: Any
    device: "torch.device"

    def __call__(self, **tokens: object) -> Any: ...


def say(text: str, weights_id: str) -> Audio:
    """Speak a text; the same text gives the same sound.

    Raises:
        WeightsMissing: when the weights are not on this computer.
        ToolError: when they are for something else, or when the voice knows none of the letters.
    """
    folder = weights.use(weights_id)
    # A loader declares its size, so each folder has its own; the cache's key is _load and its arguments.
    loader: Resident[[Path, str], tuple[_Tokenizer, _Model]] = resident(bytes=model_bytes([folder], 4))(_load)
    with loader.lease(folder, weights_id) as (tokenizer, model):
        rate = int(model.config.sampling_rate)
        spoken = [samples for piece in track(list(pieces(text))) if len(samples := _say(tokenizer, model, piece))]
    if not spoken:
        raise ToolError(
            f"The voice {weights_id} knows none of the letters in the text",
            "Give words in its language, or choose another voice for the role speak in settings.toml",
        )
    pause = np.zeros(round(_PAUSE * rate), np.float32)
    parts = [part for samples in spoken for part in (pause, samples)][1:]
    return Audio(np.clip(np.concatenate(parts), -1, 1), rate)


def pieces(text: str, longest: int = _LONGEST) -> Iterator[str]:
    """Cut a text into pieces of at most `longest` characters, after sentences or, in a longer sentence, after words."""
    piece = ""
    for sentence in re.split(r"(?<=[.!?…])\s+|(?<=[。！？])|\n\s*\n", text):
        for part in _short(" ".join(sentence.split()), longest):
            if piece and len(piece) + 1 + len(part) > longest:
                yield piece
                piece = part
            else:
                piece = f"{piece} {part}".strip()
    if piece:
        yield piece


def _short(sentence: str, longest: int) -> Iterator[str]:
    while len(sentence) > longest:
        end = sentence.rfind(" ", 1, longest + 1)
        end = longest if end < 0 else end
        yield sentence[:end]
        sentence = sentence[end:].lstrip()
    if sentence:
        yield sentence


def _load(folder: Path, weights_id: str) -> tuple[_Tokenizer, _Model]:
    """Load a tokenizer and a model from their folder to the device of the settings."""
    offline()
    from transformers import VitsModel, VitsTokenizer

    try:
        tokenizer = VitsTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = VitsModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise ToolError(
            f"The weights {weights_id} in {folder} cannot be loaded as a VITS voice: {error}",
            "Choose other weights for the role speak in settings.toml",
        ) from error
    return tokenizer, model.to(device()).eval()


def _say(tokenizer: _Tokenizer, model: _Model, text: str) -> NDArray[np.float32]:
    """Return the samples (N,) of one piece; empty when the tokenizer knows none of its letters."""
    import torch

    tokens = tokenizer(text, return_tensors="pt")
    if not (tokens["input_ids"] != tokenizer.pad_token_id).any():
        return np.zeros(0, np.float32)
    # Pitch and pace are sampled; the state of the global generator is restored afterwards.
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(_SEED)
        samples: NDArray[np.float32] = model(**tokens.to(model.device)).waveform[0].float().cpu().numpy()
        return samples
