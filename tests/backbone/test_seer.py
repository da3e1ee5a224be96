"""The model that sees, at work: cached or not, one question or many, and places in the picture's own pixels."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from backbone.vision.dense_head import Dense
from backbone.vision.finds import finds
from backbone.vision.model import BackboneModel
from backbone.vision.processor import BackboneProcessor
from backbone.vision.seer import Look, Seer
from backbone.vision.tokens import IMAGE
from common.masks import box_mask
from tests.backbone.tiny_model import tiny_config

RNG = np.random.default_rng(0)
WIDE = RNG.integers(0, 255, (60, 120, 3), dtype=np.uint8)
QUESTIONS = ["how many?", "is there a dog left of the car?", "why", "what is in the picture, say it in many words"]


@pytest.fixture(scope="module")
def seer(tokenizer: Tokenizer) -> Seer:
    """A random model whose adapter, rows and links say something."""
    torch.manual_seed(1)
    model = BackboneModel(tiny_config())
    for name, value in model.named_parameters():
        if "lora_B" in name or name == "rows":
            torch.nn.init.normal_(value, std=0.1)
        elif name.startswith("core.layers") and value.ndim == 2:
            torch.nn.init.normal_(value, std=0.3)  # so that what a token sees makes a difference
    for head in model.decoders.values():
        head.bias.data.fill_(0)
        head.scale.data.fill_(2)
    processor = BackboneProcessor.of_config(PreTrainedTokenizerFast(tokenizer_object=tokenizer), tiny_config())
    return Seer(model.eval(), processor)


@pytest.fixture(scope="module")
def look(seer: Seer) -> Look:
    return seer.look([WIDE])


@torch.no_grad()
def uncached(seer: Seer, look: Look, question: str, most: int) -> list[int]:
    """The answer's tokens, each from a pass over all tokens before it."""
    size, end = seer.senses.config.core.vocab_size, seer.layout.end
    ids = [*seer.layout.picture(), *seer.layout.question(IMAGE, question), seer.layout.say]
    start = len(ids)
    while len(ids) - start < most:
        logits = seer.senses(torch.tensor([ids]), pixel_values=look.pixels, logits_to_keep=1).logits[0, -1]
        logits = torch.cat([logits[:size], logits[end : end + 1]])
        if int(logits.argmax()) == size:
            break
        ids.append(int(logits.argmax()))
    return ids[start:]


def test_many_questions_behind_one_picture_are_answered_as_if_alone(seer: Seer, look: Look) -> None:
    wanted = [seer.layout.tokenizer.decode(uncached(seer, look, one, 6)).strip() for one in QUESTIONS]
    assert len(set(wanted)) > 1
    assert seer.answers(look, QUESTIONS, most=6) == wanted
    assert [seer.answer(look, one, most=6) for one in QUESTIONS] == wanted
    assert seer.answers(look, []) == []


def test_an_answer_stops_at_the_end(seer: Seer, look: Look) -> None:
    """The row of [END] is made the state's own direction after some tokens."""
    ids = uncached(seer, look, QUESTIONS[0], 6)
    row = seer.layout.end - seer.senses.config.core.vocab_size
    before = seer.senses.rows.data[row].clone()
    blocks = [*seer.layout.question(IMAGE, QUESTIONS[0]), seer.layout.say, *ids[:3]]
    with torch.no_grad():
        state = seer.reader.states(look.prefix, [seer._embed(blocks)])[0][-1]
        seer.senses.rows.data[row] = state * 100
    try:
        stopped = seer.answer(look, QUESTIONS[0], most=6)
        assert stopped == seer.layout.tokenizer.decode(uncached(seer, look, QUESTIONS[0], 6)).strip()
        assert len(uncached(seer, look, QUESTIONS[0], 6)) <= 3
    finally:
        seer.senses.rows.data[row] = before


@torch.no_grad()
def test_segments_behind_a_cached_picture_give_what_one_pass_gives(seer: Seer, look: Look) -> None:
    region = box_mask((10, 5, 50, 40), (60, 120))
    asked: list[str | np.ndarray] = ["red car", region, "the dog left of the tree"]
    found = seer.find(look, "detect", asked, least=0.0)
    again = seer.find(look, "detect", asked, least=0.0)  # the prefix is as it was
    for number, one in enumerate(asked):
        words = one if isinstance(one, str) else None
        ids = [*seer.layout.picture(), *seer.layout.segment("detect", words)]
        given = {}
        if words is None:
            small = torch.from_numpy(seer._scaled(region, (60, 120)))[None]
            given = {"region_masks": small, "region_pictures": torch.tensor([0])}
        read = seer.senses(torch.tensor([ids]), pixel_values=look.pixels, **given)
        dense, _ = seer.senses.decode("perception", read.features, read.links["perception"])
        (alone,) = finds(dense, 0, 0.0, 64, (60, 120))
        kept = len(found[number].scores)
        assert kept and np.abs(found[number].scores - alone.scores[:kept]).max() < 1e-4
        assert np.array_equal(found[number].scores, again[number].scores)
        assert seer.find(look, "detect", [one], least=0.0)[0].scores[0] == pytest.approx(alone.scores[0], abs=1e-4)
    assert seer.find(look, "pose", ["people"], least=0.0)[0].joints is not None
    assert seer.find(look, "pose", []) == []


def test_finds_are_in_the_pixels_of_the_picture() -> None:
    """One cell finds a thing in the right half of a picture of 120 x 60, which the model sees at 64 x 32."""
    prototypes = torch.full((1, 1, 16, 16), -1.0)
    prototypes[..., 8:] = 1.0
    dense = Dense(
        torch.tensor([[[2.0, -9.0, 3.0]]]),
        torch.tensor([[[16.0, 8.0, 60.0, 60.0], [0.0, 0.0, 5.0, 5.0], [10.0, 40.0, 20.0, 60.0]]]),
        torch.ones(1, 3, 1),
        prototypes,
        torch.tensor([[[[32.0, 16.0, 2.0]]]]).expand(1, 3, 1, 3),
    )
    (found,) = finds(dense, 0, 0.5, 64, (60, 120))
    # The third cell lies below the picture, in the gray that it was padded with.
    assert np.allclose(found.boxes, [[30, 15, 112.5, 60]])
    assert np.allclose(found.joints[0, 0, :2], [60, 30])
    mask = found.masks[0]
    assert mask.shape == (60, 120) and mask[15:, 60:112].all()
    assert not mask[:, :60].any() and not mask[:15].any() and not mask[:, 113:].any()
    (own,) = finds(dense, 0, 0.5, 64)
    assert own.scores[0] > own.scores[1] and own.masks[1].shape == (64, 64) and own.masks[1][8:60, 32:60].all()


def test_regions_are_scaled_and_never_vanish(seer: Seer) -> None:
    thin = np.zeros((600, 1200), bool)
    thin[300, 600] = True
    small = seer._scaled(thin, (600, 1200))
    assert small.shape == (64, 64) and small.sum() >= 1 and small[16, 32]
    half = seer._scaled(box_mask((0, 0, 600, 600), (600, 1200)), (600, 1200))
    assert half[:32, :32].all() and half.sum() == 32 * 32


def test_what_cannot_be_asked_is_refused(seer: Seer, look: Look) -> None:
    with pytest.raises(ValueError, match="no picture"):
        seer.look([])
    with pytest.raises(ValueError, match="crop has no linked decoder"):
        seer.find(look, "crop", ["dog"])
    with pytest.raises(ValueError, match="phrase is empty"):
        seer.find(look, "detect", [" "])
    with pytest.raises(ValueError, match="is empty; give a mask of the picture of 120 x 60"):
        seer.answer(look, "what is this?", np.zeros((60, 120), bool))
    with pytest.raises(ValueError, match="has 60 x 120 pixels"):
        seer.find(look, "detect", [np.ones((120, 60), bool)])


def test_questions_see_all_pictures_and_finds_are_in_the_last(seer: Seer) -> None:
    other = WIDE[:, :50]
    both = seer.look([WIDE, other])
    alone = seer.look([other])
    assert both.sizes == ((60, 120), (60, 50))
    first, second = (seer.find(one, "detect", ["car"], least=0.0)[0] for one in (both, alone))
    assert first.masks is not None and first.masks.shape[1:] == (60, 50)
    assert {tuple(box) for box in first.boxes.round(3)} & {tuple(box) for box in second.boxes.round(3)}
