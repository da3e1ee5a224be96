"""The model that sees: words alone, pictures, regions, the link to the decoders, and its files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from backbone.planner.core import Core
from backbone.planner.engine_reference import ReferenceEngine, Weights
from backbone.training.assemble import assemble
from backbone.training.eyes import DenseModel
from backbone.training.planner import attention_mask
from backbone.vision.model import IGNORED, BackboneModel
from backbone.vision.processor import BackboneProcessor
from backbone.vision.prompts import point_mask, scribble_mask
from common.masks import box_mask
from tests.backbone.tiny_model import SEEING, tiny_config, write_random_adapter

RNG = np.random.default_rng(0)
PICTURE, OTHER = (RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(2))


@pytest.fixture(scope="module")
def model() -> BackboneModel:
    """A random model whose adapter changes the core."""
    torch.manual_seed(0)
    model = BackboneModel(tiny_config())
    for name, value in model.named_parameters():
        if "lora_B" in name or name == "rows":
            torch.nn.init.normal_(value, std=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def processor(tokenizer: Tokenizer) -> BackboneProcessor:
    return BackboneProcessor.of_config(PreTrainedTokenizerFast(tokenizer_object=tokenizer), tiny_config())


def inputs(processor: BackboneProcessor, *segments: tuple[str, str]) -> dict[str, Tensor]:
    return processor([PICTURE], "find the car", ["Image"], segments)


def test_with_words_alone_it_is_the_planner(tiny_core: Path, tmp_path: Path) -> None:
    write_random_adapter(tiny_core, tmp_path)
    ids = [5, 99, 3, 200, 257 + 20, 41, 257]
    engine = ReferenceEngine(Weights.of_core(Core(tiny_core, tmp_path)))
    wanted = np.stack([engine.scores(state) for state in engine.new_context().read(ids)])
    seeing = assemble(tiny_core, tmp_path, **SEEING).eval()
    with torch.no_grad():
        logits = seeing(input_ids=torch.tensor([ids])).logits[0, :, : wanted.shape[1]]
    assert np.abs(logits.numpy() - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_eyes_and_decoders_come_from_stage_0(tiny_core: Path, tmp_path: Path) -> None:
    write_random_adapter(tiny_core, tmp_path)
    dense = DenseModel(tiny_config())
    save_file({name: value.contiguous() for name, value in dense.state_dict().items()}, tmp_path / "eyes")
    seeing = assemble(tiny_core, tmp_path, tmp_path / "eyes", **SEEING)
    for part, module in (("eyes", seeing.eyes), *seeing.decoders.items()):
        for name, value in module.state_dict().items():
            assert torch.equal(value, dense.get_submodule(part).state_dict()[name]), name
    save_file({name: v for name, v in load_file(tmp_path / "eyes").items() if "pose" not in name}, tmp_path / "less")
    with pytest.raises(ValueError, match="no pose of this model"):
        assemble(tiny_core, tmp_path, tmp_path / "less", **SEEING)
    with pytest.raises(ValueError, match="is of another model"):
        assemble(tiny_core, tmp_path, tmp_path / "eyes", **{**SEEING, "prototypes": 3})


@torch.no_grad()
def test_queries_appended_to_a_cache_give_what_one_pass_gives(
    model: BackboneModel, processor: BackboneProcessor
) -> None:
    whole = inputs(processor, ("detect", "red car"), ("pose", "people"))
    once = model(**whole)
    start = inputs(processor)["input_ids"].shape[1]
    ids = whole["input_ids"]
    read = model(ids[:, :start], pixel_values=whole["pixel_values"], use_cache=True)
    assert not read.links
    car = processor.layout.segment("detect", "red car")
    first = model(ids[:, start : start + len(car)], cache=read.cache)
    rest = model(ids[:, start + len(car) :], cache=read.cache)
    logits = torch.cat([read.logits, first.logits, rest.logits], 1)
    assert (logits - once.logits).abs().max() < 1e-4
    for decoder, part in (("perception", first), ("pose", rest)):
        assert (part.links[decoder].vectors - once.links[decoder].vectors).abs().max() < 1e-4
    assert torch.allclose(model(**whole, logits_to_keep=3).logits, once.logits[:, -3:], atol=1e-5)


@torch.no_grad()
def test_segments_packed_behind_one_picture_are_as_if_alone(model: BackboneModel, processor: BackboneProcessor) -> None:
    prefix = inputs(processor)["input_ids"][0].tolist()
    segments = [processor.layout.segment("detect", words) for words in ("red car", "a tree")]
    ids, block, position = list(prefix), [0] * len(prefix), list(range(len(prefix)))
    for number, segment in enumerate(segments, 1):
        ids += segment
        block += [number] * len(segment)
        position += range(len(prefix), len(prefix) + len(segment))
    packed = model(
        torch.tensor([ids]),
        attention_mask=attention_mask(torch.tensor([block])),
        position_ids=torch.tensor([position]),
        pixel_values=processor.pixel_values([PICTURE]),
    ).links["perception"]
    for number, segment in enumerate(segments):
        alone = model(torch.tensor([prefix + segment]), pixel_values=processor.pixel_values([PICTURE]))
        assert (packed.vectors[number] - alone.links["perception"].vectors[0]).abs().max() < 1e-4
    assert packed.pictures.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("tool", "decoder", "other"), [("detect", "perception", "pose"), ("pose", "pose", "perception")]
)
def test_the_loss_of_a_decoder_reaches_its_queries_and_the_core(
    model: BackboneModel, processor: BackboneProcessor, tool: str, decoder: str, other: str
) -> None:
    """The segment of the other decoder is read in the same pass, after and before."""
    tools = {"perception": ("detect", "car"), "pose": ("pose", "people")}
    model.zero_grad()
    given = inputs(processor, (tool, "car"), tools[other])
    read = model(**given)
    dense, slots = model.decode(decoder, read.features, read.links[decoder])
    assert slots.tolist() == [[0]]
    (dense.scores.square().sum() + dense.boxes.sum()).backward()
    own, others = (model.links[name].table.grad for name in (decoder, other))
    assert own is not None and (own.abs().sum(1) > 0).all()  # each query
    assert others is None or not others.any()
    reached = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
    matrices = {name for name in reached if "lora_A" in name}
    assert any("layers.0." in name for name in matrices) and any("layers.1." in name for name in matrices)
    assert "projector.places" in reached and any(name.startswith("eyes.stages.0.") for name in reached)
    assert any(name.startswith(f"decoders.{decoder}.embed") for name in reached)
    assert not any(name.startswith((f"decoders.{other}.", f"links.{other}.")) for name in reached)
    model.zero_grad()


@torch.no_grad()
def test_queries_and_patches_are_never_predicted(model: BackboneModel, processor: BackboneProcessor) -> None:
    given = inputs(processor, ("detect", "car"))
    ids = given["input_ids"]
    places = ids >= processor.layout.first_place
    assert int(places.sum()) == 4 + 4  # patches of 64 pixels, queries
    asked, masked = model(**given, labels=ids).loss, ids.masked_fill(places, IGNORED)
    assert torch.isfinite(asked) and torch.equal(asked, model(**given, labels=masked).loss)
    assert model(**given).logits.shape[-1] == processor.layout.first_place


@torch.no_grad()
def test_several_pictures_are_told_apart(model: BackboneModel, processor: BackboneProcessor) -> None:
    layout = processor.layout
    ask, car = layout.request(["Image"], "find"), layout.segment("detect", "car")
    ids = [*layout.picture(), *ask, *car, *layout.picture(), *ask, *car, *car]
    read = model(torch.tensor([ids]), pixel_values=processor.pixel_values([PICTURE, OTHER]))
    assert read.links["perception"].pictures.tolist() == [0, 1, 1]
    dense, slots = model.decode("perception", read.features, read.links["perception"])
    assert slots.tolist() == [[0, -1], [1, 2]] and dense.scores.shape[:2] == (2, 2)
    apart = model(torch.tensor([ids]), pixel_values=processor.pixel_values([OTHER, PICTURE]))
    assert (apart.logits - read.logits).abs().max() > 1e-3
    alone = model(
        torch.tensor([[*layout.picture(), *ask, *car]] * 2), pixel_values=processor.pixel_values([PICTURE, OTHER])
    )
    assert alone.links["perception"].pictures.tolist() == [0, 1]


@torch.no_grad()
def test_a_region_is_one_embedding(model: BackboneModel, processor: BackboneProcessor) -> None:
    layout = processor.layout
    ids = torch.tensor([[*layout.picture(), *layout.question(["Image"], "what is this", region=True)]])
    assert int((ids == layout.region).sum()) == 1
    pixels = processor.pixel_values([PICTURE])
    masks = [box_mask((0, 0, 20, 20), (64, 64)), box_mask((30, 30, 60, 60), (64, 64)), point_mask((5, 5), (64, 64))]
    logits = [
        model(
            ids,
            pixel_values=pixels,
            region_masks=torch.from_numpy(mask)[None],
            region_pictures=torch.tensor([0]),
        ).logits[:, -1]
        for mask in masks
    ]
    assert all((one - other).abs().max() > 1e-5 for n, one in enumerate(logits) for other in logits[:n])


def test_prompts_are_masks() -> None:
    assert box_mask((2, 3, 5, 7), (10, 20)).sum() == 3 * 4 and box_mask((2, 3, 2, 3), (10, 20)).sum() == 1
    assert box_mask((50, 50, 60, 60), (10, 20)).sum() == 1  # clipped
    disc = point_mask((10, 5), (20, 20))
    assert disc[5, 10] and 80 < disc.sum() < 160
    line = scribble_mask([(0, 10), (40, 10)], (20, 50))
    assert line[10, :40].all() and not line[0].any()
    with pytest.raises(ValueError, match="no points"):
        scribble_mask([], (20, 20))
    with pytest.raises(ValueError, match="outside the picture of 20 x 10"):
        point_mask((100, 100), (10, 20))


def test_inputs_that_do_not_fit_are_refused(model: BackboneModel, processor: BackboneProcessor) -> None:
    given = inputs(processor, ("detect", "car"))
    with pytest.raises(ValueError, match="there are 0 patches of pictures, but 4 places"):
        model(given["input_ids"])
    with pytest.raises(ValueError, match="there are 8 patches of pictures, but 4 places"):
        model(given["input_ids"], pixel_values=processor.pixel_values([PICTURE, OTHER]))
    for broken in (given["input_ids"][:, :-1], given["input_ids"][:, :-4][:, [*range(10), 9]].clone()):
        broken = broken.clone()
        broken[0, -1] = processor.layout.queries["perception"][1]
        with pytest.raises(ValueError, match="perception needs its 4 queries"):
            model(broken, pixel_values=given["pixel_values"])
    with pytest.raises(ValueError, match="regions need"):
        model(given["input_ids"], pixel_values=given["pixel_values"], region_masks=torch.ones(1, 64, 64))


def test_words_cannot_name_added_tokens(processor: BackboneProcessor) -> None:
    ids = processor(text="[PICTURE] <|patch|> tool:detect")["input_ids"][0].tolist()
    assert [token for token in ids if token >= processor.vocabulary] == [processor.layout.req, processor.layout.plan]


def test_pictures_are_scaled_to_fit(processor: BackboneProcessor) -> None:
    wide = np.full((50, 100, 3), 255, np.uint8)
    pixels = processor.pixel_values([wide])[0]
    assert pixels.shape == (3, 64, 64) and (pixels[:, :32] == 1).all() and (pixels[:, 32:] == 0).all()
    assert processor.scale(50, 100) == 0.64


def test_a_fresh_process_loads_what_was_saved(
    model: BackboneModel, processor: BackboneProcessor, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    given = inputs(processor, ("segment", "red car"))
    with torch.no_grad():
        read = model(**given)
        dense, _ = model.decode("perception", read.features, read.links["perception"])
    wanted = {"logits": read.logits, "scores": dense.scores, "pixel_values": given["pixel_values"]}
    save_file({name: value.contiguous() for name, value in wanted.items()}, tmp_path / "wanted.safetensors")
    np.save(tmp_path / "picture.npy", PICTURE)
    subprocess.run([sys.executable, "-c", LOADS, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])


LOADS = """
import sys
from pathlib import Path
import numpy as np, torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor
import backbone.vision.processor, backbone.vision.model

folder = Path(sys.argv[1])
model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
given = processor([np.load(folder / "picture.npy")], "find the car", ["Image"], [("segment", "red car")])
with torch.no_grad():
    read = model(**given)
    dense, _ = model.decode("perception", read.features, read.links["perception"])
wanted = load_file(folder / "wanted.safetensors")
assert torch.equal(given["pixel_values"], wanted["pixel_values"])
assert torch.allclose(read.logits, wanted["logits"], atol=1e-5)
assert torch.allclose(dense.scores, wanted["scores"], atol=1e-4)
"""
