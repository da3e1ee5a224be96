"""Both engines give what transformers gives, and the file of the quantised model holds what was written."""

import json
import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

from backbone.planner.core import Core
from backbone.planner.engine import INITIAL_CAPACITY, Engine
from backbone.planner.engine_onnx import OnnxEngine
from backbone.planner.engine_reference import ReferenceEngine, Weights
from backbone.planner.quantize import quantize, write_quantized
from backbone.planner.quantized import BLOCK, dequantize, read_quantized
from backbone.planner.tensors import Array, DamagedFile, read_tensors
from backbone.training.core import load_core
from tests.gguf_core import write_core

from .conftest import write_tiny_core
from .tiny_model import write_random_adapter

CUTS = [
    (1,),
    (24,),
    (20, 1, 1, 3, 1),
    (1, 1, 7),
    (INITIAL_CAPACITY - 2, 5, 1),
    (3 * INITIAL_CAPACITY, 30, 2),
    (10, 2 * INITIAL_CAPACITY, 1),
]


@pytest.fixture(scope="module")
def tiny_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A core whose weights are large enough for every layer, and norms far enough from 1, to change the result."""
    return write_tiny_core(tmp_path_factory.mktemp("core"), spread=0.1)


@pytest.fixture(scope="module")
def adapter(tiny_core: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter whose every matrix is random, so that each of them changes the core."""
    folder = tmp_path_factory.mktemp("adapter")
    write_random_adapter(tiny_core, folder)
    return folder


@pytest.fixture(scope="module")
def core(tiny_core: Path, adapter: Path) -> Core:
    return Core(tiny_core, adapter)


@pytest.fixture(scope="module")
def plain(tiny_core: Path, adapter: Path) -> LlamaForCausalLM:
    """The same model, merged by PEFT and run by transformers; without the added tokens."""
    return PeftModel.from_pretrained(load_core(tiny_core, torch.float32), str(adapter)).merge_and_unload().eval()


@pytest.fixture(scope="module")
def file(core: Core, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    write_quantized(core, file)
    return file


@pytest.fixture(scope="module", params=["reference", "onnx"])
def engine(request: pytest.FixtureRequest, core: Core, file: Path) -> Engine:
    return ReferenceEngine(Weights.of_core(core)) if request.param == "reference" else OnnxEngine(read_quantized(file))


def read_in_cuts(engine: Engine, ids: list[int], cuts: tuple[int, ...]) -> Array:
    context, states = engine.new_context(), []
    for cut in cuts:
        states.append(context.read(ids[context.length : context.length + cut]))
    assert context.length == sum(cuts)
    return np.concatenate(states)


def error(got: Array, wanted: Array) -> float:
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("cuts", CUTS)
def test_scores_are_those_of_transformers(plain: LlamaForCausalLM, engine: Engine, cuts: tuple[int, ...]) -> None:
    """However the tokens are divided into passes, and beyond the initial capacity."""
    rng = random.Random(0)
    ids = [rng.randrange(plain.config.vocab_size) for _ in range(sum(cuts))]
    with torch.inference_mode():
        wanted = plain(input_ids=torch.tensor([ids])).logits[0].numpy()
    states = read_in_cuts(engine, ids, cuts)
    scores = np.stack([engine.scores(state)[: plain.config.vocab_size] for state in states])
    assert error(scores, wanted) < (1e-5 if isinstance(engine, ReferenceEngine) else 0.05)


@pytest.mark.parametrize("cuts", CUTS[:3])
def test_the_onnx_engine_computes_with_the_weights_of_the_file(core: Core, file: Path, cuts: tuple[int, ...]) -> None:
    """Against the same weights in float32, only the rounding of activations is left."""
    ids = list(range(sum(cuts)))
    model = read_quantized(file)
    wanted = read_in_cuts(ReferenceEngine(Weights.of_quantized(model)), ids, cuts)
    assert error(read_in_cuts(OnnxEngine(model), ids, cuts), wanted) < 0.03


def test_discarded_tokens_change_nothing(engine: Engine) -> None:
    ids = list(range(40))
    straight = engine.new_context().read(ids)[-1]
    context = engine.new_context()
    context.read([*ids[:30], 99, 98, 97])
    context.length = 30
    assert error(context.read(ids[30:])[-1], straight) < 0.02
    assert context.length == 40


def test_scores_of_some_tokens(engine: Engine) -> None:
    state = engine.new_context().read([5, 6, 7])[-1]
    assert error(engine.scores(state, [9, 2, 30]), engine.scores(state)[[9, 2, 30]]) < 0.02


@pytest.mark.parametrize(
    ("layer", "names", "modules"),
    [
        (0, ("attn_q", "attn_k", "attn_v"), ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
        (1, ("attn_output",), ("self_attn.o_proj",)),
        (1, ("ffn_gate", "ffn_up"), ("mlp.gate_proj", "mlp.up_proj")),
        (0, ("ffn_down",), ("mlp.down_proj",)),
    ],
)
def test_an_adapter_is_merged_as_peft_merges_it(
    core: Core, plain: LlamaForCausalLM, layer: int, names: tuple[str, ...], modules: tuple[str, ...]
) -> None:
    weights = [plain.get_parameter(f"model.layers.{layer}.{module}.weight").numpy() for module in modules]
    assert np.allclose(core.projection(layer, *names), np.concatenate(weights), atol=1e-6)


@pytest.mark.parametrize(
    "setting", [{"use_dora": True}, {"peft_type": "IA3"}, {"bias": "all"}, {"rank_pattern": {"q_proj": 8}}]
)
def test_an_adapter_that_is_more_than_two_matrices_is_refused(
    tiny_core: Path, adapter: Path, tmp_path: Path, setting: dict[str, object]
) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text()) | setting
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="no plain LoRA adapter"):
        Core(tiny_core, tmp_path)


def test_an_adapter_of_another_core_is_refused(adapter: Path, tmp_path: Path) -> None:
    write_core(tmp_path / "shallow.gguf", ["<|endoftext|>", "a"], layers=1, width=64)
    with pytest.raises(ValueError, match=r"it changes layers\.1"):
        Core(tmp_path / "shallow.gguf", adapter)
    write_core(tmp_path / "narrow.gguf", ["<|endoftext|>", "a"], layers=2, width=32)
    with pytest.raises(ValueError, match="its embeddings are 64 wide"):
        Core(tmp_path / "narrow.gguf", adapter)
    write_core(tmp_path / "heads.gguf", ["<|endoftext|>", "a"], layers=2, width=64, heads=4, key_heads=1)
    with pytest.raises(ValueError, match=r"another core: layers\.0\.self_attn\.k_proj"):
        write_quantized(Core(tmp_path / "heads.gguf", adapter), tmp_path / "model")


def test_eight_bits_are_within_half_a_step() -> None:
    weight = np.random.default_rng(0).standard_normal((5, 3 * BLOCK)).astype(np.float32)
    weight[2, :BLOCK] = 0
    blocks, scale = quantize(weight)
    assert blocks.shape == (5, 3, BLOCK) and blocks.dtype == np.uint8
    difference = np.abs(dequantize(blocks, scale) - weight).reshape(5, 3, BLOCK)
    assert (difference <= 0.501 * scale[..., None]).all() and not difference[2, 0].any()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_engine_has_the_weights_in_memory_once(file: Path) -> None:
    engine = OnnxEngine(read_quantized(file))
    mapped = Path("/proc/self/smaps").read_text(encoding="utf-8").partition(str(file))[2]
    assert re.search(r"^Rss: +0 kB", mapped.partition("VmFlags")[0], re.MULTILINE), mapped[:500]
    assert engine.embed([3]).any()  # read again


def test_a_damaged_file_is_named(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "header": whole[:20],
        "text": b"no tensors at all" * 9,
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DamagedFile, match=name):
            read_quantized(tmp_path / name)
    save_file({"rows": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(DamagedFile, match="no file of superlink-planner"):
        read_quantized(tmp_path / "other")


def test_a_file_that_cannot_be_written_is_an_error_of_the_system(core: Core, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_quantized(core, tmp_path / "none" / "model.safetensors")


def test_tensors_are_read_as_safetensors_reads_them(tmp_path: Path) -> None:
    tensors = {
        "half": torch.randn(3, 4, dtype=torch.bfloat16),
        "single": torch.randn(2),
        "byte": torch.arange(7).byte(),
    }
    save_file(tensors, tmp_path / "file", {"note": "x"})
    read, metadata = read_tensors(tmp_path / "file")
    assert metadata == {"note": "x"} and read.keys() == tensors.keys()
    assert all(np.array_equal(read[name], tensor.float().numpy()) for name, tensor in tensors.items())
