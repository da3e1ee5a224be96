"""The editor of a plan as forms: widgets for the fields of each step, and their event handlers."""

import threading
import time
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any, TypedDict

import gradio as gr

from agents.plan.plan import Plan, PlanJson, reference
from tools.core.errors import SuperlinkError
from ui.context import Context
from ui.plans.card import heading, note_html, title_html
from ui.plans.edits import add, delete, duplicate, move, set_argument, set_outputs
from ui.plans.forms import Field, Shown, catalogue, fields, written
from ui.plans.scope import Placed, Scope, examine
from ui.plans.suggestions import Suggestions
from ui.tabs.events import QUIET, Changes
from ui.tabs.plan_fields import FieldRow, field_label, lay_out_field, on_input
from ui.turns.turns import Turns
from ui.turns.view import SessionView
from ui.turns.words import explain

_OPEN_UP_TO = 4
"""Forms of plans with more steps begin closed."""
_SHOWN_UP_TO = 3
"""Further options of a step begin closed where there are more of them."""
_BUTTONS: dict[str, Callable[[Plan, int, Scope], Plan]] = {
    "Move up": lambda plan, number, scope: move(plan, number, -1, scope),
    "Move down": lambda plan, number, scope: move(plan, number, 1, scope),
    "Duplicate": duplicate,
    "Delete": delete,
}


class _TooLate(SuperlinkError):
    """A change came after the plan had been decided on."""

    def __init__(self) -> None:
        super().__init__("your last change came too late: the plan is without it", "Ask again, or change the next plan")


class Form(TypedDict, total=False):
    """What the forms show; they are made anew whenever it changes.

    Attributes:
        thread: Of the session.
        owner: User.
        plan: The plan when the forms were made; later changes of arguments are in the draft.
        serial: Differs between any two forms.
        keys: A name of each step that stays when it moves.
        focus: Id of the element that gets the focus; "" leaves it.
    """

    thread: str
    owner: str
    plan: PlanJson
    serial: str
    keys: list[int]
    focus: str


class PlanForm:
    """The forms of a plan's steps.

    Args:
        context: What all tabs share.
        turns: The sessions.
        scope: Returns the scope of the last plan of an owner's session.
        changed: Returns the changes of what stands outside of the forms, for a plan and what is wrong with it.
        outside: Components that `changed` changes.
    """

    def __init__(
        self,
        context: Context,
        turns: Turns,
        scope: Callable[[SessionView, str], Scope],
        changed: Callable[[Plan, Placed], Changes],
        outside: list[Any],
    ) -> None:
        self._context, self._turns, self._scope = context, turns, scope
        self._changed, self._outside = changed, outside
        self._suggestions = Suggestions()
        self._lock = threading.Lock()  # an edit reads the draft and writes it

    def lay_out(self) -> None:
        """Place the forms. They are made anew when `serial` changes, and show what `form` holds.

        A change of a gr.State alone is not told to the page by events that pass the queue by.
        """
        self.form = gr.State(Form())
        self.serial = gr.Textbox(visible="hidden", label="Serial number of the forms", elem_id="plan-serial")
        rendered = gr.render(inputs=self.form, triggers=[self.serial.change], queue=False, show_progress="hidden")
        rendered(self._lay_out)

    @property
    def outputs(self) -> list[Any]:
        """The components that `opened` changes."""
        return [self.form, self.serial]

    def opened(self, thread: str, owner: str, plan: PlanJson, version: int) -> list[Any]:
        """Return the values of `outputs` that show the forms of a plan, at a version of its session."""
        serial, keys = f"{thread} {version} {time.monotonic_ns()}", list(range(len(plan["steps"])))
        return [Form(thread=thread, owner=owner, plan=plan, serial=serial, keys=keys, focus=""), serial]

    def closed(self) -> list[Any]:
        """Return the values of `outputs` that show no forms."""
        return [Form(), ""]

    def _lay_out(self, form: Form) -> None:
        if not form:
            return
        try:
            scope = self._scope(self._turns.view(form["thread"], form["owner"]), form["owner"])
        except SuperlinkError as error:
            gr.HTML(note_html([explain(error)]))
            return
        plan = Plan.load(form["plan"])
        at = examine(plan, scope)
        gr.HTML(
            '<span class="sl-focus" data-target="{}" data-serial="{}"></span>'.format(form["focus"], form["serial"]),
            visible="hidden",
        )
        rows: list[FieldRow] = []
        titles: list[Any] = []
        for number in range(len(plan.steps)):
            titles.append(self._lay_out_step(plan, number, scope, at, form["keys"][number], rows))
        adder = gr.Dropdown(
            catalogue(self._context.tools), value=None, label="Add a step", interactive=True, elem_id="add-step"
        )
        with gr.Column(elem_classes="sl-field"):
            results, value = _results(plan, scope)
            shown = gr.Dropdown(
                results,
                value=value,
                multiselect=True,
                interactive=True,
                label="Results to show",
                elem_id="plan-outputs",
            )
            about = gr.HTML(note_html([*at.outputs, *at.plan]), elem_classes="sl-note", elem_id="plan-outputs-note")
        self._connect(form, rows, titles, adder, shown, about)

    # Only what no event changes has a key: Gradio loses a keyed component that is changed while it is made anew. So the
    # heading follows the title by script (`plan.js`).
    def _lay_out_step(self, plan: Plan, number: int, scope: Scope, at: Placed, key: int, rows: list[FieldRow]) -> Any:
        with gr.Accordion(
            heading(number, plan, scope, at),
            open=len(plan.steps) <= _OPEN_UP_TO or at.count(number) > 0,
            elem_classes="sl-step",
            elem_id=f"step-{number + 1}",
            key=("step", key),
            preserved_by_key=["open"],
        ):
            title = gr.HTML(title_html(number, plan, scope, at))
            form = fields(plan, number, scope)
            for field in form:
                if not field.more:
                    rows.append(self._lay_out_field(field, number, at))
            more = [field for field in form if field.more]
            if more:
                with gr.Accordion(
                    "More",
                    open=len(more) <= _SHOWN_UP_TO,
                    elem_classes="sl-more",
                    key=("more", key),
                    preserved_by_key=["open"],
                ):
                    rows.extend(self._lay_out_field(field, number, at) for field in more)
            with gr.Row(elem_classes="sl-buttons"):
                for words_of, act in _BUTTONS.items():
                    off = (words_of == "Move up" and number == 0) or (
                        words_of == "Move down" and number == len(plan.steps) - 1
                    )
                    button = gr.Button(
                        words_of, size="sm", elem_id=_button_id(number, words_of), interactive=not off, min_width=60
                    )
                    button.click(
                        partial(self._restructure, words_of, act, number),
                        self.form,
                        [*self.outputs, *self._outside],
                        **QUIET,
                    )
        return title

    def _lay_out_field(self, field: Field, number: int, at: Placed) -> FieldRow:
        problems = at.fields.get((number, field.name), ())
        return lay_out_field(field, number, problems, self._suggestions.of(field.suggested))

    def _connect(self, form: Form, rows: list[FieldRow], titles: list[Any], adder: Any, shown: Any, about: Any) -> None:
        """Connect the widgets: every change is checked, and kept as the session's draft.

        A field tells of its change as the focus leaves it, which is also when Run is pressed. So a change can come when
        `self.form` holds nothing any more, or another session; it is always one of the forms that were laid out.
        """
        places = [component for row in rows for component in (row.widget, row.note, row.clear) if component is not None]
        outputs = [*places, *titles, shown, about, *self._outside]

        def refreshed(before: Plan, plan: Plan, scope: Scope, source: Any) -> Changes:
            """Return the changes of everything that differs between two plans, apart from the widget that was used."""
            old, new = (examine(one, scope) for one in (before, plan))
            changes = self._changed(plan, new)
            for number, title in enumerate(titles):
                said = title_html(number, plan, scope, new)
                if title_html(number, before, scope, old) != said:
                    changes[title] = said
            forms = [{field.name: field for field in fields(plan, n, scope)} for n in range(len(plan.steps))]
            for row in rows:
                place = (row.number, row.field.name)
                if old.fields.get(place) != (said_here := new.fields.get(place)):
                    changes[row.note] = note_html(said_here or (), row.field.note)
                now = forms[row.number].get(row.field.name, row.field)
                if row.field.kind in ("reference", "references", "spoken") and row.widget is not source:
                    changes[row.widget] = gr.update(choices=list(now.choices))
                elif row.clear is not None and row.widget is source:
                    given = now.value is not None
                    changes[row.widget] = gr.update(
                        label=field_label(row.field, now.value), **({} if given else {"value": row.field.minimum})
                    )
                    changes[row.clear] = gr.update(visible=given)
            results, value = _results(plan, scope)
            if shown is not source and (results, value) != _results(before, scope):
                changes[shown] = gr.update(choices=results, value=value)
            if [*old.outputs, *old.plan] != [*new.outputs, *new.plan]:
                changes[about] = note_html([*new.outputs, *new.plan])
            return changes

        def edited(change: Callable[[Plan, Scope], Plan], source: Any) -> Changes:
            try:
                before, plan, scope = self._edit(form, change, len(titles))
            except _TooLate as error:
                raise gr.Error(escape(explain(error))) from error
            except SuperlinkError as error:
                return {about: note_html([explain(error)])}
            return refreshed(before, plan, scope, source) if plan != before else {about: gr.skip()}

        def set_field(row: FieldRow, value: Shown) -> Changes:
            return edited(
                lambda plan, scope: set_argument(plan, row.number, row.field.name, written(row.field, value), scope),
                row.widget,
            )

        def choose(names: list[str]) -> Changes:
            return edited(lambda plan, scope: set_outputs(plan, names, scope), shown)

        for row in rows:
            on_input(row.widget, partial(set_field, row), [row.widget], outputs)
            if row.clear is not None:
                row.clear.click(partial(set_field, row, value=None), None, outputs, **QUIET)
        on_input(shown, choose, [shown], outputs)
        # "input" would come twice: once for the choice, and once as the focus leaves.
        adder.change(self._add, [self.form, adder], [*self.outputs, *self._outside], trigger_mode="once", **QUIET)

    def _edit(
        self, form: Form, change: Callable[[Plan, Scope], Plan], count: int | None = None
    ) -> tuple[Plan, Plan, Scope]:
        """Change the draft of a session; returns the plan before and after, and its scope.

        Raises:
            _TooLate: when nothing is edited any more, and the plan that was decided is without the change.
            SuperlinkError: when the draft has other steps by now.
        """
        if not form:
            raise _TooLate
        thread, owner = form["thread"], form["owner"]
        with self._lock:
            view = self._turns.view(thread, owner)
            if view.draft is None:
                if view.turn is None or view.turn.plan is None:
                    raise _TooLate
                scope, decided = self._scope(view, owner), Plan.load(view.turn.plan)
                if (count is not None and count != len(decided.steps)) or change(decided, scope) != decided:
                    raise _TooLate
                return decided, decided, scope
            scope, before = self._scope(view, owner), Plan.load(view.draft)
            if count is not None and count != len(before.steps):
                raise SuperlinkError("the plan was changed elsewhere", "Load the page again")
            plan = change(before, scope)
            if plan != before:
                self._turns.set_draft(thread, owner, plan.to_json())
        return before, plan, scope

    def _edit_or_tell(self, form: Form, change: Callable[[Plan, Scope], Plan]) -> tuple[Plan, Scope]:
        """Change the draft; an error is shown over the page, as the forms stay as they are."""
        try:
            _, plan, scope = self._edit(form, change, len(form["keys"]))
        except SuperlinkError as error:
            raise gr.Error(escape(explain(error))) from error
        return plan, scope

    def _restructure(self, what: str, act: Callable[[Plan, int, Scope], Plan], number: int, form: Form) -> Changes:
        """Move, duplicate or delete a step; the focus stays with it, or goes to the next."""
        plan, scope = self._edit_or_tell(form, lambda plan, scope: act(plan, number, scope))
        keys = list(form["keys"])
        to = number
        if what == "Delete":
            del keys[number]
            to = min(number, len(keys) - 1)
        elif what == "Duplicate":
            keys.insert(number + 1, max(keys) + 1)
            to = number + 1
        else:
            to = number + (-1 if what == "Move up" else 1)
            keys.insert(to, keys.pop(number))
        ends = {"Move up": to == 0, "Move down": to == len(keys) - 1}
        stay = what if not ends.get(what) else "Duplicate"
        focus = _button_id(to, stay) if keys else "add-step"
        return self._reshown(form, plan, examine(plan, scope), keys, focus)

    def _add(self, form: Form, name: str | None) -> Changes:
        if not name:
            return {self.form: gr.skip()}
        plan, scope = self._edit_or_tell(form, lambda plan, scope: add(plan, name, scope))
        number = len(plan.steps) - 1
        form_of = fields(plan, number, scope)
        at = examine(plan, scope)
        first = next((f for f in form_of if (number, f.name) in at.fields), next(iter(form_of), None))
        focus = f"step-{number + 1}-{first.name}" if first is not None else _button_id(number, "Delete")
        return self._reshown(form, plan, at, [*form["keys"], max(form["keys"], default=0) + 1], focus)

    def _reshown(self, form: Form, plan: Plan, at: Placed, keys: list[int], focus: str) -> Changes:
        serial = f"{form['serial']}+"
        shown = Form(
            thread=form["thread"], owner=form["owner"], plan=plan.to_json(), serial=serial, keys=keys, focus=focus
        )
        return {self.form: shown, self.serial: serial, **self._changed(plan, at)}


def _results(plan: Plan, scope: Scope) -> tuple[list[tuple[str, str]], list[str]]:
    """Return words and name of the result of every step, and the names of those that are outputs of the plan."""
    names = [step.id for step in plan.steps]
    chosen = [name for name in map(reference, plan.outputs) if name is not None and name in names]
    return [(scope.value_words(plan, name), name) for name in names], chosen


def _button_id(number: int, words_of: str) -> str:
    return f"step-{number + 1}-{words_of.lower().replace(' ', '-')}"
