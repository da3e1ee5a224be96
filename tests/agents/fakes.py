"""Tiny tools and planners for tests of what goes on around them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from agents.plan.plan import Plan, PlanInvalid, Step
from agents.plan.problems import Problem
from agents.plan.types import AnyTool
from agents.planners.base import Confidence, Demonstration, first_free
from common.card import Card
from tools import Audio, Detections, Image, Number, Text, Transcript, tool


@tool(examples=["find the dogs"])
def detect(image: Image, labels: list[str], min_score: Annotated[float, Field(ge=0, le=1)] = 0.25) -> Detections:
    """Find things of these names."""
    boxes = np.array([[1, 1, 5, 5], [2, 2, 8, 8]], np.float32)[: len(labels)]
    return Detections(boxes, tuple(labels[:2]), np.full(len(boxes), 0.9, np.float32), (image.height, image.width))


@tool
def blur(image: Image, regions: Detections, how: Literal["blur", "fill"] = "blur") -> Image:
    """Make regions unrecognisable."""
    pixels = image.pixels.copy()
    for x0, y0, x1, y1 in regions.xyxy.astype(int):
        pixels[y0:y1, x0:x1] = 0
    return Image.from_numpy(pixels)


@tool
def crop(image: Image, regions: Detections) -> list[Image]:
    """Cut regions out."""
    return [Image.from_numpy(image.pixels[y0:y1, x0:x1]) for x0, y0, x1, y1 in regions.xyxy.astype(int)]


@tool
def count(regions: Detections) -> Number:
    """Count what was found."""
    return Number(len(regions))


@tool
def pose(image: Image, regions: Detections | None = None) -> Number:
    """Look at people."""
    return Number(0 if regions is None else len(regions))


@tool(one_of=("labels", "regions"))
def segment(image: Image, labels: list[str] | None = None, regions: Detections | None = None) -> Detections:
    """Find outlines."""
    return Detections.empty((image.height, image.width))


@tool
def collage(images: list[Image]) -> Image:
    """Lay pictures side by side."""
    return Image.from_numpy(np.concatenate([image.pixels for image in images], axis=1))


@tool
def read(image: Image) -> Transcript:
    """Read what is written."""
    return Transcript(())


@tool
def say(text: Text, speed: int = 1) -> Audio:
    """Speak a text."""
    return Audio(np.full((8, 1), len(text.text) / 1000, np.float32), 8000)


@tool
def hear(audio: Audio) -> Text:
    """Write down what is said."""
    return Text(f"{len(audio.samples)} samples")


@tool
def ask(image: Image, question: str) -> Text:
    """Answer a question."""
    return Text(f"{question} {image.width}")


@tool
def shout(text: Text) -> Text:
    """Write in capitals."""
    return Text(text.text.upper())


@tool
def fail(text: Text) -> Text:
    """Fail, always."""
    raise RuntimeError(f"cannot work on {text.text}")


TOOLS: dict[str, AnyTool] = {
    t.name: t for t in (detect, blur, crop, count, pose, segment, collage, read, say, hear, ask, shout, fail)
}


def plan(*calls: tuple[str, dict[str, Any]], outputs: Sequence[str] = (), request: str = "") -> Plan:
    """A plan of these calls, numbered from s1."""
    steps = tuple(Step(id=f"s{n}", tool=name, args=args) for n, (name, args) in enumerate(calls, 1))
    return Plan(request=request, steps=steps, outputs=tuple(outputs))


def picture(width: int = 12, height: int = 10, value: int = 200) -> Image:
    """A plain picture."""
    return Image.from_numpy(np.full((height, width, 3), value, np.uint8))


class Scripted:
    """A planner that returns prepared plans in turn, then gives up, and records what it was asked."""

    def __init__(self, plans: Iterable[Plan | PlanInvalid | Exception] = ()) -> None:
        self.plans: Iterator[Plan | PlanInvalid | Exception] = iter(plans)
        self.asked: list[tuple[str, dict[str, str], list[Problem]]] = []
        self.shown: list[list[Demonstration]] = []

    def plan(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
        problems: Sequence[Problem] = (),
    ) -> Plan:
        self.asked.append((request, dict(values), list(problems)))
        self.shown.append(list(demonstrations))
        answer = self.answer(request)
        if isinstance(answer, Exception):
            raise answer
        # Steps are numbered on from those at hand, as every planner must do.
        return answer.rename_steps({step.id: f"s{n}" for n, step in enumerate(answer.steps, first_free(values))})

    def answer(self, request: str) -> Plan | PlanInvalid | Exception:
        """The plan of a request, with steps numbered from s1, or the error to raise."""
        return next(self.plans, Plan())


UNSURE = Confidence(0.3, (0.9, 0.4), 0.5)


class Confident(Scripted):
    """A `Scripted` that says how sure it is of its plans: the same of each."""

    def __init__(
        self, plans: Iterable[Plan | PlanInvalid | Exception] = (), confidence: Confidence | None = UNSURE
    ) -> None:
        super().__init__(plans)
        self.confidence = confidence

    def plan_with_confidence(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
        problems: Sequence[Problem] = (),
    ) -> tuple[Plan, Confidence | None]:
        return self.plan(request, values, tools, demonstrations, problems), self.confidence
