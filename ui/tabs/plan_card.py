"""The plan of a session: the card, and the editor with its forms and the plan as text."""

import json
from importlib.resources import files
from typing import Any

import gradio as gr

from agents.plan.plan import Plan
from agents.plan.types import ValueType
from agents.session.session import SessionError
from tools.core.errors import SuperlinkError
from ui.context import Context
from ui.plans.at_hand import scope_of, thumbnails
from ui.plans.card import card_html, empty_html, note_html
from ui.plans.scope import Placed, Scope, examine
from ui.tabs.events import QUIET, Changes
from ui.tabs.getting import Getting
from ui.tabs.plan_form import Form, PlanForm
from ui.turns.turns import Turns
from ui.turns.view import SessionView, TurnView
from ui.turns.words import explain

_MOST_SCOPES = 64
"""Sessions whose types of values are kept; reading them takes longer than an edit."""


class PlanCard:
    """The card of a plan and its editor.

    The session tab shows it by `update`. It connects the clicks of `run_edited` with `run`, of `back` with `close`,
    and `getting` with the Models tab.

    Args:
        context: What all tabs share.
        turns: The sessions.
    """

    def __init__(self, context: Context, turns: Turns) -> None:
        """Place nothing yet."""
        self._context, self._turns = context, turns
        self._types: dict[tuple[str, int], dict[str, ValueType]] = {}
        self.getting = Getting()

    def lay_out(self) -> None:
        """Place the widgets."""
        room = files("ui.plans")
        with gr.Column(elem_id="plan-card"):
            gr.HTML(f"<style>{(room / 'plan.css').read_text(encoding='utf-8')}</style>", visible="hidden")
            self.card = gr.HTML(
                empty_html(self._context.planner),
                elem_id="plan",
                js_on_load=(room / "plan.js").read_text(encoding="utf-8"),
            )
            self.getting.lay_out("get")
            with gr.Column(visible=False, elem_id="plan-editor") as self.editing:
                self.text = gr.Code(
                    render=False,
                    language="json",
                    wrap_lines=True,
                    buttons=["copy"],
                    label="The plan as JSON",
                    lines=8,
                    max_lines=24,
                    interactive=True,
                    elem_id="plan-text",
                    show_label=True,
                )
                self.run_edited = gr.Button(
                    "Run the edited plan", render=False, variant="primary", min_width=80, elem_id="run-edited"
                )
                self.fault = gr.HTML(render=False, elem_classes="sl-note")
                self._forms = PlanForm(
                    self._context,
                    self._turns,
                    self._scope,
                    self._changed,
                    [self.run_edited, self.text, self.fault, *self.getting.outputs],
                )
                self._forms.lay_out()
                with gr.Accordion("As text", open=False, elem_id="as-text"):
                    self.text.render()
                    self.fault.render()
                with gr.Row():
                    self.run_edited.render()
                    self.back = gr.Button("Back", min_width=80, elem_id="back")
            self.ids = gr.Checkbox(
                False, label="Show ids", interactive=True, visible=False, container=False, elem_id="plan-ids"
            )
        self.text.input(
            self._read,
            [self._forms.form, self.text],
            [*self._forms.outputs, self.fault, self.run_edited, *self.getting.outputs],
            trigger_mode="always_last",
            **QUIET,
        )

    @property
    def outputs(self) -> list[Any]:
        """The components that `update` changes."""
        return [
            self.card,
            *self.getting.outputs,
            self.editing,
            self.text,
            self.fault,
            self.run_edited,
            self.ids,
            *self._forms.outputs,
        ]

    def update(self, view: SessionView, owner: str, number: int = 0) -> list[Any]:
        """Return the changes that show a session.

        Args:
            view: The session.
            owner: User whose session it is.
            number: Number of the turn to show; 0 for the last.
        """
        turn = view.numbered(number) or view.turn
        if turn is None:
            card = empty_html(self._context.planner)
            hidden = gr.update(visible=False)
            get = self.getting.changes([]).values()
            return [card, *get, hidden, "", "", gr.update(), hidden, *self._forms.closed()]
        scope = self._scope(view, owner, turn)
        draft = view.draft if view.stage == "editing" and turn is view.turn else None
        forms, text = self._forms.closed(), ""
        lacking = [lack.weights for lack in turn.missing]
        run = gr.update()
        if draft is not None:
            plan = Plan.load(draft)
            at = examine(plan, scope)
            forms, text = self._forms.opened(view.thread, owner, draft, view.version), _as_text(plan)
            run, lacking = gr.update(interactive=at.can_run), _lacking(at)
        return [
            card_html(view, turn, scope, thumbnails(view, turn, scope)),
            *self.getting.changes(lacking).values(),
            gr.update(visible=draft is not None),
            text,
            "",
            run,
            gr.update(visible=turn.plan is not None),
            *forms,
        ]

    def run(self, thread: str, owner: str) -> SessionView:
        """Run the plan in the editor.

        Raises:
            SessionError: when none is edited, or it has problems.
        """
        view = self._turns.view(thread, owner)
        if view.draft is None:
            raise SessionError("no plan is being changed", "Say what should happen")
        if not examine(Plan.load(view.draft), self._scope(view, owner)).can_run:
            raise SessionError("the plan cannot run yet", "Mend what is marked")
        return self._turns.decide(thread, owner, {"action": "edit", "plan": view.draft})

    def close(self, thread: str, owner: str) -> SessionView:
        """Close the editor; the plan is as it was before."""
        return self._turns.set_draft(thread, owner, None)

    def _scope(self, view: SessionView, owner: str, turn: TurnView | None = None) -> Scope:
        """Return the scope of a turn's plan, by default the last one's."""
        turn = turn or view.turns[-1]
        # Once there is a plan, what it can use stays as it is; a running turn asks many times a second.
        key, stays = (view.thread, len(view.turns)), view.turns[-1].plan is not None
        types = self._types.get(key) if stays else None
        if types is None:
            types = self._turns.types(view.thread, owner)
            if stays:
                self._types[key] = types
                while len(self._types) > _MOST_SCOPES:
                    self._types.pop([*self._types][0], None)
        return scope_of(view, turn, self._context.tools, types)

    def _changed(self, plan: Plan, at: Placed) -> Changes:
        """Return the changes outside of the forms after an edit."""
        return {
            self.run_edited: gr.update(interactive=at.can_run),
            self.text: _as_text(plan),
            self.fault: "",
            **self.getting.changes(_lacking(at)),
        }

    def _read(self, form: Form, text: str) -> Changes:
        """Take over the plan as text, if it is one; its problems stand in the forms."""
        try:
            plan = Plan.load(text)
            view = self._turns.set_draft(form["thread"], form["owner"], plan.to_json())
        except SuperlinkError as error:
            return {self.fault: note_html([explain(error)]), self.run_edited: gr.update(interactive=False)}
        at = examine(plan, self._scope(view, form["owner"]))
        forms = self._forms.opened(form["thread"], form["owner"], plan.to_json(), view.version)
        return {
            **dict(zip(self._forms.outputs, forms, strict=True)),
            self.fault: "",
            self.run_edited: gr.update(interactive=at.can_run),
            **self.getting.changes(_lacking(at)),
        }


def _as_text(plan: Plan) -> str:
    return json.dumps(plan.to_json(), indent=2, ensure_ascii=False)


def _lacking(at: Placed) -> list[str]:
    """Return the ids of missing weights."""
    return [said.partition(",")[0] for group in at.missing.values() for said in group]
