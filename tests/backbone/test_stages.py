"""What the model that sees is asked, and its three stages: what each trains, and what it leaves alone."""

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from backbone.training import stages
from backbone.training.dataset import TrainingDataset
from backbone.training.eyes import DenseModel
from backbone.training.freezing import PARTS, TRAINED, FrozenPartChanged, freeze, hashes, part_of, prove
from backbone.training.naming import distance, named_patches, named_regions
from backbone.training.seeing_data import answers, everything, finds, phrases, poses, regions, related
from backbone.training.seeing_scores import Exact, linked_precisions
from backbone.training.trainer import Recipe, Trainer
from backbone.training.vision_data import PHRASES, targets
from backbone.vision.dense_head import Dense
from backbone.vision.model import BackboneModel, Links
from backbone.vision.tokens import SeeingLayout
from backbone.world import Rendered, compose, render
from backbone.world.truth.relations import noticeable
from backbone.world.words.questions import questions
from backbone.world.words.wording import noun
from tests.backbone.test_dense_training import perfect
from tests.backbone.tiny_model import SEEING, tiny_config, write_random_adapter

QUERIES = {"perception": 4, "pose": 4}


@pytest.fixture(scope="module")
def seeing_layout(tokenizer: Tokenizer) -> SeeingLayout:
    return SeeingLayout(tokenizer, tokenizer.get_vocab_size(), QUERIES, 4)


@pytest.fixture(scope="module")
def drawn() -> list[Rendered]:
    return [render(compose(seed), 64) for seed in range(12)]


def words(layout: SeeingLayout, ids: list[int]) -> str:
    """The text of ids, added tokens as ``|``."""
    return "".join(layout.tokenizer.decode([i]) if i < layout.first else "|" for i in ids)


def test_answers_are_those_of_the_picture(seeing_layout: SeeingLayout, drawn: list[Rendered]) -> None:
    picture = drawn[0]
    made = answers(seeing_layout, picture, random.Random(0), 2000).row
    known = {f" image: {one.question}": one.answer for one in questions(picture)}
    assert made.ids[: 1 + seeing_layout.patches] == seeing_layout.picture()
    seen = 0
    for block in range(1, max(made.block) + 1):
        at = [n for n, number in enumerate(made.block) if number == block]
        asked, answer = words(seeing_layout, [made.ids[n] for n in at]).strip("|").split("|")
        assert made.position[at[0]] == 1 + seeing_layout.patches and made.ids[at[-1]] == seeing_layout.end
        predicted = [made.ids[n] for n in at if made.target[n]]
        assert words(seeing_layout, predicted) == f"{answer}|" and seeing_layout.say not in predicted
        seen += asked in known and f" {known[asked]}" == answer
    assert seen == len(known)
    assert set(made.block[-5:]) == {-1} and not any(made.target[-5:])


def test_segments_mean_what_their_words_say(drawn: list[Rendered]) -> None:
    absent = relations = asked_regions = 0
    for seed, picture in enumerate(drawn):
        things = picture.instances
        for phrase in phrases(picture, random.Random(seed)):
            if phrase.words is None:
                (index,) = phrase.meant
                assert phrase.region is not None and (phrase.region & things[index].mask).any()
                asked_regions += 1
            elif phrase.words.endswith(" thing"):
                colour = phrase.words.removesuffix(" thing")
                own = [n for n, one in enumerate(things) if one.thing.category not in ("person", "pizza")]
                assert phrase.meant == tuple(n for n in own if things[n].thing.colour == colour)
            elif not phrase.meant:
                absent += 1
            elif not phrase.words.startswith("the "):
                (category,) = {things[n].thing.category for n in phrase.meant}
                alike = tuple(n for n, one in enumerate(things) if one.thing.category == category)
                assert set(phrase.meant) <= set(alike)
        relations += len(related(picture))
    assert absent >= len(drawn) and relations > 5 and asked_regions > 5


def test_only_people_are_posed(seeing_layout: SeeingLayout, drawn: list[Rendered]) -> None:
    for picture in drawn:
        made = poses(seeing_layout, picture, random.Random(1), 600)
        queries = made.row.ids.count(seeing_layout.queries["pose"][0])
        assert queries == len(made.meant) > 0 and len(made.regions) == made.row.ids.count(seeing_layout.region)
        for meant in made.meant:
            assert all(picture.instances[n].thing.category == "person" for n in meant)
        assert not any(made.row.target)


def test_what_does_not_fit_is_left_out(seeing_layout: SeeingLayout, drawn: list[Rendered]) -> None:
    for maker in (answers, regions, finds, poses):
        whole, short = (maker(seeing_layout, drawn[1], random.Random(2), length) for length in (3000, 90))
        assert len(short.row.ids) == len(short.row.target) == 90 and len(short.meant) <= len(whole.meant)
        assert short.row.ids.count(seeing_layout.region) == len(short.regions)
        assert len(short.meant) in (
            0,
            short.row.ids.count(seeing_layout.queries["perception"][0])
            + short.row.ids.count(seeing_layout.queries["pose"][0]),
        )


def test_patches_and_regions_are_named_by_what_they_show(
    seeing_layout: SeeingLayout, drawn: list[Rendered], tokenizer: Tokenizer
) -> None:
    torch.manual_seed(0)
    embeddings = torch.randn(tokenizer.get_vocab_size(), 32)
    batch = targets(drawn)
    wanted, covered = named_patches(seeing_layout, drawn, batch, embeddings)
    assert wanted.shape == (len(drawn), 4, 32) and covered.shape == (len(drawn), 4)
    for row, picture in enumerate(drawn):
        words = [embeddings[seeing_layout.text(f" {noun(one.thing)}")].mean(0) for one in picture.instances]
        for patch in range(4):
            y, x = 32 * (patch // 2), 32 * (patch % 2)
            owners = batch.owners[row, y : y + 32, x : x + 32]
            shares = [(owners == number + 1).float().mean().item() for number in range(len(words))]
            assert covered[row, patch].item() == pytest.approx(sum(shares), abs=1e-5)
            if sum(shares):
                mean = sum(share * word for share, word in zip(shares, words, strict=True)) / sum(shares)
                assert torch.allclose(wanted[row, patch], mean, atol=1e-4)
    asked = named_regions(seeing_layout, drawn, random.Random(0), embeddings)
    assert asked is not None
    masks, owners, spelled = asked
    seen = [(row, one) for row, picture in enumerate(drawn) for one in noticeable(picture)]
    for (row, one), mask, owner, words in zip(seen, masks, owners, spelled, strict=True):
        assert owner == row and (mask.numpy() & one.mask).any()
        assert torch.equal(words, embeddings[seeing_layout.text(f" {noun(one.thing)}")].mean(0))
    spread = embeddings.var()
    assert distance(wanted, wanted, spread) == 0 and distance(wanted + 1, wanted, spread) > 0.5


class _Oracle:
    """Stands in for a model: its states are the logits."""

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        return states


def test_an_answer_is_right_if_every_token_is(seeing_layout: SeeingLayout, drawn: list[Rendered]) -> None:
    made = [maker(seeing_layout, picture, random.Random(3), 900) for maker in (answers, regions) for picture in drawn]
    ids = torch.tensor([one.row.ids for one in made])
    states = torch.nn.functional.one_hot(ids.roll(-1, 1), int(ids.max()) + 1).float()
    counts: dict[str, int] = {}
    for one in made:
        for kind in filter(None, one.kinds):
            counts[kind] = counts.get(kind, 0) + 1
    exact = Exact()
    exact.add(_Oracle(), made, ids, states)  # type: ignore[arg-type]
    assert exact.asked == counts == exact.right and set(exact.shares().values()) == {1.0}
    assert {"count", "colour", "relation", "exist", "compare", "pose", "region"} <= counts.keys()
    # The last token of a count of the first row, and one of no answer at all, are taken for others.
    row = made[0].row
    block = 1 + next(n for n, kind in enumerate(made[0].kinds) if kind == "count")
    last = max(n for n, number in enumerate(row.block) if number == block)
    asked = row.block.index(block)
    for place in (last, asked):
        states[0, place - 1] = states[0, place - 1].roll(1)
    exact = Exact()
    exact.add(_Oracle(), made, ids, states)  # type: ignore[arg-type]
    wrong = {kind: counts[kind] - exact.right[kind] for kind in counts if counts[kind] != exact.right[kind]}
    of = sum(counts.values()) - counts["region"]
    assert wrong == {"count": 1} and exact.shares()["exact"] == pytest.approx((of - 1) / of)


def test_each_phrase_is_asked_through_the_link(
    seeing_layout: SeeingLayout, drawn: list[Rendered], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = everything(seeing_layout).row
    for block, phrase in enumerate(PHRASES, 1):
        of = [token for token, number in zip(made.ids, made.block, strict=True) if number == block]
        assert words(seeing_layout, of).strip("|") == f" {phrase}" and of[-4:] == list(
            seeing_layout.queries["perception"]
        )
    model, shown = BackboneModel(tiny_config()).eval(), drawn[:3]
    right, asked = perfect(targets(shown)), list[tuple[str, list[int]]]()

    def decode(decoder: str, features: object, links: Links) -> tuple[Dense, None]:
        asked.append((decoder, links.pictures.tolist()))
        return right if decoder == "perception" else right._replace(scores=right.scores[:, :1]), None

    monkeypatch.setattr(model, "decode", decode)
    with torch.no_grad():
        scores = linked_precisions(model, seeing_layout, shown, 3)
    every = [picture for picture in range(3) for _ in PHRASES]
    assert asked == [("perception", every), ("pose", [0, 1, 2])]
    assert scores["box"] > 0.9 and scores["mask"] > 0.5


@pytest.mark.parametrize("stage", TRAINED)
def test_a_stage_trains_its_parts_alone(stage: str) -> None:
    model = BackboneModel(tiny_config())
    freeze(model, stage)
    trained = {part_of(name) for name, value in model.named_parameters() if value.requires_grad}
    assert trained == set(TRAINED[stage]) and trained <= set(PARTS)
    assert not model.eyes.training and model.decoders.training == ("decoders" in TRAINED[stage])
    before = hashes(model)
    with torch.no_grad():
        next(model.links.parameters()).add_(1)
    if "links" in TRAINED[stage]:
        prove(before, hashes(model), stage)
    else:
        with pytest.raises(FrozenPartChanged, match="does not train links"):
            prove(before, hashes(model), stage)
    model.eyes.stem.norm.running_mean.add_(1)  # type: ignore[union-attr, operator]
    with pytest.raises(FrozenPartChanged, match="eyes"):
        prove(before, hashes(model), stage)


def test_three_stages_follow_each_other(tiny_core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "fastest_dtype", lambda: torch.float32)
    write_random_adapter(tiny_core, tmp_path)
    weights = {name: value.contiguous() for name, value in DenseModel(tiny_config()).state_dict().items()}
    save_file(weights, tmp_path / "eyes.safetensors")
    start = tmp_path / "eyes.safetensors"
    recipe = Recipe(steps=6, rows=1, length=400, words=300, pictures=32, warmup=1)
    given = {"validation": 0, "workers": 0, "cache": tmp_path / "pictures", "adapter": tmp_path, **SEEING}
    for stage in TRAINED:
        stages.train(stage, tiny_core, start, tmp_path / stage, recipe, every=3, stop=3, **given)
        stages.train(stage, tiny_core, start, tmp_path / stage, recipe, every=3, **given)
        first, *_, last = (json.loads(line) for line in (tmp_path / stage / "curve.jsonl").read_text().splitlines())
        changed = {part for part in PARTS if first["hashes"][part] != last["hashes"][part]}
        assert changed <= set(TRAINED[stage]) and changed and last["step"] == 6
        assert stage != "stage3" or changed == {"links", "decoders"}
        start = tmp_path / stage / "seeing.safetensors"
    stages.train("stage3", tiny_core, start, tmp_path / "whole", recipe, every=6, **given)
    with pytest.raises(ValueError, match="is of another model"):
        stages.train("stage2", tiny_core, tmp_path / "eyes.safetensors", tmp_path / "wrong", recipe, **given)


def test_a_stage_goes_on_where_it_was_stopped(tiny_core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "fastest_dtype", lambda: torch.float32)
    write_random_adapter(tiny_core, tmp_path)
    weights = {name: value.contiguous() for name, value in DenseModel(tiny_config()).state_dict().items()}
    save_file(weights, tmp_path / "eyes.safetensors")
    recipe = Recipe(steps=4, rows=1, length=300, words=200, pictures=32, warmup=1)
    given = {"validation": 1, "workers": 0, "cache": tmp_path / "pictures", "adapter": tmp_path, **SEEING}
    stages.train("align", tiny_core, tmp_path / "eyes.safetensors", tmp_path / "align", recipe, every=4, **given)
    start = tmp_path / "align" / "seeing.safetensors"
    for name, stops in (("whole", [None]), ("parts", [2, None])):
        for stop in stops:
            stages.train("stage1", tiny_core, start, tmp_path / name, recipe, every=2, stop=stop, **given)
    whole, parts = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    for name, value in whole["model"].items():
        assert torch.equal(parts["model"][name], value), name
    last = json.loads((tmp_path / "parts" / "curve.jsonl").read_text().splitlines()[-1])
    assert {"unseen_answers", "unseen_regions_right", "unseen_words", "exact", "exact_region"} <= last.keys()
    assert not any(name.startswith("ap50") for name in last)  # nothing is linked yet


def test_finds_through_the_link_are_measured(tiny_core: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = Recipe(rows=2, length=300, words=200)
    model = BackboneModel(tiny_config())
    layout = SeeingLayout(stages.load_tokenizer(tiny_core), 257, QUERIES, model.config.patches)
    freeze(model, "stage3")
    found = Trainer(model, layout, recipe).validate("stage3", TrainingDataset(layout, 7, validation=True), 1)
    assert {"ap50_box", "ap50_mask", "ap50_joint", "unseen_detect_box"} <= found.keys() and "exact" not in found
    assert model.links.training and not model.eyes.training  # as before
