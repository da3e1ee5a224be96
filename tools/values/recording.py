"""Decoding sound in blocks, with gaps between packets filled by silence."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import MediaError
from tools.core.progress import track
from tools.core.settings import settings
from tools.values.container import cover, first_stream, first_time, media_type, open_container
from tools.values.files import check_size, check_source, damaged

if TYPE_CHECKING:
    import av
    import soundfile

Samples = NDArray[np.float32]

BLOCK = 1 << 16
"""Samples of each channel that are decoded at once."""
MOST_CHANNELS = 64
LIMIT = "max_audio_bytes"
TYPES = {
    "WAV": ("audio/wav", ".wav"),
    "FLAC": ("audio/flac", ".flac"),
    "OGG": ("audio/ogg", ".ogg"),
    "MP3": ("audio/mpeg", ".mp3"),
}
_UNKNOWN = 1 << 62  # length that libsndfile reports for a FLAC stream without one in its header
# Seconds. Shorter gaps between packets are jitter of the time stamps; filling them would add clicks.
_SHORTEST_GAP = 0.1
_LOUDEST = 8.0  # larger samples are not overshoot; the file is scaled wrongly
_CORRELATED = 0.5  # absolute cosine between channels from which they count as in phase or out of phase


@dataclass(frozen=True)
class Recording:
    """A sound file or the sound track of a video, decoded on demand.

    Attributes:
        source: A path, or the bytes of a file.
        name: Its name in error messages.
        rate: Samples per second.
        channels: Number of channels.
        type: MIME type and ending of the file.
        is_track: Whether it is the sound track of a video.
        is_container: Whether it is decoded by FFmpeg; otherwise by libsndfile.
    """

    source: bytes | Path
    name: str
    rate: int
    channels: int
    type: tuple[str, str]
    is_track: bool
    is_container: bool

    @classmethod
    def open(cls, source: bytes | Path, name: str) -> "Recording":
        """Read the header.

        Raises:
            MediaError: when it is missing, empty, has no sound, or is longer or larger than the settings allow.
        """
        check_source(source, name)
        return _open_soundfile(source, name) or _open_container(source, name)

    def blocks(self) -> Iterator[Samples]:
        """Decode the samples.

        Yields:
            (N, channels) float32 between -1 and 1, of `BLOCK` samples each except the last. Gaps before the first
            packet and between packets are silence.

        Raises:
            MediaError: when it is damaged, or longer or larger than the settings allow.
        """
        count = 0
        for block in track(_equal_blocks(_decode_container(self) if self.is_container else _decode_soundfile(self))):
            if block.shape[1] != self.channels:
                raise MediaError(f"{self.name} was changed while it was used", "Try again when it is complete")
            count += len(block)
            check_length(count, self.rate, self.channels, self.name)
            yield _check_samples(block, self.name)
        if not count:
            raise MediaError(f"{self.name} is empty: it has no samples", "Record or download it again")


def check_length(count: float, rate: float, channels: int, name: str) -> None:
    """Refuse more samples of each channel than `max_audio_bytes` and `max_audio_seconds` allow.

    Raises:
        MediaError: names the file, its size or length, and the setting.
    """
    check_size(int(count) * channels * 4, LIMIT, name, "its samples are {} when decoded", "Cut it")
    limit = settings().max_audio_seconds
    if count / rate > limit:
        raise MediaError(
            f"{name} is too long: {count / rate / 60:.0f} min, above the limit of {limit / 60:.0f} min",
            "Cut it, or raise max_audio_seconds in settings.toml (SUPERLINK_MAX_AUDIO_SECONDS)",
        )


def mix_down(blocks: Iterable[Samples], rate: int) -> Iterator[Samples]:
    """Mix channels into one, in windows of half a second.

    A channel that is out of phase is inverted before it is added, because the mean would be silence.

    Args:
        blocks: (N, channels) float32.
        rate: Samples per second.

    Yields:
        (N,) float32.
    """
    signs: NDArray[np.float32] | None = None
    for block in blocks:
        if block.shape[1] == 1:
            yield block[:, 0]
            continue
        for start in range(0, len(block), max(1, rate // 2)):
            window = block[start : start + max(1, rate // 2)]
            before = signs
            signs = _phases(window, np.ones(block.shape[1], np.float32) if before is None else before)
            mixed: Samples = window @ (signs / np.float32(len(signs)))
            if before is not None and (before != signs).any():  # a change at once would be heard as a click
                fade = np.minimum(np.arange(1, len(window) + 1) / max(1, rate // 100), 1).astype(np.float32)
                mixed = window @ (before / np.float32(len(signs))) * (1 - fade) + mixed * fade
            yield mixed


def resample(blocks: Iterable[Samples], rate: int, new_rate: int) -> Iterator[Samples]:
    """Resample one channel (N,) given in blocks; samples stay between -1 and 1."""
    if rate == new_rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(rate, new_rate, 1, dtype="float32")
    for block in blocks:
        yield np.clip(stream.resample_chunk(np.ascontiguousarray(block)), -1, 1)
    yield np.clip(stream.resample_chunk(np.zeros(0, np.float32), last=True), -1, 1)


def _phases(window: Samples, before: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for each channel the factor, 1 or -1, by which it does not cancel the channels before it."""
    signs = before.copy()
    mixed = window[:, 0] * signs[0]
    for channel in range(1, window.shape[1]):
        samples = window[:, channel]
        both = float(np.linalg.norm(mixed) * np.linalg.norm(samples))
        correlation = float(mixed @ samples) / both if both else 0.0
        if abs(correlation) > _CORRELATED:
            signs[channel] = np.sign(correlation)
        mixed = mixed + samples * signs[channel]
    return signs


def _equal_blocks(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Cut blocks of any length into blocks of `BLOCK` samples; the last one may be shorter."""
    pending: list[Samples] = []
    count = 0
    for block in blocks:
        if not count and len(block) == BLOCK:
            yield block
            continue
        pending.append(block)
        count += len(block)
        if count >= BLOCK:
            whole = np.concatenate(pending)
            full = count // BLOCK * BLOCK
            yield from (whole[start : start + BLOCK] for start in range(0, full, BLOCK))
            pending, count = [whole[full:].copy()], count - full
    if count:
        yield np.concatenate(pending)


def _check_samples(block: Samples, name: str) -> Samples:
    high, low = float(block.max(initial=0)), float(block.min(initial=0))
    if not (np.isfinite(high) and np.isfinite(low)):
        raise MediaError(f"{name}: The samples hold NaN or infinity", "Export it again")
    peak = max(high, -low)
    if peak > _LOUDEST:
        raise MediaError(f"{name}: The samples reach {peak:g}, far above 1", "Export it as 16-bit samples")
    return np.clip(block, -1, 1) if peak > 1 else block


def _soundfile(source: bytes | Path) -> "soundfile.SoundFile":
    import soundfile

    # libsndfile reads standard input for the relative name "-".
    return soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else str(source.absolute()))


def _open_soundfile(source: bytes | Path, name: str) -> Recording | None:
    """Open with libsndfile; return None if it does not know the format or the length."""
    import soundfile

    try:
        file = _soundfile(source)
    except (soundfile.LibsndfileError, ValueError, UnicodeError):
        return None
    with file:
        if file.format not in TYPES or file.frames >= _UNKNOWN:
            return None
        if file.frames <= 0:
            raise MediaError(f"{name} is empty: it has no samples", "Record or download it again")
        _check_channels(file.channels, name)
        check_length(file.frames, file.samplerate, file.channels, name)
        return Recording(source, name, file.samplerate, file.channels, TYPES[file.format], False, False)


def _decode_soundfile(recording: Recording) -> Iterator[Samples]:
    import soundfile

    try:
        with _soundfile(recording.source) as file:
            count = 0
            while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
                count += len(block)
                yield block
            # The length of an MP3 is an estimate.
            if file.format == "FLAC" and count < file.frames:
                raise damaged(recording.name, f"{count} of {file.frames} samples can be decoded")
    except soundfile.LibsndfileError as error:
        raise damaged(recording.name, error) from error


def _open_container(source: bytes | Path, name: str) -> Recording:
    """Open with FFmpeg: m4a, sound tracks of videos and all other formats."""
    with open_container(source, name) as container:
        stream = first_stream(container, "audio", name)
        rate, channels = int(stream.rate or 0), int(stream.channels or 0)
        if not 1 <= rate <= 655_350 or not channels:
            raise MediaError(
                f"{name} has sound that cannot be decoded: {channels} channels at {rate} Hz", "Export it as wav or flac"
            )
        _check_channels(channels, name)
        if stream.duration and stream.time_base:
            check_length(float(stream.duration * stream.time_base) * rate, rate, channels, name)
        is_track = any(not cover(video) for video in container.streams.video)
        return Recording(source, name, rate, channels, media_type(container), is_track, True)


def _decode_container(recording: Recording) -> Iterator[Samples]:
    import av

    rate, channels = recording.rate, recording.channels
    with open_container(recording.source, recording.name) as container:
        stream = first_stream(container, "audio", recording.name)
        start = first_time(container)
        count = 0
        try:
            for frame, block in _frames(container, stream, recording):
                if frame is not None and frame.time is not None:
                    gap = round((float(frame.time) - start) * rate) - count
                    if gap > _SHORTEST_GAP * rate:
                        check_length(count + gap, rate, channels, recording.name)
                        count += gap
                        for begin in range(0, gap, BLOCK):
                            yield np.zeros((min(BLOCK, gap - begin), channels), np.float32)
                count += len(block)
                yield block
        except (av.error.FFmpegError, ValueError) as error:
            raise damaged(recording.name, error) from error


def _frames(container: Any, stream: Any, recording: Recording) -> "Iterator[tuple[av.AudioFrame | None, Samples]]":
    """Decode frames to (N, channels) float32 at the recording's rate, also when the format changes within the file."""
    import av

    layout, form, resampler = stream.layout.name, None, None
    for frame in container.decode(stream):
        frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or frame_format != form:
            if resampler is not None:
                yield from ((None, _planar(piece)) for piece in resampler.resample(None))
            resampler, form = av.AudioResampler(format="fltp", layout=layout, rate=recording.rate), frame_format
        for piece in resampler.resample(frame):
            yield frame, _planar(piece)
            frame = None
    if resampler is not None:
        yield from ((None, _planar(piece)) for piece in resampler.resample(None))


def _planar(frame: "av.AudioFrame") -> Samples:
    samples: Samples = frame.to_ndarray().T
    return samples


def _check_channels(channels: int, name: str) -> None:
    if channels > MOST_CHANNELS:
        raise MediaError(f"{name} has {channels} channels, above the limit of {MOST_CHANNELS}", "Export fewer channels")
