"""Weights that a plan takes and this computer lacks are known before anything runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.plan.plan import Plan
from agents.plan.preflight import error_of, in_sentence, missing_weights
from tools import Text, tool
from tools.core.settings import settings
from tools.runtime.registry import load
from tools.weights import weights
from tools.weights.needs import Need, weights_of

Lacks = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def lacks(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lacks]:
    """What one call lacks, on a computer that has some weights and no others: weights and what they are to find."""
    tools, here = load(entry_points=False), set[str]()

    def locate(weights_id: str) -> Path:
        if weights_id in here:
            return home
        return real(weights_id)

    real = weights.locate
    monkeypatch.delenv("SUPERLINK_MODELS", raising=False)
    monkeypatch.setattr("tools.weights.needs.locate", locate)
    monkeypatch.setattr(weights, "_in_place", lambda source: None)

    def of(
        name: str, *, have: tuple[str, ...] = (), chosen: str = "photographs", **args: object
    ) -> list[tuple[str, str]]:
        here.clear()
        here.update(have)
        monkeypatch.setenv("SUPERLINK_WEIGHTS", chosen)
        settings.cache_clear()
        plan = Plan.load({"steps": [{"id": "s1", "tool": name, "args": args}]})
        return [(one["weights"], one["what"]) for one in missing_weights(plan, tools)]

    yield of


def test_each_label_needs_the_weights_that_know_it(lacks: Lacks) -> None:
    assert lacks("detect", labels=["dog"]) == [("yolo26n", "dog")]
    assert lacks("detect", labels=["people"], have=("yolo26n",)) == []
    assert lacks("detect", labels=["faces"]) == [("centerface", "faces")]
    assert lacks("detect", labels=["face", "dog"], have=("centerface",)) == [("yolo26n", "dog")]
    others = [("yoloe-26s", "license plate"), ("mobileclip2-b", "license plate"), ("clip-bpe", "license plate")]
    assert lacks("detect", labels=["dog", "license plate"], have=("yolo26n",)) == others
    assert lacks("track", labels=["license plate"], have=("yolo26n", *(one for one, _ in others))) == []


def test_labels_that_no_chosen_weights_know_name_those_that_would(lacks: Lacks) -> None:
    have = ("world-detect", "world-colours")
    assert lacks("detect", labels=["dog", "red things"], have=have, chosen="world") == []
    assert lacks("detect", labels=["zebra"], have=have, chosen="world") == [("yoloe-26s", "zebra")]


def test_the_choice_in_the_settings_counts(lacks: Lacks, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacks("pose") == [("yolo26n-pose", "")]
    assert lacks("pose", chosen="starter") == [("movenet-thunder", ""), ("nanodet", "")]
    assert lacks("segment", labels=["person"], chosen="starter") == [
        ("selfie-segmentation", "person"),
        ("nanodet", "person"),
    ]
    assert lacks("segment", regions="$s0", chosen="starter") == [("selfie-segmentation", "")]
    assert lacks("remove", regions="$s0") == []
    assert lacks("detect", chosen="starter") == lacks("detect", labels=[], chosen="starter") == [("nanodet", "")]
    assert lacks("segment", labels=[]) == [("yolo26n-seg", "")] and lacks("track")[0] == lacks("detect")[0]
    assert lacks("transcribe") == [("whisper-base", ""), ("silero-vad", "")]
    kokoro = ("kokoro-82m", "espeak-ng")
    assert lacks("speak", chosen="starter", have=kokoro) == [("kokoro-af-heart", "")]
    monkeypatch.setenv("SUPERLINK_ROLE_VOICE", "kokoro-am-michael")
    assert lacks("speak", chosen="starter", have=kokoro) == [("kokoro-am-michael", "")]
    monkeypatch.setenv("SUPERLINK_ROLE_CAPTION", "of-mine")
    assert "of-mine" in lacks("caption")[0][0]


def test_what_is_in_the_boxes_counts(lacks: Lacks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_WEIGHTS", "starter")
    settings.cache_clear()
    for label, weights_id in (("people", "selfie-segmentation"), ("dog", "sam2.1-b")):
        steps = [
            {"id": "s1", "tool": "detect", "args": {"labels": [label]}},
            {"id": "s2", "tool": "pick", "args": {"regions": "$s1", "which": "left"}},
            {"id": "s3", "tool": "segment", "args": {"regions": "$s2"}},
        ]
        found = missing_weights(Plan.load({"steps": steps}), load(entry_points=False))
        assert [one["weights"] for one in found if one["step"] == "s3"] == [weights_id]
    assert found[-1]["what"] == "dog" and found[-1]["command"].endswith(
        'set segment_boxes = "sam2.1-b" under [roles] in settings.toml'
    )


def test_faulty_arguments_and_own_tools_need_nothing(lacks: Lacks) -> None:
    assert lacks("detect", labels="dog") == lacks("nonsense") == lacks("count", regions="$s0") == []

    @tool(needs=weights_of("caption"))
    def of_mine(text: Text) -> Text:
        """Describe."""
        return text

    plan = Plan.load({"steps": [{"id": "s1", "tool": "of_mine", "args": {"text": "x"}}]})
    [lack] = missing_weights(plan, {"of_mine": of_mine})
    assert in_sentence(lack).startswith("s1 needs smolvlm-256m (0.5 GB, Apache-2.0), which is not ready")
    assert "superlink models pull smolvlm-256m" in error_of([lack]).hint


def test_every_builtin_tool_that_uses_an_engine_declares_it() -> None:
    """A tool whose module imports an engine that takes weights has `needs`; `crop`, `count` and the like need none."""
    for name, one in load(entry_points=False).items():
        source = Path(one.fn.__code__.co_filename).read_text(encoding="utf-8")
        assert ("tools.engines" in source or 'role("' in source) <= (one.needs is not None), name


def test_needs_name_weights_of_the_catalogue() -> None:
    calls = {"labels": ["dog", "face", "unheard of"], "question": "x", "prompt": "x"}
    for one in load(entry_points=False).values():
        needs = list(one.needs(calls)) if one.needs else []
        assert all(isinstance(need, Need) and weights.find(need.weights) for need in needs), one.name
