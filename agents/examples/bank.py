"""The bank of examples: plans that people approved, in one SQLite file of the home."""

import hashlib
import json
import threading
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from agents.planners.base import Demonstration
from common.card import Card
from tools.core.errors import SuperlinkError
from tools.storage.database import Database, connect
from tools.values.base import canonical_json

NAME = "examples.sqlite"

Origin = Literal["approved", "edited", "reviewed", "imported", "added"]
"""Where an example came from: a plan that a person approved, corrected, or judged by its finds; a file; the command."""

Outcome = Literal["added", "replaced", "known"]
"""What became of an example: it is new, it took the place of another plan for the same request, or it was there."""

Array = NDArray[np.float32]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS examples (
    owner TEXT NOT NULL,
    kinds TEXT NOT NULL,
    words TEXT NOT NULL,
    id TEXT NOT NULL,
    demonstration TEXT NOT NULL,
    origin TEXT NOT NULL,
    who TEXT NOT NULL,
    time TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    encoder TEXT NOT NULL DEFAULT '',
    vector BLOB,
    PRIMARY KEY (owner, kinds, words)
);
CREATE TABLE IF NOT EXISTS verdicts (
    owner TEXT PRIMARY KEY,
    models TEXT NOT NULL,
    bank TEXT NOT NULL,
    held_out INTEGER NOT NULL,
    scores TEXT NOT NULL
);
"""
COLUMNS = "owner, id, demonstration, origin, who, time, enabled"
"""The columns that `example_of` reads."""


class Index(Protocol):
    """N examples, ready to be compared with requests."""

    def relevance(self, request: str) -> Array:
        """Return how far each example has something to tell about a request, (N,), 0 to 1."""

    def found(self, request: str) -> Array:
        """Return how well each of T words of a request is found in what each example tells, (N, T), 0 to 1."""


class Encoder(Protocol):
    """Makes vectors of requests, and compares them."""

    @property
    def name(self) -> str:
        """Changes with the vectors."""

    def embed(self, texts: Sequence[str]) -> Array:
        """Return vectors (N, D) of length 1 of N requests; 0 for one without words."""

    def index(self, shown: Sequence[Demonstration], cards: Sequence[Card]) -> Index:
        """Prepare N examples; the words of the cards of the tools that they call are known without them."""


class BankError(SuperlinkError):
    """The bank of examples cannot be read or written, or does not have what is asked for."""


@dataclass(frozen=True)
class Example:
    """One example in the bank.

    Attributes:
        demonstration: what a planner sees.
        origin: where it came from.
        who: who approved it, as in verdicts on finds.
        time: when, as ISO 8601.
        owner: the user of the page who alone sees it; "" for everyone.
        enabled: whether planners may see it.
    """

    demonstration: Demonstration
    origin: Origin
    who: str
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    owner: str = ""
    enabled: bool = True

    @property
    def id(self) -> str:
        """Of the demonstration."""
        return self.demonstration.id


@dataclass(frozen=True)
class Pool:
    """The N examples of which some are chosen for a request, from old to new.

    Attributes:
        examples: the examples.
        vectors: (N, D) of their requests, of length 1; 0 for a request without words.
        encoder: makes the vector of another request.
        cards: of the tools at hand.
        whole: the pool of which this one is a part; None for a whole one.
        rows: (N,) of the examples in the whole pool; None for a whole one.
    """

    examples: Sequence[Example]
    vectors: Array
    encoder: Encoder
    cards: Sequence[Card] = ()
    whole: "Pool | None" = None
    rows: NDArray[np.intp] | None = None

    def without(self, ids: Collection[str]) -> "Pool":
        """The pool without some examples; what is known of the others is kept."""
        rows = np.array([row for row, example in enumerate(self.examples) if example.id not in ids], np.intp)
        whole = rows if self.rows is None else self.rows[rows]
        examples = [self.examples[row] for row in rows]
        return Pool(examples, self.vectors[rows], self.encoder, self.cards, self.whole or self, whole)

    @cached_property
    def index(self) -> Index:
        """Of the whole pool."""
        if self.whole is not None:
            return self.whole.index
        return self.encoder.index([example.demonstration for example in self.examples], self.cards)

    def relevance(self, request: str) -> Array:
        """How far each example has something to tell about a request, (N,), 0 to 1."""
        found = self.index.relevance(request)
        return found if self.rows is None else found[self.rows]

    def found(self, request: str) -> Array:
        """How well each of T words of a request is found in what each example tells, (N, T), 0 to 1."""
        found = self.index.found(request)
        return found if self.rows is None else found[self.rows]


@dataclass(frozen=True)
class Verdict:
    """What choosers were measured to be worth on the held-out part of a person's examples.

    Attributes:
        models: hash of the models that were measured.
        bank: `hash_of` the examples then.
        held_out: number of held-out examples.
        scores: name of a chooser to its score, from 0 to 1; "none" for no examples.
    """

    models: str
    bank: str
    held_out: int
    scores: Mapping[str, float]


def hash_of(pool: Pool) -> str:
    """The sha256 of the ids of the examples in a pool, in any order."""
    return hashlib.sha256(" ".join(sorted(example.id for example in pool.examples)).encode()).hexdigest()


class Bank:
    """The examples of a home. May be used from several threads and processes.

    Every method raises `BankError` where the file cannot be read or written, or is damaged.

    Args:
        file: the database; made at the first example.
    """

    def __init__(self, file: Path) -> None:
        """Open nothing yet."""
        self.file = file
        self._lock = threading.RLock()
        self._last: tuple[object, Pool] | None = None

    def add(self, examples: Iterable[Example]) -> list[Outcome]:
        """Add examples, all or none; each takes the place of another plan for the same request and kinds.

        An example that is there already stays as it is, disabled or not.

        Returns:
            What became of each.
        """
        outcomes: list[Outcome] = []
        with self._changing() as db:
            for example in examples:
                key = key_of(example.demonstration, example.owner)
                before = db.execute("SELECT id FROM examples WHERE (owner, kinds, words) = (?, ?, ?)", key).fetchone()
                if before is not None and before[0] == example.id:
                    outcomes.append("known")
                    continue
                outcomes.append("added" if before is None else "replaced")
                shown = example.demonstration.to_json()
                values = (example.id, canonical_json(shown).decode(), example.origin, example.who, example.time)
                db.execute("DELETE FROM examples WHERE (owner, kinds, words) = (?, ?, ?)", key)
                db.execute(
                    "INSERT INTO examples (owner, kinds, words, id, demonstration, origin, who, time, enabled) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*key, *values, example.enabled),
                )
        return outcomes

    def all(self) -> list[Example]:
        """All examples, from old to new."""
        return [self._example(row[1:]) for row in self._rows(f"SELECT rowid, {COLUMNS} FROM examples ORDER BY rowid")]

    def pool(self, encoder: Encoder, owner: str = "", cards: Sequence[Card] = ()) -> Pool:
        """The enabled examples that a person may see: their own, and those of everyone for other requests.

        The last pool is kept until the file changes.

        Args:
            encoder: vectors that were made by another one are made anew.
            owner: user of the page; "" for the command line.
            cards: see `Pool`.
        """
        with self._lock:
            # The first counts changes by other connections, the second those by this one.
            changes = self._rows("PRAGMA data_version")
            version = encoder.name, owner, changes, self._db.total_changes if changes else 0, list(cards)
            if self._last is None or self._last[0] != version:
                self._last = version, replace(self._read_pool(encoder, owner), cards=cards)
            return self._last[1]

    def _read_pool(self, encoder: Encoder, owner: str) -> Pool:
        rows = self._rows(
            f"SELECT rowid, {COLUMNS}, encoder, vector FROM examples WHERE enabled AND owner IN ('', ?) ORDER BY rowid",
            (owner,),
        )
        examples = [self._example(row[1:-2]) for row in rows]
        own = {key_of(one.demonstration) for one in examples if one.owner}
        seen = [at for at, one in enumerate(examples) if one.owner or key_of(one.demonstration) not in own]
        rows, examples = [rows[at] for at in seen], [examples[at] for at in seen]
        if not examples:
            return Pool([], np.zeros((0, 0), np.float32), encoder)
        name, vectors = encoder.name, np.zeros((len(rows), encoder.embed(()).shape[1]), np.float32)
        old = []
        for at, row in enumerate(rows):
            if row[-2] == name and row[-1] is not None and len(row[-1]) == vectors[at].nbytes:
                vectors[at] = np.frombuffer(row[-1], np.float32)
            else:
                old.append(at)
        if old:
            vectors[old] = encoder.embed([examples[at].demonstration.request for at in old])
            with self._changing() as db:
                for at in old:
                    db.execute(  # an example that was replaced meanwhile has another row
                        "UPDATE examples SET encoder = ?, vector = ? WHERE rowid = ? AND id = ?",
                        (name, vectors[at].tobytes(), rows[at][0], examples[at].id),
                    )
        return Pool(examples, vectors, encoder)

    def verdict(self, owner: str = "") -> Verdict | None:
        """The last verdict on the examples that a person may see; None before the first."""
        rows = self._rows("SELECT models, bank, held_out, scores FROM verdicts WHERE owner = ?", (owner,))
        if not rows:
            return None
        models, bank, held_out, scores = rows[0]
        try:
            found = {str(name): float(score) for name, score in json.loads(scores).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise self._db.damage_error(f"a verdict cannot be read: {type(error).__name__}") from error
        return Verdict(str(models), str(bank), int(held_out), found)

    def keep_verdict(self, verdict: Verdict, owner: str = "") -> None:
        """Keep a verdict in place of the one before."""
        scores = json.dumps(dict(verdict.scores))
        with self._changing() as db:
            db.execute(
                "REPLACE INTO verdicts (owner, models, bank, held_out, scores) VALUES (?, ?, ?, ?, ?)",
                (owner, verdict.models, verdict.bank, verdict.held_out, scores),
            )

    def remove(self, ids: Collection[str], owner: str | None = None) -> None:
        """Remove examples.

        Args:
            ids: of the examples.
            owner: whose they are; equal ones of others stay. None for those of all.

        Raises:
            BankError: one of these ids is not there; nothing is removed.
        """
        with self._changing() as db:
            self._check(db, ids, owner)
            db.executemany("DELETE FROM examples WHERE id = ? AND owner = ifnull(?, owner)", [(n, owner) for n in ids])

    def enable(self, ids: Collection[str], enabled: bool, owner: str | None = None) -> None:
        """Let planners see examples, or not; the other arguments and errors are those of `remove`."""
        with self._changing() as db:
            self._check(db, ids, owner)
            db.executemany(
                "UPDATE examples SET enabled = ? WHERE id = ? AND owner = ifnull(?, owner)",
                [(enabled, one, owner) for one in ids],
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if "_db" in self.__dict__:
                self._db.close()
                del self.__dict__["_db"]

    def _check(self, db: Database, ids: Collection[str], owner: str | None) -> None:
        known = {row[0] for row in db.execute("SELECT id FROM examples WHERE owner = ifnull(?, owner)", (owner,))}
        if unknown := [one for one in ids if one not in known]:
            raise BankError(f"There is no example {', '.join(unknown)}", "superlink examples list shows the ids")

    @cached_property
    def _db(self) -> Database:
        database = connect(self.file, "The bank of examples", f"superlink repair {self.file.parent}", BankError)
        database.executescript(_SCHEMA)
        return database

    @contextmanager
    def _changing(self) -> Iterator[Database]:
        with self._lock, self._db.transaction():
            yield self._db

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of a query; none where there is no file, which reading does not make."""
        log = self.file.with_name(f"{self.file.name}-wal")
        if not self.file.exists() and not log.exists():
            return []
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _example(self, row: Sequence[Any]) -> Example:
        try:
            return example_of(row)
        except ValueError as error:
            raise self._db.damage_error(str(error)) from error


def example_of(row: Sequence[Any]) -> Example:
    """Read the columns of an example; its id is the checksum of what planners see.

    Raises:
        ValueError: they are no example, or the id does not fit.
    """
    owner, name, text, origin, who, time, enabled = row
    try:
        shown = Demonstration.of_json(json.loads(text))
        right = shown.id == name and origin in get_args(Origin)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"an example cannot be read: {type(error).__name__}") from error
    if not right:
        raise ValueError("the id of an example does not fit its content")
    return Example(shown, origin, str(who), str(time), str(owner), bool(enabled))


def key_of(shown: Demonstration, owner: str = "") -> tuple[str, str, str]:
    """What an example is found by: its owner, the kinds at hand, and the normalised request."""
    return owner, " ".join(sorted(set(shown.have))), normalised(shown.request)


def normalised(request: str) -> str:
    """A request without differences of case, of spaces, and of the stop at its end."""
    return " ".join(unicodedata.normalize("NFKC", request).casefold().split()).rstrip(".!? ")
