"""Answers are composed from the values themselves."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.plan.plan import Plan, Step
from agents.plan.types import cards_of
from agents.session.answer import MAX_CHARACTERS, MAX_ITEMS, compose
from agents.session.state import State
from tests.agents.fakes import TOOLS, picture
from tools import Audio, Detections, Image, Number, Poses, Segment, Store, Text, Transcript, Value
from tools.storage.store import Provenance

Answered = Callable[..., str]
results: list[str] = []
"""How the answers of a test came out."""


def boxes(*labels: str, ids: list[int] | None = None) -> Detections:
    count = len(labels)
    return Detections(
        np.tile([1, 1, 5, 5], (count, 1)), labels, np.ones(count), (9, 9), ids=None if ids is None else np.array(ids)
    )


@pytest.fixture
def answered(tmp_path: Path) -> Answered:
    """The answer to steps of these tools with these values; every value is an output."""
    store = Store(tmp_path)
    results.clear()

    def answer(
        *made: tuple[str, dict[str, Any], Value | list[Value]],
        outputs: list[str] | None = None,
        image: Value | None = None,
    ) -> str:
        steps = tuple(Step(id=f"s{n}", tool=tool, args=args) for n, (tool, args, _) in enumerate(made, 1))
        outcomes: dict[str, Any] = {}
        for n, (tool, _, value) in enumerate(made, 1):
            refs = [store.put(v) for v in value] if isinstance(value, list) else store.put(value)
            outcomes[f"s{n}"] = {"state": "finished", "tool": tool, "seconds": 0.0, "refs": refs}
        plan = Plan(steps=steps, outputs=tuple(outputs or [f"$s{len(made)}"]))
        state: State = {"plan": plan.model_dump(mode="json"), "problems": [], "outcomes": outcomes}
        if image is not None:
            state["given"] = {
                "image": {"refs": store.put(image), "known": {"kind": image.kind, "many": False, "frame": "image"}}
            }
        made_up = compose(state, plan, store, cards_of(TOOLS))
        results.append(made_up.result)
        return made_up.text

    return answer


FIND: tuple[str, dict[str, Any]] = ("detect", {"image": "$image", "labels": ["dog", "cat"]})


def test_what_was_found(answered: Answered) -> None:
    assert answered((*FIND, boxes("dog", "cat", "dog"))) == "Found 3 (dog 2, cat 1)."
    assert answered((*FIND, boxes())) == "Found none (looked for dog, cat)."
    everything = ("detect", {"image": "$image"})
    assert answered((*everything, boxes("dog", "ski", "dog", "umbrella"))) == (
        "Found 4 objects: 2 dogs, a ski, an umbrella."
    )
    assert answered(("detect", {"labels": []}, boxes("cat"))) == "Found an object: a cat."
    assert answered((*everything, boxes())) == "Found none."
    assert (
        answered(("track", {}, boxes("car", "car", "car", ids=[1, 1, 2])))
        == "Followed 2 through the video (car 3 boxes)."
    )
    assert answered(("pose", {}, Poses.empty((4, 4)))) == "Found the poses of 0 people."


def test_edits_are_counted(answered: Answered) -> None:
    seen, done = picture(30, 20), picture(30, 21)
    regions = {"image": "$image", "regions": "$s1"}
    redact = ("redact", {**regions, "how": "pixelate"})
    find = ("detect", {"image": "$image", "labels": ["face"]})
    assert (
        answered((*find, boxes(*["face"] * 4)), (*redact, done), image=seen)
        == "Pixelated 4 faces: a picture, 30×21 pixels."
    )
    assert (
        answered((*find, boxes("face")), ("remove", regions, done), image=seen)
        == "Removed 1 face: a picture, 30×21 pixels."
    )
    assert answered((*find, boxes("person", "car", "car")), (*redact, done)).startswith(
        "Pixelated 3 (car 2, person 1): a picture"
    )
    walk = boxes(*["person"] * 9, ids=[1, 1, 1, 2, 2, 2, 2, 2, 1])
    assert answered((*find, walk), ("redact", regions, done)).startswith("Blurred 2 people: ")
    found = (*find, boxes("dog", "dog"))
    assert answered(found, ("crop", regions, [picture(), picture(3)])) == "Cut out 2 dogs: 2 pictures."
    assert results == ["done"] * 5


def test_what_changed_nothing_is_not_reported_as_done(answered: Answered) -> None:
    seen = picture(30, 20)
    redact = ("redact", {"image": "$image", "regions": "$s1"})
    find = ("detect", {"image": "$image", "labels": ["face", "license plate"]})
    none = "No face or license plate found, so nothing was "
    assert answered((*find, boxes()), (*redact, seen), image=seen) == f"{none}blurred; the picture is unchanged."
    # Without its metadata, the file is another one.
    assert (
        answered((*find, boxes()), (*redact, picture(30, 21)), image=seen)
        == f"{none}blurred; the picture is unchanged."
    )
    assert answered((*find, boxes()), ("crop", redact[1], [])) == f"{none}cut out."
    assert (
        answered((*find, boxes("face")), (*redact, seen), image=seen)
        == "redact changed nothing; the picture is unchanged."
    )
    assert (
        answered(("blur", {"image": "$image"}, seen), image=seen) == "blur changed nothing; the picture is unchanged."
    )
    # What another step made is not what was given.
    turned = ("rotate", {"image": "$image", "degrees": 90}, picture(20, 30))
    boxed = ("detect", {"image": "$s1", "labels": ["face"]}, boxes())
    hidden = ("redact", {"image": "$s1", "regions": "$s2"}, picture(20, 30))
    assert (
        answered(turned, boxed, hidden, outputs=["$s3"], image=seen)
        == "No face found, so nothing was blurred; the picture is as rotate made it."
    )
    assert answered((*find, boxes())).startswith("Found none")
    assert answered(("pose", {}, Poses.empty((4, 4)))) and answered(("read", {}, Transcript(())))
    assert answered(("ask", {}, [Text(""), Text(" ")]))
    assert results == ["nothing"] * 10
    assert (
        answered((*find, boxes()), ("count", {"regions": "$s1"}, Number(0))) and results[-1] == "done"
    )  # none is an answer
    assert answered((*find, boxes()), (*redact, seen), ("read", {}, Text("EXIT")), outputs=["$s2", "$s3"], image=seen)
    assert results[-1] == "done"


def test_numbers_say_what_they_count(answered: Answered) -> None:
    count = ("count", {"regions": "$s1"})
    assert answered((*FIND, boxes("dog", "dog")), (*count, Number(2))) == "count: 2 (dog)."
    assert answered((*FIND, boxes()), (*count, Number(0))) == "count: 0 (dog, cat)."
    assert answered((*FIND, boxes("dog", "cat")), (*count, Number(2))) == "count: 2 (dog 1, cat 1)."
    assert answered(("size", {"image": "$image"}, Number(2.5, "m"))) == "size: 2.5 m."


def test_texts_are_reported_in_full_up_to_a_length(answered: Answered) -> None:
    words = Transcript((Segment("Good", 0, 1), Segment("morning", 1, 2)))
    assert answered(("hear", {}, words)) == "Good morning"
    assert answered(("read", {}, Transcript(()))) == "No words were found."
    long = answered(("ask", {}, Text("x" * (MAX_CHARACTERS + 7))))
    assert long == "x" * MAX_CHARACTERS + "… (7 more characters)"


def test_several_outputs_are_distinguished(answered: Answered) -> None:
    text = answered(
        ("blur", {}, picture(30, 20)),
        ("read", {}, Text("EXIT")),
        ("say", {}, Audio(np.zeros((800, 1)), 400)),
        outputs=["$s1", "$s2", "$s3"],
    )
    assert text.splitlines() == [
        "Made with blur: a picture, 30×20 pixels.",
        "read (s2): EXIT",
        "Made with say: a sound, 2 s, silent.",
    ]


def test_lists(answered: Answered) -> None:
    assert answered(("crop", {}, [picture(), picture(3)])) == "Made 2 pictures with crop (s1)."
    assert answered(("crop", {}, [])) == "crop (s1) gave an empty list: there was nothing to work on."
    found = ("detect", {"labels": ["dog"]}, [boxes("dog"), boxes("dog", "dog")])
    counted = ("count", {"regions": "$s1"}, [Number(1), Number(2)])
    assert answered(found, counted) == "count (s2) gave 2:\n1. 1\n2. 2"
    assert answered(found).splitlines()[2] == "2. Found 2 (dog 2)."
    some = ("detect", {"labels": ["dog"]}, [boxes(), boxes("dog"), boxes(), boxes("dog", "dog")])
    assert answered(some).splitlines() == [
        "Found 3 (dog 3) in 2 of 4 items:",
        "2. Found 1 (dog 1).",
        "4. Found 2 (dog 2).",
    ]
    assert answered(("detect", {"labels": ["dog"]}, [boxes(), boxes()])) == "Found none in 2 items (looked for dog)."
    many = answered(("ask", {}, [Text(str(n)) for n in range(MAX_ITEMS + 5)])).splitlines()
    assert many[-2:] == [f"{MAX_ITEMS}. {MAX_ITEMS - 1}", "… and 5 more"]


def test_pages_that_were_not_worked_on_are_reported(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pages = io.BytesIO()
    blank = picture(3).pil
    blank.save(pages, "TIFF", save_all=True, append_images=[blank, blank])
    one, three = store.put(picture(3)), store.put(Image.open(pages.getvalue()))
    plan = Plan(steps=(Step(id="s1", tool="caption", args={"image": "$image"}),), outputs=("$s1",))
    outcomes = {"s1": {"state": "finished", "tool": "caption", "seconds": 0.0, "refs": store.put(Text("A cat."))}}

    def answer_of(**given: Any) -> str:
        state: Any = {
            "plan": plan.model_dump(mode="json"),
            "problems": [],
            "outcomes": outcomes,
            "given": {name: {"refs": refs, "known": {}} for name, refs in given.items()},
        }
        return compose(state, plan, store, cards_of(TOOLS)).text

    assert answer_of(image=one) == "A cat."
    assert answer_of(image=three).startswith("A cat.\nOf the 3 pages or frames of image, only the first was worked on.")
    assert "Of the 3 pages or frames of images 2, only" in answer_of(images=[one, three])


def test_what_to_know_of_a_value_is_said_before_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    outcomes: dict[str, Any] = {}
    for n, value in enumerate((boxes("dog"), Text("a dog")), 1):
        ref = store.put(value, made_by(f"s{n}"))
        outcomes[f"s{n}"] = {"state": "finished", "tool": "detect", "seconds": 0.0, "refs": ref}
    plan = Plan(steps=(Step(id="s1", tool="detect", args={}), Step(id="s2", tool="caption", args={})), outputs=("$s2",))
    state: State = {"plan": plan.model_dump(mode="json"), "problems": [], "outcomes": outcomes}
    text = compose(state, plan, store, cards_of(TOOLS)).text
    assert text == "The picture is a photograph.\na dog"


def made_by(step: str) -> Provenance:
    """A provenance with a note."""
    made = Provenance(step=step, tool="t", version="1", weights=[], args={}, inputs=[], seconds=0.0, time="")
    return {**made, "notes": ["The picture is a photograph"]}
