"""ONNX Runtime on the CPU, with as many threads as the process may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from common.threads import usable_threads
from tools.core.abandon import on_abandon, raise_if_abandoned
from tools.core.errors import ToolError

Array = NDArray[Any]


class Network:
    """An ONNX file that is ready to be run."""

    def __init__(self, path: Path) -> None:
        """Load the file.

        Raises:
            ToolError: when ONNX Runtime is not installed, or the file cannot be loaded.
        """
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ToolError(
                f"The package {error.name} is not installed", "Run: pip install 'superlink[photos]'"
            ) from error
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised, too
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise ToolError(
                f"{path} cannot be loaded by ONNX Runtime: {error}",
                "superlink models verify checks whether it is damaged",
            ) from error
        self._path = path
        self.inputs: list[str] = [each.name for each in self._session.get_inputs()]

    def run(self, *inputs: Array) -> list[Array]:
        """Return the outputs for these inputs, which are in the network's order.

        Raises:
            ToolError: when the network takes other inputs.
            Stopped: when the current work was abandoned, also while the network runs.
        """
        from onnxruntime import RunOptions

        options = RunOptions()
        try:
            with on_abandon(lambda: setattr(options, "terminate", True)):
                outputs: list[Array] = self._session.run(None, dict(zip(self.inputs, inputs, strict=True)), options)
        except Exception as error:  # as above
            raise_if_abandoned()
            raise ToolError(
                f"{self._path} cannot be run on this: {error}",
                "It is another kind of network than its engine expects: choose other weights in settings.toml",
            ) from error
        return outputs


@contextmanager
def outputs_of(network: str, weights_id: str, role: str) -> Iterator[None]:
    """Decode outputs inside the block as those of a network, whose name is part of the error.

    Raises:
        ToolError: when the outputs have other names or shapes.
    """
    try:
        yield
    except (KeyError, IndexError, ValueError) as error:
        raise ToolError(
            f"The weights {weights_id} do not answer as {network} does: {error!r}",
            f"Choose other weights for the role {role} in settings.toml",
        ) from error
