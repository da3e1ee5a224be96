"""The language core (SmolLM2-135M-Instruct, a GGUF file) with the trained adapter merged into it, in float32."""

from pathlib import Path

import numpy as np
from gguf import GGUFReader, dequantize
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from backbone.planner.adapter import read_lora, read_rows
from backbone.planner.quantized import Config
from backbone.planner.tensors import Array, float32

_CONTROL_TOKEN = "3"
"""``tokenizer.ggml.token_type`` of special tokens."""

_PROJECTIONS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Names of the projections in GGUF files and in adapters."""


class Core:
    """A core with an adapter.

    Args:
        gguf: the core.
        adapter: folder of the adapter.

    Attributes:
        config: hyperparameters.
        tokenizer: the core's.

    Raises:
        ValueError: the core is no Llama with tied embeddings, or the adapter is no plain LoRA adapter of this core.
    """

    def __init__(self, gguf: Path, adapter: Path) -> None:
        self._reader = GGUFReader(gguf)
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        if _field(self._reader, "general.architecture") != "llama" or "output.weight" in self._tensors:
            raise ValueError(f"{gguf} is no Llama with tied embeddings")
        self.config = self._config()
        self.tokenizer = read_tokenizer(self._reader)
        self._lora, self._scale = read_lora(adapter)
        modules = {f"layers.{layer}.{name}" for layer in range(self.config.layers) for name in _PROJECTIONS.values()}
        if unknown := sorted(set(self._lora) - modules):
            raise ValueError(f"{adapter} is no adapter of {gguf}: it changes {', '.join(unknown[:3])}")
        self._rows = read_rows(adapter)
        if self._rows.shape[1] != self._tensors["token_embd.weight"].shape[0]:
            raise ValueError(f"{adapter} is no adapter of {gguf}: its embeddings are {self._rows.shape[1]} wide")

    def embedding(self) -> Array:
        """Embedding of the core's tokens and of the added ones, (V, D); also the output projection."""
        return np.concatenate([self._plain("token_embd"), self._rows])

    def norm(self, layer: int | None, name: str) -> Array:
        """Weights of an RMS norm, (D,): ``attn_norm`` and ``ffn_norm`` of a layer, ``output_norm`` of none."""
        return self._plain(name if layer is None else f"blk.{layer}.{name}")

    def projection(self, layer: int, *names: str) -> Array:
        """Merged weights of one or several projections, (N, K), one below the other."""
        return np.concatenate([self._merged(layer, name) for name in names])

    def _merged(self, layer: int, name: str) -> Array:
        """W + alpha / rank * B A (Hu et al. 2021)."""
        weight = self._plain(f"blk.{layer}.{name}")
        if name in ("attn_q", "attn_k"):
            weight = self._unpermuted(weight)
        module = f"layers.{layer}.{_PROJECTIONS[name]}"
        if module not in self._lora:
            return weight
        down, up = self._lora[module]
        if (len(up), down.shape[1]) != weight.shape:
            raise ValueError(
                f"the adapter is of another core: {module} is {weight.shape}, not {(len(up), down.shape[1])}"
            )
        return weight + up @ down * np.float32(self._scale)

    def _unpermuted(self, weight: Array) -> Array:
        """Rows of queries or keys in the order of the half-split rotary embedding; GGUF files interleave the halves."""
        half = self.config.head_size // 2
        return weight.reshape(-1, half, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)

    def _plain(self, name: str) -> Array:
        tensor = self._tensors[f"{name}.weight"]
        return float32(dequantize(tensor.data, tensor.tensor_type))

    def _config(self) -> Config:
        def number(name: str) -> float:
            return float(str(_field(self._reader, f"llama.{name}")))

        heads = int(number("attention.head_count"))
        return Config(
            layers=int(number("block_count")),
            heads=heads,
            key_heads=int(number("attention.head_count_kv")),
            head_size=int(number("embedding_length")) // heads,
            eps=number("attention.layer_norm_rms_epsilon"),
            theta=number("rope.freq_base"),
            vocabulary=int(self._tensors["token_embd.weight"].shape[1]),
        )


def read_tokenizer(gguf: GGUFReader) -> Tokenizer:
    """The tokenizer of a GGUF file: byte-level BPE."""
    tokens, merges, kinds = (_strings(gguf, f"tokenizer.ggml.{name}") for name in ("tokens", "merges", "token_type"))
    vocabulary = {token: number for number, token in enumerate(tokens)}
    pairs = [(first, second) for first, _, second in (merge.partition(" ") for merge in merges)]
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return tokenizer


def _field(gguf: GGUFReader, name: str) -> object:
    return gguf.fields[name].contents() if name in gguf.fields else None


def _strings(gguf: GGUFReader, name: str) -> list[str]:
    """A field that is a list, its items as text."""
    items = _field(gguf, name)
    return [str(item) for item in items] if isinstance(items, list) else []
