"""Functions of a caller as tools, and arguments as the caller's JSON."""

import json
from typing import Any

import pytest

pytest.importorskip("fastapi")

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.plan.plan import Step
from api.functions import functions_of, identifier
from api.messages import RequestInvalid
from tests.api.foreign import EMAIL, TEXT, WEATHER, function, schemas


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("getWeather", "get_weather"),
        ("get-weather", "get_weather"),
        ("HTTPFetchURL", "http_fetch_url"),
        ("2fa.check", "the_2fa_check"),
        ("class", "class_2"),
        ("s1", "s1_2"),
        ("detect", "detect_2"),
        ("_", "the"),
        ("x" * 64, "x" * 36),
    ],
)
def test_names_become_names_of_tools(name: str, own: str) -> None:
    assert identifier(name, {"detect"}) == own


def test_a_function_becomes_a_card() -> None:
    found = functions_of(
        schemas(
            function(
                "resizeImage",
                "Resize a picture.  Use it when\nsomebody asks.",
                ("path", "width"),
                path=TEXT,
                width={"type": "integer", "minimum": 1, "maximum": 9000},
                keepRatio={"type": "boolean", "default": True},
                mode={"anyOf": [{"$ref": "#/$defs/Mode"}, {"type": "null"}]},
                schema={"type": "object"},
                tags={"type": "array", "items": {"type": ["string", "null"]}},
            )
        )
    )
    card = found.tools["resize_image"].card()
    assert card["doc"] == "Resize a picture." and card["required"] == ["path", "width"]
    assert {name: entry.get("type") for name, entry in card["params"].items()} == {
        "path": "string",
        "width": "integer",
        "keep_ratio": "boolean",
        "tags": "array",
    }
    assert card["params"]["width"]["maximum"] == 9000  # type: ignore[typeddict-item]
    assert card["returns"] == {"kind": "Text", "many": False} and card["read_only"] is False


def test_references_into_a_schema_are_followed_and_loops_end() -> None:
    one = function("paint", "Paint.", colour={"$ref": "#/$defs/Colour"}, loop={"$ref": "#/$defs/Loop"})
    one["function"]["parameters"]["$defs"] = {
        "Colour": {"allOf": [{"enum": ["red", "blue"], "type": "string"}]},
        "Loop": {"$ref": "#/$defs/Loop"},
    }
    card = functions_of(schemas(one)).tools["paint"].card()
    assert card["params"]["colour"]["enum"] == ["red", "blue"] and list(card["inputs"]) == ["loop"]


def test_what_takes_the_result_of_an_earlier_call() -> None:
    rows = {"type": "array", "items": {"type": "object"}}
    found = functions_of(
        schemas(EMAIL, function("plot", "Plot.", rows=rows, title=TEXT), function("merge", a=rows, b=rows))
    )
    email, plot = (found.tools[name].card()["inputs"] for name in ("send_email", "plot"))
    assert {name: take["literal"] for name, take in email.items()} == {"body": True}
    assert {name: take["literal"] for name, take in plot.items()} == {"rows": False}
    assert list(found.left_out) == ["merge"] and "cannot be asked for in words" in found.left_out["merge"]


def test_arguments_are_written_as_the_caller_names_and_types_them() -> None:
    strict = function(
        "moveTo",
        "Move.",
        speedLimit={"type": "number"},
        where=TEXT,
        note={"type": ["string", "null"]},
        points={"type": "array", "items": {"type": "object"}},
    )
    moved = functions_of(schemas(strict)).by_tool["move_to"]
    step = Step(id="s2", tool="move_to", args={"speed_limit": 30.0, "where": "$$home", "points": "$s1"})
    assert json.loads(moved.render(step, {"s1": '[{"x": 1}]'})) == {
        "speedLimit": 30,
        "where": "$home",
        "note": None,
        "points": [{"x": 1}],
    }
    assert '"speedLimit": 30,' in moved.render(step, {"s1": "[]"})
    assert json.loads(moved.render(step, {"s1": "no JSON"}))["points"] == "no JSON"
    sent = functions_of(schemas(EMAIL)).by_tool["send_email"]
    body = sent.render(Step(id="s2", tool="send_email", args={"to": "ana", "body": "$s1"}), {"s1": "[1]"})
    assert json.loads(body) == {"to": "ana", "body": "[1]"}  # a text stays a text


def test_names_of_built_in_tools_do_not_stand_for_those() -> None:
    found = functions_of(schemas(function("detect", "Detect fraud.", account=TEXT), WEATHER))
    assert [(key, one.name) for key, one in found.by_tool.items()] == [
        ("detect_2", "detect"),
        ("get_weather", "getWeather"),
    ]


def test_what_is_no_schema_is_refused() -> None:
    for wrong in ({"enum": True}, {"type": "text"}, 5):
        with pytest.raises(RequestInvalid, match="the parameters of f are no JSON schema") as error:
            functions_of(schemas(function("f", "Do it.", x=wrong)))
        assert error.value.code == "invalid_function_parameters"


SCHEMA: st.SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.sampled_from(
        [
            {"type": "string"},
            {"type": ["integer", "null"], "minimum": 3, "maximum": 1},
            {"type": "number", "multipleOf": 0.5},
            {"enum": [None, True, 1.5, "a"]},
            {"enum": [None]},
            {"const": 4},
            {"$ref": "#/properties/x"},
            {"$ref": "elsewhere.json#/a"},
            {"type": "null"},
        ]
    ),
    lambda inner: (
        st.builds(lambda one: {"type": "array", "items": one}, inner)
        | st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda one: {"allOf": [one]}, inner)
    ),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None)
@given(
    st.from_regex(r"[a-zA-Z0-9_.-]{1,64}", fullmatch=True),
    st.text(max_size=30),
    st.dictionaries(st.text(max_size=6) | st.sampled_from(["copy", "schema", "x"]), SCHEMA, max_size=3),
)
def test_any_schema_is_converted_or_left_out_with_a_reason(name: str, doc: str, properties: dict[str, Any]) -> None:
    one = {"name": name, "description": doc, "parameters": {"properties": properties, "required": list(properties)}}
    found = functions_of(schemas({"type": "function", "function": one}))
    assert len(found.by_tool) + len(found.left_out) == 1 and all(found.left_out.values())
    for tool in found.tools.values():
        assert tool.card()["doc"]
