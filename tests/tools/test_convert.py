"""Conversions of weights: small models in the formats of TensorFlow.js and CTranslate2, made here."""

import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import safe_open

from tools.core.errors import WeightsMissing
from tools.weights import ctranslate2
from tools.weights.convert import conversion

Array = NDArray[np.generic]

RNG = np.random.default_rng(0)


# ---- TensorFlow.js ---------------------------------------------------------------------------------------------


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _ints(*values: int) -> dict[str, object]:
    return {"list": {"i": [str(value) for value in values]}}


class Model:
    """A TensorFlow.js graph model under construction."""

    def __init__(self, **inputs: tuple[str, list[int]]) -> None:
        self.nodes: list[dict[str, object]] = []
        self.weights: list[tuple[dict[str, object], bytes]] = []
        for name, (dtype, shape) in inputs.items():
            described = {"shape": {"dim": [{"size": str(size)} for size in shape]}}
            self.node(name, "Placeholder", [], dtype={"type": dtype}, shape=described)

    def node(self, name: str, op: str, inputs: list[str], **attributes: object) -> str:
        self.nodes.append({"name": name, "op": op, "input": inputs, "attr": attributes})
        return name

    def constant(self, name: str, value: Array, half: bool = False) -> str:
        described: dict[str, object] = {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
        if half:
            value = value.astype(np.float16)
            described["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
        self.weights.append((described, value.tobytes()))
        return self.node(name, "Const", [], dtype={"type": "DT_FLOAT"})

    def write(self, folder: Path, **outputs: list[int]) -> Path:
        folder.mkdir(exist_ok=True)
        signature = {
            name: {
                "name": f"{name}:0",
                "dtype": "DT_FLOAT",
                "tensorShape": {"dim": [{"size": str(size)} for size in shape]},
            }
            for name, shape in outputs.items()
        }
        manifest = [{"paths": ["model.bin"], "weights": [described for described, _ in self.weights]}]
        model = {
            "modelTopology": {"node": self.nodes},
            "signature": {"outputs": signature},
            "weightsManifest": manifest,
        }
        (folder / "model.json").write_text(json.dumps(model))
        (folder / "model.bin").write_bytes(b"".join(data for _, data in self.weights))
        return folder


def _run(source: Path, target: Path, **inputs: Array) -> list[Array]:
    onnxruntime = pytest.importorskip("onnxruntime")
    conversion("tfjs-onnx")(source, target)
    session = onnxruntime.InferenceSession(target.read_bytes(), providers=["CPUExecutionProvider"])
    results: list[Array] = session.run(None, {f"{name}:0": value for name, value in inputs.items()})
    return results


def _window(padding: str, *strides: int) -> dict[str, object]:
    return {"padding": {"s": _text(padding)}, "strides": _ints(1, *strides, 1)}


def test_convolutions_are_those_of_tensorflow(tmp_path: Path) -> None:
    """In TensorFlow an even side with stride 2 is padded on one side only, which differs from torch's padding."""
    pytest.importorskip("onnx")
    picture = RNG.random((1, 6, 5, 3), np.float32)
    kernel, bias = RNG.random((3, 3, 3, 4), np.float32) - 0.5, RNG.random(4, np.float32)
    depth, back = RNG.random((3, 3, 4, 1), np.float32) - 0.5, RNG.random((2, 2, 2, 4), np.float32)
    model = Model(x=("DT_FLOAT", [1, 6, 5, 3]))
    fused = {"fused_ops": {"list": {"s": [_text("BiasAdd"), _text("Relu6")]}}}
    model.node(
        "conv",
        "_FusedConv2D",
        ["x", model.constant("k", kernel, half=True), model.constant("b", bias)],
        **_window("SAME", 2, 2),
        **fused,
    )
    model.node("depth", "DepthwiseConv2dNative", ["conv", model.constant("d", depth)], **_window("VALID", 1, 1))
    size = model.constant("size", np.array([4, 5], np.int32))
    model.node("large", "ResizeBilinear", ["conv", size], half_pixel_centers={"b": True}, align_corners={"b": False})
    shape = model.constant("shape", np.array([1, 6, 6, 2], np.int32))
    model.node("back", "Conv2DBackpropInput", [shape, model.constant("w", back), "conv"], **_window("SAME", 2, 2))
    source = model.write(tmp_path / "model", depth=[1, 1, 1, 4], large=[1, 4, 5, 4], back=[1, 6, 6, 2])
    depth_result, large, backwards = _run(source, tmp_path / "model.onnx", x=picture)

    x = F.pad(torch.from_numpy(picture).permute(0, 3, 1, 2), (1, 1, 0, 1))  # left, right, top, bottom
    halves = torch.from_numpy(kernel.astype(np.float16).astype(np.float32)).permute(3, 2, 0, 1)
    conv = F.relu6(F.conv2d(x, halves, torch.from_numpy(bias), 2))
    expected = F.conv2d(conv, torch.from_numpy(depth).permute(2, 3, 0, 1), groups=4)
    np.testing.assert_allclose(depth_result, expected.permute(0, 2, 3, 1), atol=1e-5)
    np.testing.assert_allclose(large, F.interpolate(conv, (4, 5), mode="bilinear").permute(0, 2, 3, 1), atol=1e-5)
    transposed = F.conv_transpose2d(conv, torch.from_numpy(back).permute(3, 2, 0, 1), stride=2)
    np.testing.assert_allclose(backwards, transposed.permute(0, 2, 3, 1), atol=1e-5)


def test_indices_are_computed_as_tensorflow_does(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    heat = RNG.random((2, 12), np.float32)
    model = Model(heat=("DT_FLOAT", [2, 12]), offset=("DT_INT32", [2]))
    axis = model.constant("axis", np.array(1, np.int32))
    model.node("best", "ArgMax", ["heat", axis], output_type={"type": "DT_INT32"})
    model.node("moved", "Sub", ["best", "offset"])
    width = model.constant("width", np.array(4, np.int32))
    model.node("row", "FloorDiv", ["moved", width], T={"type": "DT_INT32"})
    number = model.constant("number", np.array([0, 1], np.int32))
    model.node("where", "Pack", [number, "best"], axis={"i": "1"})
    model.node("value", "GatherNd", ["heat", "where"])
    model.node("number_of_row", "Cast", ["row"], DstT={"type": "DT_FLOAT"})
    none, two = model.constant("none", np.zeros((0, 1), np.int64)), model.constant("two", np.array([2], np.int64))
    one = model.constant("one", np.array(1, np.int64))
    model.node("shape", "SparseToDense", [none, two, model.constant("v", np.zeros(0, np.int64)), one])
    model.node("square", "Reshape", ["value", "shape"])
    source = model.write(tmp_path / "model", number_of_row=[2], square=[1, 1])
    with pytest.raises(Exception, match="reshape"):  # two numbers do not fit into 1 x 1: the constant was folded
        _run(source, tmp_path / "model.onnx", heat=heat, offset=np.array([0, 20], np.int32))
    source = model.write(tmp_path / "model", number_of_row=[2], value=[2])
    rows, values = _run(source, tmp_path / "model.onnx", heat=heat, offset=np.array([0, 20], np.int32))
    best = heat.argmax(1)
    np.testing.assert_array_equal(rows, (best - [0, 20]) // 4)  # towards minus infinity
    np.testing.assert_array_equal(values, heat.max(1))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    model = Model(x=("DT_FLOAT", [1, 4]))
    model.node("y", "Mul", ["x", model.constant("k", np.ones(4, np.float32))])
    source = model.write(tmp_path / "model", y=[1, 4])
    for name in ("one.onnx", "two.onnx"):
        conversion("tfjs-onnx")(source, tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_what_is_no_such_graph_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    convert = conversion("tfjs-onnx")
    model = Model(x=("DT_FLOAT", [1, 4]))
    model.node("y", "While", ["x"])
    source = model.write(tmp_path / "model", y=[1, 4])
    with pytest.raises(ValueError, match="operation While is not converted"):
        convert(source, tmp_path / "model.onnx")
    (source / "model.bin").write_bytes(b"more")
    with pytest.raises(ValueError, match="model.bin has 4 bytes, the model describes 0"):
        convert(source, tmp_path / "model.onnx")
    for text in ("{}", "[]", "no JSON"):
        (source / "model.json").write_text(text)
        with pytest.raises(ValueError, match="is not a TensorFlow.js graph model|Expecting value"):
            convert(source, tmp_path / "model.onnx")


def test_a_package_that_is_missing_is_named_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("tools.weights.tfjs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("tools.weights.tfjs", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(WeightsMissing, match=r"onnx.*superlink\[photos\]"):
        conversion("tfjs-onnx")


# ---- CTranslate2 -----------------------------------------------------------------------------------------------

STATE, LAYERS, HEADS = 8, 2, 2
DIMS = {
    "n_mels": 5,
    "n_audio_ctx": 6,
    "n_audio_state": STATE,
    "n_audio_head": HEADS,
    "n_audio_layer": LAYERS,
    "n_vocab": 7,
    "n_text_ctx": 4,
    "n_text_state": STATE,
    "n_text_head": HEADS,
    "n_text_layer": LAYERS,
}


def _random(*shape: int) -> NDArray[np.float16]:
    return RNG.random(shape).astype(np.float16)


def _whisper() -> dict[str, NDArray[np.float16]]:
    """Return random tensors under OpenAI's names."""
    tensors = {
        "encoder.conv1.weight": _random(STATE, 5, 3),
        "encoder.conv2.weight": _random(STATE, STATE, 3),
        "encoder.conv1.bias": _random(STATE),
        "encoder.conv2.bias": _random(STATE),
        "encoder.positional_embedding": _random(6, STATE),
        "decoder.positional_embedding": _random(4, STATE),
        "decoder.token_embedding.weight": _random(7, STATE),
    }
    norms = ["encoder.ln_post", "decoder.ln"]
    for side in ("encoder", "decoder"):
        for layer in range(LAYERS):
            block = f"{side}.blocks.{layer}"
            for attention in ("attn", "cross_attn")[: 1 if side == "encoder" else 2]:
                norms.append(f"{block}.{attention}_ln")
                for name in ("query", "key", "value", "out"):
                    tensors[f"{block}.{attention}.{name}.weight"] = _random(STATE, STATE)
                    if name != "key":
                        tensors[f"{block}.{attention}.{name}.bias"] = _random(STATE)
            norms.append(f"{block}.mlp_ln")
            tensors[f"{block}.mlp.0.weight"], tensors[f"{block}.mlp.0.bias"] = _random(16, STATE), _random(16)
            tensors[f"{block}.mlp.2.weight"], tensors[f"{block}.mlp.2.bias"] = _random(STATE, 16), _random(STATE)
    for norm in norms:
        tensors[f"{norm}.weight"], tensors[f"{norm}.bias"] = _random(STATE), _random(STATE)
    return tensors


def _joined(tensors: dict[str, NDArray[np.float16]]) -> dict[str, Array]:
    """Return the same tensors as CTranslate2 names and joins them."""
    zero = np.zeros(STATE, np.float16)
    variables: dict[str, Array] = {"encoder/num_heads": np.array(HEADS, np.int16)}
    variables["decoder/num_heads"] = np.array(HEADS, np.int16)

    def pair(to: str, name: str, weight: str = "weight", bias: str = "bias") -> None:
        variables[f"{to}/{weight}"], variables[f"{to}/{bias}"] = tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    def join(to: str, name: str, parts: tuple[str, ...]) -> None:
        variables[f"{to}/weight"] = np.concatenate([tensors[f"{name}.{part}.weight"] for part in parts])
        biases = [tensors.get(f"{name}.{part}.bias", zero) for part in parts]
        variables[f"{to}/bias"] = np.concatenate(biases)

    for side in ("encoder", "decoder"):
        for layer in range(LAYERS):
            to, name = f"{side}/layer_{layer}", f"{side}.blocks.{layer}"
            join(f"{to}/self_attention/linear_0", f"{name}.attn", ("query", "key", "value"))
            pair(f"{to}/self_attention/linear_1", f"{name}.attn.out")
            pair(f"{to}/self_attention/layer_norm", f"{name}.attn_ln", "gamma", "beta")
            if side == "decoder":
                join(f"{to}/attention/linear_0", f"{name}.cross_attn", ("query",))
                join(f"{to}/attention/linear_1", f"{name}.cross_attn", ("key", "value"))
                pair(f"{to}/attention/linear_2", f"{name}.cross_attn.out")
                pair(f"{to}/attention/layer_norm", f"{name}.cross_attn_ln", "gamma", "beta")
            pair(f"{to}/ffn/linear_0", f"{name}.mlp.0")
            pair(f"{to}/ffn/linear_1", f"{name}.mlp.2")
            pair(f"{to}/ffn/layer_norm", f"{name}.mlp_ln", "gamma", "beta")
        variables[f"{side}/position_encodings/encodings"] = tensors[f"{side}.positional_embedding"]
    pair("encoder/conv1", "encoder.conv1")
    pair("encoder/conv2", "encoder.conv2")
    pair("encoder/layer_norm", "encoder.ln_post", "gamma", "beta")
    pair("decoder/layer_norm", "decoder.ln", "gamma", "beta")
    variables["decoder/embeddings/weight"] = tensors["decoder.token_embedding.weight"]
    return variables


def _name(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def _ct2(variables: dict[str, Array], version: int = 6, specification: str = "WhisperSpec") -> bytes:
    types = {"float16": 4, "int16": 2, "int8": 1}
    data = struct.pack("<I", version) + _name(specification) + struct.pack("<II", 3, len(variables))
    for name, value in variables.items():
        data += _name(name) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        data += struct.pack("<BI", types[str(value.dtype)], value.nbytes) + value.tobytes()
    alias = _name("decoder/projection/weight") + _name("decoder/embeddings/weight")
    return data + struct.pack("<I", 1) + alias


def _write(folder: Path, data: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.bin").write_bytes(data)
    (folder / "config.json").write_text(json.dumps({"alignment_heads": [[1, 0], [1, 1]]}))
    return folder


def test_whisper_comes_out_of_ctranslate2_as_it_went_in(tmp_path: Path) -> None:
    tensors = _whisper()
    source, target = _write(tmp_path / "model", _ct2(_joined(tensors))), tmp_path / "whisper.safetensors"
    ctranslate2.to_whisper(source, target)
    with safe_open(target, framework="numpy") as file:
        assert json.loads(file.metadata()["whisper"]) == {"dims": DIMS, "alignment_heads": [[1, 0], [1, 1]]}
        assert set(file.keys()) == set(tensors)
        for name, value in tensors.items():
            np.testing.assert_array_equal(file.get_tensor(name), value)
    first = target.read_bytes()
    ctranslate2.to_whisper(source, target)
    assert target.read_bytes() == first


def test_what_is_no_whisper_of_ctranslate2_is_refused(tmp_path: Path) -> None:
    variables, target = _joined(_whisper()), tmp_path / "whisper.safetensors"
    whole = _ct2(variables)
    key = "encoder/layer_0/self_attention/linear_0"
    biased = variables | {f"{key}/bias": _random(3 * STATE) + np.float16(1)}
    packed = variables | {f"{key}/weight": np.ones((3 * STATE, STATE), np.int8)}
    cases = {
        "binary version 5": _ct2(variables, version=5),
        "a BertSpec of revision 3": _ct2(variables, specification="BertSpec"),
        "bias of the keys is not zero": _ct2(biased),
        "whole numbers": _ct2(packed),
        "3 bytes after its end": whole + b"end",
        "ends early": whole[: len(whole) // 2],
        "no Whisper model of": b"",
    }
    for words, data in cases.items():
        with pytest.raises(ValueError, match=words):
            ctranslate2.to_whisper(_write(tmp_path / "model", data), target)
    assert not target.exists()
