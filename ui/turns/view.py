"""What the page shows of a session: its turns, the plan that waits, progress and results. Data only."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agents.plan.plan import PlanJson
from agents.plan.problems import ProblemJson
from agents.planners.base import ConfidenceJson
from agents.session.state import Decision, Fault, TurnResult
from tools.storage.store import Refs

Stage = Literal["new", "queued", "planning", "approval", "editing", "running", "idle"]
"""Where a session stands. "queued": a turn waits for the planner or the tools. "idle": the last turn has ended."""
Colour = Literal["", "good", "wait", "bad"]
"""Colour of a status: none while work goes on, green, amber, red."""


@dataclass(frozen=True)
class FileView:
    """A file that came with a request.

    Attributes:
        path: Our copy, which the page may serve to the owner.
        name: The file's name as the person gave it.
        kind: "image", "audio", "video" or "text".
        size: Bytes.
        detail: Such as "640 × 480" or "12.3 s".
    """

    path: Path
    name: str
    kind: str
    size: int
    detail: str = ""


@dataclass(frozen=True)
class MissingWeights:
    """Weights that a step of a plan needs and this computer lacks.

    `size` is in bytes, 0 where unknown; `what` is what they are to find, such as "license plate", "" for anything.
    """

    step: str
    weights: str
    licence: str
    size: int
    command: str
    what: str = ""


@dataclass
class StepView:
    """Progress of one step.

    Attributes:
        state: waiting, started, finished, failed or skipped.
        seconds: How long it ran.
        done: Number of frames, pictures or chunks that are done; 0 where unknown.
        total: Number of them in all; 0 where unknown.
        refs: References of the result, once there is one.
        error: Why it failed.
    """

    state: Literal["waiting", "started", "finished", "failed", "skipped"] = "waiting"
    seconds: float = 0.0
    done: int = 0
    total: int = 0
    refs: Refs | None = None
    error: Fault | None = None


@dataclass(frozen=True)
class ResultView:
    """A result of a turn, as files for the page.

    Attributes:
        name: Name of the value, such as "s2".
        tool: Tool that made it.
        kind: Kind of value, such as "Image" or "Detections".
        refs: References of the value or of the list of values.
        files: Files that show it, in the order of the list.
        final: Whether the plan names it as an output; others are shown while the turn runs, or on request.
    """

    name: str
    tool: str
    kind: str
    refs: Refs
    files: tuple[Path, ...]
    final: bool


@dataclass
class TurnView:
    """One request and what became of it.

    Attributes:
        number: Number of the turn, from 1.
        request: In words, as the person wrote it.
        files: Files that came with it.
        plan: The plan; None while there is none.
        hash: `Plan.hash`; "" where there is no plan.
        problems: Of the plan.
        warnings: Of the plan.
        confidence: How sure the planner is of the plan; None for plans of people.
        missing: Weights that the plan needs and that are not here; Run is off until they are.
        steps: Step id to its progress.
        decision: Of a person; None before it, or when none was needed.
        superseded: Whether a new request took the place of the waiting plan.
        answer: What was done, in words; "" before it.
        result: How the turn ended; "" before that.
        status: The state in a few words, such as "Done", "Nothing changed" or "Waits for you".
        colour: Colour of the status.
        results: What it gave so far.
        given: References of the values that a person gave, up to this turn, by name.
        record: File with the record; None before the end.
    """

    number: int
    request: str
    files: list[FileView] = field(default_factory=list)
    plan: PlanJson | None = None
    hash: str = ""
    problems: list[ProblemJson] = field(default_factory=list)
    warnings: list[ProblemJson] = field(default_factory=list)
    confidence: ConfidenceJson | None = None
    missing: list[MissingWeights] = field(default_factory=list)
    steps: dict[str, StepView] = field(default_factory=dict)
    decision: Decision | None = None
    superseded: bool = False
    answer: str = ""
    result: TurnResult | Literal[""] = ""
    status: str = ""
    colour: Colour = ""
    results: list[ResultView] = field(default_factory=list)
    given: dict[str, Refs] = field(default_factory=dict)
    record: Path | None = None


@dataclass(frozen=True)
class QueuePlace:
    """Place of a waiting turn in its queue, from 1, and the expected wait in seconds; None where unknown."""

    place: int
    seconds: float | None


@dataclass
class SessionView:
    """What the page shows of a session.

    Attributes:
        thread: Name of the thread, and the `s` in the page's address.
        title: From the first request, or as the person renamed it.
        version: Grows with every change.
        stage: Where the session stands.
        turns: All turns, old to new; the last is the one that `stage` speaks of.
        queue: Place in the queue; None when the turn is not waiting.
        draft: The plan in the editor, which may have problems; None when it is closed.
        always: Whether plans like an approved one run at once in this session.
    """

    thread: str
    title: str = ""
    version: int = 0
    stage: Stage = "new"
    turns: list[TurnView] = field(default_factory=list)
    queue: QueuePlace | None = None
    draft: PlanJson | None = None
    always: bool = False

    @property
    def turn(self) -> TurnView | None:
        """The last turn; None before the first."""
        return self.turns[-1] if self.turns else None

    @property
    def works(self) -> bool:
        """Whether the last turn waits in a queue, plans or runs, so that the view changes without anybody's doing."""
        return self.stage in ("queued", "planning", "running")

    def numbered(self, number: int) -> TurnView | None:
        """Return the turn with a number; None where there is none."""
        return self.turns[number - 1] if 0 < number <= len(self.turns) else None
