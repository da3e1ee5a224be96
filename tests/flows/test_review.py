"""Review: which detections are queued, the verdicts, and the statistics of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.batch.reading import DoneItem
from flows.batch.review import ReviewError, ReviewRouting, enqueue, precision, queue, resolve, wilson
from flows.items.run_files import LEDGER
from flows.items.source import SourceItem
from flows.ledger.ledger import Ledger
from flows.ledger.rows import FinishedCall, StepRow
from tests.flows.conftest import raw_sql
from tools import Detections, Image, Store

PLAN = {"steps": [{"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": ["cat"]}}], "outputs": ["$s1"]}


class Finds:
    """A ledger with items that are done, and what was found in them."""

    def __init__(self, folder: Path) -> None:
        self.ledger, self.store = Ledger(folder / LEDGER), Store(folder / "store")
        self.ledger.set_facts(plan=PLAN, signature="sig")

    def add(self, *items: list[tuple[str, float]]) -> list[DoneItem]:
        """One item for each list of labels and scores."""
        names = [f"{n}.png" for n in range(len(items))]
        self.ledger.record_scan([SourceItem(name, f"/x/{name}", 1, "") for name in names])
        ids = self.ledger.pending("sig")
        picture = self.store.put(Image.from_numpy(np.zeros((8, 8, 3), np.uint8)))
        self.ledger.set_content(dict.fromkeys(ids, picture))
        rows = []
        for entry, finds in zip(self.ledger.items(ids), items, strict=True):
            boxes = np.array([[n, n, n + 1, n + 1] for n in range(len(finds))], np.float32).reshape(-1, 4)
            found = Detections(boxes, tuple(label for label, _ in finds), [score for _, score in finds], (8, 8))
            ref = self.store.put(found)
            rows.append(DoneItem(entry, {"s1": ref}))
            key = f"key of {entry.id}"
            self.ledger.record(
                [FinishedCall(key, "base", "detect", "[]", "{}", ref, 1.0)], [StepRow(entry.id, "s1", "finished", key)]
            )
        self.ledger.settle([(number, "done", "", "") for number in ids], "sig")
        return rows

    def waiting(self, **which: Any) -> list[tuple[str, str, float, str]]:
        return [(one.item, one.label, one.score, one.reason) for one in queue(self.ledger, **which)]


@pytest.fixture
def finds(home: Path, tmp_path: Path) -> Iterator[Finds]:
    made = Finds(tmp_path)
    yield made
    made.ledger.close()


@pytest.mark.parametrize(("score", "reason"), [(0.24, ""), (0.25, "band"), (0.49, "band"), (0.5, "")])
def test_scores_from_the_first_up_to_below_the_second_are_doubtful(score: float, reason: str) -> None:
    assert ReviewRouting((0.25, 0.5), audit=0).reason("ab", 0, "cat", score) == reason
    assert ReviewRouting((0.9, 1), {"cat": (0.25, 0.5)}, audit=0).reason("ab", 0, "cat", score) == reason
    assert ReviewRouting((0.25, 0.5), {"dog": (0.9, 1)}, audit=0).reason("ab", 0, "cat", score) == reason


def test_the_sample_is_of_the_share_that_was_asked_for_and_the_same_each_time() -> None:
    def drawn(audit: float, seed: int = 0) -> list[int]:
        routing = ReviewRouting((0, 0), audit=audit, seed=seed)
        return [n for n in range(2000) if routing.reason(f"{n:064}", n % 3, "cat", 0.9) == "audit"]

    assert drawn(0) == [] and len(drawn(1)) == 2000
    assert 440 < len(drawn(0.25)) < 560  # six standard deviations
    assert drawn(0.25) == drawn(0.25) != drawn(0.25, seed=1)
    assert set(drawn(0.1)) < set(drawn(0.25))
    one = ReviewRouting((0, 0), audit=0.5)
    assert len({one.reason("ab", place, "cat", 0.9) for place in range(20)}) == 2  # each find is drawn for itself
    assert ReviewRouting((0, 1), audit=1).reason("ab", 0, "cat", 0.5) == "audit"  # a doubtful one can be drawn, too


@pytest.mark.parametrize(
    "wrong",
    [
        {"band": (0.6, 0.5)},
        {"band": (-0.1, 0.5)},
        {"band": (0.5, 1.1)},
        {"audit": -0.01},
        {"audit": 1.01},
        {"bands": {"cat": (0.6, 0.5)}},
    ],
)
def test_bands_and_shares_outside_of_0_and_1_are_refused(wrong: Any) -> None:
    with pytest.raises(ReviewError, match="is no"):
        ReviewRouting(**wrong)


def test_a_routing_comes_back_from_its_facts() -> None:
    import json

    routing = ReviewRouting((0.1, 0.2), {"cat": (0.3, 0.4)}, 0.5, 7)
    assert ReviewRouting.from_json(json.loads(json.dumps(routing.to_json()))) == routing
    assert ReviewRouting.from_json(ReviewRouting((0, 1), audit=1).to_json()) == ReviewRouting((0, 1), audit=1)


def test_doubtful_finds_wait_the_least_certain_first(finds: Finds) -> None:
    rows = finds.add([("cat", 0.4), ("dog", 0.9)], [("dog", 0.3)], [])
    assert enqueue(finds.ledger, finds.store, ReviewRouting(audit=0), rows) == 2
    scores = [("1.png", "dog", pytest.approx(0.3), "band"), ("0.png", "cat", pytest.approx(0.4), "band")]
    assert finds.waiting() == scores and finds.waiting(limit=1) == scores[:1]
    assert (
        finds.waiting(label="cat") == scores[1:]
        and finds.waiting(reason="audit") == []
        and finds.waiting(reason="band") == scores
    )


def test_what_is_queued_again_keeps_its_verdict(finds: Finds) -> None:
    rows = finds.add([("cat", 0.4)])
    enqueue(finds.ledger, finds.store, ReviewRouting(audit=0), rows)
    (one,) = queue(finds.ledger)
    resolve(finds.ledger, one.id, "accepted", who="ann")
    assert enqueue(finds.ledger, finds.store, ReviewRouting(audit=1), rows) == 1
    assert finds.waiting() == []
    assert [(each.id, each.reason, each.verdict) for each in queue(finds.ledger, everything=True)] == [
        (one.id, "band", "accepted")
    ]


def test_finds_of_items_that_are_not_done_do_not_wait(finds: Finds) -> None:
    enqueue(finds.ledger, finds.store, ReviewRouting(audit=1), finds.add([("cat", 0.4)], [("cat", 0.3)]))
    finds.ledger.settle([(1, "failed", "it broke", "")], "sig")
    assert [item for item, *_ in finds.waiting()] == ["1.png"]


def test_a_later_verdict_replaces_an_earlier_one(finds: Finds) -> None:
    enqueue(finds.ledger, finds.store, ReviewRouting(audit=1), finds.add([("cat", 0.4), ("cat", 0.6)]))
    first, second = queue(finds.ledger)
    resolve(finds.ledger, first.id, "corrected", "  fox ", who="ann")
    resolve(finds.ledger, first.id, "corrected", "wolf", who="ben")
    assert [(one.id, one.verdict, one.correct) for one in queue(finds.ledger, everything=True)] == [
        (first.id, "corrected", "wolf"),
        (second.id, "", ""),
    ]
    [(who, time)] = raw_sql(finds.ledger, "SELECT who, time FROM review WHERE id = ?", (first.id,))
    assert who == "ben" and time.endswith("+00:00")
    resolve(finds.ledger, first.id, "rejected")
    assert [(one.verdict, one.correct) for one in queue(finds.ledger, everything=True)][0] == ("rejected", "")


@pytest.mark.parametrize(
    ("verdict", "correct"),
    [("corrected", ""), ("corrected", "  "), ("accepted", "fox"), ("rejected", "fox"), ("maybe", ""), ("", "")],
)
def test_what_is_no_verdict_is_refused(finds: Finds, verdict: Any, correct: str) -> None:
    enqueue(finds.ledger, finds.store, ReviewRouting(audit=1), finds.add([("cat", 0.4)]))
    (one,) = queue(finds.ledger)
    with pytest.raises(ReviewError, match="is no verdict"):
        resolve(finds.ledger, one.id, verdict, correct)
    with pytest.raises(ReviewError, match=f"number {one.id + 1}"):
        resolve(finds.ledger, one.id + 1, "accepted")
    assert len(finds.waiting()) == 1


def test_precision_is_of_the_random_sample_alone(finds: Finds) -> None:
    rows = finds.add([("dog", 0.9), ("cat", 0.8), ("cat", 0.81), ("cat", 0.82)], [("cat", 0.3)])
    enqueue(finds.ledger, finds.store, ReviewRouting(audit=0), rows[1:])  # of the band
    enqueue(finds.ledger, finds.store, ReviewRouting((0, 0), audit=1), rows[:1])
    verdicts: list[Any] = ["rejected", "accepted", "rejected", "", "accepted"]  # in order of score
    for one, verdict in zip(list(queue(finds.ledger)), verdicts, strict=True):
        if verdict:
            resolve(finds.ledger, one.id, verdict)
    cat, dog = precision(finds.ledger)
    assert (cat.label, cat.right, cat.audited, cat.low, cat.high) == ("cat", 1, 2, *wilson(1, 2))
    assert (dog.label, dog.right, dog.audited) == ("dog", 1, 1)


def test_the_interval_of_a_share() -> None:
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5) and wilson(0, 20)[0] == 0
    assert wilson(20, 20) == pytest.approx((0.8389, 1.0), abs=5e-5) and wilson(20, 20)[1] == 1
    assert wilson(0, 0) == (0, 1)


def test_changes_stand_in_order_of_items(finds: Finds) -> None:
    enqueue(finds.ledger, finds.store, ReviewRouting(audit=1), finds.add([("cat", 0.6), ("cat", 0.7)], [("dog", 0.4)]))
    dog, cat, other = queue(finds.ledger)
    resolve(finds.ledger, dog.id, "corrected", "fox")
    resolve(finds.ledger, cat.id, "accepted")
    resolve(finds.ledger, other.id, "rejected")
    assert [(name, label, correct) for name, _, label, _, correct in finds.ledger.review.changes()] == [
        ("0.png", "cat", ""),
        ("1.png", "dog", "fox"),
    ]
    assert finds.ledger.review.decided_count() == 3


def test_finds_of_items_that_are_gone_wait_for_nobody(finds: Finds) -> None:
    enqueue(finds.ledger, finds.store, ReviewRouting(audit=1), finds.add([("cat", 0.4)], [("cat", 0.6)]))
    assert finds.ledger.review.waiting() == 2
    finds.ledger.record_scan([SourceItem("1.png", "/x/1.png", 1, "")])
    assert finds.ledger.review.waiting() == 1 and finds.ledger.review.by_verdict() == [("audit", "", 1)]
