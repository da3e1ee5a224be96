"""What all training loops share: options, the learning rate, the checkpoint, the curve."""

import argparse
import json
import math
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import torch

R = TypeVar("R")


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


def add_schedule(parser: argparse.ArgumentParser, steps: int, rate: float, seed: int) -> None:
    """Declare the options that every training has, with their defaults."""
    parser.add_argument("--steps", type=int, default=steps, help="optimiser steps of the schedule")
    parser.add_argument("--stop", type=int, help="end at this step, before the schedule does")
    parser.add_argument("--rate", type=float, default=rate, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=seed)


def recipe_of(kind: type[R], given: argparse.Namespace) -> R:
    """Return the recipe that the options of a command line say; what has no option stays as it is by default."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: getattr(given, name) for name in names if hasattr(given, name)})


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
