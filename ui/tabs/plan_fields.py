"""Widgets of the fields of a step's form."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.plans.card import note_html
from ui.plans.forms import Field, Shown
from ui.tabs.events import QUIET, Changes

_NO_ID = re.compile(r"\W")
"""What a plan as text may have in the name of an argument, and a list of ids may not."""
_CLEAR = "Let the tool choose"


@dataclass
class FieldRow:
    """Widgets of a field; `clear` gives a slider back to the tool."""

    number: int
    field: Field
    widget: Any
    note: Any
    clear: Any = None


def lay_out_field(field: Field, number: int, problems: Sequence[str], suggestions: Sequence[str]) -> FieldRow:
    """Place a field.

    Args:
        field: The field.
        number: Place of its step, from 0.
        problems: What is wrong with it.
        suggestions: Values to suggest.
    """
    name = f"step-{number + 1}-{re.sub(_NO_ID, '-', field.name)}"
    with gr.Column(elem_classes="sl-field"):
        widget = _widget(field, name, suggestions)
        note = gr.HTML(
            note_html(problems, field.note),
            elem_classes="sl-note",
            elem_id=f"{name}-note",
        )
        clear = None
        if field.kind == "slider" and not field.required and field.default is None:
            clear = gr.Button(_CLEAR, size="sm", visible=field.value is not None, elem_classes="sl-clear")
    return FieldRow(number, field, widget, note, clear)


def field_label(field: Field, value: Shown) -> str:
    """Return the label of a field; it says where the tool decides, as a slider always stands somewhere."""
    undecided = field.kind == "slider" and value is None
    return f"{field.label} (the tool's own until you move it)" if undecided else field.label


def on_input(widget: Any, handler: Callable[..., Changes], inputs: list[Any], outputs: list[Any]) -> None:
    """Call a handler whenever a person changes a widget.

    A text box tells of Backspace, of what is cut and of what is pasted by "change" alone. A dropdown with several
    values tells of Backspace and of what is typed by "key_up" and "blur" alone, and of its first value by "change".
    """
    events = [widget.change if isinstance(widget, gr.Textbox) else widget.input]
    if getattr(widget, "multiselect", False):
        events += [widget.key_up, widget.blur]
    gr.on(events, handler, inputs, outputs, trigger_mode="always_last", **QUIET)


def _widget(field: Field, name: str, suggestions: Sequence[str]) -> Any:
    common: dict[str, Any] = {
        "label": field_label(field, field.value),
        "elem_id": name,
        "interactive": True,
    }
    choices = list(field.choices)
    match field.kind:
        case "choice" | "reference":
            return gr.Dropdown(choices, value=field.value, **common)
        case "spoken":
            return gr.Dropdown(choices, value=field.value, allow_custom_value=True, **common)
        case "references":
            return gr.Dropdown(choices, value=field.value or [], multiselect=True, **common)
        case "tags":
            known = list(dict.fromkeys([*_listed(field.value), *suggestions]))
            return gr.Dropdown(known, value=_listed(field.value), multiselect=True, allow_custom_value=True, **common)
        case "slider":
            least = field.minimum if field.value is None else field.value
            return gr.Slider(field.minimum, field.maximum, least, step=field.step, buttons=[], **common)
        case "number":
            return gr.Number(field.value, precision=0 if field.whole else None, **common)
        case "switch":
            return gr.Checkbox(bool(field.value), **common)
        case _:
            return gr.Textbox(str(field.value or ""), max_lines=6, **common)


def _listed(value: Shown) -> list[str]:
    return list(value) if isinstance(value, list) else []
