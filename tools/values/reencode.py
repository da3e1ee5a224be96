"""Video editing that keeps the number of frames, their time stamps and the sound."""

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import MediaError
from tools.core.progress import track
from tools.values.container import cover, first_time, open_container
from tools.values.video import Video, upright

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

Change = Callable[[int, NDArray[np.uint8]], NDArray[np.uint8] | None]
"""Takes a frame's number and its RGB pixels (H, W, 3); returns new pixels of that shape, or None for no change."""

# Visually close to the original, and fast compared with detection.
_QUALITY = {"crf": "18", "preset": "superfast", "bf": "0"}
# Codecs that MP4 can contain without encoding the sound again.
_IN_MP4 = ("aac", "mp3", "ac3", "eac3", "alac", "opus")


def reencode(video: Video, is_changed: Callable[[int], bool], change: Change) -> Video:
    """Return a video with changed frames, as H.264 in MP4, or in Matroska if the source is one or MP4 lacks its codec.

    Sound is copied without encoding it again. Other streams (subtitles, data such as places) and metadata are removed.
    The last row or column of pixels is repeated where a side is odd, because H.264 needs even sides.

    Args:
        video: The video.
        is_changed: Returns whether the frame of this number is changed; others are not converted to RGB and back.
        change: Changes a frame.

    Raises:
        MediaError: when the file is damaged.
    """
    import av

    buffer = io.BytesIO()
    with open_container(video.source, video.name) as source:
        in_matroska = video.suffix in (".mkv", ".webm") or any(
            one.codec_context.name not in _IN_MP4 for one in source.streams.audio
        )
        form = "matroska" if in_matroska else "mp4"
        try:
            with av.open(buffer, "w", format=form) as target:
                _copy(video, source, target, is_changed, change)
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{video.name} cannot be encoded again: {error}",
                "It may be damaged or cut short; copy or download the file again",
            ) from error
    return Video.open(buffer.getvalue(), video.name)


def _copy(
    video: Video, source: "InputContainer", target: "OutputContainer", is_changed: Callable[[int], bool], change: Change
) -> None:
    stream = next(one for one in source.streams.video if not cover(one))
    stream.thread_type = "AUTO"
    # All streams are added before the first packet, with which the container's header is written.
    out = _video_stream(target, stream, video)
    sounds = {one.index: target.add_stream_from_template(one) for one in source.streams.audio}
    zero, last = first_time(source), -(1 << 62)
    lengths: dict[int, int] = {}

    def write(frame: Any) -> None:
        for packet in out.encode(frame):
            packet.duration = lengths.get(packet.pts, 0)  # encoders derive durations from the frame rate only
            target.mux(packet)

    def frames() -> Iterator[Any]:
        """Yield the frames, and copy the sound between them."""
        for packet in source.demux([stream, *source.streams.audio]):
            if packet.stream.index not in sounds:
                yield from packet.decode()
            elif packet.dts is not None:
                packet.stream = sounds[packet.stream.index]
                target.mux(packet)

    for number, frame in enumerate(track(frames(), video.frame_count)):
        # The time stamps of the packets in order: decoders invent others for containers without any, such as AVI.
        shown = video.times[min(number, video.frame_count - 1)] + zero
        last = frame.pts = max(round(shown / stream.time_base), last + 1)
        lengths[last] = frame.duration
        write(_edit_frame(frame, number, out, is_changed, change))
    write(None)


def _video_stream(target: "OutputContainer", stream: Any, video: Video) -> Any:
    out: Any = target.add_stream("libx264", rate=stream.average_rate or stream.guessed_rate or 25)
    out.height, out.width = video.height + video.height % 2, video.width + video.width % 2
    out.pix_fmt = "yuv420p"
    out.codec_context.time_base = stream.time_base
    out.options = _QUALITY
    made, read = out.codec_context, stream.codec_context
    for name in ("color_range", "color_primaries", "color_trc", "colorspace"):
        setattr(made, name, getattr(read, name))
    return out


def _edit_frame(frame: Any, number: int, out: Any, is_changed: Callable[[int], bool], change: Change) -> Any:
    """Return the frame to encode: changed, upright, with even sides and its time stamp."""
    import av

    pixels: NDArray[np.uint8] | None = None
    if is_changed(number) or frame.rotation or (frame.height, frame.width) != (out.height, out.width):
        pixels = upright(frame)
    if pixels is not None and is_changed(number):
        other = change(number, pixels)
        pixels = pixels if other is None else other
    if pixels is None:
        made = frame.reformat(format=out.pix_fmt)
    else:
        below, right = out.height - pixels.shape[0], out.width - pixels.shape[1]
        made = av.VideoFrame.from_ndarray(np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge"), format="rgb24")
    made.pts, made.time_base = frame.pts, frame.time_base
    made.pict_type = 0  # the encoder chooses the frame type
    return made
