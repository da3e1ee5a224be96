"""What a planner leaves out is filled in with the newest value that fits."""

from typing import Any

import pytest

from agents.plan.check import check
from agents.plan.plan import ABOVE, Plan, Step
from agents.plan.types import ValueType
from agents.plan.wiring import wire
from tests.agents.fakes import TOOLS, plan
from tools import Audio, Detections, Image, Poses, Text, tool

IMAGE = {"image": "Image"}


def wired(made: Plan, values: Any = IMAGE) -> Plan:
    found, problems = wire(made, TOOLS, values)
    assert problems == []
    assert check(found, TOOLS, values) == []
    return found


def args(made: Plan, step: int) -> dict[str, Any]:
    return made.steps[step - 1].args


def test_inputs_take_the_newest_compatible_value() -> None:
    made = wired(plan(("detect", {"labels": ["dog"]}), ("blur", {}), ("detect", {"labels": ["cat"]}), ("blur", {})))
    assert args(made, 1) == {"image": "$image", "labels": ["dog"]}
    assert args(made, 2) == {"image": "$image", "regions": "$s1"}
    assert args(made, 3) == {"image": "$s2", "labels": ["cat"]}
    assert args(made, 4) == {"image": "$s2", "regions": "$s3"}


def test_kinds_that_stand_in_are_taken() -> None:
    made = wired(plan(("read", {}), ("say", {}), ("detect", {"labels": ["dog"]}), ("count", {}), ("say", {})))
    assert args(made, 2) == {"text": "$s1"}
    assert args(made, 5) == {"text": "$s4"}


def test_what_is_given_in_a_turn_is_newer_than_earlier_turns_and_older_than_its_steps() -> None:
    values = {
        "image": ValueType("Image", turn=1),
        "s1": ValueType("Detections", frame="image", turn=1, made=True),
        "s2": ValueType("Image", frame="image", turn=1, made=True),
    }
    read = plan(("read", {})).rename_steps({"s1": "s3"})
    assert args(wired(read, values), 1) == {"image": "$s2"}
    values["image_2"] = ValueType("Image", turn=2)
    assert args(wired(read, values), 1) == {"image": "$image_2"}
    made = plan(("detect", {"labels": ["dog"]}), ("blur", {}), ("read", {})).rename_steps(
        {"s1": "s3", "s2": "s4", "s3": "s5"}
    )
    assert args(wired(made, values), 3) == {"image": "$s4"}


def test_earlier_values_are_used_when_there_is_nothing_newer() -> None:
    values = {"image": "Image", "s1": "Detections"}
    values_known = {"image": ValueType("Image"), "s1": ValueType("Detections", frame="image", made=True)}
    for at_hand in (values, values_known):
        made = wired(plan(("blur", {})).rename_steps({"s1": "s2"}), at_hand)
        assert args(made, 1) == {"image": "$image", "regions": "$s1"}


def test_boxes_go_with_the_picture_that_they_were_found_in() -> None:
    made = wired(plan(("detect", {"labels": ["dog"]}), ("crop", {}), ("blur", {})))
    assert args(made, 3) == {"image": "$image", "regions": "$s1"}  # not the cut-outs, although they are newer
    made = wired(plan(("detect", {"labels": ["dog"]}), ("crop", {}), ("detect", {"labels": ["eye"]}), ("blur", {})))
    assert args(made, 3)["image"] == "$s2"
    assert args(made, 4) == {"image": "$s2", "regions": "$s3"}
    values = {
        "first": ValueType("Image", turn=1),
        "s1": ValueType("Detections", frame="first", turn=1, made=True),
        "second": ValueType("Image", turn=2),
    }
    assert args(wired(plan(("blur", {})).rename_steps({"s1": "s2"}), values), 1) == {
        "image": "$first",
        "regions": "$s1",
    }


def test_a_given_picture_decides_which_boxes_are_meant() -> None:
    values = {
        "first": ValueType("Image"),
        "second": ValueType("Image"),
        "s1": ValueType("Detections", frame="first", made=True),
        "s2": ValueType("Detections", frame="second", made=True),
    }
    made = wired(plan(("blur", {"image": "$first"})).rename_steps({"s1": "s3"}), values)
    assert args(made, 1) == {"image": "$first", "regions": "$s1"}


def test_optional_inputs_are_filled_only_when_asked_for() -> None:
    found = plan(
        ("detect", {"labels": ["person"]}), ("pose", {}), ("pose", {"regions": ABOVE}), ("segment", {"regions": ABOVE})
    )
    made = wired(found)
    assert args(made, 2) == {"image": "$image"}
    assert args(made, 3) == {"image": "$image", "regions": "$s1"}
    assert args(made, 4) == {"image": "$image", "regions": "$s1"}


def test_null_means_left_out() -> None:
    made = wired(plan(("segment", {"image": None, "labels": ["dog"], "regions": None})))
    assert args(made, 1) == {"image": "$image", "labels": ["dog"]}


def test_a_text_that_says_above_is_a_text() -> None:
    assert args(wired(plan(("say", {"text": ABOVE}))), 1) == {"text": ABOVE}


def test_nothing_above_is_reported() -> None:
    made, problems = wire(plan(("pose", {"regions": ABOVE})), TOOLS, IMAGE)
    assert problems == []
    (problem,) = check(made, TOOLS, IMAGE)
    assert (problem.step, problem.argument) == ("s1", "regions")
    assert "from above, but there is none" in problem.message


def test_two_equally_new_values_are_an_ambiguity_that_names_both() -> None:
    values = {"beach": "Image", "party": "Image", "song": "Audio"}
    made, (problem,) = wire(plan(("read", {})), TOOLS, values)
    assert made.steps[0].args == {}
    assert (problem.step, problem.argument) == ("s1", "image")
    assert "$beach" in problem.message and "$party" in problem.message and "$song" not in problem.message
    assert "$beach or $party" in problem.hint


def test_a_name_in_the_request_settles_an_ambiguity() -> None:
    values = {"beach": "Image", "party": "Image"}
    assert args(wired(plan(("read", {}), request="read what is in $party."), values), 1) == {"image": "$party"}
    for request in ("the party", "both $beach and $party", "$party2"):
        assert wire(plan(("read", {}), request=request), TOOLS, values)[1]


def test_an_input_for_a_list_takes_everything_that_was_given() -> None:
    assert args(wired(plan(("collage", {})), {"one": "Image", "two": "Image"}), 1) == {"images": ["$one", "$two"]}
    assert args(wired(plan(("collage", {})), {"all": "list[Image]"}), 1) == {"images": "$all"}
    assert args(wired(plan(("collage", {})), IMAGE), 1) == {"images": "$image"}
    (problem,) = wire(plan(("collage", {})), TOOLS, {"one": "Image", "all": "list[Image]"})[1]
    assert "$one or $all" in problem.message


def test_lists_run_item_by_item_and_stay_together() -> None:
    made = wired(plan(("detect", {"labels": ["dog"]}), ("blur", {}), ("count", {})), {"album": "list[Image]"})
    assert args(made, 2) == {"image": "$album", "regions": "$s1"}
    at_hand = {
        "old": ValueType("Image", True, turn=1),
        "new": ValueType("Image", True, turn=2),
        "s1": ValueType("Detections", True, source="old", frame="old", turn=1, made=True),
    }
    made = wired(Plan(steps=(Step(id="s2", tool="blur", args={"regions": "$s1"}),)), at_hand)
    assert args(made, 1) == {"image": "$old", "regions": "$s1"}


@pytest.mark.parametrize(
    ("calls", "outputs"),
    [
        ([("detect", {"labels": ["dog"]}), ("count", {})], ("$s2",)),
        ([("detect", {"labels": ["face"]}), ("blur", {}), ("read", {}), ("say", {})], ("$s2", "$s4")),
        ([("detect", {"labels": ["a"]}), ("blur", {}), ("detect", {"labels": ["b"]}), ("blur", {})], ("$s4",)),
        ([("detect", {"labels": ["a"]}), ("crop", {}), ("read", {})], ("$s2", "$s3")),
        ([("detect", {"labels": ["a"]}), ("blur", {}), ("detect", {"labels": ["b"]}), ("crop", {})], ("$s2", "$s4")),
        ([("read", {}), ("detect", {"labels": ["a"]})], ("$s1", "$s2")),
        ([("say", {"text": "hello"}), ("hear", {})], ("$s1", "$s2")),
        ([], ()),
    ],
)
def test_outputs_are_the_ends_of_chains_and_the_media_made(calls: Any, outputs: tuple[str, ...]) -> None:
    assert wired(plan(*calls)).outputs == outputs


def test_given_outputs_stay() -> None:
    made = plan(("detect", {"labels": ["dog"]}), ("count", {}), outputs=["$s1"])
    assert wired(made).outputs == ("$s1",)


def test_unknown_tools_are_left_to_the_check() -> None:
    made, problems = wire(plan(("nothing", {"x": 1}), ("read", {})), TOOLS, IMAGE)
    assert problems == [] and made.steps[0].args == {"x": 1} and made.outputs == ("$s1", "$s2")


def test_an_ambiguity_is_reported_whatever_comes_after_it() -> None:
    values = {"beach": "Image", "party": "Image"}
    _, problems = wire(plan(("read", {}), ("say", {"text": "hello"}), ("ask", {"question": "who?"})), TOOLS, values)
    assert [problem.step for problem in problems] == ["s1", "s3"]


def test_the_request_stays_with_the_plan() -> None:
    assert wired(plan(("read", {}), request="read it")).request == "read it"


def test_cut_outs_of_two_steps_are_lists_and_frames_of_their_own() -> None:
    steps = [
        ("detect", {"labels": ["dog"]}),
        ("crop", {}),
        ("detect", {"image": "$s2", "labels": ["eye"]}),
        ("crop", {"image": "$image", "regions": "$s1"}),
        ("blur", {"regions": "$s3"}),
    ]
    assert args(wired(plan(*steps)), 5) == {"image": "$s2", "regions": "$s3"}


def test_a_plan_that_begins_with_nothing_at_hand() -> None:
    made = wired(plan(("say", {"text": "a"}), ("say", {"text": "b"}), ("hear", {"audio": ["$s1", "$s2"]})), {})
    assert made.outputs == ("$s1", "$s2", "$s3")


def test_a_text_that_says_above_is_a_text_also_where_there_is_one_above() -> None:
    assert args(wired(plan(("say", {"text": ABOVE})), {"note": "Text"}), 1) == {"text": ABOVE}


def test_without_a_pair_of_one_frame_the_marks_decide() -> None:
    marks = ValueType("Detections", True, source="gone", frame="gone", turn=1, made=True)
    at_hand = {"photo": ValueType("Image", turn=1), "s1": marks, "album": ValueType("Image", True, turn=2)}
    made = wired(plan(("blur", {})).rename_steps({"s1": "s2"}), at_hand)
    # Lists of two sources do not go together, but a list and a single picture do.
    assert args(made, 1) == {"image": "$photo", "regions": "$s1"}


def test_newer_marks_whose_picture_is_gone_are_passed_over() -> None:
    values = {
        "first": ValueType("Image"),
        "s1": ValueType("Detections", frame="first", made=True),
        "s2": ValueType("Detections", frame="gone", made=True),
    }
    made = wired(plan(("blur", {})).rename_steps({"s1": "s3"}), values)
    assert args(made, 1) == {"image": "$first", "regions": "$s1"}


def test_an_optional_input_that_stays_ambiguous_is_left_out() -> None:
    values = {"image": "Image", "cats": "Detections", "dogs": "Detections"}
    made, (problem,) = wire(plan(("pose", {"regions": ABOVE})), TOOLS, values)
    assert args(made, 1) == {"image": "$image"} and problem.argument == "regions"


def test_inputs_of_other_kinds_do_not_part_a_picture_from_its_marks() -> None:
    @tool
    def caption(note: Text, image: Image, regions: Detections) -> Image:
        """Write a note beside regions."""
        return image

    tools = {**TOOLS, "caption": caption}
    made, problems = wire(
        plan(("detect", {"labels": ["dog"]}), ("crop", {}), ("caption", {})), tools, {**IMAGE, "note": "Text"}
    )
    assert problems == [] and args(made, 3) == {"note": "$note", "image": "$image", "regions": "$s1"}


def test_a_list_as_a_whole_and_a_list_item_by_item_need_not_have_one_source() -> None:
    @tool
    def compare(images: list[Image], audio: Audio) -> Image:
        """Find the picture that goes with a sound."""
        return images[0]

    made, problems = wire(
        plan(("compare", {"images": "$album"})), {"compare": compare}, {"album": "list[Image]", "songs": "list[Audio]"}
    )
    assert problems == [] and args(made, 1) == {"images": "$album", "audio": "$songs"}


def test_marks_that_were_filled_in_decide_between_equally_new_values() -> None:
    """As they do where the planner wrote them: a plan that was filled in is filled in alike once more."""

    @tool
    def narrate(regions: Detections, other: Audio | Poses) -> Audio:
        """Speak of regions."""
        raise AssertionError

    @tool
    def report(other: Audio | Poses, regions: Detections) -> Audio:
        """Speak of regions; the inputs come in another order."""
        raise AssertionError

    values = {"song": "Audio", "boxes": "Detections", "joints": "Poses"}
    for each in (narrate, report):
        made, problems = wire(plan((each.name, {})), {each.name: each}, values)
        assert problems == [] and args(made, 1) == {"regions": "$boxes", "other": "$song"}
        assert wire(made, {each.name: each}, values) == (made, [])
