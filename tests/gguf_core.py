"""A language core of a few random numbers, in the format of the real one."""

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np


def write_core(
    file: Path,
    tokens: Sequence[str],
    merges: Sequence[str] = (),
    layers: int = 1,
    width: int = 32,
    heads: int = 2,
    key_heads: int = 1,
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q4_1,
    spread: float = 1.0,
) -> None:
    """Write a random Llama with tied embeddings; the first of its tokens is a special one."""
    head = width // heads
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL, *[gguf.TokenType.NORMAL] * (len(tokens) - 1)])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes = {"token_embd": (len(tokens), width), "output_norm": (width,)}
    for layer in range(layers):
        shapes |= {
            f"blk.{layer}.attn_norm": (width,),
            f"blk.{layer}.ffn_norm": (width,),
            f"blk.{layer}.attn_q": (width, width),
            f"blk.{layer}.attn_k": (key_heads * head, width),
            f"blk.{layer}.attn_v": (key_heads * head, width),
            f"blk.{layer}.attn_output": (width, width),
            f"blk.{layer}.ffn_gate": (2 * width, width),
            f"blk.{layer}.ffn_up": (2 * width, width),
            f"blk.{layer}.ffn_down": (width, 2 * width),
        }
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        numbers = spread * rng.standard_normal(shape).astype(np.float32) + (len(shape) == 1)
        kept = kind if len(shape) > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(f"{name}.weight", gguf.quantize(numbers, kept), raw_dtype=kept)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
