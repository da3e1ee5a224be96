"""Video editing that keeps the number of frames, their time stamps and the sound."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import MediaError
from tools.values.container import cover, first_time, open_container
from tools.values.video import Video, upright

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

Change = Callable[[int, NDArray[np.uint8]], NDArray[np.uint8] | None]
"""Function of a frame's number and its RGB pixels (H, W, 3): new pixels of that shape, or None for no change."""

# Visually close to the original, and fast: detectors take most of the time.
_QUALITY = {"crf": "18", "preset": "superfast", "bf": "0"}
# Sound that MP4 can hold without being encoded again.
_IN_MP4 = ("aac", "mp3", "ac3", "eac3", "alac", "opus")


def reencoded(video: Video, wanted: Callable[[int], bool], change: Change) -> Video:
    """Return a video with changed frames, as H.264 in MP4, or in Matroska for Matroska and sound that MP4 cannot hold.

    Sound is copied, not encoded again. Other streams (subtitles, data such as places) and metadata are left out. An odd
    side gets its last row or column of pixels twice, because H.264 needs even sides.

    Args:
        video: The video.
        wanted: Returns whether the frame of this number is changed; other frames are not converted to RGB and back.
        change: Changes a frame.

    Raises:
        MediaError: when the file turns out to be damaged.
    """
    import av

    buffer = io.BytesIO()
    with open_container(video.source, video.name) as source:
        kept = video.suffix in (".mkv", ".webm") or any(
            one.codec_context.name not in _IN_MP4 for one in source.streams.audio
        )
        form = "matroska" if kept else "mp4"
        try:
            with av.open(buffer, "w", format=form) as target:
                _copy(video, source, target, wanted, change)
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{video.name} cannot be encoded again: {error}",
                "It may be damaged or cut short; copy or download the file again",
            ) from error
    return Video.open(buffer.getvalue(), video.name)


def _copy(
    video: Video, source: "InputContainer", target: "OutputContainer", wanted: Callable[[int], bool], change: Change
) -> None:
    stream = next(one for one in source.streams.video if not cover(one))
    stream.thread_type = "AUTO"
    # All streams are there before the first packet: the container's header is written with it.
    out = _video_stream(target, stream, video)
    sounds = {one.index: target.add_stream_from_template(one) for one in source.streams.audio}
    zero, number, last = first_time(source), 0, -(1 << 62)
    lengths: dict[int, int] = {}

    def written(frame: Any) -> None:
        for packet in out.encode(frame):
            packet.duration = lengths.get(packet.pts, 0)  # encoders keep no more than the rate
            target.mux(packet)

    for packet in source.demux([stream, *source.streams.audio]):
        if packet.stream.index in sounds:
            if packet.dts is not None:
                packet.stream = sounds[packet.stream.index]
                target.mux(packet)
            continue
        decoded: Any = packet.decode()
        for frame in decoded:
            # The stamps of the packets, in order: decoders make up others where a container has none, as AVI.
            shown = video.times[min(number, video.frame_count - 1)] + zero
            last = frame.pts = max(round(shown / stream.time_base), last + 1)
            lengths[last] = frame.duration
            written(_changed(frame, number, out, wanted, change))
            number += 1
    written(None)


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


def _changed(frame: Any, number: int, out: Any, wanted: Callable[[int], bool], change: Change) -> Any:
    """Return the frame to encode: changed, upright, with even sides and its time stamp."""
    import av

    pixels: NDArray[np.uint8] | None = None
    if wanted(number) or frame.rotation or (frame.height, frame.width) != (out.height, out.width):
        pixels = upright(frame)
    if pixels is not None and wanted(number):
        other = change(number, pixels)
        pixels = pixels if other is None else other
    if pixels is None:
        made = frame.reformat(format=out.pix_fmt)
    else:
        below, right = out.height - pixels.shape[0], out.width - pixels.shape[1]
        made = av.VideoFrame.from_ndarray(np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge"), format="rgb24")
    made.pts, made.time_base = frame.pts, frame.time_base
    made.pict_type = 0  # the encoder chooses, not the file that was read
    return made
