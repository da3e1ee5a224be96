"""Tensors of a safetensors file as numpy arrays, mapped into memory."""

import json
import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_TYPES = {"F32": np.float32, "F16": np.float16, "U8": np.uint8, "BF16": np.uint16}


class DamagedFile(ValueError):
    """A file of tensors is incomplete, or is not of the expected format."""


def read_tensors(file: Path) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    """Map a safetensors file into memory; pages are read when they are used.

    Returns:
        The tensors by name, read-only, and the file's metadata. bfloat16 tensors are converted to float32.

    Raises:
        DamagedFile: the file is cut short, has no valid header, or holds another type than F32, F16, U8 and BF16.
    """
    try:
        with file.open("rb") as opened:
            size = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(min(size, file.stat().st_size)))
        metadata = header.pop("__metadata__", {})
        data = np.memmap(file, np.uint8, "r", 8 + size).view(np.ndarray)
        return {name: _tensor(data, **entry) for name, entry in header.items()}, metadata
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{file} is no complete file of tensors ({error})") from error


def _tensor(data: NDArray[np.uint8], dtype: str, shape: list[int], data_offsets: list[int]) -> NDArray[np.generic]:
    array = data[slice(*data_offsets)].view(_TYPES[dtype]).reshape(shape)
    return (array.astype(np.uint32) << 16).view(np.float32) if dtype == "BF16" else array


def forget_pages(tensor: NDArray[np.generic]) -> None:
    """Take the pages of the file that a mapped tensor is part of out of memory; they are read again when used."""
    base: object = tensor
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def float32(array: NDArray[np.generic]) -> Array:
    """The array in float32; itself where it is that already."""
    return np.asarray(array, dtype=np.float32)
