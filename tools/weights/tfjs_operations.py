"""How each TensorFlow operation is written in ONNX. Pictures are (N, H, W, C) in TensorFlow, (N, C, H, W) in ONNX."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tools.weights.tfjs_graph import Graph, Node, onnx_type, tensor_name

_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]

Conversion = Callable[[Graph, Node], object]
"""Adds the ONNX nodes for one TensorFlow node."""


def _plain(op: str, **attributes: float) -> Conversion:
    """Return the conversion of an operation that ONNX has with the same inputs."""

    def add(graph: Graph, node: Node) -> None:
        graph.emit(op, node.inputs, tensor_name(node.name), **attributes)

    return add


def _windows(node: Node) -> dict[str, Any]:
    """Return strides and padding of a convolution or pooling as ONNX attributes."""
    if node.text("padding") not in ("SAME", "VALID"):
        raise ValueError(f"{node.name}: the padding {node.text('padding')} is not converted")
    pads = "SAME_UPPER" if node.text("padding") == "SAME" else "VALID"
    return {"strides": node.integers("strides")[1:3], "auto_pad": pads}


def _relu6(graph: Graph, source: str, to: str = "") -> str:
    return graph.emit("Clip", [source, graph.value(0, np.float32), graph.value(6, np.float32)], to)


def _convolution(depthwise: bool) -> Conversion:
    """Return the conversion of convolutions (N, H, W, C), with what is fused to them."""

    def add(graph: Graph, node: Node) -> None:
        kernel = graph.constant(node.inputs[1])
        rows, columns, channels, filters = kernel.shape
        kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        if depthwise:
            kernel = kernel.reshape(channels * filters, 1, rows, columns)
        inputs = [
            graph.emit("Transpose", node.inputs[:1], perm=_TO_NCHW),
            graph.value(kernel, np.float32),
        ]
        fused = node.texts("fused_ops")
        if "BiasAdd" in fused:
            inputs.append(node.inputs[2])
        result = graph.emit(
            "Conv",
            inputs,
            dilations=node.integers("dilations", [1] * 4)[1:3],
            group=channels if depthwise else 1,
            **_windows(node),
        )
        for op in fused:
            if op == "Relu6":
                result = _relu6(graph, result)
            elif op == "Relu":
                result = graph.emit("Relu", [result])
            elif op != "BiasAdd":
                raise ValueError(f"{node.name}: the fused operation {op} is not converted")
        graph.emit("Transpose", [result], tensor_name(node.name), perm=_TO_NHWC)

    return add


def _transposed_convolution(graph: Graph, node: Node) -> None:
    shape, kernel = graph.constant(node.inputs[0]), graph.constant(node.inputs[1])
    strides, size, window = node.integers("strides")[1:3], [int(n) for n in shape[1:3]], kernel.shape[:2]
    if set(node.integers("dilations", [1])) != {1}:
        raise ValueError(f"{node.name}: a transposed convolution with dilation is not converted")
    before, after, extra = [], [], []
    for length, stride, taps in zip(size, strides, window, strict=True):
        steps = -(-length // stride) if node.text("padding") == "SAME" else (length - taps) // stride + 1
        cut = max((steps - 1) * stride + taps - length, 0)
        before.append(cut // 2)
        after.append(cut - cut // 2)
        extra.append(length - ((steps - 1) * stride + taps - cut))
    result = graph.emit(
        "ConvTranspose",
        [
            graph.emit("Transpose", node.inputs[2:3], perm=_TO_NCHW),
            graph.value(kernel.transpose(3, 2, 0, 1), np.float32),
        ],
        strides=strides,
        pads=[*before, *after],
        output_padding=extra,
    )
    graph.emit("Transpose", [result], tensor_name(node.name), perm=_TO_NHWC)


def _pool(op: str) -> Conversion:
    def add(graph: Graph, node: Node) -> None:
        source = graph.emit("Transpose", node.inputs, perm=_TO_NCHW)
        result = graph.emit(op, [source], kernel_shape=node.integers("ksize")[1:3], **_windows(node))
        graph.emit("Transpose", [result], tensor_name(node.name), perm=_TO_NHWC)

    return add


def _resize(graph: Graph, node: Node) -> None:
    """Bilinear resizing, done in ONNX's channel order; the batch and the channels keep their size."""
    rows, columns = (float(n) for n in graph.constant(node.inputs[1]))
    source = graph.emit("Transpose", node.inputs[:1], perm=_TO_NCHW)
    first_two = graph.emit("Slice", [graph.emit("Shape", [source]), *(graph.value([n], np.int64) for n in (0, 2))])
    sizes = graph.emit("Concat", [first_two, graph.value([rows, columns], np.int64)], axis=0)
    centres = "half_pixel" if node.truth("half_pixel_centers") else "asymmetric"
    mode = "align_corners" if node.truth("align_corners") else centres
    result = graph.emit("Resize", [source, "", "", sizes], mode="linear", coordinate_transformation_mode=mode)
    graph.emit("Transpose", [result], tensor_name(node.name), perm=_TO_NHWC)


def _pad(graph: Graph, node: Node) -> None:
    around = graph.constant(node.inputs[1])
    graph.emit(
        "Pad", [node.inputs[0], graph.value(around.T.reshape(-1), np.int64), *node.inputs[2:3]], tensor_name(node.name)
    )


def _sparse(graph: Graph, node: Node) -> None:
    """A tensor given by its few values; computed here, as all of its inputs must be constants."""
    indices, shape, values, default = (graph.constant(name) for name in node.inputs)
    dense = np.full(tuple(int(n) for n in shape), default, values.dtype)
    if indices.size:
        dense[tuple(np.atleast_2d(indices.T))] = values
    graph.define(tensor_name(node.name), dense)


def _reshape(graph: Graph, node: Node) -> None:
    shape = graph.emit("Cast", node.inputs[1:2], to=onnx_type(np.int64))
    graph.emit("Reshape", [node.inputs[0], shape], tensor_name(node.name))


def _axes(graph: Graph, name: str) -> str:
    return graph.value(graph.constant(name).reshape(-1), np.int64)


def _stack(graph: Graph, node: Node) -> None:
    axis = graph.value([node.integer("axis")], np.int64)
    parts = [graph.emit("Unsqueeze", [name, axis]) for name in node.inputs]
    graph.emit("Concat", parts, tensor_name(node.name), axis=node.integer("axis"))


def _unstack(graph: Graph, node: Node) -> None:
    count, axis = node.integer("num"), node.integer("axis")
    parts = [f"{node.name}/part:{number}" for number in range(count)]
    graph.emit("Split", [node.inputs[0], graph.value([1] * count, np.int64)], parts, axis=axis)
    for number, part in enumerate(parts):
        graph.emit("Squeeze", [part, graph.value([axis], np.int64)], f"{node.name}:{number}")


def _split(graph: Graph, node: Node) -> None:
    lengths, axis = graph.constant(node.inputs[1]), graph.constant(node.inputs[2])
    parts = [f"{node.name}:{number}" for number in range(lengths.size)]
    graph.emit("Split", [node.inputs[0], graph.value(lengths, np.int64)], parts, axis=int(axis))


def _argmax(graph: Graph, node: Node) -> None:
    found = graph.emit("ArgMax", node.inputs[:1], axis=int(graph.constant(node.inputs[1])), keepdims=0)
    graph.emit("Cast", [found], tensor_name(node.name), to=onnx_type(node.dtype("output_type")))


def _gather(graph: Graph, node: Node) -> None:
    where = graph.emit("Cast", node.inputs[1:2], to=onnx_type(np.int64))
    graph.emit("GatherND", [node.inputs[0], where], tensor_name(node.name))


def _floor_divide(graph: Graph, node: Node) -> None:
    if node.dtype("T") is np.float32:
        graph.emit("Floor", [graph.emit("Div", node.inputs)], tensor_name(node.name))
    else:  # ONNX rounds whole numbers towards zero; its Mod has the sign of the divisor
        rest = graph.emit("Mod", node.inputs)
        exact = graph.emit("Sub", [node.inputs[0], rest])
        graph.emit("Div", [exact, node.inputs[1]], tensor_name(node.name))


def _squared_difference(graph: Graph, node: Node) -> None:
    apart = graph.emit("Sub", node.inputs)
    graph.emit("Mul", [apart, apart], tensor_name(node.name))


def _squeeze(graph: Graph, node: Node) -> None:
    axes = node.integers("squeeze_dims")
    inputs = [node.inputs[0], *([graph.value(axes, np.int64)] if axes else [])]
    graph.emit("Squeeze", inputs, tensor_name(node.name))


OPERATIONS: dict[str, Conversion] = {
    "Add": _plain("Add"),
    "AddN": _plain("Sum"),
    "AddV2": _plain("Add"),
    "ArgMax": _argmax,
    "AvgPool": _pool("AveragePool"),
    "BiasAdd": _plain("Add"),
    "Cast": lambda graph, node: graph.emit(
        "Cast", node.inputs, tensor_name(node.name), to=onnx_type(node.dtype("DstT"))
    ),
    "ConcatV2": lambda graph, node: graph.emit(
        "Concat", node.inputs[:-1], tensor_name(node.name), axis=int(graph.constant(node.inputs[-1]))
    ),
    "Conv2D": _convolution(depthwise=False),
    "Conv2DBackpropInput": _transposed_convolution,
    "DepthwiseConv2dNative": _convolution(depthwise=True),
    "ExpandDims": lambda graph, node: graph.emit(
        "Unsqueeze", [node.inputs[0], _axes(graph, node.inputs[1])], tensor_name(node.name)
    ),
    "FloorDiv": _floor_divide,
    "FusedDepthwiseConv2dNative": _convolution(depthwise=True),
    "GatherNd": _gather,
    "Identity": _plain("Identity"),
    "LeakyRelu": lambda graph, node: graph.emit(
        "LeakyRelu", node.inputs, tensor_name(node.name), alpha=node.number("alpha", 0.2)
    ),
    "MaxPool": _pool("MaxPool"),
    "Mul": _plain("Mul"),
    "Pack": _stack,
    "Pad": _pad,
    "PadV2": _pad,
    "RealDiv": _plain("Div"),
    "Relu": _plain("Relu"),
    "Relu6": lambda graph, node: _relu6(graph, node.inputs[0], tensor_name(node.name)),
    "Reshape": _reshape,
    "ResizeBilinear": _resize,
    "Sigmoid": _plain("Sigmoid"),
    "SparseToDense": _sparse,
    "SplitV": _split,
    "Sqrt": _plain("Sqrt"),
    "SquaredDifference": _squared_difference,
    "Squeeze": _squeeze,
    "Sub": _plain("Sub"),
    "Transpose": lambda graph, node: graph.emit(
        "Transpose", node.inputs[:1], tensor_name(node.name), perm=[int(n) for n in graph.constant(node.inputs[1])]
    ),
    "Unpack": _unstack,
    "_FusedConv2D": _convolution(depthwise=False),
}
