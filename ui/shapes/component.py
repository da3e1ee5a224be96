"""The shapes component: a picture with boxes, outlines and joints that a person looks at or edits."""

from pathlib import Path
from typing import Any

import gradio as gr

from ui.shapes.contract import Shapes

_FOLDER = Path(__file__).parent
_START = """
const view = shapesView(element, props, trigger);
shapesEditor(view);
watch("value", () => view.load(props.value));
view.load(props.value);
"""
# Events, in quotes, are what Gradio looks for in the script; "input", "select", "command", "outline" are in shapes.js.
_SCRIPT = "\n".join(
    [
        *(
            (_FOLDER / name).read_text(encoding="utf-8")
            for name in ("parts.js", "shapes.js", "geometry.js", "outlining.js", "brush.js", "editor.js")
        ),
        _START,
    ]
)
_STYLE = (_FOLDER / "shapes.css").read_text(encoding="utf-8")
_TEMPLATE = '<div class="sl-shapes" hidden></div>'


def shapes(value: Shapes | None = None, **options: Any) -> gr.HTML:
    """Return the component; place it within the blocks of a page.

    Its value is a `Shapes` object or None, which shows nothing. Make one with `from_values`, read it with `shown`,
    `to_detections` and `to_poses`. As an input of an event it is a plain dict of the same form, with the changes.

    A person can show and hide labels, choose the least score, zoom (buttons, + − 0, Ctrl and the wheel, two fingers),
    pan, and go from shape to shape with Tab. Where `editable` is set: B, G or K and then the mouse, a finger, or
    arrow keys and Enter draw; O outlines what is clicked, and M paints and wipes out, both on the shape that was
    selected; a shape is dragged or moved with the arrow keys (1 pixel, with Shift 10); Enter goes to its corners or
    joints, which move the same way, Insert adds a corner, Delete removes one or the shape; 1 to 9 or the list give a
    label; Ctrl+Z and Ctrl+Shift+Z go back and forth; H hides; Esc leaves. Keys work only while the focus is in the
    component.

    Events, for which `component.EVENT(function, inputs, outputs)` listens; their data is in `gr.EventData._data`:

    - ``input``: a person changed something; ``{"action": "add", "change", "label", "delete", "undo", "redo" or
      "filter", "id": of the shape or None}``. The value is up to date; quick changes in a row come as one event.
    - ``select``: a shape of a component that is not editable was clicked; ``{"id": …}``.
    - ``command``: a key of `Shapes.commands` was pressed; ``{"command": name}``. Also "undo" and "redo" when there is
      nothing left to undo here and the value has commands, so that the page can undo across pictures.

    - ``outline``: a point was clicked with the tool "outline"; ``{"points": [[x, y, whether it is in the thing], …],
      "serial": number}``. Give back the value with `outlined`, an `Outlined`; nothing else of it is shown.

    Setting a value from Python forgets what can be undone; zoom and selection stay when the picture is the same.

    Args:
        value: What to show first.
        options: Of `gr.HTML`, such as elem_id and visible.
    """
    return gr.HTML(
        value, html_template=_TEMPLATE, css_template=_STYLE, js_on_load=_SCRIPT, apply_default_css=False, **options
    )
