"""What a browser tab shows of the sessions."""

from dataclasses import dataclass, field

from ui.turns.view import SessionView


@dataclass
class Seen:
    """What a browser tab shows already, so that only changes are sent.

    Attributes:
        thread: Thread that is shown.
        version: `SessionView.version` that is shown.
        chosen: Turn whose results are shown; 0 for the last.
        search: Words that sessions are searched for.
        parts: What each part of the tab was made from.
        follower: The event that follows the thread; an older one stops.
    """

    thread: str = ""
    version: int = -1
    chosen: int = 0
    search: str = ""
    parts: dict[str, object] = field(default_factory=dict)
    follower: int = 0


def version_of(shown: SessionView | Seen) -> str:
    """Return thread and version as one value; `page.js` compares it with the version of the server."""
    return f"{shown.thread} {shown.version}"
