"""A list of sentences with times; a click plays the recording from there."""

from pathlib import Path
from typing import Any

import gradio as gr
from typing_extensions import TypedDict

from tools.values import Transcript

_FOLDER = Path(__file__).parent
_SCRIPT = (_FOLDER / "sentences.js").read_text(encoding="utf-8")
_STYLE = (_FOLDER / "sentences.css").read_text(encoding="utf-8")


class Sentence(TypedDict):
    """A sentence and when it is said, in seconds."""

    text: str
    start: float
    end: float


def sentences_of(transcript: Transcript) -> list[Sentence]:
    """Return the segments that have times."""
    return [
        {"text": segment.text.strip(), "start": segment.start, "end": segment.end}
        for segment in transcript.segments
        if segment.start is not None and segment.end is not None and segment.text.strip()
    ]


def sentence_list(**options: Any) -> gr.HTML:
    """Return the component; its value is a list of `Sentence`.

    It plays the `audio` in the element "result-sound" or the `video` in "result-film".
    """
    return gr.HTML(
        None,
        html_template='<ol class="sl-sentences" aria-label="Sentences" hidden></ol>',
        css_template=_STYLE,
        js_on_load=_SCRIPT,
        apply_default_css=False,
        **options,
    )
