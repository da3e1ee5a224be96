"""The language core as ``transformers`` trains it."""

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import torch
from gguf import GGUFReader
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, GgufConfig, LlamaForCausalLM
from transformers.utils import logging

from backbone.planner.core import read_tokenizer

logging.disable_progress_bar()  # of which the library draws four for each core


def load_core(gguf: Path, dtype: torch.dtype = torch.bfloat16) -> LlamaForCausalLM:
    """Load a core from its GGUF file, in evaluation mode, its weights frozen."""
    with redirect_stderr(StringIO()):  # one more progress bar, which no setting disables
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=dtype,
            attn_implementation="sdpa",
            local_files_only=True,
            trust_remote_code=False,
        )
    model.requires_grad_(False)
    return model.eval()


def load_tokenizer(gguf: Path) -> Tokenizer:
    """Load the tokenizer of a core from its GGUF file."""
    return read_tokenizer(GGUFReader(gguf))
