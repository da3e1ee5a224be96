"""A core small enough to build in a test, and the real one where it has been pulled."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

from backbone.planner.grammar import Vocabulary
from backbone.planner.layout import Layout
from backbone.planner.model import PlannerModel


@pytest.fixture(scope="session")
def tiny_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama over bytes, saved as the real core is."""
    folder = tmp_path_factory.mktemp("core")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(["<|endoftext|>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def layout(tiny_core: Path) -> Layout:
    tokenizer = Tokenizer.from_file(str(tiny_core / "tokenizer.json"))
    return Layout(tokenizer, tokenizer.get_vocab_size())


@pytest.fixture(scope="session")
def vocabulary(layout: Layout) -> Vocabulary:
    return Vocabulary(layout)


@pytest.fixture(scope="session")
def trained_planner() -> PlannerModel:
    """The planner as shipped, on the real core."""
    from agents.planners.backbone import core_folder
    from tools.core.errors import WeightsMissing

    try:
        return PlannerModel(core_folder())
    except WeightsMissing as error:
        pytest.skip(str(error))
