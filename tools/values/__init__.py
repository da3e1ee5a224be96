"""The kinds of value that flow between tools."""

from tools.values.audio import Audio
from tools.values.base import Value
from tools.values.detections import Detection, Detections
from tools.values.image import Image
from tools.values.number import Number
from tools.values.poses import Poses
from tools.values.text import Text
from tools.values.transcript import Segment, Transcript
from tools.values.video import Video

VALUE_TYPES: dict[str, type[Value]] = {
    kind.kind: kind for kind in (Image, Audio, Video, Text, Transcript, Detections, Poses, Number)
}

__all__ = [
    "VALUE_TYPES",
    "Audio",
    "Detection",
    "Detections",
    "Image",
    "Number",
    "Poses",
    "Segment",
    "Text",
    "Transcript",
    "Value",
    "Video",
]
