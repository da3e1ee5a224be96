"""What each pane of the results shows for an item: files and plain values for widgets, and why something is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tools.core.errors import SuperlinkError
from tools.storage.store import Store
from tools.values import Detections, Image, Number, Poses, Text, Transcript, Value, Video
from tools.values.base import FileValue
from ui.access.links import file_url
from ui.results.pictures import Seen
from ui.results.preview import FRAMES, Preview, Previews, Track, tracks
from ui.results.reading import Item
from ui.results.sentences import Sentence, sentences_of
from ui.shapes.contract import Shapes
from ui.shapes.from_values import from_values


@dataclass
class Panes:
    """What the panes show; None and empty ones are hidden.

    Attributes:
        shapes: A picture with shapes.
        compare: Picture before and after.
        film: Video.
        sound: Recording.
        sentences: What was said in the video or recording, with times.
        text: Words.
        tracks: What was followed in the video.
        preview: The video that is being drawn.
        said: What else has to be said.
    """

    shapes: Shapes | None = None
    compare: tuple[Path, Path] | None = None
    film: Path | None = None
    sound: Path | None = None
    sentences: list[Sentence] = field(default_factory=list)
    text: str = ""
    tracks: list[Track] = field(default_factory=list)
    preview: Preview | None = None
    said: list[str] = field(default_factory=list)


def panes_of(item: Item, name: str, seen: Seen, store: Store, previews: Previews) -> Panes:
    """Return what shows an item.

    Args:
        item: The item.
        name: What its picture is called.
        seen: Copies of values for the browser.
        store: Of the values.
        previews: Makes videos with boxes.
    """
    panes = Panes()
    try:
        _fill(panes, item, name, seen, store, previews)
    except SuperlinkError as error:
        panes.said.append(f"This cannot be shown: {error}")
    return panes


def _fill(panes: Panes, item: Item, name: str, seen: Seen, store: Store, previews: Previews) -> None:
    value, source = store.get(item.ref), item.source
    panes.text = _text(value)
    match item.look:
        case "picture":
            panes.shapes = _picture(value, seen.picture(item.ref), name)
        case "compare":
            assert source is not None
            panes.compare = seen.picture(source), seen.picture(item.ref)
            before = store.get(source)
            assert isinstance(before, Image) and isinstance(value, Image)
            if np.array_equal(before.pixels, value.pixels):
                panes.said.append("The picture is unchanged.")
        case "shapes":
            assert source is not None and isinstance(value, Detections | Poses | Transcript)
            picture = store.get(source)
            assert isinstance(picture, Image)
            panes.shapes = from_values(file_url(seen.picture(source)), name, picture.size, [value])
        case "tracks":
            assert source is not None
            video = store.get(source)
            assert isinstance(video, Video)
            if not isinstance(value, Detections):
                panes.said.append("Poses cannot be drawn into a video yet; the file holds them.")
            elif not len(value):
                panes.film = seen.file(source, video.suffix)
            else:
                place = seen.place(f"{item.ref['sha256'][:16]}{source['sha256'][:16]}.mp4")
                panes.tracks, panes.preview = tracks(video, value), previews.ask(place, video, value)
                if video.frame_count > FRAMES:
                    panes.said.append(
                        f"Boxes are drawn into the first {FRAMES} of {video.frame_count} frames; the file holds all."
                    )
        case "film" | "sound":
            media = value if source is None or not isinstance(value, Transcript) else store.get(source)
            assert isinstance(media, FileValue)
            file = seen.file(item.ref if media is value or source is None else source, media.suffix)
            panes.film, panes.sound = (file, None) if item.look == "film" else (None, file)
            panes.sentences = sentences_of(value) if isinstance(value, Transcript) else []
    if isinstance(value, Transcript) and not value.segments and item.look == "text":
        panes.said.append("There are no words.")
    if isinstance(value, Detections | Poses) and item.look == "text":
        panes.said.append("The picture that this was found in is not at hand; the file holds the places.")


def _picture(value: Value, file: Path, name: str) -> Shapes:
    assert isinstance(value, Image)
    return from_values(file_url(file), name, value.size)


def _text(value: Value) -> str:
    return value.text if isinstance(value, Text | Transcript | Number) else ""


def texts(items: Sequence[Item], store: Store) -> str:
    """Return the words of several items, a line for each; why one is missing stands in its line."""
    lines = []
    for number, item in enumerate(items, 1):
        try:
            lines.append(f"{number}. {_text(store.get(item.ref))}")
        except SuperlinkError as error:
            lines.append(f"{number}. {error}")
    return "\n".join(lines)
