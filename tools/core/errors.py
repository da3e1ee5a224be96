"""Errors that say what happened, to which item, and what to do next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.core.faults import Fault

LONGEST = 4000
"""Maximum number of characters of one message, since messages of tools and files can be of any length."""


def readable(text: str) -> str:
    """Return text that can be written as UTF-8: undecodable bytes of file names and lone surrogates become escapes.

    Messages name files, and are written to ledgers, records and logs in UTF-8.
    """
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return text.encode("utf-8", "backslashreplace").decode()


def shortened(text: str, most: int = LONGEST) -> str:
    """Return the text, cut to `most` characters, with the number of those left out."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more characters)"


class SuperlinkError(Exception):
    """Base of every error that superlink raises on purpose.

    Attributes:
        message: What happened, and to which item.
        hint: What to do next, or "".
    """

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep both parts, so that an interface can show them separately."""
        super().__init__(message, hint)
        self.message = readable(shortened(message)).rstrip(".")
        self.hint = readable(shortened(hint)).rstrip(".")

    def __str__(self) -> str:
        """Return the message and the hint as one or two sentences."""
        return f"{self.message}. {self.hint}" if self.hint else self.message


class ValueInvalid(SuperlinkError):
    """A value (boxes, samples, text…) breaks the rules of its type."""


class MediaError(SuperlinkError):
    """A file is not the picture, sound or video that it should be."""


class StoreError(SuperlinkError):
    """A stored object is missing, damaged or cannot be written."""


class StoreUnusable(StoreError):
    """A store cannot be written at all, or has an unknown layout."""


class WriteError(SuperlinkError):
    """A file cannot be written: the disk is full or read-only, or permission is missing."""


class SettingsInvalid(SuperlinkError):
    """A settings file or an environment variable holds something unusable."""


class DeclarationInvalid(SuperlinkError):
    """A function cannot be a tool as it is written, or a tools file cannot be loaded.

    Attributes:
        traceback: Python's traceback where the file raised an exception; "" otherwise.
    """

    def __init__(self, message: str, hint: str = "", traceback: str = "") -> None:
        """Keep the traceback apart, so that an interface can fold it."""
        super().__init__(message, hint)
        self.traceback = traceback


class ArgumentsInvalid(SuperlinkError):
    """Arguments do not fit a tool.

    Attributes:
        problems: One sentence for each fault, so that a planner can correct all of them at once.
    """

    def __init__(self, tool: str, problems: Sequence[str]) -> None:
        """Join the problems into one message."""
        super().__init__(f"{tool}: {'; '.join(problems)}")
        self.tool = tool
        self.problems = list(problems)

    def __reduce__(self) -> tuple[type["ArgumentsInvalid"], tuple[str, list[str]]]:
        """Rebuild from the constructor's own arguments when sent between processes."""
        return type(self), (self.tool, self.problems)


class WeightsMissing(SuperlinkError):
    """Weights are not on this computer."""


class WeightsUnsafe(SuperlinkError):
    """Weights differ from their pinned hash, or are pickled and have none."""


class OutOfMemory(SuperlinkError):
    """Even a single item does not fit into memory."""


class ToolCrashed(SuperlinkError):
    """The process of an isolated tool ended in the middle of a call.

    Attributes:
        fault: Where in the tool's code it ended, if that is known.
    """

    fault: "Fault | None" = None


class ToolTimedOut(SuperlinkError):
    """An isolated tool took longer than its `timeout`."""


class ToolError(SuperlinkError):
    """A tool failed while it ran.

    Attributes:
        tool: Name of the tool.
        step: Id of the plan step.
        item: Index in the list of inputs, or None for a single input.
        traceback: Traceback of the exception in the tool's code; empty for a SuperlinkError that the tool raised.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        tool: str = "",
        step: str = "",
        item: int | None = None,
        traceback: str = "",
    ) -> None:
        """Keep where it happened beside what happened."""
        super().__init__(message, hint)
        self.tool = tool
        self.step = step
        self.item = item
        self.traceback = traceback

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the place when sent between processes."""
        return (
            type(self),
            (self.message, self.hint),
            {"tool": self.tool, "step": self.step, "item": self.item, "traceback": self.traceback},
        )
