"""The events of the steps of a batch, without a browser."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio")

import gradio as gr

from agents.plan.plan import Plan, Step
from tools.core.errors import SuperlinkError
from ui.batches.planning import PlanDraft
from ui.tabs.batch_pilot import PilotStep
from ui.tabs.batch_plan import PlanStep
from ui.tabs.batch_source import SourceStep


class Refusing:
    """A desk that can check no plan."""

    def check_plan(self, plan: object, kinds: tuple[str, ...]) -> None:
        raise SuperlinkError("not here", "elsewhere")


def test_a_plan_of_a_session_brings_its_words() -> None:
    desk: Any = Refusing()
    with gr.Blocks():
        step = PlanStep(desk, desk)
        step.lay_out(gr.State(()))
    changes = step.taken({"request": "blur every face", "steps": [], "outputs": []}, ("image",))
    assert changes[step.request] == "blur every face" and "not here" in changes[step.shown]


def test_a_plan_that_lacks_weights_is_checked_again_and_no_other() -> None:
    lacks = PlanDraft(Plan(steps=(Step(id="s1", tool="x"),)), missing=("Step 1 needs tiny.",), lacking=("tiny",))
    drafts = [lacks, replace(lacks, missing=(), lacking=())]

    class Checking:
        """A desk on which the weights come between two looks at a plan."""

        def check_plan(self, plan: object, kinds: tuple[str, ...]) -> PlanDraft:
            return drafts.pop(0)

    desk: Any = Checking()
    context: Any = SimpleNamespace(tools={})
    with gr.Blocks():
        step = PlanStep(context, desk)
        step.lay_out(gr.State(()))
    lacking, button = step.getting.outputs
    found = step.given({"steps": []}, ())
    assert found[lacking] == ["tiny"] and found[button] == gr.update(value="Get tiny", visible=True)
    assert "Step 1 needs tiny." in found[step.shown] and found[step.next] == gr.update(interactive=False)
    found = step.again(found[step.text], found[lacking], ())
    assert found[lacking] == [] and found[button]["visible"] is False
    assert found[step.next] == gr.update(interactive=True)
    assert step.again("{}", [], ()) == {step.plan: gr.skip()}  # nothing is checked


def test_a_button_that_is_off_says_why() -> None:
    nothing: Any = None
    with gr.Blocks():
        step = PilotStep(nothing)
        step.lay_out()
    moved = step._move({"dog": [0.4]}, {}, 0.5)
    assert moved[step.run]["interactive"] is False and "try them before the run" in moved[step.counts]
    back = step._move({"dog": [0.4]}, {"dog": 0.5}, 0.5)
    assert back[step.run]["interactive"] is True and "try them" not in back[step.counts]


def test_short_work_is_not_in_the_queue() -> None:
    nothing: Any = None  # no event is run
    with gr.Blocks() as page:
        source, plan = SourceStep(nothing), PlanStep(nothing, nothing)
        source.lay_out()
        plan.lay_out(source.kinds)
    queued = {one.fn.__name__ for one in page.fns.values() if one.queue}
    assert queued == {"_keep", "_draw", "_plan"}
