"""A neural voice: any VITS folder of transformers, such as Meta's MMS voices."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from tools import weights
from tools.resident import device, resident
from tools.values import Audio

_LONGEST = 300  # characters at a time: attention over longer texts takes gigabytes


def speak(text: str, voice: str) -> Audio:
    """Say a text, sentence by sentence.

    Args:
        text: at least one word.
        voice: weights id of a VITS folder.

    Raises:
        WeightsMissing: when the voice is not here.
    """
    import torch

    where = device()
    with _load.lease(weights.use(voice), where) as (model, tokenizer):
        spoken = []
        for sentence in sentences(text):
            tokens = tokenizer(sentence, return_tensors="pt").to(where)
            if tokens.input_ids.shape[1] == 0:
                continue  # none of its letters is known to this voice
            torch.manual_seed(0)  # VITS draws its rhythm: the same text shall sound the same
            with torch.inference_mode():
                spoken.append(model(**tokens).waveform[0].float().cpu().numpy())
        rate = int(model.config.sampling_rate)
    samples = np.concatenate(spoken) if spoken else np.zeros(rate // 10, np.float32)
    return Audio(np.clip(samples, -1, 1)[:, None], rate)


def sentences(text: str) -> list[str]:
    """A text in sentences, the long ones cut between words."""
    found: list[str] = []
    for sentence in re.split(r"(?<=[.!?;:])\s+|\n+", text):
        words = sentence.split()
        while words:
            piece = words.pop(0)
            while words and len(piece) + 1 + len(words[0]) <= _LONGEST:
                piece += " " + words.pop(0)
            found.append(piece)
    return found


@resident(bytes=250_000_000)
def _load(path: Path, where: str) -> Any:
    from transformers import AutoTokenizer, VitsModel

    model = VitsModel.from_pretrained(path, local_files_only=True).to(where).eval()
    return model, AutoTokenizer.from_pretrained(path, local_files_only=True)
