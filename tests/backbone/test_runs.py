"""The scripts in ``runs/`` call the trainings with arguments that these take. No training runs here."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from backbone.training.freezing import TRAINED

ROOT = Path(__file__).resolve().parents[2]
# Stands in for Python: writes down its arguments.
RECORDER = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""


def calls(script: str, folder: Path, **size: str) -> list[list[str]]:
    """Run a script, and return the arguments of each call of Python."""
    recorder, record = folder / "python", folder / "calls.jsonl"
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    for name in ("adapter", "out/first", "out/second", "out/shipped"):
        (folder / name).mkdir(parents=True)
        (folder / name / "curve.jsonl").touch()
    own = {"PYTHON": str(recorder), "CALLS": str(record), "OUT": str(folder / "out"), "CORE": str(folder / "core")}
    subprocess.run([ROOT / "runs" / script], check=True, env={**os.environ, **own, **size}, capture_output=True)
    assert (folder / "out" / "log.txt").exists()
    return [json.loads(line) for line in record.read_text().splitlines()]


def received(call: list[str], function: str, monkeypatch: pytest.MonkeyPatch, result: Any = None) -> tuple[Any, ...]:
    """Run a module's main with the arguments of a call, and return what it hands to one of its functions.

    The function does nothing but return ``result``.
    """
    dash, name, *arguments = call
    assert dash == "-m"
    module = import_module(name)
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(module, function, lambda *args, **kwargs: found.append((*args, kwargs)) or result)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    module.main()
    return found[0]


@pytest.mark.parametrize("steps", [6450, 4])
def test_the_planner_is_trained_in_stages_and_averaged(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *stages, mean, second, third, both, calibration = calls("planner.sh", tmp_path, STEPS=str(steps))
    out = tmp_path / "out"
    ends, kept = [], set()
    for stage in stages:
        core, folder, recipe, compiled, options = received(stage, "train", monkeypatch)
        assert core == tmp_path / "core" and folder == out / "first" and recipe.seed == 7
        assert compiled == (steps == 6450) and options["stop"] <= recipe.steps and options["start"] is None
        ends.append(options["stop"])
        kept |= set(options["keep"])
    assert ends == sorted(ends) and ends[-1] == steps
    adapters, first, _ = received(mean, "average", monkeypatch)
    assert first == out / "first" / "mean" and sum(adapters.values()) == 6
    assert {folder.name for folder in adapters} == {f"adapter-{step}" for step in kept}
    for further, schedule, end in ((second, 1000, 1000), (third, 2750, 2500)):
        _, folder, recipe, _, options = received(further, "train", monkeypatch)
        assert folder == out / "second" and options["start"] == first and recipe.seed == 11
        assert steps < 6450 or (recipe.steps, options["stop"]) == (schedule, end)
    adapters, shipped, _ = received(both, "average", monkeypatch)
    assert shipped == out / "shipped" and adapters == {first: 1, out / "second" / "adapter": 9}
    _, _, *options = calibration
    size = "480" if steps == 6450 else "12"
    assert options == ["--core", str(tmp_path / "core"), "--adapter", str(shipped), "--requests", size]
    assert calibration[1] == "backbone.training.calibrate"


def test_the_specialists_are_trained_on_pictures_of_the_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (call,) = calls("specialists.sh", tmp_path, PICTURES="48", EPOCHS="1")
    trained: list[str] = []
    module = import_module("backbone.training.specialists")
    monkeypatch.setattr(module, "train", lambda task, out, folder, epochs, workers: trained.append(f"{task} {epochs}"))
    assert received(call, "data", monkeypatch)[:3] == (tmp_path / "out" / "data", 48, 6)
    assert trained == ["segment 1", "detect 1", "colours 1", "pose 1"]


def test_the_colours_are_fitted(tmp_path: Path) -> None:
    assert calls("world-colours.sh", tmp_path, SCENES="60") == [
        ["-m", "backbone.world.check.fit_colours", "--scenes", "60", "--out", str(tmp_path / "out")]
    ]


def test_the_retriever_is_trained_from_encoder_and_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (call,) = calls("retrieval.sh", tmp_path, STEPS="20", ENCODER=str(tmp_path / "encoder"))
    core, encoder, out, steps, seed, *_ = received(call, "train", monkeypatch)
    assert (core, encoder, out) == (tmp_path / "core", tmp_path / "encoder", tmp_path / "out")
    assert (steps, seed) == (20, 7)


@pytest.mark.parametrize("encoder", ["encoder.pth", ""])
def test_the_eyes_begin_with_weights_or_with_none(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / encoder if encoder else None
    sums = tmp_path / "bin" / "sha256sum"
    sums.parent.mkdir()
    sums.write_text("#!/bin/sh\ncat > /dev/null\n")
    sums.chmod(0o755)
    path = f"{sums.parent}:{os.environ['PATH']}"
    (call,) = calls("eyes.sh", tmp_path, STEPS="20", PICTURES="64", ENCODER=str(file or ""), PATH=path)
    out, recipe, _, imagenet, options = received(call, "train", monkeypatch)
    assert (out, imagenet, recipe.steps, recipe.pictures, recipe.seed) == (tmp_path / "out", file, 20, 64, 7)
    assert options["stop"] is None


def test_lever_lm_is_trained_on_what_was_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, grown = tmp_path / "bank.jsonl", tmp_path / "out" / "grown.jsonl"
    pull, growing, training = calls("lever.sh", tmp_path, BANK=str(bank), STEPS="20")
    assert pull == ["-m", "superlink", "models", "pull", "smollm2-135m"]
    given, out, tools, seed, *_ = received(growing, "grow_file", monkeypatch)
    assert (given, out, seed) == (bank, grown, 7) and "detect" in tools
    for reader in ("read_bank", "read_grown", "lessons"):
        monkeypatch.setattr(f"backbone.lever.train.{reader}", lambda *given: [*map(str, given[:2])])
    taught, weights, recipe, *_ = received(training, "train", monkeypatch, result=[1.0])
    assert taught == [f"['{bank}']", f"['{grown}']"]
    assert (weights, recipe.steps, recipe.seed) == (tmp_path / "out" / "lever.safetensors", 20, 7)


def test_each_stage_begins_with_what_the_one_before_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = tmp_path / "eyes.safetensors"
    *stages, packing = calls("seeing.sh", tmp_path, STEPS="4", EYES=str(begun))
    for name, call in zip(("align", "stage1", "stage2", "stage3"), stages, strict=True):
        stage, core, start, out, recipe, options = received(call, "train", monkeypatch)
        assert (stage, core, start, recipe.steps) == (name, tmp_path / "core", begun, 4)
        assert out == tmp_path / "out" / stage and options["cache"] == tmp_path / "out" / "pictures"
        begun = out / "seeing.safetensors"
    assert [*TRAINED] == ["align", "stage1", "stage2", "stage3"]  # none that the training knows is left out
    last, weights, *_ = received(packing, "pack", monkeypatch, result=1)
    assert (last, weights) == (begun, tmp_path / "out" / "weights")
