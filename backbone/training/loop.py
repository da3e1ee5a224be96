"""What all training loops share: the learning rate, the checkpoint, the curve."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import torch


def cosine(step: int, steps: int, warmup: int, rate: float, floor: float) -> float:
    """Return the learning rate of a step, counted from 0: it rises in a line, then falls along a cosine.

    Args:
        step: The step.
        steps: Steps of the schedule.
        warmup: Steps in which it rises.
        rate: Its peak.
        floor: What is left at the end, as a share of the peak.
    """
    if step < warmup:
        return rate * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return rate * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)


def save_checkpoint(path: Path, state: Mapping[str, object]) -> None:
    """Write a checkpoint; it is renamed into place when it is complete."""
    partial = path.with_suffix(".partial")
    torch.save(dict(state), partial)
    os.replace(partial, path)


def log(out: Path, facts: Mapping[str, object]) -> None:
    """Append a line to ``curve.jsonl`` in a folder, and print it."""
    line = json.dumps(dict(facts))
    with (out / "curve.jsonl").open("a") as curve:
        curve.write(f"{line}\n")
    print(line, flush=True)
