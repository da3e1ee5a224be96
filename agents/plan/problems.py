"""Problems of plans, in words from which a planner or a person can correct them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NotRequired

from typing_extensions import TypedDict

from tools.core.errors import shortened


class ProblemJson(TypedDict):
    """A `Problem` as plain JSON."""

    step: str
    argument: str
    message: str
    hint: str
    tool: NotRequired[str]
    tools: NotRequired[list[str]]
    first: NotRequired[bool]


@dataclass(frozen=True)
class Problem:
    """One fault of a plan.

    Attributes:
        step: id of the step, or empty for the plan as a whole.
        argument: name of the argument, or empty.
        message: what is wrong.
        hint: what to do about it.
        tools: names of tools of which a step is missing; none where no step would mend it.
        first: whether that step has to come before others.
        tool: of the step, where the value of an argument is wrong.
    """

    step: str
    argument: str
    message: str
    hint: str = ""
    tools: Sequence[str] = ()
    first: bool = False
    tool: str = ""

    def __post_init__(self) -> None:
        """Shorten both texts: a plan may hold texts of any length."""
        object.__setattr__(self, "message", shortened(self.message, 1000))
        object.__setattr__(self, "hint", shortened(self.hint, 1000))
        object.__setattr__(self, "tools", tuple(self.tools))

    def __str__(self) -> str:
        """One line: the place, the message and the hint."""
        where = ".".join(shortened(part, 100) for part in (self.step, self.argument) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}. {self.hint}" if self.hint else text

    def to_json(self) -> ProblemJson:
        """As plain JSON."""
        plain: ProblemJson = {
            "step": self.step,
            "argument": self.argument,
            "message": self.message,
            "hint": self.hint,
        }
        if self.tool:
            plain["tool"] = self.tool
        return {**plain, "tools": list(self.tools), "first": self.first} if self.tools else plain


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint that names the words most like a word, or all of them where none is like it."""
    choices = list(words)
    close = get_close_matches(word, choices, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(choices)}" if choices else "There are none"
