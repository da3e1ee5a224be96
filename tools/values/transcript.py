"""Text in pieces that know when they were said or where they stand in a picture."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from html import escape
from typing import Any, ClassVar, Self

from tools.core.errors import ValueInvalid
from tools.values.base import StructuredValue, ValueSummary

_LATEST = 10**9  # seconds; timedelta and WebVTT overflow later than that


@dataclass(frozen=True)
class Segment:
    """One line of a transcript.

    Attributes:
        text: The words.
        start: Seconds from the beginning of the recording, or None.
        end: Seconds, not before `start`, or None.
        box: x0, y0, x1, y1 in pixels of the picture, or None.
        score: Confidence between 0 and 1, or None.
    """

    text: str
    start: float | None = None
    end: float | None = None
    box: tuple[float, float, float, float] | None = None
    score: float | None = None

    def __post_init__(self) -> None:
        """Check text, times, box and score."""
        if not isinstance(self.text, str):
            raise ValueInvalid(f"The text of a segment must be a str, not {type(self.text).__name__}")
        for name in ("start", "end", "score"):
            object.__setattr__(self, name, _number(getattr(self, name), f"{name} of the segment {self.text!r}"))
        if (self.start is None) != (self.end is None):
            raise ValueInvalid(f"The segment {self.text!r} needs both start and end, or neither")
        if self.start is not None and self.end is not None and not 0 <= self.start <= self.end:
            raise ValueInvalid(
                f"The segment {self.text!r} runs from {self.start} s to {self.end} s",
                "Times are seconds with 0 <= start <= end",
            )
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueInvalid(f"The score of the segment {self.text!r} is {self.score}, not between 0 and 1")
        if self.box is not None:
            object.__setattr__(self, "box", _box(self.box, self.text))


@dataclass(frozen=True, eq=False)
class Transcript(StructuredValue):
    """Segments in reading or speaking order, with the language when it is known (such as "en")."""

    segments: tuple[Segment, ...]
    language: str | None = None
    kind: ClassVar[str] = "Transcript"

    def __post_init__(self) -> None:
        """Take any iterable of segments."""
        segments = tuple(self.segments)
        if not all(isinstance(s, Segment) for s in segments):
            raise ValueInvalid("A transcript is made of Segment objects")
        object.__setattr__(self, "segments", segments)

    @property
    def text(self) -> str:
        """All words: one line for each piece found in a picture, one paragraph for speech."""
        separator = "\n" if any(s.box for s in self.segments) else " "
        return separator.join(s.text.strip() for s in self.segments if s.text.strip())

    def to_json(self) -> dict[str, object]:
        """Return language and segments."""
        return {"language": self.language, "segments": [asdict(s) for s in self.segments]}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Make the value of the object that `to_json` returned."""
        return cls(tuple(Segment(**segment) for segment in fields["segments"]), fields.get("language"))

    def to_srt(self) -> str:
        """Return SubRip subtitles, in the order of the segments.

        Raises:
            ValueInvalid: when a segment has no times, or times that subtitles cannot hold.
        """
        import srt

        subtitles = [
            srt.Subtitle(number, timedelta(seconds=start), timedelta(seconds=end), text)
            for number, (start, end, text) in enumerate(self._timed_lines(), 1)
        ]
        composed: str = srt.compose(subtitles, reindex=False)
        return composed.removesuffix("\n")  # without the blank line after the last one

    def to_vtt(self) -> str:
        """Return WebVTT subtitles, in the order of the segments.

        Raises:
            ValueInvalid: when a segment has no times, or times that subtitles cannot hold.
        """
        from webvtt import Caption, WebVTT
        from webvtt.models import Timestamp

        # WebVTT reads markup: a bare "<" or "&" would swallow the words after it.
        captions = [
            Caption(str(Timestamp.from_seconds(start)), str(Timestamp.from_seconds(end)), escape(text, quote=False))
            for start, end, text in self._timed_lines()
        ]
        return WebVTT(captions=captions).content

    def summary(self) -> ValueSummary:
        """Return the number of segments, the language and the first words."""
        return {"segments": len(self.segments), "language": self.language, "start": self.text[:80]}

    def __str__(self) -> str:
        """Return all words."""
        return self.text

    def _timed_lines(self) -> Iterator[tuple[float, float, str]]:
        """Yield start and end in seconds, to the millisecond, and the words of every segment that has words."""
        for segment in self.segments:
            if segment.start is None or segment.end is None:
                raise ValueInvalid(
                    f"The segment {segment.text!r} has no times, so it cannot become a subtitle",
                    "Subtitles come from transcribed speech, not from text read in a picture",
                )
            if segment.end > _LATEST:
                raise ValueInvalid(
                    f"The segment {segment.text!r} ends at {segment.end} s, so it cannot become a subtitle",
                    f"Subtitles hold times up to {_LATEST:,} s",
                )
            # A blank line would end the subtitle early.
            lines = [line.strip() for line in segment.text.splitlines() if line.strip()]
            if lines:
                yield round(segment.start, 3), round(segment.end, 3), "\n".join(lines)


def _number(value: object, what: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # checked here
    except (TypeError, ValueError) as error:
        raise ValueInvalid(f"The {what} must be a number, not {value!r}") from error
    if not math.isfinite(number):
        raise ValueInvalid(f"The {what} must be finite, not {number}")
    return number


def _box(box: Iterable[float], text: str) -> tuple[float, float, float, float]:
    what = f"box of the segment {text!r}"
    try:
        x0, y0, x1, y1 = (float(v) for v in box)
    except (TypeError, ValueError) as error:
        raise ValueInvalid(f"The {what} must be four numbers, not {box!r}") from error
    if not all(math.isfinite(v) for v in (x0, y0, x1, y1)) or x1 < x0 or y1 < y0:
        raise ValueInvalid(f"The {what} is not a box: {box!r}", "Boxes are x0, y0, x1, y1 in pixels")
    return x0, y0, x1, y1
