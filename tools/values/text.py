"""Plain text."""

from dataclasses import dataclass
from typing import ClassVar, Self

from tools.core.errors import MediaError, ValueInvalid
from tools.values.base import Value, ValueSummary


@dataclass(frozen=True, eq=False)
class Text(Value):
    """A piece of text, possibly empty."""

    text: str
    kind: ClassVar[str] = "Text"

    def __post_init__(self) -> None:
        """Refuse what could not be stored as UTF-8."""
        if not isinstance(self.text, str):
            raise ValueInvalid(f"Text needs a str, not {type(self.text).__name__}")
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise ValueInvalid(f"The text holds half a character at position {error.start}") from error

    @property
    def media_type(self) -> str:
        """Always text/plain."""
        return "text/plain"

    @property
    def suffix(self) -> str:
        """Always .txt."""
        return ".txt"

    def to_bytes(self) -> bytes:
        """Return UTF-8."""
        return self.text.encode()

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "text/plain") -> Self:
        """Read UTF-8, with or without a byte order mark.

        Raises:
            MediaError: when the bytes are not UTF-8.
        """
        try:
            return cls(data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise MediaError(f"The text is not UTF-8: {error}", "Save it as UTF-8") from error

    def summary(self) -> ValueSummary:
        """Return the length and the first words."""
        return {"characters": len(self.text), "start": self.text[:80]}

    def __str__(self) -> str:
        """Return the text itself."""
        return self.text
