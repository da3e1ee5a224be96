"""Speech to text by openai-whisper, which hears only the pieces of a recording that have speech in them."""

import math
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError
from tools.core.settings import settings
from tools.engines import vad
from tools.runtime.model_cache import Resident, device, resident
from tools.values import Audio, Segment, Transcript
from tools.weights import weights

_LONGEST = 30.0  # seconds that Whisper hears at once
# Words are chosen greedily. Where that ends in repetitions or wild guesses (the limits are Whisper's own), the piece is
# heard once more by beam search; Whisper's usual way, to draw at random, would give other words each time.
_REPETITIVE = 2.4
_GUESSED = -1.0
_BEAMS = 5


def transcribe(audio: Audio) -> Transcript:
    """Write down what is said.

    Returns:
        Segments with times in seconds, one after the other, and a score; none when nothing is said. The language is
        that of the longest piece of speech.

    Raises:
        WeightsMissing: when the weights are not on this computer.
        ToolError: when they are for something else.
    """
    weights_id = settings().role("transcribe")
    path = weights.use(weights_id)
    samples = audio.mono(vad.RATE)
    pieces = vad.pieces(samples, _LONGEST)
    if not pieces:
        return Transcript(())
    # Made for each file, because a loader declares its size; checkpoints are in half precision, models are not.
    loader: Resident[[Path, str], Any] = resident(bytes=2 * path.stat().st_size)(_load)
    segments: list[Segment] = []
    with loader.lease(path, weights_id) as model:
        start, end = max(pieces, key=lambda piece: piece[1] - piece[0])
        language = _language(model, samples[start:end])
        for start, end in pieces:
            for heard in _hear(model, samples[start:end], language):
                _append(segments, heard, start / vad.RATE, end / vad.RATE)
    return Transcript(tuple(segments), language)


def _load(path: Path, weights_id: str) -> Any:
    try:
        import whisper
    except ModuleNotFoundError as error:
        raise ToolError(f"The package {error.name} is not installed", "Run: pip install 'superlink[speech]'") from error
    try:
        return whisper.load_model(str(path), device=device())
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, OSError, UnpicklingError) as error:
        raise ToolError(
            f"The weights {weights_id} in {path} cannot be loaded as a Whisper model: {error}",
            "Choose other weights for the role transcribe in settings.toml",
        ) from error


def _language(model: Any, samples: NDArray[np.float32]) -> str:
    """Return the code of the language that is spoken, such as "en"."""
    if not model.is_multilingual:
        return "en"
    import whisper

    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), model.dims.n_mels).to(model.device)
    likely: dict[str, float] = model.detect_language(mel)[1]
    return max(likely, key=lambda code: likely[code])


def _hear(model: Any, samples: NDArray[np.float32], language: str) -> list[dict[str, Any]]:
    """Return Whisper's segments of one piece."""
    greedy = _decode(model, samples, language, None)
    if not any(s["compression_ratio"] > _REPETITIVE or not s["avg_logprob"] >= _GUESSED for s in greedy):  # or NaN
        return greedy
    return max(greedy, _decode(model, samples, language, _BEAMS), key=_quality)


def _decode(model: Any, samples: NDArray[np.float32], language: str, beams: int | None) -> list[dict[str, Any]]:
    result = model.transcribe(
        samples,
        language=language,
        temperature=0.0,
        beam_size=beams,
        verbose=None,
        condition_on_previous_text=False,
        fp16=model.device.type == "cuda",
    )
    segments: list[dict[str, Any]] = result["segments"]
    return segments


def _quality(segments: list[dict[str, Any]]) -> tuple[bool, float]:
    """Rank a reading: first those without repetitions, then by mean confidence."""
    if not segments:
        return True, _GUESSED
    repetitive = any(s["compression_ratio"] > _REPETITIVE for s in segments)
    confidence = float(np.mean([s["avg_logprob"] for s in segments]))
    return not repetitive, confidence if math.isfinite(confidence) else -math.inf


def _append(segments: list[Segment], heard: dict[str, Any], start: float, end: float) -> None:
    """Add what was heard in a piece, at its time in the whole recording.

    Times are mended where the model's are out of order or no numbers (then they are those of the piece), and a
    confidence that is no number is left out: the words count.
    """
    text = heard["text"].strip()
    if text:
        begins, ends = (float(heard[side]) for side in ("start", "end"))
        spoken = segments[-1].end or 0.0 if segments else 0.0
        first = max(spoken, min(start + max(0.0, begins), end) if math.isfinite(begins) else start)
        last = max(first, min(start + ends, end) if math.isfinite(ends) else end)
        confidence = float(heard["avg_logprob"])
        score = None if math.isnan(confidence) else min(1.0, math.exp(min(0.0, confidence)))
        segments.append(Segment(text, round(first, 3), round(last, 3), score=score))
