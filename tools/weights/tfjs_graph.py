"""The parts of a conversion from TensorFlow.js to ONNX: nodes that are read, and the graph that is written."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[np.generic]
Json = dict[str, Any]
Attribute = int | float | str | list[int]

TYPES = {"DT_FLOAT": np.float32, "DT_INT32": np.int32, "DT_INT64": np.int64, "DT_BOOL": np.bool_}


def tensor_name(name: str) -> str:
    """Return the name of a node's output tensor, with its number where the model leaves it out."""
    return name if ":" in name else f"{name}:0"


def onnx_type(dtype: type[np.generic]) -> int:
    """Return ONNX's number of a type."""
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


class Port(NamedTuple):
    """An input or output of the model."""

    name: str
    dtype: type[np.generic]
    shape: list[int]


def port(tensor: Json) -> Port:
    """Read an input or output as the model's signature describes it."""
    return Port(tensor_name(tensor["name"]), TYPES[tensor["dtype"]], shape_of(tensor["tensorShape"]))


def shape_of(described: Json) -> list[int]:
    """Read a tensor's shape."""
    return [int(dimension["size"]) for dimension in described.get("dim", [])]


class Node:
    """A node of the TensorFlow graph: its inputs and attributes."""

    def __init__(self, node: Json) -> None:
        self.name: str = node["name"]
        self.op: str = node["op"]
        self.inputs = [tensor_name(name) for name in node.get("input", []) if not name.startswith("^")]
        self._attributes = node.get("attr", {})

    def integer(self, key: str, default: int = 0) -> int:
        """Return an attribute that is one whole number."""
        return int(self._attributes.get(key, {}).get("i", default))

    def integers(self, key: str, default: Sequence[int] = ()) -> list[int]:
        """Return an attribute that is a list of whole numbers."""
        values = self._attributes.get(key, {}).get("list", {}).get("i", default)
        return [int(value) for value in values]

    def number(self, key: str, default: float) -> float:
        """Return an attribute that is one number."""
        return float(self._attributes.get(key, {}).get("f", default))

    def truth(self, key: str) -> bool:
        """Return an attribute that is true or false."""
        return bool(self._attributes.get(key, {}).get("b", False))

    def text(self, key: str) -> str:
        """Return an attribute that is a text."""
        return base64.b64decode(self._attributes.get(key, {}).get("s", "")).decode()

    def texts(self, key: str) -> list[str]:
        """Return an attribute that is a list of texts."""
        return [base64.b64decode(text).decode() for text in self._attributes.get(key, {}).get("list", {}).get("s", [])]

    def dtype(self, key: str) -> type[np.generic]:
        """Return an attribute that is a type."""
        return TYPES[self._attributes[key]["type"]]

    def shape(self) -> list[int]:
        """Return the shape of an input."""
        return shape_of(self._attributes["shape"]["shape"])


class Graph:
    """The ONNX graph under construction. Tensors keep their TensorFlow names; tensors added in between are numbered."""

    def __init__(self, nodes: Mapping[str, Json], constants: Mapping[str, Array]) -> None:
        self._nodes = nodes
        self._constants = {tensor_name(name): value for name, value in constants.items()}
        self.nodes: list[object] = []
        self.inputs: list[Port] = []
        self.initializers: dict[str, Array] = {}

    def add(self, outputs: Sequence[str], operations: "Mapping[str, Callable[[Graph, Node], object]]") -> None:
        """Convert everything that the outputs depend on.

        Args:
            outputs: Names of tensors.
            operations: The conversion of each TensorFlow operation.

        Raises:
            ValueError: for an operation without a conversion.
        """
        for node in self._in_order(outputs):
            if tensor_name(node.name) in self._constants:
                continue
            if node.op == "Placeholder":
                self.inputs.append(Port(tensor_name(node.name), node.dtype("dtype"), node.shape()))
            elif node.op in operations:
                operations[node.op](self, node)
            else:
                raise ValueError(f"the operation {node.op} is not converted")

    def _in_order(self, outputs: Sequence[str]) -> Iterator[Node]:
        """Yield the nodes that the outputs depend on, each after its inputs."""
        seen: set[str] = set()
        stack = [(name.partition(":")[0], False) for name in reversed(outputs)]
        while stack:
            name, ready = stack.pop()
            if ready:
                yield Node(self._nodes[name])
            elif name not in seen:
                seen.add(name)
                stack.append((name, True))
                before = [source.partition(":")[0] for source in Node(self._nodes[name]).inputs]
                stack += [(source, False) for source in reversed(before)]

    def constant(self, name: str) -> Array:
        """Return the value of a tensor that must be a constant."""
        if name not in self._constants:
            raise ValueError(f"{name} is computed where only a constant is converted")
        return self._constants[name]

    def define(self, name: str, value: Array) -> None:
        """Make a tensor a constant."""
        self._constants[name] = value

    def value(self, data: object, dtype: type[np.generic]) -> str:
        """Add a constant; return its name."""
        name = f"constant_{len(self.initializers)}"
        self.initializers[name] = np.ascontiguousarray(np.asarray(data, dtype))
        return name

    def emit(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: str | list[str] = "",
        **attributes: Attribute,
    ) -> str:
        """Add an ONNX node; return the name of its first output.

        Args:
            op: The ONNX operation.
            inputs: Names of tensors, with "" for one that is left out.
            outputs: Their name or names; a new name by default.
            **attributes: Of the ONNX operation.
        """
        for name in inputs:
            if name in self._constants:
                self.initializers.setdefault(name, np.ascontiguousarray(self._constants[name]))
        names = [outputs or f"step_{len(self.nodes)}"] if isinstance(outputs, str) else outputs
        self.nodes.append(onnx.helper.make_node(op, list(inputs), names, **attributes))
        return names[0]
