"""Conversion of TensorFlow.js graph models to ONNX files.

A graph model is a JSON file with the graph's nodes and a binary file with its constants. Only frozen graphs without
control flow are converted, of the operations listed in tfjs_operations.py. The same input gives the same bytes.
"""

import json
from pathlib import Path

import numpy as np
import onnx

from tools.weights.tfjs_graph import Array, Graph, Json, onnx_type, port
from tools.weights.tfjs_operations import OPERATIONS

_OPSET = 17
_IR_VERSION = 8


def to_onnx(source: Path, target: Path) -> None:
    """Write a TensorFlow.js graph model as one ONNX file.

    Args:
        source: The folder with one `.json` file and the binary files that it names.
        target: The file to write.

    Raises:
        ValueError: when the folder holds no such model, or one with an operation that is not converted.
        OSError: when a file cannot be read or written.
    """
    files = sorted(source.glob("*.json"))
    if len(files) != 1:
        raise ValueError(f"there are {len(files)} JSON files in the model's folder, not one")
    target.write_bytes(convert(files[0]).SerializeToString(deterministic=True))


def convert(file: Path) -> onnx.ModelProto:
    """Return the ONNX model of a TensorFlow.js graph model, whose constants lie beside its JSON file."""
    try:
        model = json.loads(file.read_text(encoding="utf-8"))
        nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
        outputs = [port(tensor) for tensor in model["signature"]["outputs"].values()]
        graph = Graph(nodes, _constants(model, file.parent))
        graph.add([output.name for output in outputs], OPERATIONS)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file.name} is not a TensorFlow.js graph model: {error!r}") from error
    helper = onnx.helper
    graph_proto = helper.make_graph(
        graph.nodes,
        "graph",
        [helper.make_tensor_value_info(each.name, onnx_type(each.dtype), each.shape) for each in graph.inputs],
        [helper.make_tensor_value_info(each.name, onnx_type(each.dtype), each.shape) for each in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in graph.initializers.items()],
    )
    proto: onnx.ModelProto = helper.make_model(
        graph_proto,
        producer_name="superlink",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    onnx.checker.check_model(proto)
    return proto


def _constants(model: Json, folder: Path) -> dict[str, Array]:
    """Read the values of a model's constants, by the names of their nodes."""
    values: dict[str, Array] = {}
    for group in model["weightsManifest"]:
        data, start = b"".join((folder / Path(path).name).read_bytes() for path in group["paths"]), 0
        for weight in group["weights"]:
            packing = weight.get("quantization", {})
            stored = np.dtype(packing.get("dtype", weight["dtype"]))
            count = int(np.prod(weight["shape"], dtype=int))
            value = np.frombuffer(data, stored, count, start).reshape(weight["shape"])
            start += count * stored.itemsize
            if "scale" in packing:
                value = value.astype(np.float32) * np.float32(packing["scale"]) + np.float32(packing["min"])
            values[weight["name"]] = value.astype(weight["dtype"])
        if start != len(data):
            raise ValueError(f"{', '.join(group['paths'])} has {len(data)} bytes, the model describes {start}")
    return values
