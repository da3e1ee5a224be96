"""Finding things in pictures."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from tools.core.progress import track_parts
from tools.engines import routing
from tools.runtime.parts import kept_values
from tools.runtime.tool import Batch, Suggested, tool
from tools.values import Detections, Image, Video

_AT_ONCE = 8  # frames


@tool(
    examples=["find every dog", "where are the people and the bicycles", "look for faces", "detect license plates"],
    words=("Find: {labels}", "Find everything"),
    needs=lambda args: routing.needs(args.get("labels", []), "detect", "detect_open", faces=True),
)
def detect(
    image: Batch[Image | Video],
    labels: Annotated[list[str], Suggested(lambda: routing.known_labels("detect", "detect_open", faces=True))] = [],  # noqa: B006
    min_score: Annotated[float | None, Field(ge=0, le=1)] = None,
) -> Batch[Detections]:
    """Find things in an image by what they are called.

    Each label goes to the engine that knows it, and what is found keeps the label as it was asked for:
    "face" and "faces" to CenterFace; names that the weights of the role detect know (COCO's 80 by default, with
    plurals and synonyms such as people, bike, sofa) to these, which YOLO or NanoDet runs; every other label to the
    open-vocabulary weights of the role detect_open. Things that two labels of one engine mean are found once, under
    the first. Without labels, everything is found that the weights of the role detect have a name for, or those of
    detect_open where the first are prompted with words. Every frame of a video is looked at by itself, and nothing is
    followed: track does that.

    Args:
        image: The pictures or videos.
        labels: What to look for, such as ["dog", "traffic light"]; everything that the weights know when left out.
        min_score: Keep finds with at least this score; by default what the weights' catalogue says, mostly 0.25, for
            faces 0.4.

    Returns:
        What was found in each picture or video; finds in a video have frame numbers.

    Raises:
        ValueInvalid: when a label is empty, or there is none and the weights have no names of their own.
        WeightsMissing: when the weights for a label are not here; names the label and the command that fetches them.
    """
    chosen = routing.finders(labels, "detect", "detect_open", faces=True)
    pictures = iter(routing.find([each.pixels for each in image if isinstance(each, Image)], chosen, min_score))
    return [next(pictures) if isinstance(each, Image) else _in_frames(each, chosen, min_score) for each in image]


def _in_frames(video: Video, chosen: Sequence[routing.Finder], min_score: float | None) -> Detections:
    found = [replace(Detections.empty(video.size), frames=np.zeros(0, np.int64))]
    for part in track_parts(video.frames(), _AT_ONCE, video.frame_count):
        pictures = [pixels for _, _, pixels in part]
        seen = kept_values(part[0][0], routing.find, pictures, chosen, min_score)
        found += [
            replace(one, frames=np.full(len(one), number)) for (number, _, _), one in zip(part, seen, strict=True)
        ]
    return Detections.concat(found)
