"""What a run reports while it works, and whom it asks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict

from agents.examples.use import Examples
from agents.plan.plan import Plan
from agents.planners.base import Planner
from flows.batch.pilot import Forecast
from flows.ledger.rows import ItemFault


class PlanEvent(TypedDict):
    """The plan passed its checks: its tree in words, its sha256, and its warnings.

    ``sure`` says how sure the planner is, and ``doubt`` why the plan waits for a person; "" where there is no such.
    """

    event: Literal["plan"]
    tree: str
    hash: str
    warnings: list[str]
    sure: str
    doubt: str


class ScanEvent(TypedDict):
    """The source was scanned: numbers of items; `skipped` is what was left out of them, in words."""

    event: Literal["scan"]
    items: int
    new: int
    changed: int
    gone: int
    left_out: int
    skipped: str
    pending: int


class ForecastEvent(TypedDict):
    """The pilot ended."""

    event: Literal["forecast"]
    forecast: Forecast


class ProgressEvent(TypedDict):
    """A shard ended: numbers of items, seconds since work began, and seconds that the rest will take."""

    event: Literal["progress"]
    done: int
    failed: int
    all: int
    seconds: float
    left: float


class ExportEvent(TypedDict):
    """An export was written: its format, its folder, and what it counted."""

    event: Literal["export"]
    format: str
    folder: str
    counts: dict[str, int | str]


class AsideEvent(TypedDict):
    """A person's file has the name of an exported one; it is kept in the folder FORMAT.kept."""

    event: Literal["aside"]
    file: str


class DamagedEvent(TypedDict):
    """Values of these items are damaged or lost; the items are worked again."""

    event: Literal["damaged"]
    items: list[ItemFault]


Event = PlanEvent | ScanEvent | ForecastEvent | ProgressEvent | ExportEvent | AsideEvent | DamagedEvent
OnEvent = Callable[[Event], None]
Approve = Callable[[Plan, Forecast | None], bool]
"""Whether a plan may run; the forecast is None where there was no pilot."""


@dataclass(frozen=True)
class Callbacks:
    """What a run needs of the process that began it.

    Attributes:
        planner: writes the plan; not called when the run has one for this request.
        approve: asked after the pilot, unless this plan was approved here before; None approves what the planner does
            not doubt (`agents.session.policy.doubtful`).
        look: asked instead about a doubtful plan where `approve` is None; a doubtful plan is refused where both are.
        examples: chooses the examples that the planner sees, and keeps a plan that was approved; None for none.
        on_event: called with each event, if given.
    """

    planner: Planner | None = None
    approve: Approve | None = None
    on_event: OnEvent | None = None
    look: Approve | None = None
    examples: Examples | None = None

    def notify(self, event: Event) -> None:
        """Report an event."""
        if self.on_event is not None:
            self.on_event(event)
