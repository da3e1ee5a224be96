"""Speech to text by openai-whisper, on those pieces of a recording in which silero-vad finds speech."""

import json
import math
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from tools.core.errors import ToolError
from tools.core.progress import stoppable, track
from tools.core.settings import settings
from tools.engines import vad
from tools.runtime.model_cache import Resident, device, resident
from tools.runtime.parts import kept
from tools.values import Audio, Segment, Transcript
from tools.weights import weights

if TYPE_CHECKING:
    import torch

_LONGEST = 30.0  # seconds of Whisper's window
# Decoding is greedy. Where its result is repetitive or improbable (by Whisper's own limits), the piece is decoded again
# by beam search. Whisper's own fall-back, sampling at a temperature, would give other words each time.
_MAX_COMPRESSION = 2.4
_MIN_LOGPROB = -1.0
_BEAMS = 5


class _Heard(TypedDict):
    """What is used of one of Whisper's segments; times in seconds from the beginning of the piece."""

    text: str
    start: float
    end: float
    avg_logprob: float
    compression_ratio: float


class _Model(Protocol):
    """What is used of a `whisper.model.Whisper`."""

    dims: Any
    decoder: Any
    device: "torch.device"
    is_multilingual: bool

    def detect_language(self, mel: "torch.Tensor") -> "tuple[torch.Tensor, dict[str, float]]": ...
    def transcribe(self, audio: NDArray[np.float32], **options: object) -> dict[str, Any]: ...


def transcribe(audio: Audio) -> Transcript:
    """Transcribe speech.

    Returns:
        Segments in order, with times in seconds and a score; none when there is no speech. The language is that of the
        longest piece of speech.

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
    # A loader declares its size, so each file has its own; checkpoints are in half precision, models in full.
    loader: Resident[[Path, str], _Model] = resident(bytes=2 * path.stat().st_size)(_load)
    segments: list[Segment] = []
    with loader.lease(path, weights_id) as model, stoppable(model.decoder):
        start, end = max(pieces, key=lambda piece: piece[1] - piece[0])
        language = _language(model, samples[start:end])
        for start, end in track(pieces):
            for heard in kept(start, _hear, model, samples[start:end], language):
                _append(segments, heard, start / vad.RATE, end / vad.RATE)
    return Transcript(tuple(segments), language)


def _load(path: Path, weights_id: str) -> _Model:
    try:
        import whisper
    except ModuleNotFoundError as error:
        raise ToolError(f"The package {error.name} is not installed", "Run: pip install 'superlink[speech]'") from error
    try:
        if path.suffix == ".safetensors":
            return _from_safetensors(path)
        model: _Model = whisper.load_model(str(path), device=device())
        return model
    except (
        RuntimeError,
        KeyError,
        TypeError,
        ValueError,
        EOFError,
        OSError,
        UnpicklingError,
        SafetensorError,
    ) as error:
        raise ToolError(
            f"The weights {weights_id} in {path} cannot be loaded as a Whisper model: {error}",
            "Choose other weights for the role transcribe in settings.toml",
        ) from error


def _from_safetensors(path: Path) -> _Model:
    """Load a file that has OpenAI's tensors, and dimensions and alignment heads in its metadata under "whisper"."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    with safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["whisper"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model = Whisper(ModelDimensions(**described["dims"]))
    model.load_state_dict(tensors)
    if heads := described["alignment_heads"]:
        mask = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
        mask[tuple(zip(*heads, strict=True))] = True
        model.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
    loaded: _Model = model.to(device())
    return loaded


def _language(model: _Model, samples: NDArray[np.float32]) -> str:
    """Return the code of the spoken language, such as "en"."""
    if not model.is_multilingual:
        return "en"
    import whisper

    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), model.dims.n_mels).to(model.device)
    likely: dict[str, float] = model.detect_language(mel)[1]
    return max(likely, key=lambda code: likely[code])


def _hear(model: _Model, samples: NDArray[np.float32], language: str) -> list[_Heard]:
    """Return Whisper's segments of one piece."""
    greedy = _decode(model, samples, language, None)
    if not any(
        s["compression_ratio"] > _MAX_COMPRESSION or not s["avg_logprob"] >= _MIN_LOGPROB for s in greedy
    ):  # or NaN
        return greedy
    return max(greedy, _decode(model, samples, language, _BEAMS), key=_quality)


def _decode(model: _Model, samples: NDArray[np.float32], language: str, beams: int | None) -> list[_Heard]:
    result = model.transcribe(
        samples,
        language=language,
        temperature=0.0,
        beam_size=beams,
        verbose=None,
        condition_on_previous_text=False,
        fp16=model.device.type == "cuda",
    )
    segments: list[_Heard] = result["segments"]
    return segments


def _quality(segments: list[_Heard]) -> tuple[bool, float]:
    """Return a sort key: results without repetitions are better, then those of a higher mean log probability."""
    if not segments:
        return True, _MIN_LOGPROB
    repetitive = any(s["compression_ratio"] > _MAX_COMPRESSION for s in segments)
    confidence = float(np.mean([s["avg_logprob"] for s in segments]))
    return not repetitive, confidence if math.isfinite(confidence) else -math.inf


def _append(segments: list[Segment], heard: _Heard, start: float, end: float) -> None:
    """Append a segment of a piece that runs from `start` to `end` in the recording, in seconds.

    Times out of order are corrected; a time that is NaN is replaced by that of the piece, and a confidence that is NaN
    by None.
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
