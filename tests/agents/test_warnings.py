"""Plans that leave out a part of what was asked for are shown to a person."""

import pytest

from agents.plan.plan import Plan
from agents.plan.types import ValueType
from agents.plan.warnings import unnamed, warnings
from tools import Image, Text, tool
from tools.runtime.registry import load


def made(request: str, *tools: str) -> Plan:
    steps = [{"id": f"s{n}", "tool": tool, "args": {"image": "$image"}} for n, tool in enumerate(tools, 1)]
    return Plan.load({"request": request, "steps": steps})


@pytest.mark.parametrize(
    ("request_", "tools", "verb"),
    [
        ("blur every face in this video", ["track"], "blur"),
        ("find the dogs and count them", ["detect"], "count"),
        ("Please crop the cats, then describe them", ["detect", "crop"], "describe"),
        ("could you blur the faces?", ["detect"], "blur"),
    ],
)
def test_a_verb_that_no_step_does(request_: str, tools: list[str], verb: str) -> None:
    [warning] = warnings(made(request_, *tools), load(), ["image"])
    assert f'the request says "{verb}"' in warning.message


@pytest.mark.parametrize(
    ("request_", "tools"),
    [
        ("blur every face in this video", ["track", "redact"]),
        ("how many dogs are on the track and field ground", ["detect", "count"]),
        ("the cat with the count of nine, where is it", ["detect"]),
        ("", ["detect"]),
    ],
)
def test_what_is_done_is_not_warned_of(request_: str, tools: list[str]) -> None:
    assert warnings(made(request_, *tools), load(), ["image"]) == []


def test_a_value_that_no_step_uses() -> None:
    [warning] = warnings(made("find the dogs", "detect"), load(), ["image", "audio"])
    assert "no step uses $audio" in warning.message
    assert warnings(Plan(request="hello"), load(), ["audio"]) == []  # nothing is run, which the answer says


@pytest.mark.parametrize(
    ("request_", "tools", "verb"),
    [
        ("anonymise the people", ["detect"], "anonymise"),
        ("rotate the picture", ["detect"], "rotate"),
        ("count the dogs and resize the picture", ["detect", "count"], "resize"),
    ],
)
def test_a_request_for_a_change_and_a_plan_that_only_looks(request_: str, tools: list[str], verb: str) -> None:
    [warning] = warnings(made(request_, *tools), load(), ["image"])
    assert f'"{verb}", and the plan only looks' in warning.message
    assert warnings(made(request_, *tools, "edit"), load(), ["image"]) == [] or verb == "resize"


@pytest.mark.parametrize("request_", ["blur the faces and email it to me", "blur the faces, then translate the sign"])
def test_a_second_verb_that_nothing_knows(request_: str) -> None:
    [warning] = warnings(made(request_, "detect", "redact"), load(), ["image"])
    assert "nor does any tool know the word" in warning.message


def test_a_second_verb_in_the_middle_of_a_tools_name() -> None:
    @tool
    def send_email(image: Image) -> Text:
        """Send a picture to somebody."""
        return Text("sent")

    plan = made("blur the faces and email it to me", "detect", "redact", "send_email")
    assert warnings(plan, {**load(), "send_email": send_email}, ["image"]) == []


def test_second_things_are_no_verbs() -> None:
    plan = Plan.load(
        {
            "request": "find the cats and dogs the neighbour owns, and the birds",
            "steps": [{"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": ["cat", "dogs", "bird"]}}],
        }
    )
    assert warnings(plan, load(), ["image"]) == []


def test_an_earlier_value_although_a_new_one_came() -> None:
    values = {
        "image": ValueType("Image", turn=1),
        "s1": ValueType("Detections", turn=1, made=True),
        "image_2": ValueType("Image", turn=2),
    }
    step = {"id": "s2", "tool": "redact", "args": {"image": "$image", "regions": "$s1"}}
    plan = Plan.load({"request": "blur them", "steps": [step], "outputs": ["$s2", "$image_2"]})
    [warning] = warnings(plan, load(), ["image_2"], values)
    assert "s2" in str(warning) and "$image of an earlier request, although $image_2 came" in warning.message
    assert warnings(plan, load(), [], values) == []


@pytest.mark.parametrize(
    ("request_", "label", "named"),
    [
        ("blur the people", "person", True),
        ("where is my bike", "bicycle", True),
        ("hide the number plates", "license plate", True),
        ("find the remote control", "remote", True),
        ("verwische alle Gesichter", "chicken", False),
        ("数一数有几只狗", "single wolf", False),
        ("blur the", "person", False),
        ("find it", "$5 bill", False),
    ],
)
def test_labels_that_the_request_does_not_name(request_: str, label: str, named: bool) -> None:
    step = {"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": [label]}}
    found = list(unnamed(Plan.load({"request": request_, "steps": [step]}), load()))
    assert (found == []) is named


def test_warnings_name_the_tools_of_which_a_step_is_missing() -> None:
    tools, both = load(), {"image": ValueType("Image"), "audio": ValueType("Audio")}

    def missing(plan: Plan, *given: str) -> list[tuple[set[str], bool]]:
        return [(set(w.tools), w.first) for w in warnings(plan, tools, given, {name: both[name] for name in given})]

    spoken = Plan.load({"steps": [{"id": "s1", "tool": "speak", "args": {"text": "hello"}}]})
    ((able, first),) = missing(spoken, "image")
    assert first and "caption" in able and able.isdisjoint({"speak", "transcribe"})
    # Of several files one may be meant for later, and a word may mean several tools.
    assert missing(made("hello", "caption"), "image", "audio") == [(set(), False)]
    assert missing(made("caption it and read the sign", "caption"), "image") == [(set(), False)]
    assert missing(made("caption it and blur the dogs", "caption"), "image") == [({"redact"}, False)]
