"""Where a turn waits before the planner or a step takes the computer's time."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Gate(Protocol):
    """Admission of one turn to the planner and to the tools.

    Both methods return a context manager. Entering it may block, and raises `tools.core.abandon.Stopped` when the turn
    is withdrawn while it waits. Steps that run side by side enter `working` from several threads.
    """

    def planning(self) -> AbstractContextManager[None]:
        """Entered around each call of the planner."""

    def working(self) -> AbstractContextManager[None]:
        """Entered around each step, before it counts as started."""


class OpenGate:
    """A gate that admits everything at once."""

    def planning(self) -> AbstractContextManager[None]:
        """Return a context manager that does nothing."""
        return nullcontext()

    def working(self) -> AbstractContextManager[None]:
        """Return a context manager that does nothing."""
        return nullcontext()
