"""The written-out forward pass gives what transformers gives."""

import random
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from backbone.planner.core import load_core
from backbone.planner.forward import ROOM, Decoder


@pytest.fixture(scope="module")
def plain(tiny_core: Path) -> LlamaForCausalLM:
    model = load_core(tiny_core, torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():  # Norms that are all ones would hide a norm that is left out.
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model


@pytest.mark.parametrize(
    "cuts",
    [(1,), (24,), (20, 1, 1, 3, 1), (1, 1, 7), (ROOM - 2, 5, 1), (3 * ROOM, 30, 2), (10, 2 * ROOM, 1)],
)
def test_scores_are_those_of_transformers(plain: LlamaForCausalLM, cuts: tuple[int, ...]) -> None:
    """However the tokens are cut into passes, and past the end of the room that was set aside."""
    rng, decoder = random.Random(0), Decoder(plain)
    ids = [rng.randrange(plain.config.vocab_size) for _ in range(sum(cuts))]
    cache, states = decoder.cache(), []
    with torch.inference_mode():
        wanted = plain(input_ids=torch.tensor([ids])).logits[0]
        for cut in cuts:
            states.append(decoder.forward(ids[cache.length : cache.length + cut], cache))
        scores = decoder.scores(torch.cat(states))
    assert cache.length == len(ids)
    assert torch.allclose(scores, wanted, atol=1e-4, rtol=1e-4)


def test_what_was_forgotten_leaves_no_trace(plain: LlamaForCausalLM) -> None:
    decoder, ids = Decoder(plain), list(range(40))
    with torch.inference_mode():
        straight = decoder.forward(ids, decoder.cache())[-1]
        cache = decoder.cache()
        decoder.forward([*ids[:30], 99, 98, 97], cache)
        cache.length = 30
        again = decoder.forward(ids[30:], cache)[-1]
    assert torch.allclose(straight, again, atol=1e-5)


def test_some_rows_of_the_scores(plain: LlamaForCausalLM) -> None:
    decoder = Decoder(plain)
    with torch.inference_mode():
        state = decoder.forward([5, 6, 7], decoder.cache())[-1]
        assert torch.allclose(decoder.scores(state, [9, 2, 30]), decoder.scores(state)[[9, 2, 30]], atol=1e-5)
