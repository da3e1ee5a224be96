"""Following things through videos."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated

import numpy as np

from tools.core import progress
from tools.engines import byte_track, routing
from tools.engines.dispatch import Picture
from tools.runtime.parts import kept_values
from tools.runtime.tool import Suggested, tool
from tools.values import Detections, Video

_AT_ONCE = 8
_LOW = 0.4  # of an engine's usual score, a find needs this share to continue what is followed already


@tool(
    examples=["follow every car in the video", "track the people", "keep an eye on the ball in this clip"],
    words=("Follow: {labels}", "Follow everything"),
    needs=lambda args: routing.needs(args.get("labels", []), "track", "detect_open", faces=True),
)
def track(
    video: Video,
    labels: Annotated[list[str], Suggested(lambda: routing.known_labels("track", "detect_open", faces=True))] = [],  # noqa: B006
) -> Detections:
    """Follow things through a video by what they are called; each keeps one id.

    Every frame is looked at by the engines that detect uses (names of the role track's weights by YOLO, faces by
    CenterFace, every other label by the role detect_open; without labels, everything that the weights of the role track
    have a name for), and ByteTrack joins the finds of each label to tracks.
    A thing counts once it is seen in two frames in a row; out of sight for more than a second it is a new one.

    Args:
        video: The video.
        labels: What to follow, such as ["car", "person"]; everything that the weights know when left out.

    Returns:
        Boxes with frame numbers and ids; ids count from 1 over all labels, in order of appearance.

    Raises:
        ValueInvalid: when a label is empty, or there is none and the weights have no names of their own.
        WeightsMissing: when the weights for a label are not here; names the label and the command that fetches them.
    """
    chosen = [
        (
            finder,
            {
                label: byte_track.Tracks(finder.usual_score, _LOW * finder.usual_score, video.fps)
                for label in finder.labels
            },
        )
        for finder in routing.finders(labels, "track", "detect_open", faces=True)
    ]
    found: list[Detections] = []
    ids: dict[tuple[str, int], int] = {}
    dropped = 0
    for part in progress.track_parts(video.frames(), _AT_ONCE, video.frame_count):
        pictures = [pixels for _, _, pixels in part]
        rows = iter(kept_values(part[0][0], _find, pictures, [finder for finder, _ in chosen]))
        seen = [list(islice(rows, len(part))) for _ in chosen]
        dropped += sum(one.dropped for finds in seen for one in finds)
        columns = [_follow(tracks, finds) for (_, tracks), finds in zip(chosen, seen, strict=True)]
        for (number, _, _), finds in zip(part, zip(*columns, strict=True), strict=True):
            for one in (one for engine in finds for one in engine if len(one)):
                own = [ids.setdefault((one.labels[0], int(i)), len(ids) + 1) for i in one.ids]
                found.append(replace(one, ids=np.array(own), frames=np.full(len(one), number)))
    none = np.zeros(0, np.int64)
    tracked = Detections.concat(found) if found else replace(Detections.empty(video.size), ids=none, frames=none)
    return replace(tracked, dropped=dropped)


def _find(pictures: Sequence[Picture], finders: Sequence[routing.Finder]) -> list[Detections]:
    """Return what each finder sees in each picture: all pictures of the first, then of the next."""
    return [found for finder in finders for found in finder.find(pictures, _LOW * finder.usual_score)]


def _follow(tracks: Mapping[str, byte_track.Tracks], finds: Sequence[Detections]) -> list[list[Detections]]:
    """Return the tracked detections of each frame by label, with ids that count from 1 for each label."""
    return [
        [followed.update(found.select(np.array(found.labels) == label)) for label, followed in tracks.items()]
        for found in finds
    ]
