"""Conversions of what packages carry to the files that engines load. The same input gives the same bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tools.core.errors import WeightsMissing

Conversion = Callable[[Path, Path], None]
"""Reads a file or folder and writes a file; raises ValueError for input that it does not know."""


def conversion(name: Literal["tfjs-onnx", "ctranslate2-whisper"]) -> Conversion:
    """Return a conversion by the name that the catalogue gives it.

    Raises:
        WeightsMissing: when a package is not installed that it needs.
    """
    if name == "tfjs-onnx":
        try:
            from tools.weights import tfjs
        except ModuleNotFoundError as error:
            raise WeightsMissing(
                f"To convert them takes the package {error.name}, which is not installed",
                "Run: pip install 'superlink[photos]'",
            ) from error
        return tfjs.to_onnx
    from tools.weights import ctranslate2

    return ctranslate2.to_whisper
