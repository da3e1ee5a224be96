"""The meaning of plans by itself: what can run, what is skipped, what arguments stand for, types of results."""

import pytest

from agents.plan.interpreter import (
    can_run,
    mapped_inputs,
    plan_inputs,
    ready_steps,
    resolve,
    resolve_arguments,
    result_type,
    skipped_steps,
    uses,
)
from agents.plan.plan import Plan, Step
from agents.plan.types import ValueType, cards_of
from tests.agents.fakes import TOOLS, plan

CARDS = cards_of(TOOLS)
# s1 and s2 are independent; s3 needs both; s4 needs s3; s5 needs nothing.
TREE = plan(
    ("shout", {"text": "a"}),
    ("shout", {"text": "b"}),
    ("collage", {"images": ["$s1", "$s2"]}),
    ("ask", {"image": "$s3", "question": "$$5?"}),
    ("ask", {"image": "$photo", "question": "why?"}),
)


def ids(steps: list[Step]) -> list[str]:
    return [step.id for step in steps]


def test_a_step_uses_the_values_that_it_refers_to() -> None:
    assert [uses(step) for step in TREE.steps] == [set(), set(), {"s1", "s2"}, {"s3"}, {"photo"}]
    assert can_run(TREE.steps[2], ["s1", "s2", "s9"]) and not can_run(TREE.steps[2], ["s1"])


def test_steps_are_ready_when_all_they_need_is_there() -> None:
    assert ids(ready_steps(TREE, [], [])) == ["s1", "s2"]
    assert ids(ready_steps(TREE, [], ["photo"])) == ["s1", "s2", "s5"]
    assert ids(ready_steps(TREE, ["s1"], ["photo", "s1"])) == ["s2", "s5"]
    assert ids(ready_steps(TREE, ["s1", "s2", "s5"], ["s1", "s2"])) == ["s3"]
    assert ready_steps(TREE, ["s1", "s2", "s5"], ["s2"]) == []  # s1 failed
    assert ready_steps(Plan(), [], []) == []


def test_steps_without_their_inputs_are_skipped_with_the_reason() -> None:
    assert skipped_steps(TREE, [], []) == {}
    assert skipped_steps(TREE, ["s1"], ["s1"]) == {
        "s3": "it needs s1, which has no result",
        "s4": "it needs s3, which has no result",
    }
    assert skipped_steps(TREE, ["s1", "s2"], ["s2", "s1"])["s3"] == "it needs s1 and s2, which have no result"
    assert skipped_steps(TREE, ["s1", "s2", "s3"], ["s3"]) == {"s4": "it needs s3, which has no result"}
    assert skipped_steps(TREE, ["s1", "s3", "s4"], ["s1", "s3", "s4"]) == {}


@pytest.mark.parametrize("failing", [set(), {"s1"}, {"s2", "s5"}, {"s3"}, {"s1", "s2", "s5"}])
def test_every_step_ends_once(failing: set[str]) -> None:
    ended: dict[str, bool] = {}
    for _ in range(10):
        lost = [name for name, finished in ended.items() if not finished]
        skipped = skipped_steps(TREE, ended, lost)
        ended |= dict.fromkeys(skipped, False)
        ready = ready_steps(TREE, ended, ["photo", *(name for name, finished in ended.items() if finished)])
        assert ended.keys().isdisjoint(ids(ready))
        ended |= {step.id: step.id not in failing for step in ready}
        if not ready:
            break
    assert ended.keys() == {step.id for step in TREE.steps}
    assert {name for name, finished in ended.items() if not finished} >= failing


def test_arguments() -> None:
    values = {"photo": {"sha256": "p"}, "s1": ["a", "b"]}
    assert resolve("$photo", values) is values["photo"]
    assert resolve(["$photo", "$s1"], values) == [values["photo"], ["a", "b"]]
    assert resolve("$$5 or less", values) == "$5 or less"
    assert resolve({"price": ["$$5", "$photo"]}, values) == {"price": ["$5", "$photo"]}
    assert resolve(["a", "$$b"], values) == ["a", "$b"] and resolve(3, values) == 3 and resolve(None, values) is None
    step = Step(id="s2", tool="ask", args={"image": "$photo", "question": "$$5?"})
    assert resolve_arguments(step, values) == {"image": {"sha256": "p"}, "question": "$5?"}
    with pytest.raises(KeyError):
        resolve("$nowhere", values)


IMAGE, IMAGES = ValueType("Image", frame="photo"), ValueType("Image", True, "album", "album")
FOUND = ValueType("Detections", frame="photo", made=True)
TYPES = {"photo": IMAGE, "album": IMAGES, "s1": FOUND, "note": ValueType("Text", frame="note")}


@pytest.mark.parametrize(
    ("tool", "args", "expected"),
    [
        ("detect", {"image": "$photo"}, ValueType("Detections", False, "", "photo", 2, True)),
        ("detect", {"image": "$album"}, ValueType("Detections", True, "album", "album", 2, True)),
        ("blur", {"image": "$photo", "regions": "$s1"}, ValueType("Image", False, "", "photo", 2, True)),
        ("crop", {"image": "$photo", "regions": "$s1"}, ValueType("Image", True, "s2", "s2", 2, True)),
        ("collage", {"images": "$album"}, ValueType("Image", False, "", "album", 2, True)),
        ("say", {"text": "$note"}, ValueType("Audio", False, "", "s2", 2, True)),
        ("detect", {"image": "$nowhere"}, ValueType("Detections", False, "", "s2", 2, True)),
    ],
)
def test_the_type_of_a_result(tool: str, args: dict[str, object], expected: ValueType) -> None:
    assert result_type("s2", args, CARDS[tool], TYPES, 2) == expected


def test_a_list_given_to_an_input_for_single_values_is_mapped() -> None:
    assert mapped_inputs({"image": "$album", "regions": "$s1"}, CARDS["blur"], TYPES) == {"image": IMAGES}
    assert mapped_inputs({"images": "$album"}, CARDS["collage"], TYPES) == {}
    assert mapped_inputs({"image": "$photo"}, CARDS["detect"], TYPES) == {}
    assert mapped_inputs({}, CARDS["detect"], TYPES) == {}


def test_the_inputs_of_a_plan() -> None:
    assert plan_inputs(TREE) == {"photo"}
    assert plan_inputs(plan(("shout", {"text": "$s2"}), outputs=("$s1", "$image", "text"))) == {"s2", "image"}
    assert plan_inputs(Plan()) == set()
