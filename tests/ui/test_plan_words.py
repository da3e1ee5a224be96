"""Steps of a plan in words."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from agents.plan.plan import Plan, Step
from agents.plan.types import value_types
from tools import Image, Text, tool
from tools.core.errors import DeclarationInvalid
from tools.runtime.registry import load
from ui.plans.words import label, places, words
from ui.turns.words import sentences

TOOLS = load(entry_points=False)


def said(name: str, /, **args: Any) -> str:
    return words(Step(id="s7", tool=name, args=args), TOOLS, value_types({"clip": "Video", "texts": "list[Text]"}))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (said("detect", image="$image", labels=["face", "dog"]), "Find: face, dog"),
        (said("detect", image="$image", labels=["face"], min_score=0.5), "Find: face (min score 0.5)"),
        (said("detect", image="$image"), "Find everything"),
        (said("detect", image="$image", labels=[], min_score=0.5), "Find everything (min score 0.5)"),
        (said("track", video="$clip"), "Follow everything"),
        (said("redact", image="$image", regions="$s1"), "Blur what was found"),
        (said("redact", image="$image", regions="$s1", how="fill"), "Black out what was found"),
        (said("pick", regions="$s1", which="left"), "Keep the leftmost of what was found"),
        (said("segment", image="$image", regions="$s1"), "Outline what was found"),
        (said("segment", image="$image", labels=["cup"]), "Outline: cup"),
        (said("segment", image="$image", labels=["cup"], regions="$s1"), "Outline of what was found: cup"),
        (said("segment", image="$image", labels=[]), "Outline everything"),
        (said("segment", image="$image", labels=[], regions="$s1"), "Outline what was found"),
        (said("ask", image="$image", question="what\n is it?"), "Answer: “what is it?”"),
        (said("ask", image="$image", question="$$5?"), "Answer: “$5?”"),
        (said("ask", image="$image", question="$texts"), "Answer: the texts"),
        (said("speak", text="hello"), "Say out loud: “hello”"),
        (said("speak", text="$texts"), "Say out loud: the texts"),
        (said("transcribe", audio="$clip"), "Write down what is said in the video"),
        (said("transcribe", audio="$audio"), "Write down what is said in the recording"),
        (said("find_it", a=1), "Find it (a tool that is not loaded)"),
        (said("generate", prompt="x" * 500), f"Make a picture: “{'x' * 79}…”"),
    ],
)
def test_a_step_is_said_in_words(step: str, text: str) -> None:
    assert step == text


@tool
def brighten(image: Image, by: Annotated[float, Field(ge=1, le=3)] = 1.2, smooth: bool = False) -> Image:
    """Make an image brighter (in linear light)."""
    return image


@tool
def stamp(image: Image, text: str, where: Literal["top", "bottom"] = "top") -> Image:
    """Write some words on an image."""
    return image


def test_any_tool_reads_well_without_being_known() -> None:
    tools = {"brighten": brighten, "stamp": stamp}

    def one(name: str, **args: Any) -> str:
        return words(Step(id="a", tool=name, args=args), tools)

    assert one("brighten", image="$image", by=1.2) == "Make an image brighter"
    assert one("brighten", image="$image", by=2.0, smooth=True) == "Make an image brighter (by 2, smooth yes)"
    assert one("stamp", image="$image", text="Hi", where="bottom") == "Write some words on an image: Hi (where bottom)"


def test_every_built_in_tool_is_said_without_braces_or_its_name() -> None:
    for name, one in TOOLS.items():
        for args in ({}, dict.fromkeys(one.inputs, "$x") | dict.fromkeys(one.params.model_fields, "word")):
            text = words(Step(id="s1", tool=name, args=args), TOOLS)
            assert text and "{" not in text and "_" not in text and "$" not in text, text


def test_wrong_words_are_refused_where_the_tool_is_declared() -> None:
    def fix(image: Image) -> Text:
        """Fix it."""
        raise NotImplementedError

    with pytest.raises(DeclarationInvalid, match="'colour'"):
        tool(words="Fix {colour}")(fix)
    with pytest.raises(DeclarationInvalid, match="no template"):
        tool(words="Fix {image")(fix)


def test_names_keep_their_letters_and_ids_become_places() -> None:
    assert sentences("b.png is empty", "check it") == "b.png is empty. Check it."
    assert sentences("$x is a text", "") == "$x is a text."
    assert sentences("there is none", "Take $image?") == "There is none. Take $image?"
    plan = Plan(steps=(Step(id="s7", tool="detect"), Step(id="s8", tool="count")))
    assert places("Put $s8 before s7, not s77 or $image", plan) == "Put step 2 before step 1, not s77 or $image"
    assert label("min_score") == "Min score"
