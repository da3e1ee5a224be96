"""The script of the HTML components of the Session tab."""

from importlib.resources import files

EVENTS = (files("ui.conversation") / "events.js").read_text(encoding="utf-8")
"""Makes clicks on elements with data-… events of the component: "show", "open", "rename", "delete", "restore", "words",
"remove" and "take"."""
