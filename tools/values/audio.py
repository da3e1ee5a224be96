"""Sound."""

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ValueInvalid
from tools.values.arrays import frozen
from tools.values.base import FileValue, ValueSummary
from tools.values.recording import BLOCK, MOST_CHANNELS, TYPES, Recording, check_length, mix_down, resample

_FLAC_CHANNELS = 8
_SILENT = 1e-4
_IN_MEMORY = 64 << 20  # bytes of an encoded sound track; larger ones go through a temporary file


@dataclass(frozen=True)
class _Facts:
    """What only decoding shows: samples of each channel, and the loudest."""

    count: int
    peak: float


@dataclass(frozen=True, eq=False, init=False)
class Audio(FileValue):
    """A recording; read files with `Audio.open`.

    A file is decoded piece by piece when it is asked for, and is not kept in memory.

    Args:
        samples: (N, channels) float32 between -1 and 1; (N,) is taken as one channel, int16 and int32 are scaled.
        rate: Samples per second.

    Attributes:
        rate: Samples per second.
        channels: Number of channels.
    """

    rate: int
    channels: int
    _recording: Recording | None
    kind: ClassVar[str] = "Audio"

    def __init__(self, samples: NDArray[np.number], rate: int) -> None:
        """Check shape, rate and range; overshoot from resampling is clipped."""
        samples = np.asarray(samples)
        if samples.dtype in (np.int16, np.int32):
            samples = samples / float(2 ** (8 * samples.dtype.itemsize - 1))
        elif not np.issubdtype(samples.dtype, np.floating):
            raise ValueInvalid(f"Samples must be float, int16 or int32, not {samples.dtype}")
        if samples.ndim == 1:
            samples = samples[:, None]
        if samples.ndim != 2 or samples.shape[1] > MOST_CHANNELS:
            raise ValueInvalid(f"Samples must have the shape (N, channels), not {samples.shape}")
        if samples.size == 0:
            raise ValueInvalid("The recording is empty: it has no samples")
        if isinstance(rate, bool) or int(rate) != rate or not 1 <= rate <= 655_350:
            raise ValueInvalid(f"The sample rate must be a whole number of Hz, not {rate!r}")
        if not np.isfinite(samples).all():
            raise ValueInvalid("The samples hold NaN or infinity")
        peak = float(np.abs(samples).max())
        if peak > 8:
            raise ValueInvalid(f"The samples reach {peak:g}, far above 1", "Divide 16-bit samples by 32768")
        self._set(int(rate), int(samples.shape[1]), None)
        self.__dict__["samples"] = frozen(np.clip(samples, -1, 1).astype(np.float32))  # fills the cached property

    @classmethod
    def open(cls, source: str | Path | bytes, name: str | None = None) -> Self:
        """Read a sound file, or the sound track of a video, and check that all of it can be decoded.

        Times are those of the container: where it has no sound, before the first packet or between packets, there is
        silence. A path is not loaded into memory.

        Args:
            source: A path, or the bytes of a file.
            name: How errors call it; the path by default.

        Raises:
            MediaError: when it is missing, empty, damaged, without sound, or larger or longer than `max_audio_bytes`
                and `max_audio_seconds`.
        """
        label = name or (str(source) if not isinstance(source, bytes) else "the recording")
        audio = cls._of(Recording.open(source if isinstance(source, bytes) else Path(source), label))
        _ = audio._facts
        return audio

    @cached_property
    def samples(self) -> NDArray[np.float32]:
        """(N, channels) between -1 and 1, read-only; all in memory, and kept. `blocks` takes less of it."""
        whole = np.empty((self._facts.count, self.channels), np.float32)
        start = 0
        for block in self.blocks():
            whole[start : start + len(block)] = block[: len(whole) - start]
            start += len(block)
        whole.setflags(write=False)
        return whole

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Return the samples piece by piece.

        Yields:
            (N, channels) float32 between -1 and 1, one piece after the other.

        Raises:
            MediaError: when the file is gone or damaged.
        """
        if self._recording is not None and "samples" not in self.__dict__:
            yield from self._recording.blocks()
            return
        yield from (self.samples[start : start + BLOCK] for start in range(0, len(self.samples), BLOCK))

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self._facts.count / self.rate

    def mono(self, rate: int) -> NDArray[np.float32]:
        """Return one channel (N,) at the given rate: the channels' mean, resampled.

        A channel that is out of phase with the others is inverted, so that it does not silence them.

        Raises:
            MediaError: when that is larger than `max_audio_bytes`.
        """
        name = self._recording.name if self._recording else "the recording"
        expected = self._facts.count * rate / self.rate
        check_length(expected, rate, 1, name)
        whole = np.empty(int(expected) + BLOCK, np.float32)
        count = 0
        for block in resample(mix_down(self.blocks(), self.rate), self.rate, rate):
            whole[count : count + len(block)] = block[: len(whole) - count]
            count += len(block)
        return whole[:count]

    def to_bytes(self) -> bytes:
        """Return the opened file as it was, or 16-bit FLAC, or float WAV where FLAC has no room for the channels."""
        with self.stream() as file:
            return file.read()

    def stream(self) -> BinaryIO:
        """Open `to_bytes()` for reading; a long recording is not loaded into memory."""
        if self._file is not None:
            return io.BytesIO(self._file) if isinstance(self._file, bytes) else self._file.open("rb")
        import soundfile

        form, subtype = ("FLAC", "PCM_16") if self.suffix == ".flac" else ("WAV", "FLOAT")
        buffer = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 -- the caller closes it
        with soundfile.SoundFile(buffer, "w", self.rate, self.channels, subtype, format=form) as file:
            for block in self.blocks():
                file.write(block)
        buffer.seek(0)
        return buffer

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "audio/flac") -> Self:
        """Read a sound file; only its header is read now."""
        return cls._of(Recording.open(data, "the stored recording"))

    @classmethod
    def from_file(cls, path: Path, media_type: str) -> Self:
        """Read a sound file on disk, where it stays; only its header is read now."""
        return cls._of(Recording.open(path, str(path)))

    @property
    def memory_bytes(self) -> int:
        """Samples or bytes of a file that are in memory."""
        samples = self.__dict__.get("samples")
        return (0 if samples is None else samples.nbytes) + (len(self._file) if isinstance(self._file, bytes) else 0)

    def summary(self) -> ValueSummary:
        """Return length, rate, channels, and whether there is only silence."""
        return {
            "seconds": round(self.seconds, 3),
            "rate": self.rate,
            "channels": self.channels,
            "silent": self._facts.peak <= _SILENT,
        }

    @cached_property
    def _facts(self) -> _Facts:
        count, peak = 0, 0.0
        for block in self.blocks():
            count += len(block)
            peak = max(peak, float(block.max()), -float(block.min()))
        return _Facts(count, peak)

    @property
    def _file(self) -> bytes | Path | None:
        """The opened file if it is stored as it is. Of a video only the sound is."""
        return None if self._recording is None or self._recording.is_track else self._recording.source

    @property
    def _type(self) -> tuple[str, str]:
        """That of the file that was opened; FLAC for recordings made here, WAV above 8 channels."""
        if self._recording is not None and not self._recording.is_track:
            return self._recording.type
        return TYPES["FLAC" if self.channels <= _FLAC_CHANNELS else "WAV"]

    @classmethod
    def _of(cls, recording: Recording) -> Self:
        audio = cls.__new__(cls)
        audio._set(recording.rate, recording.channels, recording)
        return audio

    def _set(self, rate: int, channels: int, recording: Recording | None) -> None:
        for name, value in (("rate", rate), ("channels", channels), ("_recording", recording)):
            object.__setattr__(self, name, value)
