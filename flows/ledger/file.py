"""The SQLite file of a ledger: opening, transactions, and the facts of the run."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypedDict, Unpack, cast

from pydantic import JsonValue

from agents.plan.plan import Plan, PlanJson
from agents.planners.base import Confidence, ConfidenceJson, Demonstration, DemonstrationJson
from flows.items.run_files import RESULTS
from flows.ledger import schema
from tools.core.errors import SuperlinkError
from tools.storage.database import Database, connect


class LedgerError(SuperlinkError):
    """The ledger cannot be read or written."""


class OtherLayout(LedgerError):
    """The ledger was written by an earlier or a later superlink."""


class Facts(TypedDict, total=False):
    """Facts of a run.

    Attributes:
        source: absolute path or URL of the source.
        request: in words.
        plan: of the last run.
        confidence: of the planner in that plan; None for plans of people.
        demonstrations: examples that the planner of that plan saw; empty for plans of people.
        chooser: name of what chose them; "" where that is not known.
        example: that plan as an example for later ones, once a person approves it; None where it cannot be one.
        signature: of plan, tools and weights of the last run; see `flows.ledger.keys.signature`.
        store: address of the values.
        approved: hashes of the plans that were approved.
        scan: number of scans.
        root: folder that addresses of items are relative to; "" for none.
        out: absolute path of the run's folder at the last scan.
        spec: specification of the last run; see `flows.batch.spec.RunSpec.to_json`.
        status: how the last run stands; see `flows.batch.status.RunStatus`.
        pace: when the last shards ended; see `flows.batch.status.Pace`.
        latest: numbers of items that were done last, the latest at the end.
        pilot: the last pilot; see `flows.batch.pilot.RecordedPilot`.
    """

    source: str
    request: str
    plan: PlanJson | None
    confidence: ConfidenceJson | None
    demonstrations: list[DemonstrationJson]
    chooser: str
    example: DemonstrationJson | None
    signature: str
    store: str
    approved: list[str]
    scan: int
    root: str
    out: str
    spec: Mapping[str, JsonValue]
    status: Mapping[str, JsonValue]
    pace: Mapping[str, JsonValue]
    latest: list[int]
    pilot: Mapping[str, JsonValue]


TextFact = Literal["source", "request", "signature", "store", "root", "out", "chooser"]


class LedgerFile:
    """An open ledger file; several processes may have it open.

    Attributes:
        file: the SQLite file, or ":memory:".

    Args:
        file: made when missing, with its folder.
        read_only: the file is there, and is neither written nor migrated.

    Raises:
        LedgerError: it cannot be opened, is damaged, or is of a later version.
    """

    def __init__(self, file: Path, read_only: bool = False) -> None:
        """Open or make the file."""
        self.file = file
        repair = f"superlink repair {shlex.quote(str(file.parent))}"
        self._db: Database = connect(file, "The ledger", repair, LedgerError, read_only=read_only)
        try:
            self._db.execute("PRAGMA cache_size = -4000")
            if read_only:
                self._check_version()
            elif schema.version(self._db) != schema.VERSION:
                with self.writing():  # another process may be about to do the same
                    schema.bring_up_to_date(self._db, self._is_beside_results)
            if missing := schema.NAMES - schema.tables(self._db):
                raise self._db.damage_error(f"its table {min(missing)} is missing")
        except BaseException:
            self._db.close()
            raise
        self._plan: tuple[str | None, Plan] | None = None  # with the text that it was parsed from

    def _check_version(self) -> None:
        if (found := schema.version(self._db)) != schema.VERSION:
            raise OtherLayout(
                f"The ledger {self.file} was written by another superlink (layout {found}; this one reads "
                f"{schema.VERSION})",
                "Give superlink export or annotate once, which brings older ones up to date",
            )

    @property
    def version(self) -> int:
        """A number that changes whenever another connection has written to the file."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _is_beside_results(self) -> bool:
        return str(self.file) != ":memory:" and any(any(self.file.parent.glob(pattern)) for pattern in RESULTS)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make what is written inside the block one transaction: all of it is there, or nothing.

        Raises:
            LedgerError: the disk is full, or the file cannot be written.
        """
        with self._db.transaction():
            yield

    def fact(self, name: str) -> JsonValue:
        """A fact of the run, or None when it was never set.

        Raises:
            LedgerError: it is no JSON.
        """
        return self._parse_fact(name, self._fact_json(name))

    def text(self, name: TextFact) -> str:
        """A fact of the run that is a text; "" when it was never set."""
        return str(self.fact(name) or "")

    @property
    def approved(self) -> list[str]:
        """Hashes of the plans that a person approved in this folder."""
        hashes = self.fact("approved")
        return [str(one) for one in hashes] if isinstance(hashes, list) else []

    @property
    def confidence(self) -> Confidence | None:
        """How sure the planner was of the plan of the last run."""
        data = self.fact("confidence")
        return None if data is None else Confidence.of_json(cast(ConfidenceJson, data))

    @property
    def demonstrations(self) -> list[Demonstration]:
        """Examples that the planner saw for the plan of the last run."""
        found = self.fact("demonstrations")
        return [Demonstration.of_json(shown) for shown in cast(list[DemonstrationJson], found or [])]

    @property
    def example(self) -> Demonstration | None:
        """The plan of the last run as an example for later plans; None where it cannot be one."""
        data = self.fact("example")
        return None if data is None else Demonstration.of_json(cast(DemonstrationJson, data))

    def set_facts(self, **facts: Unpack[Facts]) -> None:
        """Set facts of the run, in a transaction of their own."""
        with self.writing():
            self._write_facts(facts)

    def _write_facts(self, facts: Mapping[str, object]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO facts VALUES (?, ?)",
            [(name, json.dumps(value, sort_keys=True)) for name, value in facts.items()],
        )

    def _fact_json(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _parse_fact(self, name: str, text: str | None) -> JsonValue:
        try:
            value: JsonValue = None if text is None else json.loads(text)
        except ValueError as error:
            raise self._db.damage_error(f"its fact {name!r} is no JSON") from error
        return value

    @property
    def plan(self) -> Plan:
        """The plan of the last run; parsed once, until another run sets a different one.

        Raises:
            LedgerError: nothing ran yet, or the plan cannot be read.
        """
        text = self._fact_json("plan")
        if self._plan is None or self._plan[0] != text:
            plan = self._parse_fact("plan", text)
            if plan is None:
                raise LedgerError(f"The ledger {self.file} has no plan yet", "Run superlink annotate first")
            try:
                self._plan = text, Plan.load(plan if isinstance(plan, dict) else json.dumps(plan))
            except SuperlinkError as error:
                raise self._db.damage_error(f"its plan cannot be read: {error.message}") from error
        return self._plan[1]

    @property
    def root(self) -> str:
        """The folder that addresses of items are relative to, also after it was moved with the run; "" for none."""
        root = self.text("root")
        return root if not root or os.path.exists(root) else self.after_move(root)

    def after_move(self, path: str) -> str:
        """Where a path is if it was moved together with the run's folder since the last scan.

        Args:
            path: as the ledger has it.

        Returns:
            The new path where something is there, else the same path.
        """
        before, now = self.text("out"), os.path.abspath(self.file.parent)
        if not before or before == now or not os.path.isabs(path):
            return path
        there = os.path.normpath(os.path.join(now, os.path.relpath(path, before)))
        return there if os.path.exists(there) else path
