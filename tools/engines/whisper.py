"""Speech to text by openai-whisper, on pieces cut at silences."""

import math
from pathlib import Path
from typing import Any

from tools import weights
from tools.engines import vad
from tools.errors import WeightsMissing
from tools.resident import device, resident
from tools.settings import settings
from tools.values import Audio, Segment, Transcript

_LONGEST = 29.0  # seconds; the model hears 30 at a time
# Sure first; once more with some chance when the words repeat themselves or are improbable.
_TEMPERATURES = (0.0, 0.4)


def transcribe(audio: Audio) -> Transcript:
    """Write down what is said.

    Only pieces in which somebody speaks are heard, so that silence gives no words.

    Raises:
        WeightsMissing: when the weights, or the packages of the extra `speech`, are not here.
    """
    path = weights.use(settings().role("transcribe"))
    samples = audio.mono(vad.RATE)
    pieces = vad.pieces(samples, _LONGEST)
    if not pieces:
        return Transcript(())
    segments: list[Segment] = []
    language: str | None = None
    where = device()
    with _load.lease(path, where) as model:
        import torch

        for start, end in pieces:
            torch.manual_seed(0)  # the second temperature draws: the same recording shall give the same words
            heard = model.transcribe(
                samples[start:end].copy(),
                language=language,
                temperature=_TEMPERATURES,
                condition_on_previous_text=False,
                fp16=where == "cuda",
                verbose=None,
            )
            language = language or heard["language"]
            segments += [_segment(part, start / vad.RATE, end / vad.RATE) for part in heard["segments"] if part["text"].strip()]
    return Transcript(tuple(segments), language)


def _segment(part: dict[str, Any], begin: float, end: float) -> Segment:
    """A segment with its times in the whole recording; the model may count on past the end of its piece."""
    start, stop = (min(begin + float(part[name]), end) for name in ("start", "end"))
    score = math.exp(min(0.0, part["avg_logprob"]))
    return Segment(part["text"].strip(), round(start, 2), round(max(start, stop), 2), score=round(score, 4))


@resident(bytes=600_000_000)
def _load(path: Path, where: str) -> Any:
    try:
        import whisper
    except ImportError as error:
        raise WeightsMissing("The package openai-whisper is not installed", "Run: pip install 'superlink[speech]'") from error
    return whisper.load_model(str(path), device=where)
