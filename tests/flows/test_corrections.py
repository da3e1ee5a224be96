"""What people changed in finds: kept with their verdicts, applied by exports, restored by repairs."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from common.masks import encode
from flows.batch.corrections import Correction, Shape, correct
from flows.batch.review import ReviewError, ReviewRouting, agreement, enqueue, precision, queue, resolve, withdraw
from flows.exports import export
from flows.items.run_files import LEDGER
from flows.ledger.ledger import Ledger
from flows.ledger.review_queue import PERSON, FindKey
from flows.repair import repair
from superlink.cli import main
from tests.flows.test_ledger import PLAN, REF, VERSION_1
from tests.flows.test_review import Finds
from tools import Detections, Poses, Store
from tools.core.errors import SuperlinkError
from tools.values.transcript import Segment, Transcript

SIZE = (8, 8)


@pytest.fixture
def finds(home: Path, tmp_path: Path) -> Iterator[Finds]:
    made = Finds(tmp_path / "run")
    yield made
    made.ledger.close()


def queued(finds: Finds, *items: list[tuple[str, float]]) -> list[int]:
    """Numbers of the finds in the queue, in order of item and place."""
    enqueue(finds.ledger, finds.store, ReviewRouting(audit=1), finds.add(*items))
    return [one.id for one in sorted(queue(finds.ledger))]


def add(ledger: Ledger, number: int, label: str, shape: Shape, who: str) -> int:
    """A thing that a person added beside a find."""
    key = ledger.review.key_of(number)
    assert key is not None
    with ledger.writing():
        new = ledger.review.add_by_person(key._replace(place=ledger.review.free_place(key)), label, 1.0)
    resolve(ledger, new, "corrected", label, who, shape)
    return new


def annotations(finds: Finds, folder: Path) -> list[dict[str, Any]]:
    export(finds.ledger, finds.store, "coco", folder)
    coco = COCO(str(folder / "annotations.json"))
    names = {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())}
    return [{**one, "name": names[one["category_id"]]} for one in coco.loadAnns(coco.getAnnIds())]


def test_exports_hold_what_people_changed_as_human(finds: Finds, tmp_path: Path) -> None:
    first, second, third = queued(finds, [("cat", 0.4), ("cat", 0.6), ("dog", 0.7)])
    resolve(finds.ledger, first, "corrected", "cat", "ann", Shape(box=(1, 2, 5, 7.5)))
    resolve(finds.ledger, second, "rejected", who="ann")
    resolve(finds.ledger, third, "accepted", who="ann")
    add(finds.ledger, first, "fox", Shape(box=(0, 0, 3, 3)), "ann")
    found = annotations(finds, tmp_path / "coco")
    assert [(one["name"], one["bbox"], one.get("source")) for one in found] == [
        ("cat", [1, 2, 4, 5.5], "human"),
        ("dog", [2, 2, 1, 1], None),
        ("fox", [0, 0, 3, 3], "human"),
    ]
    export(finds.ledger, finds.store, "jsonl", tmp_path / "jsonl")
    [result] = json.loads((tmp_path / "jsonl" / "items.jsonl").read_text())["results"]["s1"]
    assert result["human"] == [0, 2] and result["value"]["labels"] == ["cat", "dog", "fox"]
    export(finds.ledger, finds.store, "voc", tmp_path / "voc")
    assert (tmp_path / "voc" / "Annotations" / "0.xml").read_text().count("<source>human</source>") == 2
    export(finds.ledger, finds.store, "label-studio", tmp_path / "ls")
    [task] = json.loads((tmp_path / "ls" / "tasks.json").read_text())
    assert [one.get("origin") for one in task["predictions"][0]["result"]] == ["manual", None, "manual"]
    edits = json.loads((tmp_path / "voc" / "provenance.json").read_text())["human_edits"]
    assert [(one["place"], one["box"], one.get("shape")) for one in edits] == [
        (-1, [0, 0, 3, 3], {"box": [0, 0, 3, 3]}),
        (0, [0, 0, 1, 1], {"box": [1, 2, 5, 7.5]}),
        (1, [1, 1, 2, 2], None),
    ]
    # Only the sample counts, and what had to be moved was not right.
    assert [(one.label, one.right, one.audited) for one in precision(finds.ledger)] == [("cat", 0, 2), ("dog", 1, 1)]


def test_verdicts_of_several_people(finds: Finds) -> None:
    first, second = queued(finds, [("cat", 0.4), ("cat", 0.6)])
    resolve(finds.ledger, first, "accepted", who="ann")
    assert agreement(finds.ledger) == (0, 0)
    resolve(finds.ledger, first, "corrected", "fox", "ben")
    resolve(finds.ledger, second, "accepted", who="ann")
    resolve(finds.ledger, second, "accepted", who="ben")
    assert agreement(finds.ledger) == (2, 1)
    assert [one.verdict for one in queue(finds.ledger, everything=True)] == ["corrected", "accepted"]
    withdraw(finds.ledger, first, "ben")  # what the other said counts again
    assert [one.verdict for one in queue(finds.ledger, everything=True)] == ["accepted", "accepted"]
    withdraw(finds.ledger, first, "ann")
    assert [one.id for one in queue(finds.ledger)] == [first] and agreement(finds.ledger) == (1, 1)
    with pytest.raises(ReviewError, match="no verdict of ann"):
        withdraw(finds.ledger, first, "ann")


def test_what_a_person_added_is_no_find_of_the_queue(finds: Finds, tmp_path: Path) -> None:
    [first] = queued(finds, [("cat", 0.4)])
    new = add(finds.ledger, first, "fox", Shape(box=(0, 0, 3, 3)), "ann")
    assert [one.id for one in queue(finds.ledger)] == [first]
    assert [one.id for one in queue(finds.ledger, reason=PERSON, everything=True)] == [new]
    withdraw(finds.ledger, new, "ann")
    assert list(queue(finds.ledger, reason=PERSON, everything=True)) == []
    # One that a person changed, and that a later run draws for the sample, is in the queue.
    key = finds.ledger.review.key_of(first)
    assert isinstance(key, FindKey) and finds.ledger.review.number_of(key) == first


def test_poses_and_words_are_reviewed(finds: Finds) -> None:
    [row] = finds.add([("cat", 0.4)])
    poses = Poses(np.ones((1, 17, 3)), [0.3], [[0, 0, 4, 4]], SIZE)
    words = Transcript((Segment("STOP", box=(0, 0, 4, 4), score=0.3), Segment("and so on")))
    row.refs["s1"] = [finds.store.put(value) for value in (poses, words)]
    finds.ledger.record([finds_call(finds, row.refs["s1"])], [])
    enqueue(finds.ledger, finds.store, ReviewRouting(audit=0), [row])
    assert sorted(finds.waiting()) == [
        ("0.png", "person", pytest.approx(0.3), "band"),
        ("0.png", "text", pytest.approx(0.3), "band"),
    ]


def finds_call(finds: Finds, ref: Any) -> Any:
    from flows.ledger.rows import FinishedCall

    return FinishedCall("key of 1", "base", "detect", "[]", "{}", ref, 1.0)


def test_corrections_of_each_kind() -> None:
    mask = np.zeros(SIZE, bool)
    mask[2:4, 2:6] = True
    value = Detections(
        [[0, 0, 2, 2], [2, 2, 6, 4]], ("cat", "dog"), [0.5, 0.6], SIZE, (encode(mask), encode(mask)), [4, 9], [0, 3]
    )
    other = encode(np.ones(SIZE, bool))
    found = correct(
        value,
        {
            0: Correction(False, "fox", Shape()),
            1: Correction(False, "", Shape(box=(0, 0, 8, 8), mask=other)),
            -1: Correction(False, "hen", Shape(box=(1, 1, 3, 3), frame=3)),
            -2: Correction(True, "hen", Shape(box=(1, 1, 3, 3), frame=3)),
        },
    )
    after = found.value
    assert isinstance(after, Detections) and after.labels == ("fox", "dog", "hen") and found.rows == (0, 1, -1)
    assert after.masks is not None and after.masks[:2] == (encode(mask), other)
    assert after.mask_array(2).sum() == 4 and after.scores.tolist() == pytest.approx([0.5, 0.6, 1])
    assert after.ids is not None and after.ids.tolist() == [4, 9, 10] and found.human == (True,) * 3
    assert after.frames is not None and after.frames.tolist() == [0, 3, 3]

    poses = Poses(np.ones((2, 17, 3)), [0.3, 0.4], [[0, 0, 4, 4], [1, 1, 5, 5]], SIZE)
    joints = tuple((2.0, 3.0, 1.0) for _ in range(17))
    moved = correct(poses, {1: Correction(False, "", Shape(box=(2, 3, 4, 5), joints=joints))}).value
    assert isinstance(moved, Poses) and moved.keypoints[1].tolist() == [list(joint) for joint in joints]
    assert moved.keypoints[0].tolist() == poses.keypoints[0].tolist() and moved.xyxy[1].tolist() == [2, 3, 4, 5]

    words = Transcript((Segment("won", 0, 1, score=0.4), Segment("too", 1, 2, score=0.4)), "en")
    heard = correct(
        words, {0: Correction(False, "", Shape(text="one", end=1.5)), 1: Correction(True, "", Shape())}
    ).value
    assert isinstance(heard, Transcript) and heard.segments == (Segment("one", 0, 1.5, score=0.4),)
    with pytest.raises(SuperlinkError, match="does not fit"):
        correct(value, {0: Correction(False, "", Shape(box=(1, 2)))})


def test_a_shape_comes_back_from_its_json() -> None:
    shape = Shape(box=(1, 2, 3, 4.5), joints=((1, 2, 0.5),) * 17, text="ü", start=0, frame=0)
    assert Shape.loads(shape.dumps()) == shape and Shape().dumps() == "" and Shape.loads("") == Shape()


def test_a_ledger_of_version_2_gets_the_verdicts_of_each_person(tmp_path: Path) -> None:
    for damaged in (False, True):
        folder = tmp_path / str(damaged)
        folder.mkdir()
        db = sqlite3.connect(folder / LEDGER)
        db.executescript(VERSION_1 + "PRAGMA user_version = 2;")
        db.executemany("INSERT INTO facts VALUES (?, ?)", [("plan", json.dumps(PLAN)), ("signature", '"sig"')])
        values = ("a.jpg", b"/x/a.jpg", json.dumps(REF))
        db.execute(
            "INSERT INTO items (name, address, size, stamp, scan, state, signature, ref) "
            "VALUES (?, ?, 5, '1', 1, 'failed', 'sig', ?)",
            values,
        )
        db.execute(
            "INSERT INTO review VALUES (7, 1, 's1', ?, 0, 'dog', 0.4, 'band', 'corrected', 'fox', 'ann', '2026')",
            (REF["sha256"],),
        )
        if damaged:
            db.execute("DROP INDEX works_base")
            db.execute("DROP TABLE works")
        db.commit()
        db.close()
        if damaged:
            assert repair(folder).verdicts == 1
        ledger = Ledger(folder / LEDGER)
        told = ledger.review.verdict_of(7, "ann")
        assert told is not None and told[:4] == ("corrected", "fox", "", "ann")
        resolve(ledger, 7, "accepted", who="ben")
        assert agreement(ledger) == (1, 0)
        ledger.close()


def test_a_lost_shape_is_taken_from_the_exports(finds: Finds, tmp_path: Path) -> None:
    folder = finds.ledger.file.parent
    [first] = queued(finds, [("cat", 0.4)])
    resolve(finds.ledger, first, "corrected", "cat", "ann", Shape(box=(1, 2, 5, 7)))
    add(finds.ledger, first, "fox", Shape(box=(0, 0, 3, 3)), "ann")
    export(finds.ledger, finds.store, "jsonl", folder / "jsonl")
    before = list(finds.ledger.review.corrections())
    finds.ledger.set_facts(store=finds.store.url)
    finds.ledger.close()
    db = sqlite3.connect(folder / LEDGER)
    db.execute("DROP TABLE review")
    db.commit()
    db.close()
    assert repair(folder).refound == 2
    finds.ledger = Ledger(folder / LEDGER)
    assert list(finds.ledger.review.corrections()) == before


def test_the_command_shows_changes_and_agreement(finds: Finds, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = queued(finds, [("cat", 0.4), ("cat", 0.6)])
    resolve(finds.ledger, first, "corrected", "cat", "ann", Shape(box=(1, 2, 5, 7)))
    folder = str(finds.ledger.file.parent)
    assert main(["review", folder, "--accept", str(first), str(second)]) == 0
    assert "1 finds were judged by several people, 0 of them alike" in capsys.readouterr().out
    assert main(["review", folder, "--withdraw", str(first)]) == 0
    capsys.readouterr()
    assert main(["review", folder, "--all"]) == 0
    assert "corrected cat (moved)" in capsys.readouterr().out
    assert Store(finds.store.url).exists()
