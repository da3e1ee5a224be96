"""The engine that plans: 8-bit weights, run by onnxruntime on the CPU."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import InferenceSession, OrtValue, SessionOptions

from backbone.planner.engine import INITIAL_CAPACITY, grown_capacity, rotary_tables
from backbone.planner.onnx_graph import Graph, decoder_graph, scores_graph
from backbone.planner.quantized import Quantized, dequantize
from backbone.planner.tensors import Array, forget_pages
from common.threads import usable_threads

MOST_THREADS = 8
"""The products of one token are too small to be divided among more threads."""

LONGEST_PASS = 256
"""Tokens in one pass. Attention takes memory for every pair of a token in the pass and a token before it."""


class OnnxEngine:
    """A Llama with tied embeddings and 8-bit weights; an ``Engine``."""

    def __init__(self, model: Quantized) -> None:
        self.config, self.tensors = model.config, model.tensors
        self.session = _session(decoder_graph(model.config, model.tensors), model.tensors)
        self._scores = _session(scores_graph(model.tensors), model.tensors)
        # The sessions have packed the weights into memory of their own.
        forget_pages(self.tensors["embedding.weight"])

    def new_context(self) -> "OnnxContext":
        """An empty context."""
        return OnnxContext(self)

    def scores(self, state: Array, rows: Sequence[int] | None = None) -> Array:
        """Logits of the next token: of all, (V,), with the state rounded to 8 bits, or of some in float32."""
        if rows is None:
            (scores,) = self._scores.run(None, {"states": state[None]})
            return np.asarray(scores[0], np.float32)
        return np.asarray(self.embed(rows) @ state)

    def embed(self, ids: Sequence[int]) -> Array:
        """Embeddings of tokens, (T, D)."""
        rows = list(ids)
        return dequantize(self.tensors["embedding.weight"][rows], self.tensors["embedding.scale"][rows])


class OnnxContext:
    """A ``Context`` whose keys and values are written in place by the session."""

    def __init__(self, engine: OnnxEngine) -> None:
        self.length = 0
        self._engine = engine
        self._binding = engine.session.io_binding()
        self._names = [[f"{kind}.{n}" for n in range(engine.config.layers)] for kind in ("keys", "values")]
        self._capacity = 0
        self._caches: dict[str, Array] = {}
        self._reserve(INITIAL_CAPACITY)

    def read(self, ids: Sequence[int]) -> Array:
        """Append tokens; returns the final hidden state after each, (T, D)."""
        passes = (ids[at : at + LONGEST_PASS] for at in range(0, len(ids), LONGEST_PASS))
        return np.concatenate([self._pass(self._engine.embed(some)) for some in passes])

    def keys_and_values(self, start: int, end: int) -> Array:
        """A copy of the keys and values of the tokens in a span, (2, layers, key heads, T, head size)."""
        caches = [[self._caches[name][0, :, start:end] for name in names] for names in self._names]
        return np.asarray(caches)

    def append(self, kept: Array) -> None:
        """Append tokens by what `keys_and_values` gave, which holds behind the same tokens alone."""
        start, end = self.length, self.length + kept.shape[3]
        self._reserve(grown_capacity(self._capacity, end))
        for names, arrays in zip(self._names, kept, strict=True):
            for name, array in zip(names, arrays, strict=True):
                self._caches[name][0, :, start:end] = array
        self.length = end

    def read_embedded(self, embedded: Array) -> Array:
        """Append tokens by their embeddings (T, D), which need not be those of the vocabulary; as `read` otherwise."""
        passes = range(0, len(embedded), LONGEST_PASS)
        return np.concatenate([self._pass(embedded[at : at + LONGEST_PASS]) for at in passes])

    def _pass(self, embedded: Array) -> Array:
        end = self.length + len(embedded)
        self._reserve(grown_capacity(self._capacity, end))
        self._binding.bind_cpu_input("embedded", np.ascontiguousarray(embedded)[None])
        self._binding.bind_cpu_input("last", np.array([end - 1], np.int32))
        self._binding.bind_cpu_input("total", np.array(end, np.int32))
        self._binding.bind_output("states", "cpu")
        self._engine.session.run_with_iobinding(self._binding)
        self.length = end
        return np.asarray(self._binding.get_outputs()[-1].numpy()[0], np.float32)

    def _reserve(self, capacity: int) -> None:
        """Have memory for ``capacity`` tokens; the first ``length`` are kept."""
        if capacity == self._capacity:
            return
        config, old = self._engine.config, self._caches
        self._capacity = capacity
        for name, table in zip(("cos", "sin"), rotary_tables(config, capacity), strict=True):
            self._binding.bind_cpu_input(name, table)
        self._caches = {}
        for name in chain(*self._names):
            cache = np.zeros((1, config.key_heads, capacity, config.head_size), np.float32)
            if old:
                cache[:, :, : self.length] = old[name][:, :, : self.length]
            value = OrtValue.ortvalue_from_numpy(cache)  # the value and the array are the same memory
            self._binding.bind_ortvalue_input(name, value)
            self._binding.bind_ortvalue_output(f"new_{name}", value)
            self._caches[name] = cache


onnxruntime.disable_telemetry_events()


def _session(graph: Graph, tensors: dict[str, NDArray[np.generic]]) -> InferenceSession:
    options = SessionOptions()
    options.intra_op_num_threads = min(MOST_THREADS, usable_threads())
    options.inter_op_num_threads = 1
    # Threads that wait by spinning cost twice the processor time, and gain nothing where other processes run.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # the graph is fused already
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    options.add_external_initializers(graph.weights, [OrtValue.ortvalue_from_numpy(tensors[n]) for n in graph.weights])
    return InferenceSession(graph.model(), options, providers=["CPUExecutionProvider"])
