"""Loading of the planner in the background, so that the first request need not wait for it."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from agents.plan.types import AnyTool, planner_cards
from agents.planners.base import Planner
from common.card import Card
from tools.core.errors import SuperlinkError
from ui.turns.words import explain

DELAY = 2.0
"""Seconds that the loading waits: at the start of the server a browser is opened, whose page needs the processor."""

_log = logging.getLogger("superlink.ui")


@runtime_checkable
class Loads(Protocol):
    """A planner whose model can be loaded before the first request."""

    def load(self, tools: Sequence[Card]) -> None:
        """Load what planning with these tools takes."""


class Loading:
    """The state of the planner.

    Args:
        delay: Seconds before the loading begins; a request in this time loads the planner itself.

    Attributes:
        state: "loading", "ready", or "failed: " and the reason.
    """

    def __init__(self, delay: float = DELAY) -> None:
        self.state = "loading"
        self._delay = delay

    def start(self, planner: Planner, tools: Mapping[str, AnyTool]) -> None:
        """Load a planner in a thread of its own; one that has nothing to load is ready at once."""
        if isinstance(planner, Loads):
            threading.Thread(target=self._load, args=(planner, tools), name="superlink planner", daemon=True).start()
        else:
            self.state = "ready"

    def _load(self, planner: Loads, tools: Mapping[str, AnyTool]) -> None:
        time.sleep(self._delay)
        try:
            planner.load(planner_cards(tools))
            self.state = "ready"
        except SuperlinkError as error:
            self.state = f"failed: {explain(error)}"
        except Exception as error:
            _log.exception("the planner cannot be loaded")
            self.state = f"failed: {type(error).__name__}: {error}"
