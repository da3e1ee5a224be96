"""The checker, given the renderer's masks: right pictures pass, wrong ones do not; colours, places and light."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from backbone.world import Rendered, Scene, Thing, compose, render
from backbone.world.check.checker import FoundThing, check, ground_truth, relation_holds
from backbone.world.check.colours import CODES, FEATURES, colour_of, features
from backbone.world.check.falsify import FAULTS, falsify
from backbone.world.check.fit_colours import examples, fit, save
from backbone.world.check.places import place_of
from backbone.world.paint.categories import CATEGORIES
from backbone.world.paint.palette import COLOURS
from backbone.world.scene.camera import LIGHT
from backbone.world.words.specs import Spec, spec

SIZE = 160


def asked(seeds: range, split: str = "test") -> list[tuple[Rendered, Spec]]:
    drawn = [render(compose(seed, split), SIZE) for seed in seeds]
    return [(picture, wanted) for picture in drawn if (wanted := spec(picture))]


def test_right_pictures_pass_and_each_kind_of_wrong_one_is_refused() -> None:
    seen, right = Counter[str](), Counter[str]()
    for picture, wanted in asked(range(14)):
        for kind in ("as asked", *FAULTS):
            shown = picture if kind == "as asked" else falsify(picture, wanted, kind)
            if shown:
                seen[kind] += 1
                right[kind] += check(shown.pixels, wanted, ground_truth(shown)).fulfilled == (kind == "as asked")
    assert set(seen) == {"as asked", *FAULTS}
    assert right["as asked"] >= seen["as asked"] - 1
    assert {kind: right[kind] for kind in FAULTS} == {kind: seen[kind] for kind in FAULTS}


def test_a_breach_is_named() -> None:
    ((picture, wanted), *_) = asked(range(10))
    (category, colour, count), *rest = wanted.counts
    more = replace(wanted, counts=((category, colour, count + 1), *rest))
    (breach,) = check(picture.pixels, more, ground_truth(picture)).breaches
    assert category in breach or CATEGORIES[category].plural in breach
    elsewhere = replace(wanted, background="kitchen" if wanted.background != "kitchen" else "beach")
    (breach,) = check(picture.pixels, elsewhere, ground_truth(picture)).breaches
    assert "it looks as if it were" in breach


def test_what_a_finder_misses_counts_as_missing() -> None:
    ((picture, wanted), *_) = asked(range(10))
    found = ground_truth(picture)(picture.pixels)
    assert check(picture.pixels, wanted, lambda pixels: found).fulfilled
    assert not check(picture.pixels, wanted, lambda pixels: found[1:]).fulfilled
    assert not check(picture.pixels, wanted, lambda pixels: []).fulfilled


@pytest.mark.parametrize("light", list(LIGHT))
def test_colours_are_recognised_in_every_light(light: str) -> None:
    wrong = []
    for word, shades in COLOURS.items():
        for category in ("car", "chair", "balloon", "bird"):
            thing = Thing(1, category, word, shades[1], 0.5, 0.9, 0.3, 0)
            picture = render(Scene(3, "train", "meadow", light, True, 9.0, 0.5, 1.5, (thing,)), SIZE)
            said = colour_of(picture.pixels, picture.instances[0].mask, category, light)
            wrong += [f"{word} {category} called {said}"] if said != word else []
    assert len(wrong) <= 1, wrong


def test_places_are_recognised_also_where_things_stand_before_them() -> None:
    for seed in range(12):
        for split in ("test", "shifted"):
            picture = render(compose(seed, split), SIZE)
            things = np.any([one.mask for one in picture.instances], axis=0)
            assert place_of(picture.pixels, things)[0] == picture.scene.background


def test_relations_are_read_from_where_pixels_lie() -> None:
    def box(x0: int, y0: int, x1: int, y1: int, category: str = "cup") -> FoundThing:
        mask = np.zeros((100, 100), bool)
        mask[y0:y1, x0:x1] = True
        return FoundThing(category, mask)

    left, right, table = box(5, 40, 20, 60), box(30, 42, 50, 62), box(20, 60, 90, 95, "dining table")
    assert (
        relation_holds("left of", left, right)
        and relation_holds("right of", right, left)
        and not relation_holds("right of", left, right)
    )
    high = box(5, 5, 20, 20)
    assert (
        relation_holds("above", high, left)
        and relation_holds("below", left, high)
        and not relation_holds("below", high, left)
    )
    assert relation_holds("on", box(40, 50, 50, 61), table)
    assert not relation_holds("on", box(40, 20, 50, 40), table)  # in the air above it
    assert not relation_holds("on", box(40, 80, 50, 99), table)  # before its legs
    assert not relation_holds("on", left, table)  # beside it


def test_what_is_fitted_is_what_is_read(tmp_path: Path) -> None:
    parts = [examples(seed) for seed in range(4)]
    rows, answers = np.concatenate([r for r, _ in parts]), np.array([a for _, some in parts for a in some])
    net = fit(rows, answers, epochs=60)
    save(net, tmp_path / "colours.safetensors")
    read = load_file(tmp_path / "colours.safetensors")
    hidden = np.maximum(rows @ read["first"].astype(np.float32) + read["first_bias"], 0)
    named = (hidden @ read["second"].astype(np.float32) + read["second_bias"]).argmax(1)
    assert np.mean(named == answers) > 0.9


def test_features_are_shares() -> None:
    picture = render(compose(4), SIZE)
    for one in picture.instances:
        row = features(picture.pixels, one.mask, one.thing.category, picture.scene.light)
        assert row.shape == (FEATURES,) and row.min() >= 0 and row.max() <= 1
        assert row[:CODES].sum() == pytest.approx(1, abs=1e-5) and row[-len(CATEGORIES) :].sum() == 1
