"""What weights take of a computer: bytes to fetch, memory and a GPU. PyTorch is not imported for it."""

import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tools.core.settings import main_memory, settings
from tools.weights.catalogue import Weights, address, is_fetched

_PERMISSIVE = ("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "ISC", "Unlicense")
_GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Devices of the drivers of NVIDIA and AMD, and of both under WSL."""


def archives(entry: Weights) -> dict[str, int | None]:
    """Return the bytes of each archive or file that the first source fetches, by address; None where not known."""
    first = next((source for source in entry.sources if is_fetched(source)), None)
    if first is None:
        return {}
    if "parts" in first:
        return {address(part): part.get("size") for part in first["parts"]}
    return {address(first): first.get("size", entry.size)}


def fetched_bytes(entry: Weights) -> int | None:
    """Return the bytes that are fetched; of weights without a source to fetch from, of their files. None if unknown."""
    total = 0
    for size in archives(entry).values() or [entry.size]:
        if size is None:
            return None
        total += size
    return total


def size_in_words(entry: Weights) -> str:
    """Return how much is fetched, such as "145 MB", "about 2.7 GB" or "size unknown".

    Of weights without a source to fetch from it is the size of their files.
    """
    size = fetched_bytes(entry)
    if size is not None:
        return in_words(size)
    return f"about {in_words(entry.approximate_size)}" if entry.approximate_size else "size unknown"


def is_permissive(entry: Weights) -> bool:
    """Whether the licence asks for no more than to be named, so that nobody has to agree to anything."""
    return entry.licence in _PERMISSIVE


def facts(entry: Weights) -> str:
    """Return size and licence, such as "about 0.5 GB, Apache-2.0"."""
    return f"{size_in_words(entry)}, {entry.licence}"


def lacks_memory(entry: Weights) -> bool:
    """Whether the model takes more main memory than there is. With a GPU it is loaded there, which is not checked."""
    here = main_memory()
    return bool(entry.memory and here and entry.memory > here) and not has_gpu()


def is_slow(entry: Weights) -> bool:
    """Whether the model is slow here because it wants a GPU."""
    return entry.gpu and not has_gpu()


def doubts(entry: Weights) -> list[str]:
    """Return what this computer lacks to run the model, each as a sentence without its full stop."""
    here, sentences = main_memory(), []
    if lacks_memory(entry) and entry.memory and here:
        sentences.append(
            f"They take about {in_words(entry.memory)} of memory at work, and this computer has {in_words(here)}"
        )
    if is_slow(entry):
        sentences.append("They are slow without a GPU, and none is found here")
    return sentences


def has_gpu() -> bool:
    """Whether PyTorch is likely to use a GPU here, judged by the settings, its build and the system's drivers."""
    if settings().device == "cpu":
        return False
    try:
        if version("torch").endswith("+cpu"):
            return False
    except PackageNotFoundError:
        return False
    return shutil.which("nvidia-smi") is not None or any(Path(file).exists() for file in _GPU_FILES)


def in_words(size: int) -> str:
    """Return bytes in MB, or in GB from half a GB on; both are powers of 1000."""
    if size >= 5e8:
        return f"{size / 1e9:.1f}".removesuffix(".0") + " GB"
    return f"{size / 1e6:.{0 if size >= 1e7 else 1}f} MB"
