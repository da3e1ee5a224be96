"""Plans: canonical text, hash, reading, escaping, the tree."""

import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from agents.plan.plan import Plan, PlanInvalid, Step, escape, reference, references, unescape
from tests.agents.fakes import plan

SHOWN = Plan(
    request="blur every face, then read the text aloud",
    steps=(
        Step(id="s1", tool="detect", args={"image": "$image", "labels": ["face"]}),
        Step(id="s2", tool="blur", args={"image": "$image", "regions": "$s1"}),
    ),
    outputs=("$s2",),
)


def test_canonical_text_and_hash_do_not_depend_on_the_order_of_writing() -> None:
    turned = Plan.load(
        '{"outputs":["$s2"], "steps":[{"args":{"labels":["face"],"image":"$image"},"tool":"detect","id":"s1"},'
        '{"tool":"blur","id":"s2","args":{"regions":"$s1","image":"$image"}}],'
        '"request":"blur every face, then read the text aloud"}'
    )
    assert turned.dumps() == SHOWN.dumps()
    assert SHOWN.dumps().startswith(
        '{"outputs":["$s2"],"request":"blur every face, then read the text aloud","steps":[{"args"'
    )
    assert SHOWN.hash == turned.hash == hashlib.sha256(SHOWN.dumps().encode()).hexdigest()
    assert SHOWN.model_copy(update={"request": "other"}).hash != SHOWN.hash


def test_a_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    SHOWN.dump(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == SHOWN


@pytest.mark.parametrize(
    "source",
    [
        "",
        "[]",
        "{",
        '{"steps": 3}',
        '{"steps": [{"id": "s1"}]}',
        '{"steps": [], "more": 1}',
        "[" * 100_000,
        '{"steps": [{"id": "s1", "tool": "t", "args": {"x": NaN}}]}',
        {"steps": [{"id": "s1", "tool": "t", "args": {"x": object()}}]},
        {"steps": [{"id": "s1", "tool": "t", "args": {"x": float("inf")}}]},
        {"request": "\ud800"},
        b"\xff\xfe",
    ],
)
def test_what_is_no_plan_is_refused(source: str) -> None:
    with pytest.raises(PlanInvalid, match="is not a plan"):
        Plan.load(source)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanInvalid, match="nowhere.json cannot be read"):
        Plan.load(tmp_path / "nowhere.json")


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        SHOWN.request = "other"  # type: ignore[misc]


def test_references_and_the_escape() -> None:
    assert reference("$image") == "image"
    assert reference("$$5") is None and reference("image") is None and reference(3) is None
    assert list(references(["$a", "b", "$c"])) == ["a", "c"]
    for text in ("$5", "$$", "plain", "", ["$1", {"k": "$2"}]):
        assert unescape(escape(text)) == text
        assert not list(references(escape(text)))


def test_renaming_follows_every_reference() -> None:
    renamed = plan(
        ("collage", {"images": ["$s2", "$photo"]}), ("ask", {"question": "$$s1"}), outputs=["$s1"]
    ).rename_steps({"s1": "s7", "s2": "s8"})
    assert [step.id for step in renamed.steps] == ["s7", "s8"]
    assert renamed.steps[0].args == {"images": ["$s8", "$photo"]}
    assert renamed.steps[1].args == {"question": "$$s1"}
    assert renamed.outputs == ("$s7",)


def test_the_tree_shows_arguments_and_wiring() -> None:
    assert SHOWN.tree().splitlines() == [
        "blur every face, then read the text aloud",
        '├─ s1  detect(labels=["face"])   image ← $image',
        "├─ s2  blur()   image ← $image, regions ← $s1",
        "└─ gives $s2",
    ]
