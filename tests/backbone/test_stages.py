"""What the model that sees is asked, and its three stages: what each trains, and what it leaves alone."""

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from backbone.training import stages
from backbone.training.eyes import DenseModel
from backbone.training.freezing import PARTS, TRAINED, FrozenPartChanged, freeze, hashes, part_of, prove
from backbone.training.seeing_data import answers, finds, phrases, poses, regions, related
from backbone.vision.model import BackboneModel
from backbone.vision.tokens import SeeingLayout
from backbone.world import Rendered, compose, render
from backbone.world.words.questions import questions
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
    recipe = stages.Recipe(steps=6, rows=1, length=400, words=300, pictures=32, warmup=1)
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
    recipe = stages.Recipe(steps=4, rows=1, length=300, words=200, pictures=32, warmup=1)
    given = {"validation": 1, "workers": 0, "cache": tmp_path / "pictures", "adapter": tmp_path, **SEEING}
    for name, stops in (("whole", [None]), ("parts", [2, None])):
        for stop in stops:
            stages.train(
                "stage1", tiny_core, tmp_path / "eyes.safetensors", tmp_path / name, recipe, every=2, stop=stop, **given
            )
    whole, parts = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    for name, value in whole["model"].items():
        assert torch.equal(parts["model"][name], value), name
    last = json.loads((tmp_path / "parts" / "curve.jsonl").read_text().splitlines()[-1])
    assert {"unseen_answers", "unseen_regions_right", "unseen_words"} <= last.keys()
