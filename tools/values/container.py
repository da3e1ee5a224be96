"""Opening sound and video containers with PyAV, except formats through which FFmpeg reads other files."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.core.errors import MediaError
from tools.values.files import check_source

if TYPE_CHECKING:
    from av.container import InputContainer

# Playlists (HLS, DASH, concat) are excluded: whatever its name, such a file can refer to other files and addresses,
# which FFmpeg would open.
_FORMATS = (
    "mov",
    "mp4",
    "m4a",
    "3gp",
    "3g2",
    "mj2",
    "matroska",
    "webm",
    "avi",
    "mpegts",
    "mpeg",
    "flv",
    "asf",
    "ogg",
    "wav",
    "w64",
    "flac",
    "mp3",
    "aac",
    "ac3",
    "aiff",
    "amr",
    "caf",
    "gif",
)


def open_container(source: bytes | Path, name: str) -> "InputContainer":
    """Open a container for reading.

    Raises:
        MediaError: when it is missing, empty, not a regular file, or not a sound or video file.
    """
    import av

    check_source(source, name)
    try:
        # FFmpeg reads a relative name such as "concat:a|b" as a protocol; a name that begins with "/" is always a file.
        file = str(source.absolute()) if isinstance(source, Path) else io.BytesIO(source)
        container: InputContainer = av.open(file, "r", options={"format_whitelist": ",".join(_FORMATS)})
        return container
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{name} is not a sound or video file that can be read, or it is damaged: {error}",
            "Use wav, flac, mp3, m4a, ogg, mp4, mov, webm, mkv or avi",
        ) from error


def media_type(container: "InputContainer") -> tuple[str, str]:
    """Return the MIME type and the file name ending of an opened container."""
    names = set(container.format.name.split(","))
    video = any(not cover(stream) for stream in container.streams.video)
    for format_name, suffix in (
        ("webm", ".webm"),
        ("mp4", ".mp4"),
        ("avi", ".avi"),
        ("mpegts", ".ts"),
        ("ogg", ".ogg"),
        ("wav", ".wav"),
        ("flac", ".flac"),
        ("mp3", ".mp3"),
        ("aac", ".aac"),
        ("gif", ".gif"),
        ("aiff", ".aiff"),
    ):
        if format_name in names:
            if format_name == "webm":  # FFmpeg has one demuxer for Matroska and its subset WebM
                return ("video/webm", ".webm") if _is_webm(container) else ("video/x-matroska", ".mkv")
            if format_name == "mp4" and not video:
                return "audio/mp4", ".m4a"
            return _TYPES[suffix], suffix
    return ("video/" if video else "audio/") + f"x-{sorted(names)[0]}", f".{sorted(names)[0]}"


def first_stream(container: "InputContainer", kind: str, name: str) -> Any:
    """Return the first "audio" or "video" stream; the cover picture of a sound file does not count.

    Raises:
        MediaError: when there is none, or FFmpeg does not know its codec.
    """
    stream = next((s for s in container.streams if s.type == kind and not cover(s)), None)
    if stream is None and kind == "audio":
        raise MediaError(f"{name} has no sound", "Use a recording, or a video with a sound track")
    if stream is None:
        raise MediaError(f"{name} has no moving pictures", "Use it as sound, or choose another file")
    if stream.codec_context is None:
        what = "sound" if kind == "audio" else "pictures"
        raise MediaError(f"{name} has {what} in an unknown format, or is damaged", "Export it anew, as mp4 or wav")
    return stream


def first_time(container: "InputContainer") -> float:
    """Return the time stamp, in seconds, of the container's start, from which players count."""
    begins = [
        float(stream.start_time * stream.time_base)
        for stream in container.streams
        if stream.type in ("audio", "video")
        and not cover(stream)
        and stream.start_time is not None
        and stream.time_base
    ]
    return min(begins, default=0.0)


def cover(stream: object) -> bool:
    """Whether a video stream is only the cover picture of a sound file."""
    import av

    return bool(getattr(stream, "disposition", 0) & av.stream.Disposition.attached_pic)


_TYPES = {
    ".mp4": "video/mp4",
    ".avi": "video/x-msvideo",
    ".ts": "video/mp2t",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".aac": "audio/aac",
    ".gif": "image/gif",
    ".aiff": "audio/aiff",
}


def _is_webm(container: "InputContainer") -> bool:
    allowed = {"vp8", "vp9", "av1", "libdav1d", "opus", "vorbis"}
    return all(
        stream.codec_context is not None and stream.codec_context.name in allowed
        for stream in container.streams
        if stream.type in ("video", "audio")
    )
