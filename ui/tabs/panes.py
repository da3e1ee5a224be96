"""Panes of a result: picture with shapes, before and after, video with tracks, recording with sentences, words."""

from typing import Any

import gradio as gr

from ui.results.copyable import copyable
from ui.results.html import note_html
from ui.results.panes import Panes
from ui.results.preview import Track
from ui.results.sentences import sentence_list
from ui.shapes.component import shapes
from ui.tabs.events import QUIET

_SEEK = """(at) => {
  const film = document.querySelector('#result-film video');
  if (film && at >= 0) film.currentTime = at;
}"""


def note(text: str) -> Any:
    """Return the change of a `gr.HTML` that says something, or that is hidden when there is nothing to say."""
    return gr.update(value=note_html(text), visible=bool(text))


class PaneWidgets:
    """The widgets; those without content are hidden."""

    def lay_out(self) -> None:
        """Place the widgets."""
        self.tracks = gr.State([])
        self.shapes = shapes(visible=False, elem_id="result-shapes")
        self.compare = gr.ImageSlider(
            label="Before and after",
            interactive=False,
            visible=False,
            type="filepath",
            max_height=560,
            buttons=["fullscreen"],
            elem_id="result-compare",
        )
        self.film = gr.Video(label="Video", interactive=False, visible=False, buttons=[], elem_id="result-film")
        self.track = gr.Slider(
            0, 1, 0, step=1, label="Track (0 for none)", visible=False, interactive=True, elem_id="result-track"
        )
        self.track_note = gr.HTML(visible=False, elem_id="result-track-note")
        self.seek = gr.Number(-1, visible="hidden")
        # The browser's own player: its element can be found, so that a sentence can set its time.
        self.sound = gr.Audio(
            label="Recording",
            interactive=False,
            visible=False,
            buttons=[],
            waveform_options=gr.WaveformOptions(show_recording_waveform=False),
            elem_id="result-sound",
        )
        self.sentences = sentence_list(visible=False, elem_id="result-sentences")
        self.text = copyable("Text", visible=False, elem_id="result-text")
        self.track.change(self._follow, [self.tracks, self.track], [self.track_note, self.seek], **QUIET).then(
            None, self.seek, None, js=_SEEK, **QUIET
        )

    @property
    def outputs(self) -> list[Any]:
        """The components that `changes` changes."""
        return [
            self.tracks,
            self.shapes,
            self.compare,
            self.film,
            self.track,
            self.track_note,
            self.seek,
            self.sound,
            self.sentences,
            self.text,
        ]

    def changes(self, panes: Panes) -> dict[Any, Any]:
        """Return the changes that show the panes of an item."""
        ready = panes.preview is not None and panes.preview.ended.is_set() and not panes.preview.fault
        film = panes.preview.place if ready and panes.preview is not None else panes.film
        compare = None if panes.compare is None else tuple(map(str, panes.compare))
        last = max((track.number for track in panes.tracks), default=1)
        return {
            self.tracks: panes.tracks,
            self.shapes: gr.update(value=panes.shapes, visible=panes.shapes is not None),
            self.compare: gr.update(value=compare, visible=compare is not None),
            self.film: gr.update(value=None if film is None else str(film), visible=film is not None),
            self.track: gr.update(value=0, maximum=last, visible=bool(panes.tracks)),
            self.track_note: note(f"{len(panes.tracks)} followed." if panes.tracks else ""),
            self.seek: -1,
            self.sound: gr.update(
                value=None if panes.sound is None else str(panes.sound), visible=panes.sound is not None
            ),
            self.sentences: gr.update(value=panes.sentences, visible=bool(panes.sentences)),
            self.text: gr.update(value=panes.text, visible=bool(panes.text)),
        }

    @staticmethod
    def _follow(tracks: list[Track], chosen: float) -> tuple[Any, float]:
        """Return what is said of a track, and where the video goes."""
        track = next((one for one in tracks if one.number == int(chosen or 0)), None)
        if track is None:
            return note(f"There is no track {int(chosen)}." if chosen else f"{len(tracks)} followed."), -1
        return note(
            f"Track {track.number}: {track.label}, from {track.start:.1f} s to {track.end:.1f} s, "
            f"in {track.frames} {'frame' if track.frames == 1 else 'frames'}."
        ), track.start
