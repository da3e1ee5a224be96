"""A core small enough to build in a test, and the real one where it has been pulled."""

from pathlib import Path

import gguf
import pytest
from tokenizers import Tokenizer, pre_tokenizers

from backbone.planner.core import read_tokenizer
from backbone.planner.layout import Layout
from backbone.planner.model import PlannerModel
from backbone.planner.vocabulary import Vocabulary
from tests.gguf_core import write_core


def write_tiny_core(folder: Path, spread: float) -> Path:
    """Write a two-layer core over bytes, its weights drawn with a standard deviation of ``spread``."""
    file = folder / "tiny.gguf"
    tokens = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    float32 = gguf.GGMLQuantizationType.F32
    write_core(file, tokens, layers=2, width=64, heads=4, key_heads=2, kind=float32, spread=spread)
    return file


@pytest.fixture(scope="session")
def tiny_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama over bytes."""
    return write_tiny_core(tmp_path_factory.mktemp("core"), spread=0.02)


@pytest.fixture(scope="session")
def tokenizer(tiny_core: Path) -> Tokenizer:
    return read_tokenizer(gguf.GGUFReader(tiny_core))


@pytest.fixture(scope="session")
def layout(tokenizer: Tokenizer) -> Layout:
    return Layout(tokenizer, tokenizer.get_vocab_size())


@pytest.fixture(scope="session")
def vocabulary(layout: Layout) -> Vocabulary:
    return Vocabulary(layout)


@pytest.fixture(scope="session")
def trained_planner() -> PlannerModel:
    """The planner as shipped, on the real core."""
    from agents.planners.backbone import model_file
    from tools.core.errors import WeightsMissing

    try:
        return PlannerModel.from_quantized(model_file())
    except WeightsMissing as error:
        pytest.skip(str(error))
