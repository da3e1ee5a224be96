"""Keys of the review, which work while the editor has the focus, and which a person may change."""

from collections.abc import Mapping

from tools.core.errors import SuperlinkError

COMMANDS = {
    "accept": ("A", "Accept: it is right"),
    "fix": ("F", "Fixed: keep what was changed, and go on"),
    "reject": ("R", "Reject: nothing is there"),
    "skip": ("S", "Skip"),
    "next": ("N", "Next"),
    "previous": ("P", "Previous"),
    "open": ("J", "Next one that is open"),
    "keys": ("?", "Show these keys"),
}
"""Command of the page to its key and meaning."""
EDITOR = {
    "box": ("B", "Draw a box"),
    "polygon": ("G", "Draw an outline"),
    "joints": ("K", "Draw a person"),
    "outline": ("O", "Outline what is clicked"),
    "brush": ("M", "Paint on an outline"),
    "hide": ("H", "Hide shapes"),
    "zoom_in": ("+", "Zoom in"),
    "zoom_out": ("-", "Zoom out"),
    "zoom_all": ("0", "Whole picture"),
}
"""Action of the editor to its key and meaning."""
FIXED = (
    ("1–9", "Label of the selected shape"),
    ("Del", "Delete the selected shape, or a corner"),
    ("Tab", "Next shape"),
    ("Arrows", "Move by 1 pixel, with Shift by 10"),
    ("Enter", "To the corners or joints of the shape"),
    ("Ctrl+Z, Ctrl+Shift+Z", "Undo, redo; also across finds"),
    ("Esc", "Leave a corner, a drawing or a shape"),
)
"""Keys that stay as they are."""
_ALL = COMMANDS | EDITOR
_TAKEN = frozenset("123456789/' ")  # labels, quick find of browsers, scrolling


class KeyRefused(SuperlinkError):
    """A key cannot be used."""


def checked(chosen: Mapping[str, object]) -> dict[str, str]:
    """Return those of the chosen keys that can be used, as lower-case letters; the browser may have kept others."""
    keys: dict[str, str] = {}
    for action, key in chosen.items():
        if action in _ALL and isinstance(key, str):
            try:
                keys = changed(keys, action, key)
            except KeyRefused:
                continue
    return keys


def changed(keys: Mapping[str, str], action: str, key: str) -> dict[str, str]:
    """Return the keys with another one for an action.

    Args:
        keys: Action to its key, of those that differ from what they are at first.
        action: Of `COMMANDS` or `EDITOR`.
        key: One character.

    Raises:
        KeyRefused: when it is none, belongs to the browser, or to another action.
    """
    key = key.strip().lower()
    if len(key) != 1 or not key.isprintable() or key in _TAKEN:
        raise KeyRefused(f"{key or 'Nothing'!r} cannot be a key here", "Give one letter or sign; 1 to 9 are the labels")
    holder = next((other for other in _ALL if other != action and key_of(keys, other) == key), None)
    if holder is not None:
        raise KeyRefused(f"{key.upper()} is the key of: {_ALL[holder][1]}", "Change that one first")
    return {**keys, action: key}


def key_of(keys: Mapping[str, str], action: str) -> str:
    """Return the key of an action, as a lower-case character."""
    return keys.get(action) or _ALL[action][0].lower()


def commands(keys: Mapping[str, str]) -> dict[str, str]:
    """Return key to command, as the editor takes them."""
    return {key_of(keys, action): action for action in COMMANDS}


def editor_keys(keys: Mapping[str, str]) -> dict[str, str]:
    """Return action to key of the editor."""
    return {action: key_of(keys, action) for action in EDITOR}


def listed(keys: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return key and meaning of all actions."""
    return [*((key_of(keys, action).upper(), said) for action, (_, said) in _ALL.items()), *FIXED]


def choices() -> list[tuple[str, str]]:
    """Return meaning and action of the keys that can be changed."""
    return [(said, action) for action, (_, said) in _ALL.items()]
