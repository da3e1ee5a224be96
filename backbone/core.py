"""The language core: SmolLM2-135M-Instruct, loaded plain, with the planner's added tokens.

The core comes as a GGUF file; ``unpack`` writes it once as plain safetensors, which load in a fraction of a second.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GgufConfig, LlamaForCausalLM

__all__ = ["Tokenizer", "load_core", "load_tokenizer", "unpack", "with_rows"]


def unpack(gguf: Path, folder: Path) -> None:
    """Unpack a GGUF file into a ``transformers`` folder of plain bfloat16 safetensors.

    Args:
        gguf: the packed weights.
        folder: where the plain checkpoint goes; it appears only when it is complete.
    """
    from transformers import AutoTokenizer

    partial = folder.with_name(folder.name + ".partial")
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(partial)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(partial)
    partial.rename(folder)


def load_core(folder: Path, dtype: torch.dtype = torch.bfloat16) -> LlamaForCausalLM:
    """Load the unpacked core, in evaluation mode, its weights frozen."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa", local_files_only=True)
    model.requires_grad_(False)
    return model.eval()


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the core's tokenizer."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def with_rows(embedding: nn.Embedding, rows: Tensor) -> nn.Embedding:
    """An embedding with rows added after its last: (V, D) and (A, D) give (V + A, D)."""
    weight = torch.cat([embedding.weight.data, rows.to(embedding.weight)])
    return nn.Embedding(weight.shape[0], weight.shape[1], _weight=weight, _freeze=True)
