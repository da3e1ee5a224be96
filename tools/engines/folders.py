"""What the engines that load model folders (diffusers, transformers) share."""

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_HALF = ".fp16."


def offline() -> None:
    """Keep the Hugging Face libraries off the network, and their progress bars off the terminal.

    To be called before they are imported: they read the variable only then.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers.utils import logging

    logging.disable_progress_bar()


def half_only(folders: Iterable[Path]) -> bool:
    """Whether some of the folders hold their weights in half precision (`*.fp16.safetensors`) and nothing else."""
    for folder in folders:
        names = [file.name for pattern in ("*.safetensors", "*.bin") for file in folder.glob(pattern)]
        if any(_HALF in name for name in names) and all(_HALF in name for name in names):
            return True
    return False


def model_bytes(folders: Iterable[Path], bytes_per_number: int) -> int:
    """Return the memory that the weights in these folders take once they are loaded, about.

    Args:
        folders: Folders of weights; subfolders are not searched.
        bytes_per_number: Of the type in which they are loaded.
    """
    total = 0
    for folder in folders:
        files = sorted(folder.glob("*.safetensors"))
        plain = [file for file in files if _HALF not in file.name] or files
        total += sum(_numbers(file) for file in plain) * bytes_per_number
        if not plain:  # pickled: how many numbers there are can only be seen by loading them
            total += sum(file.stat().st_size for file in folder.glob("*.bin"))
    return max(total, 1)


def _numbers(file: Path) -> int:
    """Return how many numbers a safetensors file holds; only its header is read."""
    with file.open("rb") as stream:
        header: dict[str, Any] = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
