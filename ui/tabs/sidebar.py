"""The list of sessions beside the conversation: search, open, rename, delete and undo."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import gradio as gr

from ui.conversation.html import SessionLine, sessions_html
from ui.conversation.script import EVENTS
from ui.tabs.account import Account
from ui.turns.turns import SessionRow, Turns


@dataclass(frozen=True)
class Undo:
    """The session that was deleted last in this browser tab; `line` is None where there is none."""

    line: SessionLine | None = None


class Sidebar:
    """The widgets of the list.

    Args:
        turns: The sessions.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def lay_out(self) -> None:
        """Place the widgets."""
        with gr.Sidebar(elem_id="sessions", width=270):
            self.new = gr.Button("New session", size="sm", elem_id="new")
            self.search = gr.Textbox(
                placeholder="Search sessions", label="Search sessions", show_label=False, elem_id="search"
            )
            self.list = gr.HTML(elem_id="session-list", js_on_load=EVENTS)
            Account().lay_out()
        self.undo = gr.State(Undo())

    def html(self, owner: str, current: str, search: str = "", undo: Undo | None = None) -> str:
        """Return the list.

        Args:
            owner: Whose sessions.
            current: Thread that is shown.
            search: Words that titles have to contain.
            undo: What was deleted last.
        """
        rows = self._turns.sessions(owner, search)
        return sessions_html([_line(row) for row in rows], current, undo.line if undo else None, search)

    def delete(self, owner: str, thread: str) -> Undo:
        """Delete a session; returns what undoes it."""
        line = next((_line(row) for row in self._turns.sessions(owner) if row.thread == thread), None)
        self._turns.delete(thread, owner)
        return Undo(line)

    def restore(self, owner: str, thread: str) -> None:
        """Undo a deletion."""
        self._turns.restore(thread, owner)

    def rename(self, owner: str, thread: str, title: str) -> None:
        """Give a session another title."""
        self._turns.rename(thread, owner, title)


def _line(row: SessionRow) -> SessionLine:
    return SessionLine(row.thread, row.title, day_words(row.day), row.status, row.colour)


def day_words(day: str, today: date | None = None) -> str:
    """Return a day in words, such as "Today", "Yesterday" or "3 March 2026".

    Args:
        day: Such as "2026-03-03".
        today: The present day.
    """
    then, today = date.fromisoformat(day), today or datetime.now(UTC).date()
    if then == today:
        return "Today"
    return "Yesterday" if then == today - timedelta(days=1) else f"{then.day} {then:%B %Y}"
