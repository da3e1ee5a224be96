"""The events of the steps of a batch, without a browser."""

from typing import Any

import pytest

pytest.importorskip("gradio")

import gradio as gr

from ui.tabs.batch_plan import PlanStep
from ui.tabs.batch_source import SourceStep


def test_short_work_is_not_in_the_queue() -> None:
    nothing: Any = None  # no event is run
    with gr.Blocks() as page:
        source, plan = SourceStep(nothing), PlanStep(nothing, nothing)
        source.lay_out()
        plan.lay_out(source.kinds)
    queued = {one.fn.__name__ for one in page.fns.values() if one.queue}
    assert queued == {"_keep", "_draw", "_plan"}
