"""The planner's model in one file: the core with the adapter merged in, in 8 bits, and the tokenizer.

Weights are quantised in blocks of ``BLOCK`` along a row: w = scale * (q - ZERO), q of 8 bits, scale in float32.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backbone.planner.tensors import Array, DamagedFile, float32, read_tensors

FORMAT = "superlink-planner-1"
"""Version of the file's layout; part of its key in the cache."""

BLOCK = 32
ZERO = 128

PRODUCTS = {
    "query_key_value": ("attn_q", "attn_k", "attn_v"),
    "out": ("attn_output",),
    "gate_up": ("ffn_gate", "ffn_up"),
    "down": ("ffn_down",),
}
"""The products of a layer; projections of the same input are joined into one product."""

NORMS = ("attn_norm", "ffn_norm")


@dataclass(frozen=True)
class Config:
    """Hyperparameters of a Llama with tied embeddings.

    Attributes:
        layers: number of layers.
        heads: query heads.
        key_heads: heads of keys and values, each shared by ``heads / key_heads`` query heads.
        head_size: dimensions of one head.
        eps: added to the variance in RMS norms.
        theta: base of the rotary embedding.
        vocabulary: rows of the core's embedding, without the added tokens.
    """

    layers: int
    heads: int
    key_heads: int
    head_size: int
    eps: float
    theta: float
    vocabulary: int


@dataclass(frozen=True)
class Quantized:
    """A model in 8 bits, mapped into memory.

    Attributes:
        config: hyperparameters.
        tensors: ``embedding``, ``output_norm``, ``layers.N.attn_norm``, ``layers.N.out`` … by name. A quantised matrix
            (N, K) is two: ``….weight``, (N, K / BLOCK, BLOCK) uint8, and ``….scale``, (N, K / BLOCK) float32.
        tokenizer: the tokenizer as JSON.
    """

    config: Config
    tensors: dict[str, NDArray[np.generic]]
    tokenizer: str


def read_quantized(file: Path) -> Quantized:
    """Map a file of ``write_quantized`` into memory.

    Raises:
        DamagedFile: the file is incomplete or of another format.
    """
    tensors, metadata = read_tensors(file)
    if metadata.get("format") != FORMAT:
        raise DamagedFile(f"{file} is no file of {FORMAT}")
    return Quantized(Config(**json.loads(metadata["config"])), tensors, tensors["tokenizer"].tobytes().decode())


def dequantize(weight: NDArray[np.generic], scale: NDArray[np.generic]) -> Array:
    """The inverse of ``quantize``, up to rounding: (N, K) in float32."""
    blocks = (weight.astype(np.float32) - np.float32(ZERO)) * float32(scale)[..., None]
    return float32(blocks.reshape(len(weight), -1))
