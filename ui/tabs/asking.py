"""The box for requests with its files, and the samples that fill it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from common.kinds import input_of
from tools.core.errors import SuperlinkError
from tools.values import Transcript
from tools.values.convert import open_file
from ui.context import Context
from ui.conversation.html import Chip, chips_html, note_html, samples_html
from ui.conversation.samples import Sample, offered, works_here
from ui.conversation.script import EVENTS
from ui.tabs.events import QUIET, Changes
from ui.turns.files import measures
from ui.turns.words import explain, sentences
from ui.units import byte_size

Chips = Mapping[str, Chip]
"""The files in the box, by path."""


class Asking:
    """The box, the chips of its files, and the samples.

    Args:
        context: What all tabs share.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def lay_out(self) -> None:
        """Place the box; `lay_out_samples` places the samples elsewhere."""
        self.note = gr.HTML(elem_id="note")
        with gr.Row(elem_id="confirm", visible=False) as self.confirm:
            gr.HTML("A plan still waits. Reject the waiting plan?")
            self.replace = gr.Button("Yes, ask this instead", size="sm", variant="primary", min_width=80)
            self.keep = gr.Button("No, keep it", size="sm", min_width=80)
        self.shown = gr.HTML(elem_id="chips", js_on_load=EVENTS)
        self.request = gr.MultimodalTextbox(
            file_count="multiple",
            sources=["upload", "microphone"],
            placeholder="What should happen?",
            label="What should happen?",
            show_label=False,
            max_lines=6,
            autofocus=True,
            elem_id="request",
        )
        # Changes when files come or go, not with every letter.
        self.attached = gr.Textbox(visible="hidden", elem_id="attached")
        self.chips = gr.State({})

    def lay_out_samples(self) -> None:
        """Place the samples."""
        self.samples = gr.HTML(elem_id="samples", js_on_load=EVENTS)

    def connect(self) -> None:
        """Connect the events that stay within the box."""
        self.request.change(
            None,
            [self.request, self.attached],
            self.attached,
            js="(said, before) => { const now = JSON.stringify((said?.files ?? []).map((file) => file.path)); "
            "return now === '[]' && !before ? '' : now; }",
            **QUIET,
        )
        self.attached.change(self._check, [self.request, self.chips], [self.chips, self.shown], **QUIET)
        filled = [self.request, self.attached]
        self.shown.remove(self._remove, self.request, filled, **QUIET)
        self.samples.take(self._take, None, filled, **QUIET).then(
            None, None, None, js="() => document.querySelector('#request textarea')?.focus()", **QUIET
        )
        self.shown.words(
            self._write_down,
            self.request,
            [*filled, self.note],
            api_visibility="private",
            show_progress="minimal",
            concurrency_id="words",
            concurrency_limit=1,
        )

    def offer(self) -> str:
        """Return the samples with requests that work on this computer."""
        return samples_html([sample.as_shown() for sample in self._offered()])

    def samples_of(self, needed: Sequence[Sequence[str]]) -> list[Path]:
        """Return a sample for each input that takes one of these kinds, such as "Image"; none where there is none."""
        found = [(input_of(sample.name), sample.path) for sample in self._offered()]
        picked = (next((path for kind, path in found if kind.capitalize() in kinds), None) for kinds in needed)
        return list(dict.fromkeys(path for path in picked if path is not None))

    def _offered(self) -> list[Sample]:
        """Return the samples of this moment: tools and weights come and go."""
        return offered(self._context.tools, self._context.folder / "samples")

    def refused(self, files: Sequence[str], chips: Chips) -> str:
        """Return why files cannot be sent; "" where they can."""
        bad = [chip for chip in (self._chip(file, chips) for file in files) if chip.error]
        return f"Remove {' and '.join(chip.name for chip in bad)} first, or add another file." if bad else ""

    def _check(self, said: Mapping[str, Any], chips: Chips) -> tuple[dict[str, Chip], str]:
        kept = {file: self._chip(file, chips) for file in said.get("files") or []}
        return kept, chips_html(list(kept.values()))

    def _chip(self, file: str, chips: Chips) -> Chip:
        if file in chips:
            return chips[file]
        name = Path(file).name
        try:
            value = open_file(file)
        except SuperlinkError as error:
            return Chip(file, name, "", "", sentences(error.message.replace(file, name), error.hint))
        kind = value.kind.lower()
        detail = ", ".join(filter(None, (kind, byte_size(Path(file).stat().st_size), measures(value.summary()))))
        return Chip(file, name, kind, detail, words=kind == "audio" and self._hears())

    def _hears(self) -> bool:
        """Return whether speech can be written down here."""
        return "transcribe" in self._context.tools and works_here("transcribe")

    def filled(self, text: str, files: Sequence[str]) -> Changes:
        """Return the changes that fill the box. Gradio says nothing when files alone are changed from here."""
        attached = json.dumps(list(files), ensure_ascii=False, separators=(",", ":"))
        return {self.request: {"text": text, "files": list(files)}, self.attached: attached}

    def _remove(self, said: Mapping[str, Any], chosen: gr.EventData) -> Changes:
        return self.filled(said.get("text") or "", [file for file in said.get("files") or [] if file != chosen.path])

    def _take(self, chosen: gr.EventData) -> Changes:
        sample = next((sample for sample in self._offered() if sample.name == chosen.name), None)
        if sample is None:  # what it takes was removed since
            return {self.request: gr.skip()}
        return self.filled(str(chosen.request), [str(sample.path)])

    def _write_down(self, said: Mapping[str, Any], chosen: gr.EventData) -> Changes:
        file = str(chosen.path)
        if file not in (said.get("files") or []):
            return {self.note: ""}
        try:
            heard = self._context.tools["transcribe"](open_file(file))
            assert isinstance(heard, Transcript)
        except SuperlinkError as error:
            return {self.note: note_html(explain(error))}
        words = " ".join(segment.text.strip() for segment in heard.segments).strip()
        if not words:
            return {self.note: note_html("No words were heard in this recording. It stays as a file.")}
        files = [each for each in said["files"] if each != file]
        return {**self.filled(f"{said.get('text') or ''} {words}".strip(), files), self.note: ""}
