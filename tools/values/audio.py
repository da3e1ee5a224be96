"""Sound."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tools.errors import MediaError, ValueInvalid
from tools.settings import settings
from tools.values.base import Value, frozen
from tools.values.container import cover, media_type, open_container
from tools.values.image import read_source

_FLAC_CHANNELS = 8
_TYPES = {"WAV": ("audio/wav", ".wav"), "FLAC": ("audio/flac", ".flac"), "OGG": ("audio/ogg", ".ogg"),
          "MP3": ("audio/mpeg", ".mp3")}


@dataclass(frozen=True, eq=False)
class Audio(Value):
    """A recording; read files with `Audio.open`.

    Attributes:
        samples: (N, channels) float32 between -1 and 1; (N,) is taken as one channel, int16 and int32 are scaled.
        rate: Samples per second.
    """

    samples: NDArray[np.float32]
    rate: int
    _encoded: bytes | None = None
    _type: tuple[str, str] = _TYPES["FLAC"]
    kind: ClassVar[str] = "Audio"

    def __post_init__(self) -> None:
        """Check shape, rate and range; overshoot from resampling is clipped."""
        samples = np.asarray(self.samples)
        if samples.dtype in (np.int16, np.int32):
            samples = samples / float(2 ** (8 * samples.dtype.itemsize - 1))
        elif not np.issubdtype(samples.dtype, np.floating):
            raise ValueInvalid(f"Samples must be float, int16 or int32, not {samples.dtype}")
        if samples.ndim == 1:
            samples = samples[:, None]
        if samples.ndim != 2 or samples.shape[1] > 64:
            raise ValueInvalid(f"Samples must have the shape (N, channels), not {samples.shape}")
        if samples.size == 0:
            raise ValueInvalid("The recording is empty: it has no samples")
        if isinstance(self.rate, bool) or int(self.rate) != self.rate or not 1 <= self.rate <= 655_350:
            raise ValueInvalid(f"The sample rate must be a whole number of Hz, not {self.rate!r}")
        if not np.isfinite(samples).all():
            raise ValueInvalid("The samples hold NaN or infinity")
        peak = float(np.abs(samples).max())
        if peak > 8:
            raise ValueInvalid(f"The samples reach {peak:g}, far above 1", "Divide 16-bit samples by 32768")
        object.__setattr__(self, "samples", frozen(np.clip(samples, -1, 1).astype(np.float32)))
        object.__setattr__(self, "rate", int(self.rate))

    @classmethod
    def open(cls, source: str | Path | bytes, name: str | None = None) -> Self:
        """Read a sound file, or the sound track of a video; a sound file's bytes are kept as they are.

        Args:
            source: A path, or the bytes of a file.
            name: How errors call it; the path by default.

        Raises:
            MediaError: when it is missing, empty, damaged, without sound, or longer than `max_audio_seconds`.
        """
        label = name or (str(source) if not isinstance(source, bytes) else "the recording")
        place = source if isinstance(source, bytes) else Path(source)
        if not (len(place) if isinstance(place, bytes) else place.is_file() and place.stat().st_size):
            read_source(place, label)  # missing or empty: says which
        try:
            return _decode_soundfile(cls, place, label) or _decode_container(cls, place, label)
        except ValueInvalid as error:
            raise MediaError(f"{label}: {error.message}", error.hint) from error

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[1])

    def mono(self, rate: int) -> NDArray[np.float32]:
        """Return one channel (N,) at the given rate: the channels' mean, resampled."""
        import soxr

        mean: NDArray[np.float32] = self.samples.mean(axis=1, dtype=np.float32)
        if rate == self.rate:
            return mean
        resampled: NDArray[np.float32] = np.clip(soxr.resample(mean, self.rate, rate), -1, 1)
        return resampled

    @property
    def media_type(self) -> str:
        """The type of the file that was opened, FLAC for recordings made here (WAV above 8 channels)."""
        return self._stored_type[0]

    @property
    def suffix(self) -> str:
        """The ending that suits `media_type`."""
        return self._stored_type[1]

    def to_bytes(self) -> bytes:
        """Return the opened file as it was, or 16-bit FLAC, or float WAV where FLAC has no room for the channels."""
        if self._encoded is not None:
            return self._encoded
        import soundfile

        buffer = io.BytesIO()
        flac = self.suffix == ".flac"
        soundfile.write(buffer, self.samples, self.rate, format="FLAC" if flac else "WAV",
                        subtype="PCM_16" if flac else "FLOAT")
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "audio/flac") -> Self:
        """Read a sound file."""
        return cls.open(data, "the stored recording")

    def summary(self) -> dict[str, Any]:
        """Return length, rate, channels, and whether there is only silence."""
        return {"seconds": round(self.seconds, 3), "rate": self.rate, "channels": self.channels,
                "silent": not bool((np.abs(self.samples) > 1e-4).any())}

    @property
    def _stored_type(self) -> tuple[str, str]:
        if self._encoded is None and self.channels > _FLAC_CHANNELS:
            return _TYPES["WAV"]
        return self._type


A = TypeVar("A", bound=Audio)


def _check_length(seconds: float, name: str) -> None:
    limit = settings().max_audio_seconds
    if seconds > limit:
        raise MediaError(f"{name} is too long: {seconds / 60:.0f} min, above the limit of {limit / 60:.0f} min",
                         "Cut it, or raise max_audio_seconds in settings.toml (SUPERLINK_MAX_AUDIO_SECONDS)")


def _decode_soundfile(cls: type[A], source: bytes | Path, name: str) -> A | None:
    """Decode with libsndfile, or return None where it does not know the format."""
    import soundfile

    try:
        file = soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else str(source))
    except soundfile.LibsndfileError:
        return None
    with file:
        if file.format not in _TYPES:
            return None
        if not file.frames:
            raise MediaError(f"{name} is empty: it has no samples", "Record or download it again")
        _check_length(file.frames / file.samplerate, name)
        try:
            samples = file.read(dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise MediaError(f"{name} is damaged or cut short: {error}", "Copy or download the file again") from error
        return cls(samples, file.samplerate, read_source(source, name), _TYPES[file.format])


def _decode_container(cls: type[A], source: bytes | Path, name: str) -> A:
    """Decode with FFmpeg: m4a, sound tracks of videos and the rest."""
    import av

    with open_container(source, name) as container:
        if not container.streams.audio:
            raise MediaError(f"{name} has no sound", "Use a recording, or a video with a sound track")
        stream = container.streams.audio[0]
        rate = stream.rate
        if stream.duration and stream.time_base:
            _check_length(float(stream.duration * stream.time_base), name)
        resampler = av.AudioResampler(format="fltp", rate=rate)
        pieces: list[NDArray[Any]] = []
        count = 0
        try:
            for frame in container.decode(stream):
                made = [piece.to_ndarray() for piece in resampler.resample(frame)]
                pieces += made
                count += sum(piece.shape[1] for piece in made)
                _check_length(count / rate, name)
            pieces += [piece.to_ndarray() for piece in resampler.resample(None)]
        except av.error.FFmpegError as error:
            raise MediaError(f"{name} is damaged or cut short: {error}", "Copy or download the file again") from error
        if not pieces:
            raise MediaError(f"{name} is empty: it has no samples", "Record or download it again")
        samples = np.concatenate(pieces, axis=1).T
        # A video's bytes are not kept: the value is its sound track, to be stored as FLAC.
        if any(not cover(video) for video in container.streams.video):
            return cls(samples, rate)
        return cls(samples, rate, read_source(source, name), media_type(container))
