"""The shipped weights of the model that sees: written, read without transformers, and at work in 8 bits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from backbone.planner.core import Core
from backbone.planner.engine_reference import ReferenceEngine, Weights
from backbone.planner.layout import Layout
from backbone.planner.tensors import DamagedFile
from backbone.training.as_planner import as_planner
from backbone.training.core import load_tokenizer
from backbone.training.pack import pack, unpack
from backbone.training.stages import seeing
from backbone.vision.familiar import fitted
from backbone.vision.processor import BackboneProcessor
from backbone.vision.seer import Seer
from backbone.vision.shipped import FILES, SENSES, read_familiar, write_core
from tests.backbone.tiny_model import SEEING, write_seeing

PICTURE = np.random.default_rng(0).integers(0, 255, (64, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def packed(tiny_core: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``packed/``, the weights of a random model; ``seeing.safetensors``; and ``core``."""
    folder = tmp_path_factory.mktemp("packed")
    write_seeing(tiny_core, folder)
    assert {file.name for file in (folder / "packed").iterdir()} == set(FILES)
    write_core(tiny_core, folder / "packed", folder / "core")
    return folder


def test_what_is_packed_is_what_was_trained(packed: Path, tiny_core: Path) -> None:
    whole = unpack(packed / "packed", tiny_core)
    trained, again = load_file(packed / "seeing.safetensors"), seeing(whole)
    assert trained.keys() == again.keys()
    for name, value in trained.items():
        assert torch.allclose(value.float(), again[name].float(), atol=1e-3), name


def test_its_adapter_is_one_of_the_planner(packed: Path, tiny_core: Path, tmp_path: Path) -> None:
    """The planner with it says of words alone what the model that sees says of them."""
    adapter = as_planner(packed / "packed", tmp_path / "adapter")
    layout, ids = Layout(load_tokenizer(tiny_core), 257), [5, 99, 3, 200, 257 + 20, 41, 257]
    engine = ReferenceEngine(Weights.of_core(Core(tiny_core, adapter)))
    said = np.stack([engine.scores(state) for state in engine.new_context().read(ids)])
    assert said.shape == (len(ids), 257 + layout.added)
    with torch.no_grad():
        logits = unpack(packed / "packed", tiny_core)(input_ids=torch.tensor([ids])).logits[0].numpy()
    assert np.abs(logits[:, : said.shape[1]] - said).max() < 1e-4 * np.abs(said).max()
    file = adapter / "rows.safetensors"
    save_file({"rows": load_file(file)["rows"][:9]}, file)
    with pytest.raises(ValueError, match="holds 9 rows, the planner has 23"):
        as_planner(adapter, tmp_path / "again")


def test_in_8_bits_it_finds_what_the_whole_model_finds(packed: Path, tiny_core: Path) -> None:
    seer = Seer.load(packed / "core", packed / "packed")
    whole = unpack(packed / "packed", tiny_core)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=load_tokenizer(tiny_core))
    other = Seer(whole, BackboneProcessor.of_config(tokenizer, whole.config))
    asked: list[str | np.ndarray] = ["red car", np.ones((64, 48), bool)]
    vectors = []
    for one in (seer, other):
        look = one.look([PICTURE])
        blocks = [one._embed(one.layout.segment("detect", "red car")), one._embed([1, 2, 3])]
        vectors.append(torch.cat(one.reader.states(look.prefix, blocks)))
        assert len(one.find(look, "pose", asked, least=0.0)) == 2
        assert isinstance(one.answer(look, "what is this?", asked[1], most=3), str)  # type: ignore[arg-type]
    likeness = torch.nn.functional.cosine_similarity(*vectors, dim=1)
    assert likeness.min() > 0.99


def test_with_8_bits_cached_and_uncached_states_agree(packed: Path) -> None:
    seer = Seer.load(packed / "core", packed / "packed")
    look = seer.look([PICTURE])
    block = seer._embed(seer.layout.segment("segment", "the dog left of the car"))
    with torch.inference_mode():
        patches = seer.senses.projector(look.features).flatten(0, 1)
        prefix = seer._embed(seer.layout.picture(), patches)
        at_once = seer.reader.states(seer.reader.prefix(prefix[:1]), [torch.cat([prefix[1:], block])])[0]
    seer.answers(look, ["why?", "how many?"], most=4)  # leave the prefix as it is
    cached = seer.reader.states(look.prefix, [seer._embed([5, 6]), block])[1]
    assert (cached - at_once[-len(block) :]).abs().max() < 1e-4


def test_a_fresh_process_loads_it_without_transformers(packed: Path) -> None:
    subprocess.run([sys.executable, "-c", LOADS, str(packed)], check=True, cwd=Path(__file__).parents[2])


LOADS = """
import sys
from pathlib import Path
import numpy as np
from backbone.vision.seer import Seer

folder = Path(sys.argv[1])
seer = Seer.load(folder / "core", folder / "packed")
(found,) = seer.find(seer.look([np.zeros((40, 60, 3), np.uint8)]), "detect", ["car"], least=0.0)
assert found.masks.shape[1:] == (40, 60)
assert not sys.modules.keys() & {"transformers", "peft", "torch._dynamo"}
"""


def test_damaged_weights_are_told(packed: Path, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes((packed / "packed" / name).read_bytes())
    (tmp_path / SENSES).write_bytes((packed / "packed" / SENSES).read_bytes()[:1000])
    with pytest.raises(DamagedFile, match="senses.safetensors cannot be read"):
        Seer.load(packed / "core", tmp_path)
    less = {n: v for n, v in load_file(packed / "packed" / SENSES).items() if not n.startswith("links.")}
    save_file(less, tmp_path / SENSES)
    with pytest.raises(DamagedFile, match="of another model"):
        Seer.load(packed / "core", tmp_path)
    with pytest.raises(ValueError, match="no weights of the model that sees"):
        pack(tmp_path / SENSES, tmp_path / "out", **SEEING)


def test_pictures_of_another_kind_are_strange(packed: Path) -> None:
    torch.manual_seed(0)
    mix = torch.randn(30, 30)
    world, held_out, others = (torch.randn(n, 30) @ mix for n in (300, 100, 100))
    familiar = fitted(world, held_out)
    assert (familiar.distances(held_out) > familiar.limit).float().mean() <= 0.01
    assert (familiar.distances(others) > familiar.limit).float().mean() < 0.05
    # Features as large as those of the world, whose directions are others.
    strange = torch.randn(100, 30) * world.std(0)
    assert (familiar.distances(strange) > familiar.limit).float().mean() > 0.9
    assert read_familiar(packed / "packed").axes.shape == (20, 32)
