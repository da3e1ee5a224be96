"""Plans that leave out a part of what was asked for are shown to a person."""

import pytest

from agents.plan.plan import Plan
from agents.plan.warnings import warnings
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
