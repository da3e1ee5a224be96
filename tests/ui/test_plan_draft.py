"""The plan card over real sessions, without a browser: what it shows, and which drafts it runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio")

import gradio as gr

from agents.session.memory import close_saver, open_saver
from agents.session.session import SessionError
from tests.agents.fakes import TOOLS, Scripted, picture, plan
from tools import Store
from tools.core.errors import SuperlinkError
from ui.access.owners import Files
from ui.context import Context
from ui.plans.edits import set_argument
from ui.tabs.plan_card import PlanCard
from ui.tabs.plan_form import Form
from ui.turns.turns import Turns
from ui.turns.view import SessionView

THREAD, OWNER = "0" * 32, "local"


@pytest.fixture
def card(tmp_path: Path) -> Iterator[tuple[PlanCard, Turns]]:
    """A card and the sessions; in one of them a plan that blurs faces waits."""
    saver, folder = open_saver(tmp_path / "threads.sqlite"), tmp_path / "page"
    planner = Scripted([plan(("detect", {"labels": ["face"]}), ("blur", {}))])
    turns = Turns(Context(dict(TOOLS), planner, Store(tmp_path / "store"), saver, folder, Files(folder)))
    photo = tmp_path / "street.png"
    photo.write_bytes(picture(40, 30).to_bytes())
    with gr.Blocks():
        found = PlanCard(turns._context, turns)
        found.lay_out()
    turns.ask(THREAD, OWNER, "blur every face", [photo])
    rest(turns)
    yield found, turns
    turns.close()
    close_saver(saver)


def rest(turns: Turns) -> SessionView:
    *_, last = turns.follow(THREAD, OWNER, 0)
    return last


def shown(card: PlanCard, view: SessionView) -> dict[str, object]:
    """What `update` gives each component, by name."""
    names = {id(one): name for name, one in vars(card).items()}
    values = zip(card.outputs, card.update(view, OWNER), strict=True)
    return {names.get(id(one), getattr(one, "elem_id", "")): value for one, value in values}


def test_a_draft_with_problems_does_not_run_and_stays(card: tuple[PlanCard, Turns]) -> None:
    found, turns = card
    with pytest.raises(SessionError, match="no plan is being changed"):
        found.run(THREAD, OWNER)
    waiting = turns.view(THREAD, OWNER).turns[0].plan
    assert waiting is not None
    bad = {**waiting, "steps": [{"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": 3}}]}
    view = turns.set_draft(THREAD, OWNER, bad)  # type: ignore[arg-type]  # as one written as text can be
    assert shown(found, view)["run_edited"]["interactive"] is False  # type: ignore[index]
    with pytest.raises(SessionError, match="cannot run yet"):
        found.run(THREAD, OWNER)
    assert turns.view(THREAD, OWNER).draft == bad
    assert found.close(THREAD, OWNER).draft is None
    assert turns.view(THREAD, OWNER).turns[0].plan == waiting


def test_a_good_draft_runs_and_the_editor_closes(card: tuple[PlanCard, Turns]) -> None:
    found, turns = card
    assert shown(found, turns.view(THREAD, OWNER))["editing"]["visible"] is False  # type: ignore[index]
    waiting = turns.view(THREAD, OWNER).turns[0].plan
    assert waiting is not None
    draft = {**waiting, "steps": waiting["steps"][:1], "outputs": ["$s1"]}
    view = turns.set_draft(THREAD, OWNER, draft)  # type: ignore[arg-type]
    assert shown(found, view)["editing"]["visible"] is True  # type: ignore[index]
    assert shown(found, view)["run_edited"]["interactive"] is True  # type: ignore[index]
    found.run(THREAD, OWNER)
    ended = rest(turns)
    assert ended.turns[0].status == "Done" and ended.turns[0].steps.keys() == {"s1"}
    after = shown(found, ended)
    assert after["editing"]["visible"] is False and after["text"] == ""  # type: ignore[index]
    assert "Find things of these names: face" in str(after["card"])


def test_a_session_without_requests_is_shown(card: tuple[PlanCard, Turns]) -> None:
    assert "The plan appears here" in str(shown(card[0], SessionView(""))["card"])


def test_a_change_that_comes_after_the_decision_is_told_unless_the_plan_has_it(card: tuple[PlanCard, Turns]) -> None:
    found, turns = card
    waiting = turns.view(THREAD, OWNER).turns[0].plan
    assert waiting is not None
    turns.set_draft(THREAD, OWNER, waiting)
    found.run(THREAD, OWNER)
    rest(turns)
    forms, form = found._forms, Form(thread=THREAD, owner=OWNER, keys=[0, 1])
    before, after, _ = forms._edit(form, lambda plan, scope: set_argument(plan, 0, "labels", ["face"], scope))
    assert before == after
    with pytest.raises(SuperlinkError, match="your last change came too late"):
        forms._edit(form, lambda plan, scope: set_argument(plan, 0, "labels", ["person"], scope))
    with pytest.raises(SuperlinkError, match="your last change came too late"):
        forms._edit(Form(), lambda plan, scope: plan)
