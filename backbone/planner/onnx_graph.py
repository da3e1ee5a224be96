"""ONNX graphs of a Llama with 8-bit weights, encoded without the ``onnx`` package.

The graphs use contributed operators of onnxruntime: ``MatMulNBits`` for products with quantised weights and
``GroupQueryAttention`` for attention with a cache. Weights are external tensors, which the engine supplies from memory.
Field numbers are those of ``onnx.proto3``.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from backbone.planner.quantized import BLOCK, Config

_CONTRIBUTED = "com.microsoft"
_OPSETS = {"": 18, _CONTRIBUTED: 1}
_IR_VERSION = 8
_ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int32": 6}
_FLOAT, _INT = 1, 2  # AttributeProto.AttributeType
_EXTERNAL = 1  # TensorProto.DataLocation
_INT8_ACTIVATIONS = 4
"""``accuracy_level`` of ``MatMulNBits``: activations are rounded to 8 bits, in blocks, before a product."""

Dimension = int | str
"""A size, or the name of one that varies between runs."""


class Graph:
    """A graph in the making.

    Attributes:
        weights: names of the external tensors that the graph uses.
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.generic]]) -> None:
        self.weights: list[str] = []
        self._tensors = tensors
        self._nodes: list[bytes] = []
        self._values: list[bytes] = []

    def node(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: int | float
    ) -> None:
        """Add a node; an empty name stands for an optional input or output that is left out."""
        body = [_field(1, name) for name in inputs] + [_field(2, name) for name in outputs] + [_field(4, operator)]
        body += [_field(5, _attribute(name, value)) for name, value in attributes.items()] + [_field(7, domain)]
        self._nodes.append(_field(1, b"".join(body)))

    def product(self, source: str, name: str, target: str) -> None:
        """Add a product with the quantised matrix ``name``: (…, K) to (…, N)."""
        rows, blocks = self._tensors[f"{name}.scale"].shape
        inputs = [source, self.weight(f"{name}.weight"), self.weight(f"{name}.scale")]
        self.node(
            "MatMulNBits",
            inputs,
            [target],
            _CONTRIBUTED,
            K=blocks * BLOCK,
            N=rows,
            bits=8,
            block_size=BLOCK,
            accuracy_level=_INT8_ACTIVATIONS,
        )

    def weight(self, name: str) -> str:
        """Declare an external tensor, and return its name."""
        self.weights.append(name)
        return name

    def input(self, name: str, dtype: str, shape: Sequence[Dimension]) -> None:
        """Declare an input."""
        self._values.append(_field(11, _value(name, dtype, shape)))

    def output(self, name: str, shape: Sequence[Dimension]) -> None:
        """Declare an output in float32."""
        self._values.append(_field(12, _value(name, "float32", shape)))

    def model(self) -> bytes:
        """The graph as a serialised ``ModelProto``."""
        external = [_field(5, _external(name, self._tensors[name])) for name in self.weights]
        graph = b"".join([*self._nodes, _field(2, "planner"), *external, *self._values])
        opsets = (_field(8, _field(1, domain) + _field(2, version)) for domain, version in _OPSETS.items())
        return _field(1, _IR_VERSION) + _field(7, graph) + b"".join(opsets)


def decoder_graph(config: Config, tensors: Mapping[str, NDArray[np.generic]]) -> Graph:
    """The forward pass from embedded tokens to final hidden states.

    Inputs: ``embedded`` (1, T, D); ``last`` (1,), the position of the last token; ``total`` (), the number of tokens;
    ``cos`` and ``sin``, rotary tables; ``keys.N`` and ``values.N`` (1, key heads, capacity, head size). Outputs:
    ``states`` (1, T, D); ``new_keys.N`` and ``new_values.N``, to be bound to the same memory as their inputs.
    """
    graph = Graph(tensors)
    size = tensors["output_norm"].shape[0]
    graph.input("embedded", "float32", [1, "tokens", size])
    graph.input("last", "int32", [1])
    graph.input("total", "int32", [])
    for name in ("cos", "sin"):
        graph.input(name, "float32", ["positions", config.head_size // 2])
    residual, added = "embedded", ""
    for layer in range(config.layers):
        at = f"layers.{layer}"
        cache = [f"keys.{layer}", f"values.{layer}"]
        for name in cache:
            graph.input(name, "float32", [1, config.key_heads, "capacity", config.head_size])
            graph.output(f"new_{name}", [1, config.key_heads, "capacity", config.head_size])
        if added:
            _add_and_norm(graph, residual, added, f"{at}.attn_norm", f"{at}.attention", f"{at}.residual", config.eps)
            residual = f"{at}.residual"
        else:
            weight = graph.weight(f"{at}.attn_norm")
            graph.node(
                "SimplifiedLayerNormalization", [residual, weight], [f"{at}.attention"], axis=-1, epsilon=config.eps
            )
        graph.product(f"{at}.attention", f"{at}.query_key_value", f"{at}.heads")
        graph.node(
            "GroupQueryAttention",
            [f"{at}.heads", "", "", *cache, "last", "total", "cos", "sin"],
            [f"{at}.attended", *(f"new_{name}" for name in cache)],
            _CONTRIBUTED,
            num_heads=config.heads,
            kv_num_heads=config.key_heads,
            do_rotary=1,
        )
        graph.product(f"{at}.attended", f"{at}.out", f"{at}.projected")
        _add_and_norm(graph, residual, f"{at}.projected", f"{at}.ffn_norm", f"{at}.mlp", f"{at}.middle", config.eps)
        residual = f"{at}.middle"
        graph.product(f"{at}.mlp", f"{at}.gate_up", f"{at}.joined")
        graph.node("Split", [f"{at}.joined"], [f"{at}.gate", f"{at}.up"], axis=-1, num_outputs=2)
        graph.node("QuickGelu", [f"{at}.gate"], [f"{at}.activated"], _CONTRIBUTED, alpha=1.0)  # x * sigmoid(x): SiLU
        graph.node("Mul", [f"{at}.activated", f"{at}.up"], [f"{at}.gated"])
        added = f"{at}.down_projected"
        graph.product(f"{at}.gated", f"{at}.down", added)
    _add_and_norm(graph, residual, added, "output_norm", "states", "", config.eps)
    graph.output("states", [1, "tokens", size])
    return graph


def scores_graph(tensors: Mapping[str, NDArray[np.generic]]) -> Graph:
    """The output projection: ``states`` (T, D) to ``scores`` (T, V)."""
    graph = Graph(tensors)
    graph.product("states", "embedding", "scores")
    graph.input("states", "float32", ["tokens", tensors["output_norm"].shape[0]])
    graph.output("scores", ["tokens", tensors["embedding.scale"].shape[0]])
    return graph


def _add_and_norm(graph: Graph, residual: str, added: str, weight: str, normed: str, total: str, eps: float) -> None:
    """``total`` = residual + added, ``normed`` = RMS norm of it; an empty ``total`` is not kept."""
    outputs = [normed, "", "", total] if total else [normed]
    inputs = [residual, added, graph.weight(weight)]
    graph.node("SkipSimplifiedLayerNormalization", inputs, outputs, _CONTRIBUTED, epsilon=eps)


def _varint(number: int) -> bytes:
    number &= 2**64 - 1
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _field(number: int, value: int | float | str | bytes) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _attribute(name: str, value: int | float) -> bytes:
    number, kind = (2, _FLOAT) if isinstance(value, float) else (3, _INT)
    return _field(1, name) + _field(number, value) + _field(20, kind)


def _external(name: str, tensor: NDArray[np.generic]) -> bytes:
    dimensions = b"".join(_field(1, size) for size in tensor.shape)
    location = _field(13, _field(1, "location") + _field(2, name))
    return (
        dimensions + _field(2, _ELEMENT_TYPES[tensor.dtype.name]) + _field(8, name) + location + _field(14, _EXTERNAL)
    )


def _value(name: str, dtype: str, shape: Sequence[Dimension]) -> bytes:
    sizes = (_field(1, size) if isinstance(size, int) else _field(2, size) for size in shape)
    dimensions = b"".join(_field(1, size) for size in sizes)
    return _field(1, name) + _field(2, _field(1, _field(1, _ELEMENT_TYPES[dtype]) + _field(2, dimensions)))
