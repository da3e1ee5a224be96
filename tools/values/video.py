"""Moving pictures."""

import hashlib
import io
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tools.core import progress
from tools.core.errors import MediaError, ValueInvalid
from tools.values.audio import Audio
from tools.values.base import FileValue, ValueSummary
from tools.values.container import first_stream, first_time, media_type, open_container
from tools.values.files import check_size, damaged

# Bytes of memory for each pixel of a frame: decoders hold up to 16 frames in YUV, and some for their threads.
_HELD = 30
_SAME_TIME = 1e-4  # seconds
_RATE_ERROR = 0.05  # time stamps in milliseconds say a rate less exactly than the header


@dataclass(frozen=True, eq=False)
class Video(FileValue):
    """A video, kept as its container file; frames are decoded when they are asked for.

    Attributes:
        source: The container: a path that is read when needed, or bytes.
        width: Pixels, as the video is seen (rotation applied).
        height: Pixels.
        fps: Frames per second, on average.
        seconds: Length.
        frame_count: Number of frames.
        times: (frame_count,) seconds at which each frame is shown, from the file's own time stamps; players count from
            the same zero. With a variable frame rate they differ from `number / fps`.
    """

    source: bytes | Path
    width: int
    height: int
    fps: float
    seconds: float
    frame_count: int
    times: NDArray[np.float64]
    _type: tuple[str, str] = ("video/mp4", ".mp4")
    _name: str = "the video"
    kind: ClassVar[str] = "Video"

    @classmethod
    def open(cls, source: str | Path | bytes, name: str | None = None) -> Self:
        """Read a video file's facts and decode its first frame; a path is not loaded into memory.

        Raises:
            MediaError: when it is missing, empty, damaged, has no pictures in it, or is larger than `max_image_bytes`
                (a frame) or `max_video_bytes` (all frames).
        """
        label = name or (str(source) if not isinstance(source, bytes) else "the video")
        place = source if isinstance(source, bytes) else Path(source)
        import av

        try:
            with open_container(place, label) as container:
                stream = first_stream(container, "video", label)
                _check_frame(stream.codec_context.width or 0, stream.codec_context.height or 0, label)
                first = next(iter(container.decode(stream)), None)
                if first is None:
                    raise MediaError(f"{label} has no frames", "Copy or download the file again")
                _check_frame(first.width, first.height, label)
                height, width = upright(first).shape[:2]
                kind = media_type(container)
            times, seconds, fps = _times(place, label)
        except (av.error.FFmpegError, ValueError) as error:
            raise damaged(label, error) from error
        check_size(
            len(times) * width * height * 3,
            "max_video_bytes",
            label,
            f"its {len(times)} frames are {{}} of pixels",
            "Cut it",
        )
        return cls(place, width, height, fps, seconds, len(times), times, kind, label)

    @classmethod
    def from_frames(cls, frames: Iterable[NDArray[np.uint8]], fps: float, audio: Audio | None = None) -> Self:
        """Encode RGB frames (H, W, 3), all of one size, as H.264 in MP4, with the sound in one channel.

        H.264 wants even sides: an odd side gets its last row or column of pixels twice.

        Raises:
            ValueInvalid: without frames, for frames of different sizes, or for an unusable `fps`.
        """
        import av

        if not 0 < fps <= 1000:
            raise ValueInvalid(f"fps must be above 0 and at most 1000, not {fps}")
        buffer = io.BytesIO()
        shape: tuple[int, ...] | None = None
        with av.open(buffer, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": "18", "preset": "veryfast"}
            sound = None if audio is None else container.add_stream("aac", rate=audio.rate, layout="mono")
            for frame in progress.track(frames):
                if shape is None:
                    shape = frame.shape
                    stream.height, stream.width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
                if frame.shape != shape or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
                    raise ValueInvalid(f"Frames must be uint8 of the shape {shape}, not {frame.dtype} {frame.shape}")
                even = np.pad(frame, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), mode="edge")
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            if shape is None:
                raise ValueInvalid("A video needs at least one frame")
            container.mux(stream.encode(None))
            if audio is not None and sound is not None:
                track = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio.mono(audio.rate)[None]), "fltp", "mono")
                track.sample_rate = audio.rate
                container.mux(sound.encode(track))
                container.mux(sound.encode(None))
        return cls.open(buffer.getvalue())

    def frames(self, stride: int = 1) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
        """Decode every `stride`-th frame.

        Yields:
            The frame's number from 0, its time in seconds as in `times`, and RGB pixels (H, W, 3).

        Raises:
            MediaError: when the file turns out damaged on the way, or a frame is larger than `max_image_bytes`.
        """
        import av

        if stride < 1:
            raise ValueInvalid(f"stride must be at least 1, not {stride}")
        with open_container(self.source, self._name) as container:
            stream = first_stream(container, "video", self._name)
            stream.thread_type = "AUTO"
            zero = first_time(container)
            try:
                for index, frame in enumerate(container.decode(stream)):
                    if index % stride == 0:
                        _check_frame(frame.width, frame.height, self._name)
                        yield index, frame.time - zero if frame.time is not None else index / self.fps, upright(frame)
            except (av.error.FFmpegError, ValueError) as error:
                raise damaged(self._name, error) from error

    def frame(self, number: int) -> NDArray[np.uint8]:
        """Decode one frame, from the nearest key frame before it on.

        Returns:
            RGB pixels (H, W, 3), as `frames` gives them.

        Raises:
            ValueInvalid: when there is no such frame.
            MediaError: when the file turns out damaged on the way, or the frame is larger than `max_image_bytes`.
        """
        import av

        if not 0 <= number < self.frame_count:
            raise ValueInvalid(f"{self._name} has no frame {number}", f"Its frames are 0 to {self.frame_count - 1}")
        with open_container(self.source, self._name) as container:
            stream = first_stream(container, "video", self._name)
            goal = float(self.times[number]) + first_time(container)
            try:
                container.seek(int(goal / stream.time_base) if stream.time_base else 0, stream=stream)
                for place, frame in enumerate(container.decode(stream)):
                    late = frame.time is None or frame.time > goal + _SAME_TIME
                    if place == 0 and late:
                        break  # the file cannot be sought in
                    if late or frame.time >= goal - _SAME_TIME:
                        _check_frame(frame.width, frame.height, self._name)
                        return upright(frame)
            except (av.error.FFmpegError, ValueError) as error:
                raise damaged(self._name, error) from error
        for at, _, pixels in self.frames():
            if at == number:
                return pixels
        raise damaged(self._name, f"frame {number} cannot be decoded")

    def audio(self) -> Audio:
        """Return the sound track.

        Raises:
            MediaError: when there is none.
        """
        return Audio.open(self.source, self._name)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), as `Detections.size` has it."""
        return self.height, self.width

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._name

    def to_bytes(self) -> bytes:
        """Return the whole container file."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    def stream(self) -> BinaryIO:
        """Open the container file for reading."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "video/mp4") -> Self:
        """Read a container from memory."""
        return cls.open(data, "the stored video")

    @classmethod
    def from_file(cls, path: Path, media_type: str) -> Self:
        """Read a container from disk, where it stays."""
        return cls.open(path)

    @property
    def memory_bytes(self) -> int:
        """The container, if it is in memory."""
        return len(self.source) if isinstance(self.source, bytes) else self.times.nbytes

    def summary(self) -> ValueSummary:
        """Return size, length, frames per second and number of frames.

        Also "start" where the first frame is not shown at 0 s, and "variable" where `times` are not those of frames at
        equal distances.
        """
        facts: ValueSummary = {
            "width": self.width,
            "height": self.height,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 3),
            "frames": self.frame_count,
        }
        start = float(self.times[0])
        if start:
            facts["start"] = round(start, 6)
        if np.abs(self.times - start - np.arange(len(self.times)) / self.fps).max() > 0.5 / self.fps:
            facts["variable"] = True
        return facts

    def __hash__(self) -> int:
        """Hash the container without loading it whole."""
        with self.stream() as file:
            return hash(hashlib.file_digest(file, "sha256").digest())  # type: ignore[arg-type]  # a real file


def upright(frame: Any) -> NDArray[np.uint8]:
    """Return RGB pixels, turned as the container's display matrix says (phones film sideways)."""
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


def _check_frame(width: int, height: int, name: str) -> None:
    check_size(
        width * height * _HELD,
        "max_image_bytes",
        name,
        f"decoding frames of {width}x{height} pixels takes {{}} of memory",
        "Make it smaller",
    )


def _times(source: bytes | Path, name: str) -> tuple[NDArray[np.float64], float, float]:
    """Return when each frame is shown, the length in seconds, and frames per second.

    Packets are read but not decoded; what headers say of their number is often wrong.
    """
    stamps, lengths = array("d"), array("d")
    with open_container(source, name) as container:
        stream = first_stream(container, "video", name)
        base, zero, rate = (
            float(stream.time_base or 0),
            first_time(container),
            stream.average_rate or stream.guessed_rate,
        )
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:  # an edit list leaves frames out
                stamps.append(packet.pts * base if packet.pts is not None else np.nan)
                lengths.append((packet.duration or 0) * base)
    shown, lasting = np.array(stamps), np.array(lengths)
    known = ~np.isnan(shown)
    seconds = float((shown + lasting)[known].max() - shown[known].min()) if known.any() else 0.0
    fps = float(rate) if rate else len(shown) / seconds if seconds else 25.0
    if known.all() and (span := float(np.ptp(shown))) and abs((len(shown) - 1) / span / fps - 1) > _RATE_ERROR:
        fps = (len(shown) - 1) / span  # what the header says is often the rate of another film
    times = np.sort(shown) - zero if known.all() else np.arange(len(shown)) / fps  # packets are in order of decoding
    times.setflags(write=False)
    return times, seconds or len(shown) / fps, fps
