"""A text that can be read, selected and copied with the keyboard."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

_FOLDER = Path(__file__).parent
_SCRIPT = (_FOLDER / "copyable.js").read_text(encoding="utf-8")
_STYLE = (_FOLDER / "copyable.css").read_text(encoding="utf-8")
_TEMPLATE = """<div class="sl-copy"><div class="head"><span class="title">HEADING</span><span role="status"></span>
<button type="button" aria-label="Copy: HEADING">Copy</button></div>
<pre tabindex="0" role="region" aria-label="HEADING"></pre></div>"""


def copyable(heading: str, **options: Any) -> gr.HTML:
    """Return the component; its value is a text.

    A read-only `gr.Textbox` is disabled, so that the keyboard does not reach it, and has no name.

    Args:
        heading: What the text is, without "$", "`" and braces, which Gradio would read as code.
        options: Of `gr.HTML`, such as elem_id and visible.
    """
    return gr.HTML(
        "",
        html_template=_TEMPLATE.replace("HEADING", escape(heading)),
        css_template=_STYLE,
        js_on_load=_SCRIPT,
        apply_default_css=False,
        **options,
    )
