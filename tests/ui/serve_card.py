"""A page that holds the plan card alone, over real sessions with small tools, and a plan that waits.

Usage, to look at it with the built-in tools: serve_card.py PORT FOLDER
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import gradio as gr
import numpy as np
from PIL import Image as Pillow

from agents.plan.plan import Plan
from agents.plan.types import AnyTool
from agents.session.memory import open_saver
from tests.agents.fakes import Scripted, plan
from tools.runtime.registry import load
from tools.storage.store import Store
from ui.access.owners import Files
from ui.context import Context
from ui.tabs.plan_card import PlanCard
from ui.theme import CSS, THEME
from ui.turns.turns import Turns

OWNER = "local"


class Blurs(Scripted):
    """Always blurs every face."""

    def __init__(self, tools: Mapping[str, AnyTool]) -> None:
        super().__init__()
        self.blur = "redact" if "redact" in tools else "blur"

    def answer(self, request: str) -> Plan | Exception:
        return plan(("detect", {"labels": ["face"]}), (self.blur, {"how": "blur"}))


def page(folder: Path, tools: dict[str, AnyTool]) -> gr.Blocks:
    """Make the page; a plan waits in the session of the address's `s`, or in a new one."""
    picture = folder / "street.png"
    pixels = np.linspace(0, 255, 64 * 48 * 3).astype(np.uint8).reshape(48, 64, 3)
    Pillow.fromarray(pixels).save(picture)
    context = Context(
        tools,
        Blurs(tools),
        Store(f"{folder}/store"),
        open_saver(folder / "threads.sqlite"),
        folder,
        Files(folder),
    )
    turns = Turns(context)
    turns.start()
    card = PlanCard(context, turns)

    def opened(thread: str) -> list[Any]:
        if not turns.view(thread, OWNER).turns:
            turns.ask(thread, OWNER, "blur every face", [picture])
        return [thread, *last(thread)]

    def last(thread: str) -> list[Any]:
        *_, view = [turns.view(thread, OWNER), *turns.follow(thread, OWNER, 0)]
        return card.update(view, OWNER)

    def edit(thread: str) -> list[Any]:
        turn = turns.view(thread, OWNER).turn
        assert turn is not None
        turns.set_draft(thread, OWNER, turn.plan)
        return last(thread)

    def run(thread: str) -> list[Any]:
        card.run(thread, OWNER)
        return last(thread)

    def close(thread: str) -> list[Any]:
        card.close(thread, OWNER)
        return last(thread)

    with gr.Blocks(title="plan", analytics_enabled=False) as blocks:
        thread = gr.State("")
        gr.HTML("<h1>Plan</h1>")
        card.lay_out()
        button = gr.Button("Edit", elem_id="edit")
        opening = "() => [new URLSearchParams(location.search).get('s')]"
        blocks.load(opened, gr.Textbox(visible=False), [thread, *card.outputs], js=opening)
        button.click(edit, thread, card.outputs, queue=False)
        card.run_edited.click(run, thread, card.outputs)
        card.back.click(close, thread, card.outputs, queue=False)
    return blocks


if __name__ == "__main__":
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    page(Path(sys.argv[2]), load(entry_points=False)).launch(
        server_name="127.0.0.1",
        server_port=int(sys.argv[1]),
        css=CSS,
        theme=THEME,
        allowed_paths=[sys.argv[2]],
        ssr_mode=False,
    )
