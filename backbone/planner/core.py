"""The language core: SmolLM2-135M-Instruct, loaded plain, with the planner's added tokens.

The core comes as a GGUF file; ``unpack`` writes it once as plain safetensors, which load in a fraction of a second.
"""

import json
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GgufConfig, LlamaForCausalLM
from transformers.utils import logging

__all__ = ["Tokenizer", "load_core", "load_tokenizer", "merge_adapter", "unpack", "with_rows"]

logging.disable_progress_bar()  # the library draws three for each core that it unpacks, one for each that it loads

_OTHER_ADAPTERS = (
    "use_dora",
    "use_rslora",
    "fan_in_fan_out",
    "lora_bias",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
)
"""Settings of PEFT under which an adapter is more than two matrices for each layer, or is scaled in another way."""


def unpack(gguf: Path, folder: Path) -> None:
    """Unpack a GGUF file into a ``transformers`` folder of plain bfloat16 safetensors.

    Args:
        gguf: the packed weights.
        folder: where the plain checkpoint goes; it appears only when it is complete.
    """
    from transformers import AutoTokenizer

    partial = folder.with_name(folder.name + ".partial")
    with redirect_stderr(StringIO()):  # it draws one more bar, whatever is set
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
            local_files_only=True,
            trust_remote_code=False,
        )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(partial)
    tokenizer = AutoTokenizer.from_pretrained(
        gguf.parent, gguf_file=gguf.name, local_files_only=True, trust_remote_code=False
    )
    tokenizer.save_pretrained(partial)
    partial.rename(folder)


def load_core(folder: Path, dtype: torch.dtype = torch.bfloat16) -> LlamaForCausalLM:
    """Load the unpacked core, in evaluation mode, its weights frozen."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="sdpa", local_files_only=True, trust_remote_code=False
    )
    model.requires_grad_(False)
    return model.eval()


def merge_adapter(model: LlamaForCausalLM, folder: Path) -> None:
    """Add a LoRA adapter, as PEFT saves it, to the weights that it was trained for: W + alpha / rank * B A (Hu et al. 2021).

    Args:
        model: the core; its weights are changed in place.
        folder: ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises:
        ValueError: the adapter is of another kind.
    """
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    other = [name for name in _OTHER_ADAPTERS if config.get(name)]
    if config["peft_type"] != "LORA" or config.get("bias", "none") != "none" or other:
        raise ValueError(f"{folder} is no plain LoRA adapter: {', '.join(other) or config['peft_type']}")
    matrices = load_file(folder / "adapter_model.safetensors")
    with torch.no_grad():
        for name in [name for name in matrices if name.endswith(".lora_A.weight")]:
            module = name.removesuffix(".lora_A.weight")
            first, second = matrices.pop(name).float(), matrices.pop(f"{module}.lora_B.weight").float()
            weight = model.get_parameter(f"{module.removeprefix('base_model.model.')}.weight")
            weight += second @ first * (config["lora_alpha"] / config["r"])  # in float32, rounded once
    if matrices:
        raise ValueError(f"{folder} is no plain LoRA adapter: it holds {', '.join(sorted(matrices)[:3])}")


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the core's tokenizer."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def with_rows(embedding: nn.Embedding, rows: Tensor) -> nn.Embedding:
    """An embedding with rows added after its last: (V, D) and (A, D) give (V + A, D)."""
    weight = torch.cat([embedding.weight.data, rows.to(embedding.weight)])
    return nn.Embedding(weight.shape[0], weight.shape[1], _weight=weight, _freeze=True)
