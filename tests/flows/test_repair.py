"""A damaged ledger is repaired: what can be read is kept, what is lost is run again, and nothing is thrown away."""

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.plan.plan import Plan
from flows.items.run_files import LEDGER
from flows.items.source import SourceItem
from flows.ledger.file import LedgerError
from flows.ledger.keys import work_key
from flows.ledger.ledger import Ledger
from flows.ledger.rows import FinishedCall, StepRow
from flows.repair import repair
from superlink.cli import main
from tests.flows.conftest import DARKEN, FIND, Run, annotate_command, raw_sql
from tools import Text
from tools.core.errors import SuperlinkError
from tools.storage.store import Store

PAGE = 4096
COUNT = 400


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a run with many done items, a verdict on every tenth, and its store."""
    folder = tmp_path_factory.mktemp("sound")
    store = Store(folder / "store")
    ledger = Ledger(folder / "out" / LEDGER)
    ledger.set_facts(
        plan=FIND, signature="sig", request=FIND["request"], store=store.url, approved=[Plan.load(FIND).hash]
    )
    ledger.record_scan([SourceItem(f"{n:04}.jpg", f"/photos/{n:04}.jpg", n, str(n)) for n in range(COUNT)])
    value = store.put(Text("found"))
    ref: Any = {
        "kind": "Image",
        "sha256": "ab" * 32,
        "media_type": "image/png",
        "bytes": 5,
        "summary": {"width": 5, "height": 5},
    }
    numbers = range(1, COUNT + 1)
    ledger.set_content(dict.fromkeys(numbers, ref))
    ledger.record(
        [FinishedCall(work_key(f"base {n}", []), f"base {n}", "bright", "[]", "{}", value, 1.0) for n in numbers],
        [StepRow(n, "s1", "finished", work_key(f"base {n}", []), seconds=1.0) for n in numbers],
    )
    ledger.settle([(n, "done", "", "") for n in numbers], "sig")
    raw_sql(
        ledger,
        "INSERT INTO review (item, step, sha256, place, label, score, reason, verdict, correct, who) "
        "VALUES (?, 's1', ?, 0, 'dog', 0.5, 'audit', 'corrected', 'cat', 'ann')",
        *((n, value["sha256"]) for n in range(10, COUNT + 1, 10)),
    )
    ledger.close()
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path, home: Path) -> Path:
    return shutil.copytree(sound / "out", tmp_path / "out")


def contents(folder: Path) -> dict[str, set[Any]]:
    db = sqlite3.connect(folder / LEDGER)
    found = {
        table: set(db.execute(f"SELECT * FROM {table}").fetchall())
        for table in ("facts", "items", "steps", "works", "review")
    }
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    return found


def damage(folder: Path, how: Callable[[bytearray], Any]) -> bytes:
    data = bytearray((folder / LEDGER).read_bytes())
    how(data)
    (folder / LEDGER).write_bytes(data)
    return bytes(data)


def roots(folder: Path) -> dict[str, int]:
    db = sqlite3.connect(folder / LEDGER)
    found = dict(db.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage").fetchall())
    db.close()
    return found


def test_a_sound_ledger_is_left_alone(folder: Path) -> None:
    before = (folder / LEDGER).read_bytes()
    done = repair(folder)
    assert (done.faults, done.kept, done.items, done.works, done.verdicts, done.again) == (
        [],
        None,
        COUNT,
        COUNT,
        COUNT // 10,
        0,
    )
    assert (folder / LEDGER).read_bytes() == before and set(os.listdir(folder)) <= {LEDGER, ".lock"}


@pytest.mark.parametrize(
    "name", ["facts", "items", "steps", "works", "review", "works_base", "sqlite_autoindex_items_1"]
)
def test_a_lost_root_page(folder: Path, name: str) -> None:
    before = contents(folder)
    at = (roots(folder)[name] - 1) * PAGE
    data = damage(folder, lambda data: data.__setitem__(slice(at, at + 12), b"\xff" * 12))
    done = repair(folder)
    assert done.faults and done.kept is not None and done.kept.read_bytes() == data
    after = contents(folder)
    assert after["review"] == before["review"] and {row[1] for row in after["items"]} == {
        row[1] for row in before["items"]
    }
    if name == "facts":  # all of them are on this one page
        assert not after["facts"] - {("signature", '"sig"')} and done.again == COUNT
        return
    # Rows of a table without row numbers lie in its inner pages, too.
    lost = {table: len(before[table] - after[table]) for table in before}
    assert lost["facts"] == 0 and sum(lost[table] for table in ("items", "steps", "works")) <= 3 * done.again
    assert done.again < 30 and done.works > COUNT - 30
    assert repair(folder).faults == []


def test_each_page_that_is_damaged_costs_no_other(sound: Path, folder: Path) -> None:
    whole = (folder / LEDGER).read_bytes()
    before = contents(folder)
    for page in range(0, len(whole) // PAGE, 9):
        (folder / LEDGER).write_bytes(whole)
        random.seed(page)
        part = slice(page * PAGE + 100, page * PAGE + 400)
        damage(folder, lambda data, part=part: data.__setitem__(part, random.randbytes(300)))
        repair(folder)
        after = contents(folder)
        assert {row[1] for row in after["items"]} | {row[1] for row in before["items"]} == {
            row[1] for row in before["items"]
        }
        assert len(after["works"]) > COUNT - 60 and len(after["items"]) > COUNT - 60
        assert after["works"] <= before["works"]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_ledger_that_was_cut_short(folder: Path, share: float) -> None:
    before = contents(folder)
    data = damage(folder, lambda data: data.__delitem__(slice(int(len(data) * share), None)))
    done = repair(folder)
    assert done.kept is not None and done.kept.read_bytes() == data
    after = contents(folder)
    assert after["works"] <= before["works"] and after["review"] <= before["review"]
    assert done.items > COUNT * share / 4


@pytest.mark.parametrize("content", [b"", b"no database " * 1000, bytes(9000)])
def test_a_ledger_without_a_row(folder: Path, content: bytes) -> None:
    (folder / "jsonl").mkdir()
    (folder / "jsonl" / "provenance.json").write_text(json.dumps({"plan": FIND, "request": "find the bright parts"}))
    (folder / LEDGER).write_bytes(content)
    with pytest.raises(LedgerError, match="superlink repair"):
        Ledger(folder / LEDGER)
    done = repair(folder)
    assert done.faults and done.items == 0
    ledger = Ledger(folder / LEDGER)
    assert ledger.plan == Plan.load(FIND) and ledger.fact("request") == "find the bright parts"
    ledger.close()


def test_a_ledger_that_is_missing(folder: Path) -> None:
    with pytest.raises(LedgerError, match="There is no run in"):
        repair(folder / "elsewhere")
    assert not (folder / "elsewhere").exists()
    (folder / LEDGER).unlink()
    (folder / "failures.txt").touch()
    assert repair(folder).faults == ["it is missing"]
    assert contents(folder)["items"] == set()


def test_the_log_of_a_killed_run_is_taken_up(folder: Path, tmp_path: Path) -> None:
    db = sqlite3.connect(folder / LEDGER, isolation_level=None)
    db.execute("UPDATE review SET verdict = 'accepted', correct = ''")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    db.close()
    data = damage(copy, lambda data: data.__setitem__(slice(PAGE, PAGE + 8), b"\xff" * 8))
    log = (copy / f"{LEDGER}-wal").read_bytes()
    done = repair(copy)
    assert done.kept is not None and done.kept.read_bytes() == data
    assert done.kept.with_name(f"{done.kept.name}-wal").read_bytes() == log and not (copy / f"{LEDGER}-wal").exists()
    assert {row[8] for row in contents(copy)["review"]} == {"accepted"}


@pytest.mark.parametrize(
    ("sql", "fault", "again"),
    [
        ("UPDATE works SET refs = replace(refs, '{', '[') WHERE base = 'base 7'", "1 rows of works", 1),
        ("UPDATE works SET base = 'base 7_' WHERE base = 'base 7'", "1 rows of works", 1),
        ("UPDATE works SET weights = '[1]' WHERE base = 'base 7'", "1 rows of works", 1),
        ("UPDATE items SET ref = '{' WHERE id = 10", "1 rows of items", 1),
        ("UPDATE items SET ref = NULL WHERE id = 7", "1 items lack a result", 1),
        ("DELETE FROM steps WHERE item = 7", "1 items lack a result", 1),
        ("UPDATE steps SET work = 'none' WHERE item = 7", "1 items lack a result", 1),
        ("UPDATE items SET state = 'dona' WHERE id = 10", "1 rows of items", 1),
        ("UPDATE review SET verdict = 'eccepted' WHERE item = 10", "1 rows of review", 0),
        ("UPDATE facts SET value = '{\"a\"' WHERE name = 'plan'", "its plan is lost", COUNT),
        ("DELETE FROM facts WHERE name = 'signature'", "the signature of its plan is lost", 0),
        ("UPDATE items SET name = CAST(x'ff' AS TEXT) WHERE id = 7", "Could not decode", 0),
        ("DROP TABLE review", "table review is missing", 0),
    ],
)
def test_a_row_that_sqlite_reads_without_a_doubt(folder: Path, sql: str, fault: str, again: int) -> None:
    db = sqlite3.connect(folder / LEDGER)
    db.execute(sql)
    db.commit()
    db.close()
    done = repair(folder)
    assert any(fault in said for said in done.faults) and done.again == again
    assert done.verdicts == COUNT // 10 - (0 if "review" not in sql else COUNT // 10 if "DROP" in sql else 1)
    assert repair(folder).faults == [] or again == COUNT


def test_lost_verdicts_are_taken_from_the_exports(folder: Path) -> None:
    before = {row[1:7] + row[8:] for row in contents(folder)["review"]}
    names = {row[0]: row[1] for row in contents(folder)["items"]}
    (folder / "jsonl").mkdir()
    edits = [
        {
            "item": names[item],
            "step": step,
            "place": place,
            "label": label,
            "score": score,
            "box": [],
            "verdict": verdict,
            "correct": correct,
            "who": who,
            "time": time,
        }
        for item, step, _, place, label, score, verdict, correct, who, time in sorted(before)
    ]
    (folder / "jsonl" / "provenance.json").write_text(json.dumps({"plan": FIND, "human_edits": edits}))
    (sha256,) = {row[2] for row in [row[1:] for row in contents(folder)["review"]]}
    lines = [{"item": name, "results": {"s1": [{"kind": "Text", "sha256": sha256}]}} for name in names.values()]
    (folder / "jsonl" / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    db = sqlite3.connect(folder / LEDGER)
    db.execute("DELETE FROM review WHERE item > 100")
    db.execute("DELETE FROM steps WHERE item = 200")
    db.commit()
    db.close()
    done = repair(folder)
    assert (done.refound, done.verdicts) == (30, 40)
    assert {row[1:7] + row[8:] for row in contents(folder)["review"]} == before
    # Nothing but the exports is left.
    (folder / LEDGER).write_bytes(b"")
    done = repair(folder)
    assert (done.items, done.refound, done.verdicts) == (40, 40, 40)
    ledger = Ledger(folder / LEDGER)
    ledger.record_scan([SourceItem(name, f"/photos/{name}", 1, "1") for name in names.values()])
    found = raw_sql(ledger, "SELECT name, verdict, correct, who FROM review JOIN items ON items.id = item")
    assert set(found) == {(names[row[0]], *row[6:9]) for row in before}
    ledger.close()


def test_values_that_the_store_lost_are_made_again(sound: Path, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sound / "store", tmp_path / "store")
    ledger = Ledger(folder / LEDGER)
    ledger.set_facts(store=str(tmp_path / "store"))
    ledger.close()
    assert repair(folder).faults == []
    (value,) = (tmp_path / "store").glob("??/*")
    value.write_bytes(b"fuond")
    done = repair(folder)
    assert f"{COUNT} values of finished calls are missing or damaged in the store" in done.faults[0]
    assert done.again == COUNT and done.works == 0 and done.verdicts == COUNT // 10


def test_a_store_that_is_not_there_says_nothing_of_its_values(folder: Path) -> None:
    ledger = Ledger(folder / LEDGER)
    ledger.set_facts(store=str(folder / "not mounted"))
    ledger.close()
    assert repair(folder).faults == []


def test_what_is_no_damage_is_not_repaired(folder: Path, tmp_path: Path) -> None:
    db = sqlite3.connect(folder / LEDGER)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match="newer superlink"):
        repair(folder)
    (tmp_path / "music").mkdir()
    db = sqlite3.connect(tmp_path / "music" / LEDGER)
    db.execute("CREATE TABLE songs (name)")
    db.close()
    with pytest.raises(LedgerError, match="another program's"):
        repair(tmp_path / "music")
    from flows.batch.folder_lock import lock_folder

    with lock_folder(folder), pytest.raises(SuperlinkError, match="Another run is working"):
        repair(folder)


def test_a_repair_that_cannot_be_written_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = damage(folder, lambda data: data.__setitem__(slice(PAGE, PAGE + 8), b"\xff" * 8))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(SuperlinkError, match="disk is full"):
        repair(folder)
    assert (folder / LEDGER).read_bytes() == data and not (folder / ".repair").exists()


def test_a_run_goes_on_after_its_repair(
    run: Run, pictures: Path, tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(pictures, DARKEN, formats=["mirror"])
    shutil.copytree(tmp_path / "out" / "mirror", tmp_path / "before")
    out = tmp_path / "out"
    db = sqlite3.connect(out / LEDGER)
    assert not (out / f"{LEDGER}-wal").exists()
    ((page,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'steps'").fetchall()
    db.close()
    damage(out, lambda data: data.__setitem__(slice((page - 1) * PAGE, page * PAGE), bytes(PAGE)))
    command = annotate_command(pictures, out, "--pilot", "0", "--format", "mirror")
    assert main(["export", str(out), "mirror"]) == 1
    output = capsys.readouterr().err
    assert f"superlink repair {out}" in output and "is damaged" in output
    assert main(["repair", str(out)]) == 0
    output = capsys.readouterr().out
    assert "12 items again; the 24 finished calls are not run again" in output and ".damaged-" in output
    log.write_text("")
    assert main(command) == 1  # of the three files that are no pictures
    assert "12 of 15 done, 3 failed" in capsys.readouterr().out and log.read_text() == ""
    for file in (tmp_path / "before").rglob("*.*"):
        assert (out / "mirror" / file.relative_to(tmp_path / "before")).read_bytes() == file.read_bytes()
