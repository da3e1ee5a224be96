"""Where somebody speaks in a recording, by silero-vad, whose ONNX file comes inside its package."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools import weights
from tools.errors import WeightsMissing
from tools.resident import resident
from tools.settings import settings

RATE = 16_000
_PAD_MS = 200  # kept on both sides of speech, so that soft beginnings and ends are not cut


def pieces(samples: NDArray[np.float32], longest: float) -> list[tuple[int, int]]:
    """Cut a recording into pieces at its silences.

    Args:
        samples: (N,) at 16 kHz.
        longest: seconds of a piece at most.

    Returns:
        Start and end of each piece, in samples, in order; speech that is close together shares one.

    Raises:
        WeightsMissing: when the package `silero-vad` is not installed.
    """
    path = weights.use(settings().role("vad"))
    with _load.lease(path) as model:
        import torch
        from silero_vad import get_speech_timestamps

        spoken = get_speech_timestamps(
            torch.from_numpy(np.array(samples)),
            model,
            sampling_rate=RATE,
            max_speech_duration_s=longest - 2 * _PAD_MS / 1000,
            speech_pad_ms=_PAD_MS,
        )
    found: list[tuple[int, int]] = []
    for part in spoken:
        start, end = int(part["start"]), int(part["end"])
        if found and end - found[-1][0] <= longest * RATE:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


@resident(bytes=50_000_000, device="cpu")
def _load(path: Path) -> Any:
    try:
        from silero_vad.utils_vad import OnnxWrapper
    except ImportError as error:
        raise WeightsMissing("The package silero-vad is not installed", "Run: pip install 'superlink[speech]'") from error
    return OnnxWrapper(str(path), force_onnx_cpu=True)
