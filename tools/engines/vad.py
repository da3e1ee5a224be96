"""Voice activity detection by silero-vad, a small ONNX model on the CPU."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.core.abandon import raise_if_abandoned
from tools.core.errors import ToolError
from tools.core.settings import settings
from tools.runtime.model_cache import resident
from tools.weights import weights

RATE = 16_000
"""Samples per second of the input of `pieces`."""

# Shorter pauses stay inside a piece, so that sentences are transcribed together; longer ones are cut out, because
# Whisper invents words in silence.
_PAUSE_MS = 2000
_MARGIN_MS = 400
# Quiet recordings are amplified to this peak, by this factor at most: amplified noise must not count as speech.
_PEAK = 0.5
_MAX_GAIN = 100.0


def pieces(samples: NDArray[np.float32], longest: float) -> list[tuple[int, int]]:
    """Return start and end of each piece of speech, in samples; long speech is cut at its longest pauses.

    Args:
        samples: One channel (N,) at `RATE`.
        longest: Maximum length of a piece in seconds.

    Raises:
        WeightsMissing: when the weights are not on this computer.
        ToolError: when they are for something else.
    """
    weights_id = settings().role("vad")
    path = weights.use(weights_id)
    peak = float(np.abs(samples).max(initial=0))  # a single sample may be resampled to none
    if not peak:
        return []
    gain = min(_MAX_GAIN, max(1.0, _PEAK / peak))
    louder = samples * gain if gain > 1 else samples  # a copy of a long recording only where it is needed
    with _load.lease(path, weights_id) as model:
        import torch
        from silero_vad import get_speech_timestamps

        found = get_speech_timestamps(
            torch.from_numpy(louder),
            model,
            sampling_rate=RATE,
            max_speech_duration_s=longest,
            min_silence_duration_ms=_PAUSE_MS,
            speech_pad_ms=_MARGIN_MS,
            progress_tracking_callback=lambda percent: raise_if_abandoned(),
        )
    return [(int(span["start"]), int(span["end"])) for span in found]


@resident(bytes=30_000_000, device="cpu")
def _load(path: Path, weights_id: str) -> object:
    import torch

    threads = torch.get_num_threads()
    try:
        import onnxruntime  # noqa: F401  (what the model runs on; an extra of silero-vad)
        from silero_vad.utils_vad import OnnxWrapper
    except ModuleNotFoundError as error:
        raise ToolError(f"The package {error.name} is not installed", "Run: pip install 'superlink[speech]'") from error
    torch.set_num_threads(threads)  # importing silero_vad sets it to 1 for the whole process
    try:
        return OnnxWrapper(str(path), force_onnx_cpu=True)
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise ToolError(
            f"The weights {weights_id} in {path} cannot be loaded as a silero-vad model: {error}",
            "Choose other weights for the role vad in settings.toml",
        ) from error
