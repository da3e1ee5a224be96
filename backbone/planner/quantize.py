"""Writing the planner's model in 8 bits (``quantized.py`` describes the file)."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from backbone.planner.core import Core
from backbone.planner.quantized import BLOCK, FORMAT, NORMS, PRODUCTS, ZERO
from backbone.planner.tensors import Array


def write_quantized(core: Core, file: Path) -> None:
    """Quantise a core and write it with its tokenizer.

    Raises:
        OSError: the file cannot be written.
    """
    tensors: dict[str, NDArray[np.generic]] = {
        "tokenizer": np.frombuffer(core.tokenizer.to_str().encode(), np.uint8),
        "output_norm": core.norm(None, "output_norm"),
    }
    tensors["embedding.weight"], tensors["embedding.scale"] = quantize(core.embedding())
    for layer in range(core.config.layers):
        for name in NORMS:
            tensors[f"layers.{layer}.{name}"] = core.norm(layer, name)
        for name, parts in PRODUCTS.items():
            weight, scale = quantize(core.projection(layer, *parts))
            tensors[f"layers.{layer}.{name}.weight"], tensors[f"layers.{layer}.{name}.scale"] = weight, scale
    try:
        save_file(tensors, file, {"format": FORMAT, "config": json.dumps(asdict(core.config))})
    except SafetensorError as error:  # which is no OSError, but is raised for one
        raise OSError(str(error)) from error


def quantize(weight: Array) -> tuple[NDArray[np.uint8], Array]:
    """(N, K) weights to (N, K / BLOCK, BLOCK) 8-bit values and (N, K / BLOCK) scales."""
    blocks = weight.reshape(len(weight), -1, BLOCK)
    scale = np.abs(blocks).max(2) / (ZERO - 1)
    scale[scale == 0] = 1
    return (np.rint(blocks / scale[..., None]) + ZERO).astype(np.uint8), scale
