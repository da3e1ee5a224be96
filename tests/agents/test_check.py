"""Every fault of a plan is found, and said so that it can be mended."""

from typing import Any

import pytest

from agents.plan.check import MAX_STEPS, check, wire_and_check
from agents.plan.plan import ABOVE, Plan, Step
from tests.agents.fakes import TOOLS, plan
from tools import Detections, tool

DETECT = ("detect", {"image": "$image", "labels": ["dog"]})
IMAGE = {"image": "Image"}


def problems(*calls: tuple[str, dict[str, Any]], values: dict[str, str] | None = None, outputs: Any = ()) -> list[str]:
    return [str(p) for p in check(plan(*calls, outputs=outputs), TOOLS, IMAGE if values is None else values)]


def test_a_good_plan_has_none() -> None:
    blur = ("blur", {"image": "$image", "regions": "$s1", "how": "fill"})
    assert problems(DETECT, blur, outputs=["$s2", "$image"]) == []
    assert problems() == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("detct", {}), "s1: there is no tool 'detct'. Did you mean detect?"),
        (("detect", {"labels": ["dog"]}), "s1.image: detect needs an image. Take $image"),
        (("count", {}), "s1.regions: count needs detections. Put a step before it that gives it (detect, segment)"),
        (("detect", {"image": "$image"}), "s1.labels: detect needs labels. Add labels"),
        (("detect", {**DETECT[1], "score": 1}), "s1.score: detect has no argument 'score'. Did you mean min_score?"),
        (("detect", {**DETECT[1], "min_score": 2}), "s1.min_score: input should be less than or equal to 1, not 2"),
        (("detect", {**DETECT[1], "min_score": "much"}), "min_score: input should be a valid number"),
        (("detect", {"image": "$image", "labels": "dog"}), "s1.labels: input should be a valid list, not 'dog'"),
        (
            ("detect", {"image": "$image", "labels": ["dog", 3]}),
            "s1.labels: in item 1, input should be a valid string, not 3",
        ),
        (
            ("detect", {"image": "$image", "labels": ["$image"]}),
            "s1.labels: labels is written out, it cannot take the value $image",
        ),
        (("ask", {"image": "$image", "question": "$5?"}), "s1.question: question is written out"),
        (("detect", {**DETECT[1], "image": "$imag"}), "s1.image: there is no value $imag. Did you mean $image?"),
        (
            ("detect", {**DETECT[1], "image": "image"}),
            "s1.image: image takes an image, not 'image'. Did you mean $image?",
        ),
        (("detect", {**DETECT[1], "image": "dog.jpg"}), "s1.image: image takes an image, not 'dog.jpg'. Take $image"),
        (("detect", {**DETECT[1], "image": []}), "s1.image: image takes an image, not []"),
        (("detect", {**DETECT[1], "image": "$s1"}), "s1.image: it uses its own result"),
        (("count", {"regions": "$image"}), "s1.regions: regions takes detections, but '$image' is an image"),
        (("segment", {"image": "$image"}), "s1: segment takes at least one of labels, regions. Add one of them"),
        (("say", {"text": 3}), "s1.text: text takes a text or a transcript or a number, not 3"),
        (
            ("say", {"text": "$image"}),
            "s1.text: text takes a text or a transcript or a number, but '$image' is an image",
        ),
    ],
)
def test_single_faults(call: tuple[str, dict[str, Any]], said: str) -> None:
    (problem,) = problems(call)
    assert said in problem


def test_missing_media_say_what_to_attach() -> None:
    (problem,) = problems(("hear", {}), values={})
    assert problem == "s1.audio: hear needs a sound. Attach one, or put a step before it that gives it (say)"


def test_a_wrong_choice_names_the_choices() -> None:
    (problem,) = problems(DETECT, ("blur", {"image": "$image", "regions": "$s1", "how": "erase"}))
    assert "s2.how: input should be 'blur' or 'fill', not 'erase'" in problem


def test_both_of_one_of_may_be_given() -> None:
    assert problems(DETECT, ("segment", {"image": "$image", "labels": ["dog"], "regions": "$s1"})) == []


def test_none_of_one_of_is_none_when_it_is_null() -> None:
    (problem,) = problems(("segment", {"image": "$image", "labels": None}))
    assert problem == "s1: segment takes at least one of labels, regions. Add one of them"


def test_ids() -> None:
    def said(*ids: str, values: dict[str, str] = IMAGE, used_names: tuple[str, ...] = ()) -> list[str]:
        steps = tuple(Step(id=name, tool="read", args={"image": "$image"}) for name in ids)
        return [str(p) for p in check(Plan(steps=steps), TOOLS, values, used_names)]

    assert said("s1", "s2") == []
    assert said("s1", "s1") == ["s1: two steps have this id. Number the steps s1, s2, …"]
    assert said("s1", values={**IMAGE, "s1": "Text"}) == [
        "s1: an earlier value has this name. Give the step another id"
    ]
    assert said("s1", used_names=("s1",)) == ["s1: an earlier value has this name. Give the step another id"]
    assert "cannot be the id" in said("s 1")[0] and "cannot be the id" in said("")[0]


def test_order_and_circles() -> None:
    assert problems(("count", {"regions": "$s2"}), DETECT) == [
        "s1.regions: $s2 comes later in the plan. Put s2 before s1"
    ]
    circle = problems(("shout", {"text": "$s2"}), ("shout", {"text": "$s1"}))
    assert len(circle) == 1 and "wait for each other. Break the circle" in circle[0]


def test_outputs() -> None:
    assert problems(DETECT, outputs=["$s9"]) == ["outputs: '$s9' is not a value. Did you mean $s1?"]
    assert "is not a value" in problems(DETECT, outputs=["s1"])[0]


def test_an_unknown_tool_is_not_reported_again_where_its_result_is_used() -> None:
    assert problems(("detct", {}), ("count", {"regions": "$s1"})) == [
        "s1: there is no tool 'detct'. Did you mean detect?"
    ]


def test_too_many_steps() -> None:
    found = problems(*[("read", {"image": "$image"})] * (MAX_STEPS + 1))
    assert problems(*[("read", {"image": "$image"})] * MAX_STEPS) == []
    assert found == [f"the plan has {MAX_STEPS + 1} steps, and {MAX_STEPS} is the most. Ask for less at a time"]


def test_lists() -> None:
    values = {"album": "list[Image]", "image": "Image", "song": "Audio"}
    each = ("detect", {"image": "$album", "labels": ["dog"]})
    assert problems(each, ("blur", {"image": "$album", "regions": "$s1"}), values=values) == []
    assert problems(each, ("count", {"regions": "$s1"}), ("say", {"text": "$s2"}), values=values) == []
    assert problems(("collage", {"images": "$album"}), ("read", {"image": "$s1"}), values=values) == []
    assert problems(("read", {"image": ["$image", "$image"]}), values=values) == []
    (mixed,) = problems(("read", {"image": ["$image", "$song"]}), values=values)
    assert "a list must hold single values of one kind" in mixed
    (nested,) = problems(("collage", {"images": ["$image", "$album"]}), values=values)
    assert "$album (list[Image])" in nested
    cut = ("crop", {"image": "$image", "regions": "$s1"})
    (apart,) = problems(
        ("detect", {"image": "$image", "labels": ["a"]}),
        cut,
        ("detect", {"image": "$album", "labels": ["b"]}),
        ("blur", {"image": "$s2", "regions": "$s3"}),
        values=values,
    )
    assert apart == (
        "s4.regions: image and regions are lists that do not go together item by item. "
        "Give one list, or two that were made from the same list"
    )


def test_every_fault_is_reported_at_once() -> None:
    found = problems(
        ("detect", {"image": "$image", "labels": "dog", "min_score": 7, "x": 1}), ("detct", {}), outputs=["$q"]
    )
    assert len(found) == 5


def test_a_tool_that_gives_the_kind_it_was_given() -> None:
    from tools.runtime.registry import load

    steps = [
        {"id": "s1", "tool": "detect", "args": {"labels": ["face"]}},
        {"id": "s2", "tool": "redact"},
        {"id": "s3", "tool": "transcribe"},
    ]
    wired, problems = wire_and_check(Plan.load({"steps": steps}), load(), {"video": "Video"})
    assert problems == [] and wired.steps[2].args == {"audio": "$s2"} and wired.outputs == ("$s2", "$s3")
    problems = wire_and_check(Plan.load({"steps": steps}), load(), {"image": "Image"})[1]
    assert [problem.step for problem in problems] == ["s3"]  # a blurred picture has no sound


def test_names_that_are_taken_are_reported_for_a_plan_that_was_filled_in() -> None:
    read = plan(("read", {}))
    assert wire_and_check(read, TOOLS, IMAGE)[1] == []
    (problem,) = wire_and_check(read, TOOLS, IMAGE, used_names=("s1",))[1]
    assert "earlier value has this name" in problem.message


def test_a_fault_names_its_argument_and_what_could_stand_there() -> None:
    def problem_of(*calls: tuple[str, dict[str, Any]], values: dict[str, str] = IMAGE) -> tuple[str, str]:
        (problem,) = check(plan(*calls), TOOLS, values)
        return problem.argument, problem.hint

    argument, hint = problem_of(("read", {"image": ["$image", "$song"]}), values={**IMAGE, "song": "Audio"})
    assert argument == "image" and hint
    assert problem_of(("count", {"regions": "$image"})) == (
        "regions",
        "Put a step before it that gives it (detect, segment)",
    )
    assert problem_of(("pose", {"image": "$image", "regions": ABOVE})) == (
        "regions",
        "Put a step before it that gives it (detect, segment)",
    )
    values = {**IMAGE, "s0": "Detections"}
    assert problem_of(("count", {}), values=values) == (
        "regions",
        "Take $s0",
    )  # what is there is nearer than what could be made
    assert problem_of(("read", {}), values={}) == (
        "image",
        "Attach one, or put a step before it that gives it (blur, crop, collage)",
    )
    many = dict.fromkeys(("one", "two", "three", "four"), "Image")
    assert problem_of(("read", {}), values=many) == ("image", "Take $two or $three or $four")
    assert problem_of(("detect", {"image": "$image", "labels": 3})) == ("labels", "")


def test_hints_name_no_more_than_four_tools() -> None:
    def maker(name: str) -> Any:
        def make() -> Detections:
            """Make detections."""
            return Detections.empty((1, 1))

        make.__name__ = name
        return tool(make)

    made = {name: maker(name) for name in ("a", "b", "c", "d", "e")}
    (problem,) = check(plan(("count", {})), {"count": TOOLS["count"], **made}, {})
    assert "(a, b, c, d)" in problem.hint


def test_steps_that_only_use_a_circle_are_not_in_it() -> None:
    found = check(
        plan(
            ("shout", {"text": "$s2"}),
            ("shout", {"text": "$s1"}),
            ("shout", {"text": "$s4"}),
            ("shout", {"text": "hello"}),
        ),
        TOOLS,
        {},
    )
    assert [(problem.step, "wait for each other" in problem.message) for problem in found] == [
        ("s1", True),
        ("s3", False),
    ]
    assert "$s4 comes later" in found[1].message
    outside = check(plan(("shout", {"text": "$s2"}), ("shout", {"text": "$s3"}), ("shout", {"text": "$s2"})), TOOLS, {})
    assert "$s2 comes later" in outside[0].message and "wait for each other" in outside[1].message


def test_every_plain_argument_with_a_reference_is_reported_and_the_others_are_checked() -> None:
    found = problems(("detect", {"image": "$image", "labels": ["$image"], "min_score": "$image", "score": 1}))
    assert [problem.split(":")[0] for problem in found] == ["s1.score", "s1.labels", "s1.min_score"]
    found = problems(("detect", {"image": "$image", "labels": ["$image"], "min_score": 2}))
    assert [problem.split(":")[0] for problem in found] == ["s1.labels", "s1.min_score"]


def test_a_reference_anywhere_within_a_plain_argument_is_reported() -> None:
    for value in ({"a": "$image"}, [["$image"]], {"a": [{"b": "$image"}]}):
        (problem,) = problems(("ask", {"image": "$image", "question": value}))
        assert "written out, it cannot take the value $image" in problem


def test_long_values_are_cut_in_messages() -> None:
    (fits,) = problems(("detect", {"image": "$image", "labels": "x" * 58}))
    assert f"not '{'x' * 58}'" in fits
    (cut,) = problems(("detect", {"image": "$image", "labels": "x" * 59}))
    assert cut.endswith(f"not '{'x' * 56}…")


def test_an_output_without_its_dollar_is_found() -> None:
    assert (
        "Did you mean $image?" in problems(outputs=["image"])[0]
        and "Did you mean $image?" in problems(outputs=["$$image"])[0]
    )


def test_faults_of_several_plain_arguments_are_reported_together() -> None:
    found = check(plan(("detect", {"image": "$image", "min_score": 2})), TOOLS, IMAGE)
    assert sorted(problem.argument for problem in found) == ["labels", "min_score"]


def test_cut_outs_of_two_steps_do_not_go_together() -> None:
    steps = [
        DETECT,
        *[("crop", {"image": "$image", "regions": "$s1"})] * 2,
        ("detect", {"image": "$s3", "labels": ["eye"]}),
    ]
    assert problems(*steps, ("blur", {"image": "$s3", "regions": "$s4"})) == []
    (apart,) = problems(*steps, ("blur", {"image": "$s2", "regions": "$s4"}))
    assert "do not go together" in apart


def test_a_wrong_value_names_the_tool_for_the_planner() -> None:
    """Other faults do not: an input that is missing is not mended by leaving the argument out."""
    plan = Plan(steps=(Step(id="s1", tool="detect", args={**DETECT[1], "min_score": 2}), Step(id="s2", tool="count")))
    found = {problem.argument: problem.tool for problem in check(plan, TOOLS, {"image": "Image"})}
    assert found == {"min_score": "detect", "regions": ""}
