"""A tool's declaration: what is read from signature and docstring, and what is refused."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pytest
from pydantic import Field

from tools import Audio, Batch, Detections, Image, Number, Text, Tool, Transcript, Video, tool
from tools.core.errors import ArgumentsInvalid, DeclarationInvalid
from tools.runtime.tool import Output

Turned = TypeVar("Turned", Image, Video)


@tool(examples=["frame the cats"], one_of=("labels", "regions"), version="3")
def frame(
    image: Image,
    labels: list[str] | None = None,
    regions: Detections | None = None,
    how: Literal["thin", "thick"] = "thin",
    share: Annotated[float, Field(ge=0, le=1)] = 0.25,
    times: int = 1,
) -> Image:
    """Draw a frame.

    More about it.

    Args:
        image: The picture.
        labels: What to
            frame.
        regions: Where.
        how: Thin or thick.
        share: How much.
        times: How often.

    Returns:
        A picture.
    """
    return image


@tool
def tell(text: Text, voices: list[Audio], clip: Audio | Video | None = None) -> list[Transcript]:
    """Say it."""
    return []


def test_the_declaration_is_read() -> None:
    assert isinstance(frame, Tool)
    assert (frame.name, frame.doc, frame.version, frame.read_only) == ("frame", "Draw a frame.", "3", False)
    assert list(frame.inputs) == ["image", "regions"]
    assert frame.inputs["image"].doc == "The picture."
    assert not frame.inputs["image"].optional and frame.inputs["regions"].optional
    assert (tell.returns.kind, tell.returns.many, tell.read_only) == ("Transcript", True, True)
    assert tell.inputs["clip"].kinds == ("Audio", "Video")
    assert tell.inputs["voices"].many and not tell.inputs["text"].many


def test_the_card_is_plain_data() -> None:
    assert frame.card() == {
        "name": "frame",
        "doc": "Draw a frame.",
        "inputs": {
            "image": {"kinds": ["Image"], "many": False, "optional": False, "literal": False},
            "regions": {"kinds": ["Detections"], "many": False, "optional": True, "literal": False},
        },
        "params": {
            "labels": {"type": "array", "items": {"type": "string"}, "description": "What to frame."},
            "how": {"enum": ["thin", "thick"], "type": "string", "default": "thin", "description": "Thin or thick."},
            "share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.25, "description": "How much."},
            "times": {"type": "integer", "default": 1, "description": "How often."},
        },
        "required": [],
        "one_of": ["labels", "regions"],
        "returns": {"kind": "Image", "many": False},
        "examples": ["frame the cats"],
        "read_only": False,
    }
    text = tell.card()["inputs"]["text"]
    assert text == {"kinds": ["Text", "Transcript", "Number"], "many": False, "optional": False, "literal": True}


def test_the_schema_of_a_call() -> None:
    schema = frame.json_schema()
    assert list(schema["properties"]) == ["image", "regions", "labels", "how", "share", "times"]
    assert schema["properties"]["image"]["pattern"].startswith(r"^\$")
    assert "pattern" not in tell.json_schema()["properties"]["text"]
    assert schema["additionalProperties"] is False


def test_stand_ins_are_accepted() -> None:
    assert tell.accepts("text", "Transcript") and tell.accepts("text", "Number")
    assert not tell.accepts("text", "Image") and not tell.accepts("nothing", "Image")


def test_arguments_are_converted_and_completed() -> None:
    assert frame.arguments({"share": 1}) == {"labels": None, "how": "thin", "share": 1.0, "times": 1}


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(ArgumentsInvalid) as caught:
        frame.arguments({"how": "wide", "share": 2, "times": "x", "colour": "red", "labels": [3]})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "labels.0",
        "how",
        "share",
        "times",
        "colour",
    ]
    assert str(caught.value).startswith("frame: ")
    for number in (float("nan"), float("inf")):
        with pytest.raises(ArgumentsInvalid, match="finite"):
            frame.arguments({"share": number})


def test_one_of_is_checked() -> None:
    frame.check_one_of(["image", "labels"])
    frame.check_one_of(["labels", "regions"])
    with pytest.raises(ArgumentsInvalid, match="at least one of labels, regions"):
        frame.check_one_of(["image"])
    picture, found = Image.from_numpy(np.zeros((2, 2, 3), np.uint8)), Detections.empty((2, 2))
    assert frame(picture, ["cat"], found) == frame(picture, regions=found) == picture
    calls: list[Callable[[], Image]] = [lambda: frame(picture), lambda: frame(picture, labels=None, regions=None)]
    for call in calls:
        with pytest.raises(ArgumentsInvalid, match="at least one of labels, regions"):
            call()


def test_the_schema_wants_at_least_one_of() -> None:
    assert frame.json_schema()["anyOf"] == [{"required": ["labels"]}, {"required": ["regions"]}]
    assert "anyOf" not in tell.json_schema()


def test_a_tool_is_called_like_its_function() -> None:
    @tool
    def double(regions: Detections, times: int = 2) -> Number:
        """Count twice."""
        return Number(len(regions) * times)

    assert double(Detections.empty((1, 1)), times=3) == Number(0)
    assert double.fn.__name__ == "double" and double.__doc__ == "Count twice."


def test_a_batch_shows_single_inputs() -> None:
    @tool
    def look(images: Batch[Image]) -> Batch[Detections]:
        """Look."""
        return [Detections.empty(image.size) for image in images]

    assert look.batch and look.inputs["images"].batch and not look.inputs["images"].many
    assert look.card()["returns"] == {"kind": "Detections", "many": False}


def _untyped(image) -> Image:  # type: ignore[no-untyped-def]
    """Do."""
    return image


def _undocumented(image: Image) -> Image:
    return image


def _any_number(*images: Image) -> Image:
    """Do."""
    return images[0]


def _no_return(image: Image):  # type: ignore[no-untyped-def]
    """Do."""


def _plain_return(image: Image) -> str:
    """Do."""
    return ""


def _two_returns(image: Image) -> Image | Audio:
    """Do."""
    return image


def _dictionary(image: Image, table: dict[str, str]) -> Image:
    """Do."""
    return image


def _anything(image: Image, thing: Any) -> Image:
    """Do."""
    return image


def _nested(image: Image, rows: list[list[str]]) -> Image:
    """Do."""
    return image


def _wrong_none(image: Image, label: str = None) -> Image:  # type: ignore[assignment]
    """Do."""
    return image


def _nullable_without_default(image: Image | None) -> Text:
    """Do."""
    return Text("")


def _half_batch(images: Batch[Image], regions: Detections) -> Batch[Image]:
    """Do."""
    return images


def _batch_to_one(images: Batch[Image]) -> Image:
    """Do."""
    return images[0]


def _taken(image: Image, copy: int = 1) -> Image:
    """Do."""
    return image


def _wrong_default(image: Image, how: Literal["a", "b"] = "c") -> Image:  # type: ignore[assignment]
    """Do."""
    return image


async def _later(image: Image) -> Image:
    """Do."""
    return image


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (_untyped, "untyped parameter 'image'"),
        (_undocumented, "no docstring"),
        (_any_number, "cannot be given by name"),
        (_no_return, "what value it returns"),
        (_plain_return, "what value it returns"),
        (_two_returns, "what value it returns"),
        (_dictionary, "'table'"),
        (_anything, "'thing'"),
        (_nested, "'rows'"),
        (_wrong_none, "'label' with the default None"),
        (_nullable_without_default, "Image | None = None"),
        (_half_batch, "mixes Batch"),
        (_batch_to_one, "Batch"),
        (_taken, "'copy', which is taken"),
        (_wrong_default, "how"),
        (_later, "async"),
        (Image, "plain function"),
        (lambda image: image, "lambda"),
    ],
)
def test_wrong_functions_are_refused_with_what_to_change(function: Callable[..., Any], words: str) -> None:
    if hasattr(function, "__name__") and function.__name__.startswith("_"):
        function.__name__ = function.__name__.strip("_")
    with pytest.raises(DeclarationInvalid, match=words.replace("|", r"\|")) as caught:
        tool(function)
    assert caught.value.hint


def test_wrong_options_are_refused() -> None:
    def crop_it(image: Image, regions: Detections, padding: int = 0) -> Image:
        """Crop."""
        return image

    with pytest.raises(DeclarationInvalid, match="no parameter"):
        tool(one_of=("nothing",))(crop_it)
    with pytest.raises(DeclarationInvalid, match="no default"):
        tool(one_of=("regions", "padding"))(crop_it)
    with pytest.raises(DeclarationInvalid, match="examples"):
        tool(examples="crop it")(crop_it)


def test_a_result_of_the_kind_of_an_input():
    @tool
    def turn(image: Turned) -> Turned:
        """Turn a picture or video."""
        return image

    assert turn.returns == Output("Image", follows="image") and turn.card()["returns"] == {
        "kind": "Image",
        "many": False,
        "follows": "image",
    }
    assert turn.inputs["image"].kinds == ("Image", "Video") and not turn.read_only
    with pytest.raises(DeclarationInvalid, match="does not say what value it returns"):

        @tool
        def make(text: Text) -> Turned:
            """Follows nothing."""
