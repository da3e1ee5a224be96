"""The trained adapter: LoRA matrices as PEFT writes them, and the embedding rows of the added tokens."""

import json
from collections.abc import Mapping
from pathlib import Path

from backbone.planner.tensors import Array, float32, read_tensors

ADAPTER = Path(__file__).resolve().parents[1] / "weights" / "planner"
"""The adapter that is shipped: LoRA matrices and the embedding rows of the added tokens."""

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "rows.safetensors")
"""The files of an adapter; the first two as PEFT writes them."""

_UNSUPPORTED = (
    "use_dora",
    "use_rslora",
    "fan_in_fan_out",
    "lora_bias",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
)
"""Settings of PEFT under which an adapter is not just two matrices for each layer, or is scaled in another way."""


def read_lora(adapter: Path) -> tuple[Mapping[str, tuple[Array, Array]], float]:
    """Read the LoRA matrices.

    Returns:
        Matrices A (R, K) and B (N, R) of each module ("layers.0.mlp.up_proj"), and their scale, alpha / rank.

    Raises:
        ValueError: the adapter is not just two matrices for each module.
    """
    config = json.loads((adapter / ADAPTER_FILES[0]).read_text(encoding="utf-8"))
    unsupported = [name for name in _UNSUPPORTED if config.get(name)]
    if config["peft_type"] != "LORA" or config.get("bias", "none") != "none" or unsupported:
        raise ValueError(f"{adapter} is no plain LoRA adapter: {', '.join(unsupported) or config['peft_type']}")
    tensors, _ = read_tensors(adapter / ADAPTER_FILES[1])
    matrices: dict[str, tuple[Array, Array]] = {}
    for name in [name for name in tensors if name.endswith(".lora_A.weight")]:
        module = name.removesuffix(".lora_A.weight")
        pair = float32(tensors.pop(name)), float32(tensors.pop(f"{module}.lora_B.weight"))
        matrices[module.removeprefix("base_model.model.model.")] = pair
    if tensors:
        raise ValueError(f"{adapter} is no plain LoRA adapter: it holds {', '.join(sorted(tensors)[:3])}")
    return matrices, config["lora_alpha"] / config["r"]


def read_rows(adapter: Path) -> Array:
    """Embedding rows of the added tokens, (A, D)."""
    return float32(read_tensors(adapter / ADAPTER_FILES[2])[0]["rows"])
