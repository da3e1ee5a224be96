"""The plan as a card, from fixed views of a session."""

import re
from dataclasses import replace
from pathlib import Path

from agents.plan.plan import Plan
from agents.plan.types import ValueType, value_types
from agents.planners.backbone import BackbonePlanner
from tests.agents.fakes import Scripted
from tests.ui.test_plan_forms import BLUR, TOOLS
from ui.plans.at_hand import scope_of, thumbnails
from ui.plans.card import card_html, empty_html
from ui.turns.view import FileView, MissingWeights, ResultView, SessionView, StepView, TurnView

TYPES = value_types({"image": ValueType("Image", turn=1)})
STREET = FileView(Path("/page/a b.png"), "<i>street</i>.jpg", "image", 10)


def turn(plan: Plan = BLUR, **more: object) -> TurnView:
    found = TurnView(1, "blur", [STREET], plan.to_json(), status="Waits for you", colour="wait")
    return replace(found, **more)  # type: ignore[arg-type]


def card(*turns: TurnView, stage: str = "approval", types: dict[str, ValueType] = TYPES) -> str:
    view = SessionView("t", stage=stage, turns=list(turns))  # type: ignore[arg-type]
    scope = scope_of(view, turns[-1], TOOLS, types)
    return card_html(view, turns[-1], scope, thumbnails(view, turns[-1], scope))


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_a_plan_is_one_line_per_step_in_words_with_ids_apart() -> None:
    said = card(turn())
    assert "Step 1: Find: face" in text(said) and "Step 2: Pixelate what was found" in text(said)
    assert '<div class="sl-status wait">Waits for you</div>' in said
    without_ids = text(re.sub(r'<code class="sl-id">[^<]*</code>', "", said))
    assert "s1" not in without_ids and "s2" not in without_ids and "detect" not in without_ids
    assert "s1" in text(said)


def test_a_value_has_one_colour_and_one_mark_wherever_it_stands() -> None:
    said = card(turn())
    hues: dict[str, set[str]] = {}
    for name, hue in re.findall(r'data-value="(\w+)" style="--hue: (\d+)"', said):
        hues.setdefault(name, set()).add(hue)
    assert hues.keys() == {"image", "s1", "s2"}
    assert all(len(found) == 1 for found in hues.values())
    assert len({hue for found in hues.values() for hue in found}) == 3
    for name in hues:  # a chip leads to where the value comes from
        assert said.count(f'id="plan-value-{name}"') == 1
    assert 'href="#plan-value-s1"' in said and "from step 1" in said and "from you" in said


def test_texts_of_people_are_escaped_and_pictures_are_shown_by_our_own_route() -> None:
    labels = ['<img src="http://192.0.2.1/x.png">']
    steps = (BLUR.steps[0].model_copy(update={"args": {"image": "$image", "labels": labels}}),)
    said = card(turn(Plan(steps=steps, outputs=("$s1",))))
    assert "<img src=&#34;" in said.replace("&lt;", "<") and 'src="http' not in said
    assert "&lt;i&gt;street&lt;/i&gt;.jpg" in said
    assert 'src="/gradio_api/file=/page/a%20b.png"' in said


def test_progress_waiting_and_failures_are_said_once_each() -> None:
    started = {"s1": StepView("started", 2.4, 3, 10), "s2": StepView()}
    said = card(turn(steps=started, status="Running …", colour=""), stage="running")
    assert "3 of 10 · 2 s" in text(said) and '<progress class="sl-progress" value="3" max="10"' in said
    assert "waits for step 1" in text(said) and "sl-busy" in said
    failed = {
        "s1": StepView("failed", 1.0, error={"message": "a.png is odd", "hint": "take another"}),
        "s2": StepView("skipped", error={"message": "it needs s1, which has no result", "hint": ""}),
    }
    html = card(turn(steps=failed, status="Failed", colour="bad"), stage="idle")
    said = text(html)
    assert "<details" not in html
    assert said.count("a.png is odd. Take another.") == 1
    assert said.count("not run: it needs step 1, which has no result") == 1
    raised = {"s1": StepView("failed", 1.0, error={"message": "odd", "hint": "", "traceback": "in <module>"})}
    html = card(turn(steps=raised, status="Failed", colour="bad"), stage="idle")
    assert "in &lt;module&gt;" in html.partition("<details")[2].partition("</details>")[0]
    done = {"s1": StepView("finished", 0.52), "s2": StepView("finished", 1.0)}
    assert "0.5 s" in text(card(turn(steps=done), stage="idle"))


def test_missing_weights_warnings_and_problems_stand_at_their_step() -> None:
    lack = MissingWeights("s1", "yolo26n", "AGPL-3.0", 5_300_000, "superlink models pull yolo26n")
    warning = {"step": "", "argument": "", "message": "no step uses $clip", "hint": "Say what should happen to it"}
    problem = {"step": "s2", "argument": "how", "message": "s2 takes how", "hint": ""}
    said = card(turn(missing=[lack], warnings=[warning], problems=[problem]))
    first, second = said.split('id="plan-value-s2"')
    assert "Needs yolo26n, AGPL-3.0, 5.3 MB" in first and "Needs" not in second
    assert "Step 2 takes how." in second and "takes how" not in first
    assert "No step uses $clip. Say what should happen to it." in second
    remark, accepted = ({"action": "change", "remark": "only dogs"}, {"action": "accept"})
    assert "No step uses" in card(turn(warnings=[warning], decision=remark))
    assert "No step uses" not in card(turn(warnings=[warning], decision=accepted), stage="running")


def test_a_later_turn_shows_values_of_earlier_ones_with_their_pictures() -> None:
    types = TYPES | {
        "s1": ValueType("Detections", turn=1, made=True, frame="image"),
        "s2": ValueType("Image", turn=1, made=True, frame="image"),
        "s3": ValueType("Image", turn=2, made=True),
    }
    result = ResultView("s2", "redact", "Image", [], (Path("/page/s2.png"),), True)
    first = turn(results=[result], status="Done", colour="good")
    second = TurnView(
        2,
        "remove them",
        [],
        {
            "request": "",
            "steps": [{"id": "s3", "tool": "remove", "args": {"image": "$s2", "regions": "$s1"}}],
            "outputs": ["$s3"],
        },
    )
    view = SessionView("t", stage="approval", turns=[first, second])
    scope = scope_of(view, second, TOOLS, types)
    assert set(scope.types) == {"image", "s1", "s2"} and scope.used_names == {"s1", "s2"}
    assert thumbnails(view, second, scope).keys() == {"image", "s2"}
    said = card_html(view, second, scope, thumbnails(view, second, scope))
    assert "from an earlier request" in said and "/gradio_api/file=/page/s2.png" in said
    assert scope.value_words(Plan(), "s1") == "s1 (request 1: Find: face)"
    # The first turn is shown as it was: what came later is not at hand.
    assert scope_of(view, first, TOOLS, types).types.keys() == {"image"}


def test_of_many_files_the_first_is_named() -> None:
    types = value_types({"image": ValueType("Image", turn=1, many=True)})
    files = [FileView(Path(f"/page/{n}.png"), f"{n}.png", "image", 10) for n in range(12)]
    assert "0.png and 11 more" in text(card(turn(files=files), types=types))
    assert "0.png, 1.png" in text(card(turn(files=files[:2]), types=types))


def test_nothing_and_a_plan_that_is_being_changed() -> None:
    assert "The plan appears here" in empty_html(Scripted([])) and "reads English" not in empty_html(Scripted([]))
    assert "reads English" in empty_html(BackbonePlanner())
    said = card(turn(), stage="editing")
    assert "You are changing this plan" in said and "Pixelate" not in said
    assert "Planning …" in card(turn(Plan(), status="Planning …"), stage="planning")


def test_doubt_is_said_in_words_until_a_person_has_decided() -> None:
    unsure = {"plan": 0.3, "steps": [0.9, 0.41], "least": 0.5}
    said = text(card(turn(confidence=unsure)))
    assert "only 30 % sure of this plan. Look at it before you run it." in said and "41 % sure" in said
    assert "90 %" not in said
    assert "60 % sure of this plan" in text(card(turn(confidence={**unsure, "plan": 0.6})))
    sure = text(card(turn(confidence={"plan": 0.93, "steps": [0.97, 0.96], "least": 0.5})))
    assert " sure" not in sure and " sure" not in text(card(turn()))
    assert " sure" not in text(card(turn(confidence=unsure, decision={"action": "accept"}), stage="running"))
    assert " sure" not in text(card(turn(confidence=unsure), stage="editing"))
