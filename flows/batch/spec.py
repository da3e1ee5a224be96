"""What a run over many files is asked to do, as one value that travels as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from agents.plan.plan import Plan
from agents.planners.base import DemonstrationJson
from flows.batch.budget import Budget
from flows.batch.review import ReviewRouting
from flows.items.source import absolute_source
from tools.core.errors import MediaError, SettingsInvalid
from tools.values.files import read_source


def _plan(value: object) -> object:
    return Plan.load(value) if isinstance(value, Mapping | Path | str | bytes) else value


def _seen(plan: object) -> dict[str, object]:
    """The examples beside the steps of a plan; nothing where it cannot be read, which `_plan` reports."""
    try:
        if isinstance(plan, Path):
            plan = read_source(plan, str(plan), "max_text_bytes")
        if isinstance(plan, str | bytes):
            plan = json.loads(plan)
    except (MediaError, ValueError, RecursionError):
        return {}
    found = plan if isinstance(plan, Mapping) else {}
    return {name: found[name] for name in ("demonstrations", "chooser") if found.get(name)}


def _limits(value: tuple[str, ...]) -> tuple[str, ...]:
    Budget.parse(value)  # a limit that cannot be read is reported before the run, not by it
    return value


class SpecInvalid(SettingsInvalid):
    """An option of a run does not exist, or has a value that it cannot have."""


class RunSpec(BaseModel):
    """One run over the items of a source. It can be hashed, signed, and sent to another process.

    Attributes:
        request: in words.
        source: see `flows.items.source.scan`.
        out: folder of the run: its ledger, contact sheet and exports.
        plan: run this plan instead of asking the planner; the request may then be empty.
        demonstrations: examples that the planner of `plan` saw; those of a file of `superlink plan --json` by default.
        chooser: name of what chose them; by default likewise.
        scores: label to the least score of what is kept of it; see `flows.batch.scores`.
        tools: Python files with further tools.
        pilot: number of items to try before approval is asked; 0 for none.
        shard: number of items that are worked step by step together.
        workers: number of shards at the same time.
        runner: where several shards run: "processes" on this computer, or "ray".
        retry_failed: work only on the items that failed before.
        reason: with `retry_failed`, only on those that failed for this reason; see `flows.batch.failures.failed_for`.
        limit: maximum number of items; None for all.
        budget: limits that stop the run; see `Budget.parse`.
        formats: of exports; None for those that fit.
        routing: which detections go to review.
        store: address of the values; "" for that of the ledger, or else of the settings.
        relocate: the files of this run were moved to this source, and its values to the store of the settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: str = ""
    source: str
    out: Path
    plan: Annotated[Plan | None, BeforeValidator(_plan)] = None
    demonstrations: tuple[DemonstrationJson, ...] = ()
    chooser: str = ""
    scores: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    tools: tuple[Annotated[str, BeforeValidator(str)], ...] = ()
    pilot: NonNegativeInt = 8
    shard: PositiveInt = 64
    workers: PositiveInt = 1
    runner: Literal["processes", "ray"] = "processes"
    retry_failed: bool = False
    reason: str = ""
    limit: PositiveInt | None = None
    budget: Annotated[tuple[str, ...], AfterValidator(_limits)] = ()
    formats: tuple[str, ...] | None = None
    routing: ReviewRouting = ReviewRouting()
    store: str = ""
    relocate: bool = False

    @model_validator(mode="before")
    @classmethod
    def _with_what_was_seen(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "demonstrations" in data:
            return data
        return {**data, **_seen(data.get("plan"))}

    @classmethod
    def load(cls, options: Mapping[str, object]) -> "RunSpec":
        """A specification from its fields, or from what `to_json` returned.

        Raises:
            SpecInvalid: an option does not exist, is missing, or has a value that it cannot have.
            PlanInvalid, ReviewError, SettingsInvalid: of the plan, the routing, and the budget.
        """
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join(map(str, fault["loc"]))
            raise SpecInvalid(
                f"A run cannot have {name} = {fault['input']!r}: {fault['msg']}",
                f"Its options are {', '.join(cls.model_fields)}",
            ) from error

    def to_json(self) -> dict[str, JsonValue]:
        """All fields, as plain JSON."""
        return self.model_dump(mode="json")

    def portable(self) -> "RunSpec":
        """The same run for another process: absolute paths, and the plan's request if it has none."""
        return self.model_copy(
            update={
                "request": self.request or (self.plan.request if self.plan else ""),
                "source": absolute_source(self.source),
                "out": self.out.absolute(),
                "tools": tuple(str(Path(file).absolute()) for file in self.tools),
            }
        )
