"""Options of events that all tabs connect, and what their handlers return."""

from typing import Any

Changes = dict[Any, Any]
"""New value or update of each component, as Gradio takes them from an event handler."""
QUEUED: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""Options of events that wait for their turn, and show nothing meanwhile."""
QUIET: dict[str, Any] = {**QUEUED, "queue": False}
"""Options of events that are answered at once."""
