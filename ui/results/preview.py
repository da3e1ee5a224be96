"""Previews of videos with what was found drawn into them, made in the background and kept."""

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import MediaError, SuperlinkError
from tools.imaging.drawing import draw
from tools.storage import atomic
from tools.values import Audio, Detections, Image, Video

SIDE = 854
"""Maximum length of the longer side of a preview, in pixels."""
FRAMES = 1500
"""Maximum number of frames of a preview; a minute at 25 frames per second."""


@dataclass
class Preview:
    """A preview that is made, or is there.

    Attributes:
        place: Its file.
        total: Number of frames.
        done: Number of frames that are drawn.
        fault: Why there is none; "" otherwise.
    """

    place: Path
    total: int
    done: int = 0
    fault: str = ""
    ended: threading.Event = field(default_factory=threading.Event)


class Previews:
    """Makes previews, one after another. Pages that ask for the same one share it."""

    def __init__(self) -> None:
        """Start without any work."""
        self._known: dict[Path, Preview] = {}
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def ask(self, place: Path, video: Video, found: Detections) -> Preview:
        """Begin a preview unless it is there or being made.

        Args:
            place: Its file, an MP4.
            video: The video.
            found: What was found in its frames.
        """
        with self._lock:
            known = self._known.get(place)
            if known is not None and not known.fault and (not known.ended.is_set() or place.exists()):
                return known
            preview = self._known[place] = Preview(place, min(video.frame_count, FRAMES))
            if place.exists():
                preview.done = preview.total
                preview.ended.set()
            else:
                # Ends with the process: what was drawn so far is of no use.
                arguments = (self._turn, preview, video, found)
                threading.Thread(target=_make, args=arguments, name="superlink preview", daemon=True).start()
            return preview


class Track(NamedTuple):
    """One thing that was followed: its number, label, first and last second, and the number of its frames."""

    number: int
    label: str
    start: float
    end: float
    frames: int


def tracks(video: Video, found: Detections) -> list[Track]:
    """Return the tracks of detections in a video, by number; none where nothing was followed."""
    if found.ids is None or found.frames is None:
        return []
    listed = []
    for number in sorted(set(found.ids.tolist())):
        rows = np.flatnonzero(found.ids == number)
        frames = found.frames[rows]
        first, last = (float(video.times[min(int(n), len(video.times) - 1)]) for n in (frames.min(), frames.max()))
        listed.append(Track(int(number), found.labels[int(rows[0])], first, last, len(set(frames.tolist()))))
    return listed


def _make(turn: threading.Lock, preview: Preview, video: Video, found: Detections) -> None:
    """Draw a preview; one after another, as each takes a core."""
    turn.acquire()
    try:
        sound = _sound(video) if video.frame_count <= FRAMES else None
        drawn = Video.from_frames(_frames(preview, video, found), video.fps, sound)
        atomic.write(preview.place, drawn.to_bytes())
    except SuperlinkError as error:
        preview.fault = str(error)
    except Exception as error:  # shown to the person; a thread of its own has nobody else to tell
        preview.fault = f"The preview could not be made: {error}"
    finally:
        turn.release()
        preview.ended.set()


def _sound(video: Video) -> Audio | None:
    try:
        return video.audio()
    except MediaError:
        return None


def _frames(preview: Preview, video: Video, found: Detections) -> Iterator[NDArray[np.uint8]]:
    from PIL import Image as Pil

    scale = min(1.0, SIDE / max(video.size))
    size = max(1, math.floor(video.height * scale)), max(1, math.floor(video.width * scale))
    factors = np.array([size[1] / video.width, size[0] / video.height] * 2, np.float32)
    frames = found.frames if found.frames is not None else np.zeros(len(found), np.int64)
    small = Detections(found.xyxy * factors, found.labels, found.scores, size, ids=found.ids, frames=frames)
    for number, _, pixels in islice(video.frames(), preview.total):
        picture = Pil.fromarray(pixels).resize(size[::-1], Pil.Resampling.BILINEAR) if scale < 1 else pixels
        here = replace(small.select(frames == number), frames=None)
        yield draw(Image.from_numpy(np.asarray(picture)), here).pixels
        preview.done = number + 1
