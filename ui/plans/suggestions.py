"""Values that a tool declares as suggestions for a parameter, without making anybody wait for a model to load."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate

from tools.core.errors import SuperlinkError
from tools.runtime.tool import Suggested

_log = logging.getLogger("superlink.ui")
_PATIENCE = 0.3
"""Seconds to wait for suggestions; later ones are there for the next form."""


class Suggestions:
    """Asks tools for their suggestions in a thread of its own, and keeps the last answer of each."""

    def __init__(self) -> None:
        """Ask nothing yet."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="superlink suggestions")
        self._asked: dict[Suggested, Future[list[str]]] = {}
        self._known: dict[Suggested, list[str]] = {}

    def of(self, suggested: Suggested | None, patience: float = _PATIENCE) -> list[str]:
        """Return suggestions; none where the tool has none, fails, or takes too long.

        Args:
            suggested: As declared.
            patience: Seconds to wait.
        """
        if suggested is None:
            return []
        asked = self._asked.get(suggested)
        if asked is None:
            asked = self._asked[suggested] = self._pool.submit(_ask, suggested)
        try:
            self._known[suggested] = asked.result(timeout=patience)
        except TooLate:
            return self._known.get(suggested, [])
        # Asked again for the next form: weights may have come.
        self._asked.pop(suggested, None)
        return self._known[suggested]


def _ask(suggested: Suggested) -> list[str]:
    try:
        return list(suggested.values())
    except (SuperlinkError, ImportError):  # without its weights or its library an engine knows no labels
        return []
    except Exception:  # of anybody's tool; a form without suggestions is better than none
        _log.exception("suggestions failed")
        return []
