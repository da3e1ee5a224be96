"""The ledger itself: scans, outcomes, other versions, files that are damaged or moved."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.items.run_files import LEDGER
from flows.items.source import SourceItem
from flows.ledger.file import LedgerError
from flows.ledger.ledger import Ledger
from flows.ledger.repair import RepairedLedger
from flows.ledger.rows import FinishedCall, LedgerItem, StepRow, compact_json
from tests.flows.conftest import raw_sql

# As the release 0.1.0 made it.
VERSION_1 = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE items (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, address BLOB NOT NULL, size INTEGER NOT NULL,
    stamp TEXT NOT NULL,
    scan INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'new', signature TEXT NOT NULL DEFAULT '',
    sha256 TEXT, ref TEXT, error TEXT NOT NULL DEFAULT '', hint TEXT NOT NULL DEFAULT '');
CREATE INDEX items_state ON items (state, signature);
CREATE TABLE steps (
    item INTEGER NOT NULL REFERENCES items (id), step TEXT NOT NULL, state TEXT NOT NULL, work TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '', hint TEXT NOT NULL DEFAULT '', seconds REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (item, step)) WITHOUT ROWID;
CREATE TABLE works (
    key TEXT PRIMARY KEY, base TEXT NOT NULL, tool TEXT NOT NULL, weights TEXT NOT NULL, roles TEXT NOT NULL,
    refs TEXT NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX works_base ON works (base);
CREATE TABLE review (
    id INTEGER PRIMARY KEY, item INTEGER NOT NULL, step TEXT NOT NULL, sha256 TEXT NOT NULL, place INTEGER NOT NULL,
    label TEXT NOT NULL, score REAL NOT NULL, reason TEXT NOT NULL, verdict TEXT NOT NULL DEFAULT '',
    correct TEXT NOT NULL DEFAULT '', who TEXT NOT NULL DEFAULT '', time TEXT NOT NULL DEFAULT '',
    UNIQUE (item, step, sha256, place));
CREATE INDEX review_open ON review (verdict, reason);
PRAGMA user_version = 1;
"""
SHA = "ab" * 32
REF: Any = {"kind": "Image", "sha256": SHA, "media_type": "image/png", "bytes": 5, "summary": {}}
PLAN = {"steps": [{"id": "s1", "tool": "bright", "args": {"image": "$image"}}], "outputs": ["$s1"]}
WORK = FinishedCall("key", "base", "bright", "[]", "{}", REF, 1.5)


def item(name: str, size: int = 5, stamp: str = "1", root: str = "/x") -> SourceItem:
    return SourceItem(name, f"{root}/{name}", size, stamp)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "out" / LEDGER)
    yield ledger
    ledger.close()


@pytest.fixture
def worked(ledger: Ledger) -> Ledger:
    """One item that is done, by one step."""
    ledger.set_facts(plan=PLAN, signature="sig")
    ledger.record_scan([item("a.jpg")])
    ledger.set_content({1: REF})
    ledger.record([WORK], [StepRow(1, "s1", "finished", "key", seconds=1.5)])
    ledger.settle([(1, "done", "", "")], "sig")
    return ledger


def closed(ledger: Ledger) -> Path:
    """The ledger's file, with everything in it."""
    ledger.close()
    return ledger.file


def test_a_ledger_of_a_hundred_thousand_items_scans_and_resumes(ledger: Ledger) -> None:
    items = [SourceItem(f"{n:06}.jpg", f"/x/{n:06}.jpg", n, str(n)) for n in range(100_000)]
    assert ledger.record_scan(items).new == 100_000
    ledger.settle([(n, "done", "", "") for n in range(1, 99_001)], "sig")
    ledger.close()
    ledger = Ledger(ledger.file)
    assert ledger.record_scan(items).changed == 0
    assert len(ledger.pending("sig")) == 1000
    ledger.close()


@pytest.mark.parametrize("change", [{"stamp": "2"}, {"size": 6}])
def test_a_file_that_changed_is_done_again(worked: Ledger, change: dict[str, Any]) -> None:
    assert (worked.record_scan([item("a.jpg")]).changed, worked.pending("sig")) == (0, [])
    taken = worked.record_scan([item("a.jpg", **change)])
    assert (taken.new, taken.changed, worked.pending("sig")) == (0, 1, [1])
    assert worked.items([1])[0].ref is None


def test_a_file_that_comes_back_is_done_again(worked: Ledger) -> None:
    assert worked.record_scan([item("b.jpg")]).gone == 1
    assert worked.counts() == {"gone": 1, "left": 1}
    assert worked.record_scan([item("a.jpg"), item("b.jpg")]).changed == 1
    assert worked.pending("sig") == [1, 2]


def test_failures_are_those_of_the_plan_at_hand(ledger: Ledger) -> None:
    ledger.record_scan([item("a.jpg"), item("b.jpg")])
    ledger.settle([(1, "failed", "of the plan before", "")], "before")
    ledger.settle([(2, "failed", "of this plan", "mend it")], "now")
    ledger.set_facts(signature="now")
    assert ledger.failures() == [("b.jpg", "of this plan", "mend it")]
    assert ledger.counts() == {"failed": 1, "left": 1}
    assert ledger.pending("now") == [1] and ledger.pending("now", retry_failed=True) == [2]


def test_what_failed_is_opened_anew_when_it_is_tried_again(ledger: Ledger) -> None:
    ledger.record_scan([item("a.jpg"), item("b.jpg")])
    ledger.set_content({1: REF, 2: REF})
    ledger.settle([(1, "failed", "it is broken", ""), (2, "done", "", "")], "sig")
    assert [entry.ref for entry in ledger.items([1, 2])] == [None, REF]


def test_work_that_was_lost_and_done_again_takes_the_place_of_the_old(worked: Ledger) -> None:
    other: Any = {**REF, "sha256": "cd" * 32}
    worked.record([WORK._replace(refs=other)], [])
    assert [refs["s1"] for _, refs in worked.done()] == [other]


def test_a_transaction_is_all_or_nothing(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.writing():
        ledger._db.execute("INSERT INTO facts VALUES ('a', '1')")
        raise ZeroDivisionError
    assert ledger.fact("a") is None
    [(pages,)] = raw_sql(ledger, "PRAGMA page_count")
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")  # holds for this connection alone
    with pytest.raises(LedgerError, match="disk is full.*Free some space"):
        ledger.set_facts(a="x" * 100_000)
    ledger._db.execute("PRAGMA max_page_count = 1000000")
    ledger.set_facts(a=1)
    assert ledger.fact("a") == 1


def test_the_plan_is_parsed_once_until_another_process_notes_a_different_one(worked: Ledger) -> None:
    plan = worked.plan
    worked.set_facts(plan=PLAN, signature="other")
    assert worked.plan is plan
    other = Ledger(worked.file)
    other.set_facts(plan={**PLAN, "request": "find cats"})
    other.close()
    assert worked.plan.request == "find cats" and worked.plan.steps == plan.steps
    worked.set_facts(plan=None)
    with pytest.raises(LedgerError, match="has no plan yet"):
        worked.plan  # noqa: B018


# What is asked of it.


def test_the_ledger_of_a_folder_where_no_run_has_been(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=f"no {LEDGER} in {tmp_path}") as raised:
        Ledger.open_existing(tmp_path)
    assert raised.value.hint and not list(tmp_path.iterdir())
    Ledger(tmp_path / LEDGER).close()
    ledger = Ledger.open_existing(tmp_path)
    assert ledger.file == tmp_path / LEDGER
    with pytest.raises(LedgerError, match="no plan yet") as raised:
        ledger.plan  # noqa: B018
    assert raised.value.hint and ledger.fact("plan") is None
    ledger.close()


def test_items_whose_values_are_damaged_are_worked_again(ledger: Ledger) -> None:
    ledger.set_facts(plan=PLAN, signature="sig")
    ledger.record_scan([item("b.jpg"), item("a.jpg"), item("c.jpg")])
    ledger.settle([(number, "done", "", "") for number in (1, 2, 3)], "sig")
    ledger.reopen({1: LedgerError("it is damaged", "run again"), 2: LedgerError("it is lost", "")})
    assert list(ledger.reopened_items().items()) == [
        (2, ("a.jpg", "it is lost", "")),
        (1, ("b.jpg", "it is damaged", "run again")),
    ]
    assert ledger.pending("sig") == [2, 1] and ledger.counts() == {"done": 1, "left": 2}
    ledger.settle([(1, "done", "", "")], "sig")
    assert list(ledger.reopened_items()) == [2]


def test_the_kinds_of_what_is_done(ledger: Ledger) -> None:
    ledger.record_scan([item(f"{n}.jpg") for n in range(5)])
    ledger.set_content({1: REF, 2: REF, 3: {**REF, "kind": "Video"}, 4: {**REF, "kind": "Audio"}, 5: REF})
    ledger.settle([(1, "done", "", ""), (2, "done", "", ""), (3, "done", "", "")], "sig")
    ledger.settle([(4, "done", "", "")], "before")
    ledger.set_facts(signature="sig")
    raw_sql(ledger, "UPDATE items SET ref = '{' WHERE id = 2")
    assert ledger.media_kinds() == {"Image", "Video"}


def test_what_is_done_can_be_asked_of_some_items(ledger: Ledger) -> None:
    ledger.set_facts(plan=PLAN, signature="sig")
    ledger.record_scan([item(f"{n:03}.jpg") for n in range(300)])
    ledger.set_content(dict.fromkeys(range(1, 301), REF))
    ledger.record([WORK], [StepRow(n, "s1", "finished", "key") for n in range(1, 300)])
    ledger.settle([(n, "done", "", "") for n in range(1, 301) if n != 7], "sig")
    found = list(ledger.done())
    assert [entry.id for entry, _ in found] == [n for n in range(1, 301) if n != 7]
    assert (
        all(refs == {"s1": REF} for _, refs in found[:-1]) and found[-1][1] == {}
    )  # no step of the last one was recorded
    assert [entry.id for entry, _ in ledger.done([300, 7, 2])] == [2, 300] and list(ledger.done([])) == []
    ledger.record([], [StepRow(2, "s9", "finished", "key")])  # of a plan before
    assert next(ledger.done([2]))[1] == {"s1": REF}
    assert [row[0].id for row in ledger.done([1])] == [1] and [entry.id for entry in ledger.items([5, 3])] == [5, 3]


def test_failures_come_in_order_of_name_as_many_as_are_asked_for(ledger: Ledger) -> None:
    ledger.set_facts(signature="sig")
    ledger.record_scan([item("c.jpg"), item("a.jpg"), item("b.jpg")])
    ledger.set_content({1: REF})
    ledger.settle([(n, "failed", "it broke", "") for n in (1, 2, 3)], "sig")
    assert [name for name, _, _ in ledger.failures()] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [name for name, _, _ in ledger.failures(2)] == ["a.jpg", "b.jpg"]
    assert raw_sql(ledger, "SELECT DISTINCT sha256 FROM items") == [(None,)]


def test_a_scan_counts_and_keeps_where_things_were(ledger: Ledger, tmp_path: Path) -> None:
    taken = ledger.record_scan([item("a.jpg"), item("b.jpg")])
    assert (taken.items, taken.new, taken.changed, taken.gone) == (2, 2, 0, 0)
    taken = ledger.record_scan([item("b.jpg", size=6), item("c.jpg"), item("d.jpg")], str(tmp_path))
    assert (taken.items, taken.new, taken.changed, taken.gone) == (3, 2, 1, 1)
    assert (ledger.fact("scan"), ledger.fact("root"), ledger.fact("out")) == (2, str(tmp_path), str(ledger.file.parent))
    assert raw_sql(ledger, "SELECT name, scan, state FROM items ORDER BY name") == [
        ("a.jpg", 1, "gone"),
        ("b.jpg", 2, "new"),
        ("c.jpg", 2, "new"),
        ("d.jpg", 2, "new"),
    ]
    assert (
        ledger.record_scan([], "").gone == 3 and ledger.record_scan([], "").gone == 0 and ledger.counts() == {"gone": 4}
    )
    assert ledger.pending("sig") == [] and ledger.fact("root") == ""


def test_an_item_that_lies_elsewhere_below_the_root_is_found_there(worked: Ledger) -> None:
    other = SourceItem("b.jpg", "/x/q/b.jpg", 5, "1")
    for folder in "pr":
        worked.record_scan([SourceItem("a.jpg", f"/x/{folder}/a.jpg", 5, "1"), other])
        assert worked.fact("root") == "/x" and worked.pending("sig") == [2]
        assert [entry.address for entry in worked.items([1, 2])] == [f"/x/{folder}/a.jpg", "/x/q/b.jpg"]


def test_an_item_is_as_its_row_has_it(worked: Ledger) -> None:
    assert worked.items([1]) == [LedgerItem(1, "a.jpg", "/x/a.jpg", 5, "1", "done", REF)]
    raw_sql(worked, "UPDATE items SET ref = '[' || ref || ']'")
    assert worked.items([1])[0].ref is None  # an item is one value


def test_rows_keep_one_text_for_equal_data() -> None:
    assert compact_json({"b": [1, 2], "a": "ü"}) == compact_json({"a": "ü", "b": [1, 2]}) == '{"a":"ü","b":[1,2]}'


def test_an_address_is_read_below_the_root(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record_scan([item("a.jpg", root=str(tmp_path))], str(tmp_path))
    assert raw_sql(ledger, "SELECT address FROM items")[0] == (b"a.jpg",)


def test_work_is_found_by_its_base_and_counts_what_it_takes(ledger: Ledger) -> None:
    works = [WORK, WORK._replace(key="other", refs=[REF, REF]), WORK._replace(key="third", base="another", seconds=2.5)]
    ledger.record(works, [StepRow(1, "s1", "failed", "base", "it broke", "mend it", 0.5)])
    assert (
        ledger.candidates(["base", "another", "none"]) == {"base": works[:2], "another": works[2:]}
        and ledger.candidates([]) == {}
    )
    assert raw_sql(ledger, "SELECT key, bytes FROM works ORDER BY key") == [("key", 5), ("other", 10), ("third", 5)]
    assert raw_sql(ledger, "SELECT * FROM steps") == [(1, "s1", "failed", "base", "it broke", "mend it", 0.5)]
    ledger.record([], [StepRow(1, "s1", "finished", "key")])
    assert raw_sql(ledger, "SELECT * FROM steps") == [(1, "s1", "finished", "key", "", "", 0.0)]
    ledger.record_scan([item("a.jpg")])
    ledger.set_content({1: REF})
    assert raw_sql(ledger, "SELECT sha256 FROM items")[0] == (SHA,) and ledger.items([1])[0].ref == REF


# Numbers and rows.


@pytest.fixture
def several(ledger: Ledger) -> Ledger:
    """Three items that are done, by two steps, and one that failed; two of them have one content."""
    ledger.set_facts(plan=PLAN, signature="sig")
    ledger.record_scan([item(name, root="/x/y") for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")])
    ledger.set_content({1: {**REF, "summary": {"pages": 3}}, 2: {**REF, "summary": {"pages": 1}}, 3: REF})
    works = [
        WORK,
        WORK._replace(key="key 2", refs=[REF, REF], seconds=2.0),
        WORK._replace(key="key 3", base="base 3", tool="count", seconds=0.5),
    ]
    done = [StepRow(n, "s1", "finished", "key" if n < 3 else "key 2") for n in (1, 2, 3)]
    ledger.record(
        works, [*done, StepRow(4, "s1", "failed", "base", "it broke", "mend it"), StepRow(1, "s2", "finished", "key 3")]
    )
    ledger.settle([(4, "failed", "it broke", "mend it"), *((n, "done", "", "") for n in (1, 2, 3))], "sig")
    return ledger


def test_what_the_steps_took(several: Ledger) -> None:
    assert several.step_cost("s1", "bright") == (3, 1, 2, 3.5)
    assert several.step_cost("s2", "count") == (1, 0, 1, 0.5) and several.step_cost("s3", "count") == (0, 0, 0, 0.0)
    assert several.step_cost("s1", "other") == (0, 1, 0, 0.0)  # what is left of another tool counts for nothing
    several.settle([(3, "done", "", "")], "before")
    assert several.step_cost("s1", "bright") == (2, 1, 1, 1.5)
    several.reopen({2: LedgerError("it is lost", "")})
    assert several.step_cost("s1", "bright") == (1, 1, 1, 1.5)


def test_what_there_is_in_numbers(several: Ledger) -> None:
    assert several.work_counts() == (3, 2) and several.value_bytes() == 20
    assert (
        several.value_bytes([3]) == 10
        and several.value_bytes([1, 2]) == 10
        and several.value_bytes([4]) == several.value_bytes([]) == 0
    )
    assert sorted(several.finished_steps()) == [("a.jpg", "s1"), ("a.jpg", "s2"), ("b.jpg", "s1"), ("c.jpg", "s1")]
    assert several.multi_page_items() == ["a.jpg"]
    assert several.failed_addresses() == [("d.jpg", "/x/y/d.jpg", "it broke", "mend it")]
    assert several.sample("s2") == [REF] and several.sample("s9") == []
    several.record([WORK._replace(key="empty", refs=[])], [StepRow(1, "s9", "finished", "empty")])
    assert several.sample("s9") == []
    several.set_facts(signature="other")
    assert several.failed_addresses() == []


def test_rows_go_from_one_ledger_to_another(several: Ledger, tmp_path: Path) -> None:
    several.record_scan([item("a.jpg"), item("b.jpg"), item("c.jpg"), item("d.jpg")], "")
    with several.writing():
        several.review.add([(1, "s1", SHA, 0, "cat", 0.4, "band"), (2, "s1", SHA, 0, "cat", 0.5, "audit")])
    some, everything = several.rows([1]), several.rows()
    assert set(some) == {"items", "works"} and len(some["items"]) == 1 and len(some["works"]) == 2
    assert {table: len(rows) for table, rows in everything.items()} == {"items": 4, "works": 3, "steps": 5, "review": 2}
    other = Ledger(tmp_path / "other" / LEDGER)
    with other.writing():
        other.insert(everything)
    assert other.rows() == everything
    with other.writing():
        other.review.decide(1, "accepted", "", "ann", "now")
        other.insert(several.rows())
    assert other.review.decided_count() == 1 and other.review.waiting() == 1 and other.rows([1]) == some
    several.settle([(1, "failed", "it broke", "")], "later")
    with other.writing():
        other.insert(several.rows([1, 3]))
    assert [entry.state for entry in other.items([1, 2])] == ["failed", "done"]
    assert [len(rows) for rows in other.rows([1, 3]).values()] == [2, 3]
    other.close()


def test_the_review_queue_in_numbers(several: Ledger) -> None:
    finds = [
        (1, "s1", SHA, 0, "dog", 0.4, "audit"),
        (1, "s1", SHA, 1, "cat", 0.3, "audit"),
        (2, "s1", SHA, 0, "cat", 0.9, "band"),
        (4, "s1", SHA, 0, "cat", 0.1, "audit"),
    ]
    review = several.review
    with several.writing():
        review.add(finds)
        review.add([(1, "s1", SHA, 0, "other", 0.5, "band")])  # is there already
        assert review.decide(1, "corrected", "fox", "ann", "now") and review.decide(4, "accepted", "", "ann", "now")
        assert not review.decide(9, "accepted", "", "ann", "now")
    assert (review.count([1, 2]), review.count([4]), review.count([]), review.waiting(), review.decided_count()) == (
        3,
        1,
        0,
        2,
        2,
    )
    assert sorted(review.by_verdict()) == [("audit", "", 1), ("audit", "corrected", 1), ("band", "", 1)]
    assert review.audit_counts() == [("cat", 1, 1), ("dog", 0, 1)] and review.changes() == [
        ("a.jpg", "s1", "dog", 0.4, "fox")
    ]
    assert list(review.corrections()) == [(1, "s1", SHA, 0, "corrected", "fox", "")]
    assert [row[0] for row in review.queue("", "", False, -1)] == [2, 3] and [
        row[0] for row in review.queue("", "", True, 2)
    ] == [2, 1]
    assert [row[0] for row in review.queue("cat", "band", True, -1)] == [3]
    assert sorted(review.rows())[0] == (1, "s1", SHA, 0, "dog", 0.4, "audit", "corrected", "fox", "ann", "now")
    assert [row[3] for row in review.rows()] == [0, 0, 0, 1]


def test_the_signature_of_most_items_counts_where_it_is_lost(tmp_path: Path) -> None:
    ledger = RepairedLedger(tmp_path / LEDGER)
    assert ledger.commonest_signature() is None
    ledger.record_scan([item("a.jpg"), item("b.jpg"), item("c.jpg")])
    ledger.settle([(1, "done", "", "")], "before")
    ledger.settle([(2, "done", "", ""), (3, "done", "", "")], "now")
    assert ledger.commonest_signature() == "now"
    ledger.close()


# Other versions.


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_of_version_1_is_brought_up_to_date(tmp_path: Path, read_only: bool) -> None:
    (tmp_path / "out").mkdir()
    db = sqlite3.connect(tmp_path / "out" / LEDGER)
    db.executescript(VERSION_1)
    db.executemany(
        "INSERT INTO facts VALUES (?, ?)",
        [("source", '"/photos"'), ("plan", json.dumps(PLAN)), ("signature", '"sig"'), ("scan", "1")],
    )
    db.executemany(
        "INSERT INTO items (name, address, size, stamp, scan, state, signature, ref) "
        "VALUES (?, ?, 5, '1', 1, 'done', 'sig', ?)",
        [
            ("a.jpg", b"/photos/a.jpg", json.dumps(REF)),
            ("b.jpg", b"/photos/b\xff.jpg", json.dumps(REF)),
            ("c.jpg", b"s3://bucket/c.jpg", json.dumps(REF)),
        ],
    )
    db.execute("INSERT INTO works VALUES ('key', 'base', 'bright', '[]', '{}', ?, 1.5, 5)", (json.dumps(REF),))
    db.execute("INSERT INTO steps VALUES (1, 's1', 'finished', 'key', '', '', 1.5)")
    db.commit()
    db.close()
    for _ in range(2):
        ledger = Ledger.open_existing(tmp_path / "out", read_only)
        entries = [entry for entry, _ in ledger.done()]
        assert [entry.address for entry in entries] == ["/photos/a.jpg", "/photos/b\udcff.jpg", "s3://bucket/c.jpg"]
        assert raw_sql(ledger, "SELECT address FROM items") == [(b"a.jpg",), (b"b\xff.jpg",), (b"s3://bucket/c.jpg",)]
        assert next(ledger.done())[1] == {"s1": REF} and ledger.pending("sig") == []
        ledger.close()


@pytest.mark.parametrize(
    ("source", "root"), [("/p/*/x", "/p"), ("/p/one/a.jpg", "/p/one"), ("/p/list.txt", "/p"), ("/[p]", "/[p]")]
)
def test_what_addresses_of_version_1_become_relative_to(tmp_path: Path, source: str, root: str) -> None:
    db = sqlite3.connect(tmp_path / LEDGER)
    db.executescript(VERSION_1)
    db.execute("INSERT INTO facts VALUES ('source', ?)", (json.dumps(source),))
    address = f"{root}/a.jpg"
    db.execute("INSERT INTO items (name, address, size, stamp, scan) VALUES ('a', ?, 1, '', 1)", (address.encode(),))
    db.commit()
    db.close()
    ledger = Ledger(tmp_path / LEDGER)
    assert ledger.fact("root") == root and ledger.items([1])[0].address == address
    ledger.close()


def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / LEDGER)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = (tmp_path / LEDGER).read_bytes()
    for read_only in (False, True):
        with pytest.raises(LedgerError, match="newer superlink.*99.*Update superlink"):
            Ledger.open_existing(tmp_path, read_only)
    assert (tmp_path / LEDGER).read_bytes()[100:] == before[100:]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / LEDGER)
    db.execute("CREATE TABLE songs (name)")
    db.close()
    with pytest.raises(LedgerError, match="another program's database"):
        Ledger(tmp_path / LEDGER)


# Damage.


def flip(file: Path) -> None:
    """Damage every page but the first, which holds the schema."""
    data = bytearray(file.read_bytes())
    for at in range(4096, len(data), 4096):
        data[at : at + 8] = b"\xff" * 8
    file.write_bytes(data)


USES: list[Callable[[Ledger], Any]] = [
    lambda ledger: ledger.fact("plan"),
    lambda ledger: ledger.record_scan([item("b.jpg")]),
    lambda ledger: ledger.pending("sig"),
    lambda ledger: ledger.items([1]),
    lambda ledger: ledger.candidates(["base"]),
    lambda ledger: ledger.settle([(1, "done", "", "")], "sig"),
    lambda ledger: ledger.counts(),
    lambda ledger: list(ledger.done()),
]


@pytest.mark.parametrize("use", USES)
def test_flipped_bytes_are_reported_with_what_to_do(worked: Ledger, use: Callable[[Ledger], Any]) -> None:
    file = closed(worked)
    flip(file)
    ledger = Ledger(file)
    with pytest.raises(LedgerError, match=r"The ledger .* is damaged .*superlink repair .*/out"):
        use(ledger)
    ledger.close()


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("UPDATE facts SET value = '{' WHERE name = 'plan'", "its fact 'plan' is no JSON"),
        ("UPDATE facts SET value = '{\"steps\": 1}' WHERE name = 'plan'", "its plan cannot be read"),
        ("UPDATE works SET refs = '{'", "what step s1 gave for item 1 cannot be read"),
        ("UPDATE works SET refs = replace(refs, 'sha256', 'sha257')", "what step s1 gave"),
        ("UPDATE works SET refs = replace(refs, 'abab', 'Abab')", "what step s1 gave"),
        ("UPDATE items SET ref = '{'", "the content of a.jpg cannot be read"),
        ("UPDATE items SET ref = 'null'", "the content of a.jpg cannot be read"),
        ("UPDATE items SET name = CAST(x'ff' AS TEXT)", "Could not decode"),
    ],
)
def test_a_changed_byte_that_sqlite_does_not_notice(worked: Ledger, sql: str, fault: str) -> None:
    raw_sql(worked, sql)
    with pytest.raises(LedgerError, match=f"is damaged .*{fault}.*superlink repair"):
        list(worked.done())


def test_work_that_cannot_be_read_counts_as_never_done(worked: Ledger) -> None:
    assert worked.candidates(["base"]) == {"base": [WORK]}
    for column in ("refs", "weights", "roles"):
        worked.record([WORK], [])
        raw_sql(worked, f"UPDATE works SET {column} = '['")
        assert worked.candidates(["base"]) == {}


def test_an_item_whose_content_cannot_be_read_is_opened_anew(worked: Ledger) -> None:
    raw_sql(worked, "UPDATE items SET ref = '['")
    assert worked.items([1])[0].ref is None
    with pytest.raises(LedgerError, match="lacks the item 7"):
        worked.items([1, 7])


def test_a_table_that_is_missing(worked: Ledger) -> None:
    raw_sql(worked, "DROP TABLE review")
    with pytest.raises(LedgerError, match="damaged .*table review is missing.*superlink repair"):
        Ledger(closed(worked))


@pytest.mark.parametrize(
    "result", ["jsonl/provenance.json", "coco/superlink/provenance.json", "failures.txt", "pilot.png"]
)
def test_an_empty_ledger_beside_results_is_no_fresh_start(tmp_path: Path, result: str) -> None:
    (tmp_path / LEDGER).touch()
    Ledger(tmp_path / LEDGER).close()  # a run that was killed as it began
    (tmp_path / LEDGER).write_bytes(b"")
    (tmp_path / result).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / result).touch()
    with pytest.raises(LedgerError, match="it is empty, although the folder holds results.*superlink repair"):
        Ledger(tmp_path / LEDGER)


def test_a_log_without_its_ledger_is_kept(worked: Ledger) -> None:
    log = worked.file.with_name(f"{LEDGER}-wal")
    data = log.read_bytes()
    worked.close()
    worked.file.write_bytes(b"")
    log.write_bytes(data)
    for _ in range(2):
        with pytest.raises(LedgerError, match=rf"missing or empty, although {LEDGER}-wal is not.*superlink repair"):
            Ledger(worked.file)
        worked.file.unlink(missing_ok=True)
    assert log.read_bytes() == data


# Folders that were moved.


def test_the_run_and_its_source_are_moved_together(tmp_path: Path) -> None:
    source = tmp_path / "before" / "photos"
    source.mkdir(parents=True)
    (source / "a.jpg").touch()
    ledger = Ledger(tmp_path / "before" / "out" / LEDGER)
    ledger.record_scan([item("a.jpg", root=str(source))], str(source))
    assert ledger.root == str(source) and ledger.after_move(str(source)) == str(source)
    ledger.close()
    os.rename(tmp_path / "before", tmp_path / "after")
    ledger = Ledger(tmp_path / "after" / "out" / LEDGER)
    there = str(tmp_path / "after" / "photos")
    assert ledger.after_move(str(source)) == there == ledger.root
    assert ledger.items([1])[0].address == f"{there}/a.jpg"
    ledger.close()


def test_what_is_moved_keeps_what_was_done_on_it(worked: Ledger, tmp_path: Path) -> None:
    taken = worked.record_scan([item("a.jpg", root=str(tmp_path))])
    assert (taken.new, taken.changed, taken.gone) == (0, 0, 0) and worked.pending("sig") == []
    [(entry, refs)] = worked.done()
    assert entry.address == str(tmp_path / "a.jpg") and refs == {"s1": REF}


def test_items_outside_of_the_common_folder_keep_their_address(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record_scan(
        [
            SourceItem("a", "/x/y/a.jpg", 1, ""),
            SourceItem("b", "/x/z/b.jpg", 1, ""),
            SourceItem("c", "s3://b/c.jpg", 1, ""),
        ]
    )
    assert ledger.fact("root") == "/x"
    assert [entry.address for entry in ledger.items([1, 2, 3])] == ["/x/y/a.jpg", "/x/z/b.jpg", "s3://b/c.jpg"]
    assert ledger.record_scan([SourceItem("c", "s3://b/c.jpg", 1, "")]).changed == 0 and ledger.fact("root") == ""


def test_only_whole_paths_are_where_they_were_moved_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "before" / "photos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(tmp_path / "before" / "out" / LEDGER)
    (tmp_path / "before" / "out" / "before").mkdir()
    assert ledger.after_move(str(tmp_path / "before")) == str(tmp_path / "before")  # nothing was scanned yet
    ledger.record_scan([])
    ledger.close()
    os.rename(tmp_path / "before", tmp_path / "after")
    ledger = Ledger(tmp_path / "after" / "out" / LEDGER)
    assert (
        ledger.after_move("before/photos") == "before/photos"
        and ledger.after_move("s3://bucket/photos") == "s3://bucket/photos"
    )
    assert ledger.after_move(str(tmp_path / "before" / "photos")) == str(tmp_path / "after" / "photos")
    assert ledger.after_move(str(tmp_path / "before" / "gone")) == str(tmp_path / "before" / "gone")
    ledger.close()
