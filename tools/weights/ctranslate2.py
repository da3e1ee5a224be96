"""Conversion of CTranslate2's Whisper models to safetensors files with OpenAI's names and dimensions.

CTranslate2 joins the projections of an attention block to one matrix and adds a key bias of zeros; both are undone
here. The file's metadata hold, under "whisper", the model's dimensions and alignment heads as JSON.
"""

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

_VERSION = 6
_SPECIFICATION = ("WhisperSpec", 3)
_TYPES = ("float32", "int8", "int16", "int32", "float16")  # by their numbers in the file; 5 is bfloat16


def to_whisper(source: Path, target: Path) -> None:
    """Write a Whisper model of CTranslate2 as safetensors in half precision.

    Args:
        source: The folder with `model.bin` and `config.json`.
        target: The file to write.

    Raises:
        ValueError: when it is no Whisper model, or stored as whole numbers (int8).
        OSError: when a file cannot be read or written.
    """
    from safetensors.numpy import save

    try:
        variables = _read(source / "model.bin")
        tensors = _tensors(variables)
        heads = json.loads((source / "config.json").read_text(encoding="utf-8")).get("alignment_heads")
        described = json.dumps({"dims": _dimensions(variables), "alignment_heads": heads}, sort_keys=True)
    except (KeyError, IndexError, struct.error, UnicodeDecodeError, AttributeError) as error:
        raise ValueError(f"{source.name} holds no Whisper model of CTranslate2: {error!r}") from error
    halves = {name: np.ascontiguousarray(value, np.float16) for name, value in sorted(tensors.items())}
    target.write_bytes(save(halves, metadata={"whisper": described}))


def _read(file: Path) -> dict[str, Array]:
    """Return the variables of a `model.bin` by name."""
    data, at = file.read_bytes(), 0

    def take(form: str) -> tuple[int, ...]:
        nonlocal at
        values = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return values

    def text() -> str:
        nonlocal at
        (length,) = take("H")  # counts the zero byte at the end
        at += length
        return data[at - length : at - 1].decode()

    (version,) = take("I")
    if version != _VERSION:
        raise ValueError(f"{file.name} has the binary version {version}, not {_VERSION}")
    name, (revision, count) = text(), take("II")
    if (name, revision) != _SPECIFICATION:
        raise ValueError(f"{file.name} is a {name} of revision {revision}, not a {_SPECIFICATION[0]} of revision 3")
    variables: dict[str, Array] = {}
    for _ in range(count):
        name, (rank,) = text(), take("B")
        shape, (kind, size) = take(f"{rank}I"), take("BI")
        dtype = np.dtype(_TYPES[kind])
        if at + size > len(data):
            raise ValueError(f"{file.name} ends early, within {name}")
        variables[name] = np.frombuffer(data, dtype, size // dtype.itemsize, at).reshape(shape)
        at += size
    (count,) = take("I")
    for _ in range(count):
        alias, name = text(), text()
        variables.setdefault(alias, variables[name])
    if at != len(data):
        raise ValueError(f"{file.name} has {len(data) - at} bytes after its end")
    return variables


def _layers(variables: dict[str, Array], side: str) -> int:
    return sum(name.startswith(f"{side}/layer_") and name.endswith("/ffn/linear_0/bias") for name in variables)


def _tensors(variables: dict[str, Array]) -> dict[str, Array]:
    """Return the tensors under OpenAI's names."""
    if any(value.dtype.kind == "i" for name, value in variables.items() if name.endswith("/weight")):
        raise ValueError("the model is stored as whole numbers (int8), which are not converted")
    tensors: dict[str, Array] = {}

    def pair(to: str, source: str, weight: str = "weight", bias: str = "bias") -> None:
        tensors[f"{to}.weight"] = variables[f"{source}/{weight}"]
        tensors[f"{to}.bias"] = variables[f"{source}/{bias}"]

    def projections(to: str, names: Sequence[str], source: str) -> None:
        """Take projections apart that are joined to one matrix."""
        weights = np.split(variables[f"{source}/weight"], len(names))
        biases = np.split(variables[f"{source}/bias"], len(names))
        for name, weight, bias in zip(names, weights, biases, strict=True):
            tensors[f"{to}.{name}.weight"] = weight
            if name != "key":
                tensors[f"{to}.{name}.bias"] = bias
            elif bias.any():
                raise ValueError(f"{source}: the bias of the keys is not zero")

    for side in ("encoder", "decoder"):
        for layer in range(_layers(variables, side)):
            source, to = f"{side}/layer_{layer}", f"{side}.blocks.{layer}"
            projections(f"{to}.attn", ("query", "key", "value"), f"{source}/self_attention/linear_0")
            pair(f"{to}.attn.out", f"{source}/self_attention/linear_1")
            pair(f"{to}.attn_ln", f"{source}/self_attention/layer_norm", "gamma", "beta")
            if side == "decoder":
                pair(f"{to}.cross_attn.query", f"{source}/attention/linear_0")
                projections(f"{to}.cross_attn", ("key", "value"), f"{source}/attention/linear_1")
                pair(f"{to}.cross_attn.out", f"{source}/attention/linear_2")
                pair(f"{to}.cross_attn_ln", f"{source}/attention/layer_norm", "gamma", "beta")
            pair(f"{to}.mlp.0", f"{source}/ffn/linear_0")
            pair(f"{to}.mlp.2", f"{source}/ffn/linear_1")
            pair(f"{to}.mlp_ln", f"{source}/ffn/layer_norm", "gamma", "beta")
        # Not Whisper's own sinusoids: the stored ones differ from them in the fourth digit.
        tensors[f"{side}.positional_embedding"] = variables[f"{side}/position_encodings/encodings"]
    pair("encoder.conv1", "encoder/conv1")
    pair("encoder.conv2", "encoder/conv2")
    pair("encoder.ln_post", "encoder/layer_norm", "gamma", "beta")
    pair("decoder.ln", "decoder/layer_norm", "gamma", "beta")
    tensors["decoder.token_embedding.weight"] = variables["decoder/embeddings/weight"]
    return tensors


def _dimensions(variables: dict[str, Array]) -> dict[str, int]:
    """Return the sizes that OpenAI's `ModelDimensions` names."""
    audio, text = (variables[f"{side}/position_encodings/encodings"].shape for side in ("encoder", "decoder"))
    return {
        "n_mels": variables["encoder/conv1/weight"].shape[1],
        "n_audio_ctx": audio[0],
        "n_audio_state": audio[1],
        "n_audio_head": int(variables["encoder/num_heads"]),
        "n_audio_layer": _layers(variables, "encoder"),
        "n_vocab": variables["decoder/embeddings/weight"].shape[0],
        "n_text_ctx": text[0],
        "n_text_state": text[1],
        "n_text_head": int(variables["decoder/num_heads"]),
        "n_text_layer": _layers(variables, "decoder"),
    }
