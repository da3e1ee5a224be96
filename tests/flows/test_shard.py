"""One shard at its own level: files to rows of the ledger, with tools of a line or two and no models."""

import errno
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.plan.plan import Plan
from flows.batch import shard
from flows.batch.review import ReviewRouting, queue
from flows.batch.shard import PlanUnfit, RunContext, RunStopped, ShardResult, media_kind, run_shard
from flows.batch.shard_store import ShardStore
from flows.items.run_files import LEDGER
from flows.items.source import SourceItem
from flows.ledger.keys import CurrentWeights
from flows.ledger.ledger import Ledger
from tests.flows.conftest import raw_sql
from tools import Batch, Detections, Image, Number, tool
from tools.core.errors import (
    MediaError,
    OutOfMemory,
    SettingsInvalid,
    StoreUnusable,
    SuperlinkError,
    WeightsMissing,
    WeightsUnsafe,
)
from tools.storage.store import Ref
from tools.weights.usage import record

seen: list[int] = []
faults: dict[int, BaseException] = {}


def level(image: Image) -> int:
    return int(image.pixels[0, 0, 0])


def look(image: Image) -> int:
    seen.append(level(image))
    if level(image) in faults:
        raise faults[level(image)]
    return level(image)


@tool
def shade(image: Image, plus: int = 0) -> Number:
    """Tell the shade."""
    return Number(look(image) + plus)


@tool
def shades(images: Batch[Image]) -> Batch[Number]:
    """Tell the shades."""
    batches.append(len(images))
    return [Number(look(image)) for image in images]


@tool
def double(number: Number) -> Number:
    """Double it."""
    return Number(number.value * 2)


@tool
def layers(image: Image, count: int = 2) -> list[Image]:
    """Make brighter copies."""
    return [Image.from_numpy(image.pixels + np.uint8(n + 1)) for n in range(count)]


@tool
def tenths(image: Image) -> list[Image]:
    """Make a copy for each tenth shade."""
    return [image] * (level(image) // 10)


@tool
def both(image: Batch[Image], other: Batch[Image]) -> Batch[Number]:
    """Add two shades."""
    return [Number(level(one) + level(two)) for one, two in zip(image, other, strict=True)]


@tool
def find(image: Image) -> Detections:
    """Find one thing."""
    return Detections(np.array([[0, 0, 1, 1]], np.float32), ("dot",), [level(image) / 255], image.size)


@tool
def weigh(image: Image) -> Number:
    """Use weights."""
    record([{"id": "w", "sha256": "0" * 64, "licence": "MIT"}])
    return Number(look(image))


TOOLS: dict[str, Any] = {one.name: one for one in (shade, shades, double, layers, tenths, both, find, weigh)}
batches: list[int] = []
SHADE = ("shade", {"image": "$image"})


def plan(*calls: tuple[str, dict[str, Any]]) -> Plan:
    steps = [{"id": f"s{n}", "tool": name, "args": args} for n, (name, args) in enumerate(calls, 1)]
    return Plan.load({"steps": steps, "outputs": [f"$s{len(steps)}"]})


class Bench:
    """A folder of plain pictures, and the ledger and the store of a run over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "in").mkdir()
        self.ledger = Ledger(folder / "out" / LEDGER)
        self.shard_store = ShardStore(folder / "store")

    def lay(self, *levels: int) -> list[int]:
        """One picture of each shade, named in this order; returns the items' numbers."""
        for number, one in enumerate(levels):
            pixels = np.full((2, 2, 3), one, np.uint8)
            (self.folder / "in" / f"{number:02}.png").write_bytes(Image.from_numpy(pixels).to_bytes())
        return self.scan()

    def scan(self) -> list[int]:
        files = sorted((self.folder / "in").iterdir())
        self.ledger.record_scan(
            [SourceItem(file.name, str(file), file.stat().st_size, str(file.stat().st_mtime_ns)) for file in files]
        )
        return self.ledger.pending("sig")

    def work(
        self,
        made: Plan,
        ids: list[int],
        on_step: Callable[[str, int], None] | None = None,
        routing: ReviewRouting | None = None,
    ) -> ShardResult:
        self.ledger.set_facts(plan=made.model_dump(mode="json"), signature="sig")
        run = RunContext(made, TOOLS, "sig", self.shard_store, CurrentWeights(), routing or ReviewRouting(audit=0))
        return run_shard(self.ledger, run, ids, on_step)

    def numbers(self, step: str) -> list[Any]:
        """What a step gave for each item that is done."""
        found = [refs[step] for _, refs in self.ledger.done()]
        return [
            [self.shard_store.get(each) for each in refs] if isinstance(refs, list) else self.shard_store.get(refs)
            for refs in found
        ]

    def steps(self) -> list[tuple[Any, ...]]:
        return raw_sql(self.ledger, "SELECT item, step, state, error, seconds FROM steps ORDER BY item, step")


@pytest.fixture
def bench(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    seen.clear()
    faults.clear()
    batches.clear()
    clock = itertools.count()
    monkeypatch.setattr(
        "tools.runtime.execute.time.perf_counter", lambda: float(next(clock))
    )  # each call takes a second
    bench = Bench(tmp_path)
    yield bench
    bench.ledger.close()


def test_every_step_runs_on_every_item_and_is_noted(bench: Bench) -> None:
    ids = bench.lay(10, 20)
    reported: list[tuple[str, int]] = []
    outcome = bench.work(
        plan(SHADE, ("double", {"number": "$s1"})), ids, lambda step, count: reported.append((step, count))
    )
    assert outcome == ShardResult(done=[1, 2], ran=4, seconds={"shade": 2.0, "double": 2.0})
    assert bench.numbers("s1") == [Number(10), Number(20)] and bench.numbers("s2") == [Number(20), Number(40)]
    assert reported == [("s1", 1), ("s1", 1), ("s2", 1), ("s2", 1)]
    assert bench.steps() == [(item, step, "finished", "", 1.0) for item in (1, 2) for step in ("s1", "s2")]
    assert bench.ledger.pending("sig") == [] and bench.ledger.counts() == {"done": 2}
    assert raw_sql(bench.ledger, "SELECT DISTINCT error, hint FROM items") == [("", "")]
    entries = bench.ledger.items(ids)
    assert all(
        entry.ref is not None and entry.ref["kind"] == "Image" and bench.shard_store.path(entry.ref) is not None
        for entry in entries
    )


def test_files_of_the_source_are_not_copied_into_the_store(bench: Bench) -> None:
    bench.work(plan(SHADE), bench.lay(10))
    kinds = [file.read_bytes()[:4] for file in (bench.folder / "store").rglob("??/*")]
    assert len(kinds) == 1 and b"PNG" not in kinds[0]  # the number alone


def test_twins_are_worked_once(bench: Bench) -> None:
    reported: list[tuple[str, int]] = []
    outcome = bench.work(plan(SHADE), bench.lay(10, 10, 20), lambda step, count: reported.append((step, count)))
    assert (outcome.done, outcome.ran, outcome.cached, seen) == ([1, 2, 3], 2, 1, [10, 20])
    assert bench.numbers("s1") == [Number(10), Number(10), Number(20)]
    assert reported == [("s1", 2), ("s1", 1)]


def test_finished_work_is_found_again_and_lost_work_is_done_again(bench: Bench) -> None:
    ids = bench.lay(10, 20, 10)
    bench.work(plan(SHADE), ids)
    again = bench.work(plan(SHADE), ids)
    assert (again.done, again.ran, again.cached, again.seconds, seen) == ([1, 2, 3], 0, 3, {}, [10, 20])
    lost = bench.shard_store.path(next(bench.ledger.done())[1]["s1"])  # type: ignore[arg-type]
    assert lost is not None
    lost.unlink()
    again = bench.work(plan(SHADE), ids)
    assert (again.ran, again.cached, seen) == (1, 2, [10, 20, 10]) and lost.exists()
    assert bench.numbers("s1") == [Number(10), Number(20), Number(10)]


def test_another_argument_is_another_call(bench: Bench) -> None:
    ids = bench.lay(10)
    bench.work(plan(SHADE), ids)
    assert bench.work(plan(("shade", {"image": "$image", "plus": 5})), ids).ran == 1
    assert bench.numbers("s1") == [Number(15)]


def test_work_of_other_weights_does_not_count(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = bench.lay(10)
    weights = plan(("weigh", {"image": "$image"}))
    monkeypatch.setattr("flows.ledger.keys.verified_hash", lambda name: "0" * 64)
    assert [bench.work(weights, ids).ran for _ in range(2)] == [1, 0]
    monkeypatch.setattr("flows.ledger.keys.verified_hash", lambda name: "1" * 64)
    assert bench.work(weights, ids).ran == 1


def test_a_tool_over_batches_gets_them_and_others_are_noted_one_by_one(bench: Bench) -> None:
    ids = bench.lay(*range(20))
    reported: list[int] = []
    bench.work(plan(("shades", {"images": "$image"})), ids, lambda step, count: reported.append(count))
    assert batches == reported == [16, 4]
    rows: list[int] = []
    bench.work(
        plan(("shade", {"image": "$image"})),
        ids[:3],
        lambda step, count: rows.append(raw_sql(bench.ledger, "SELECT count(*) FROM works WHERE tool = 'shade'")[0][0]),
    )
    assert rows == [1, 2, 3]  # a killed run repeats at most the call in hand


def test_many_calls_are_looked_up_in_lots(bench: Bench) -> None:
    assert list(shard._parts(list("abcdefg"), 2, 4)) == [[["a", "b"], ["c", "d"]], [["e", "f"], ["g"]]]
    assert list(shard._parts([], 2, 4)) == []


def test_a_failed_step_is_reported_for_its_item_and_ends_that_item_alone(bench: Bench) -> None:
    faults[20] = MediaError("it is blurred", "Take a sharper one")
    outcome = bench.work(
        plan(SHADE, ("double", {"number": "$s1"}), ("layers", {"image": "$image"})), bench.lay(10, 20, 20)
    )
    message = "shade (step s1): it is blurred"
    assert outcome.done == [1] and outcome.failed == dict.fromkeys((2, 3), (message, "Take a sharper one"))
    assert outcome.ran == 4 and seen == [10, 20]
    assert [row[:4] for row in bench.steps() if row[0] == 2] == [
        (2, "s1", "failed", message),
        (2, "s3", "finished", ""),
    ]
    assert bench.ledger.failures() == [(name, message, "Take a sharper one") for name in ("01.png", "02.png")]
    assert raw_sql(bench.ledger, "SELECT hint FROM steps WHERE item = 2 AND step = 's1'") == [("Take a sharper one",)]
    faults.clear()
    ids = bench.ledger.pending("sig", retry_failed=True)
    assert ids == [2, 3] and bench.work(plan(SHADE), ids).done == [2, 3]


def test_items_after_a_failed_one_go_on(bench: Bench) -> None:
    faults[20] = ValueError("odd")
    assert bench.work(plan(SHADE, ("double", {"number": "$s1"})), bench.lay(20, 10, 30)).done == [2, 3]
    assert bench.numbers("s2") == [Number(20), Number(60)]


def test_the_first_of_several_failures_of_an_item_is_reported(bench: Bench) -> None:
    faults[20] = ValueError("odd")
    outcome = bench.work(plan(SHADE, ("shade", {"image": "$image", "plus": 1})), bench.lay(20))
    assert "step s1" in outcome.failed[1][0] and [row[:3] for row in bench.steps()] == [
        (1, "s1", "failed"),
        (1, "s2", "failed"),
    ]


def test_the_number_within_a_batch_is_no_part_of_a_failure(bench: Bench) -> None:
    faults[20] = ValueError("odd")
    outcome = bench.work(plan(("shades", {"images": "$image"})), bench.lay(10, 20, 30))
    assert outcome.failed[2][0] == "shades (step s1): ValueError: odd" and outcome.done == [1, 3]


# Lists.


def test_a_list_is_mapped_within_its_item(bench: Bench) -> None:
    steps = [("layers", {"image": "$image"}), ("shade", {"image": "$s1"}), ("layers", {"image": "$s1"})]
    outcome = bench.work(plan(*steps), bench.lay(10, 20))
    assert outcome.done == [1, 2] and outcome.ran == 6
    assert bench.numbers("s2") == [[Number(11), Number(12)], [Number(21), Number(22)]]
    assert [[level(image) for image in each] for each in bench.numbers("s3")] == [[12, 13, 13, 14], [22, 23, 23, 24]]
    # Two runs of a second each; what one run gives as a list took one second together.
    assert outcome.seconds == {"layers": 2.0 + 4.0, "shade": 4.0}
    assert {row[1]: row[4] for row in bench.steps() if row[0] == 1} == {"s1": 1.0, "s2": 2.0, "s3": 2.0}


def test_lists_of_several_items_in_one_batch_keep_apart(bench: Bench) -> None:
    faults[22] = ValueError("odd")
    outcome = bench.work(plan(("layers", {"image": "$image"}), ("shades", {"images": "$s1"})), bench.lay(10, 20, 30))
    assert batches[0] == 6 and outcome.done == [1, 3] and list(outcome.failed) == [2]
    assert outcome.failed[2] == ("shades (step s2): ValueError: odd", outcome.failed[2][1])
    assert bench.numbers("s2") == [[Number(11), Number(12)], [Number(31), Number(32)]]


def test_an_empty_list_gives_an_empty_list(bench: Bench) -> None:
    outcome = bench.work(plan(("layers", {"image": "$image", "count": 0}), ("shade", {"image": "$s1"})), bench.lay(10))
    assert outcome == ShardResult(done=[1], ran=2, seconds={"layers": 0.0, "shade": 0.0}) and bench.numbers("s2") == [
        []
    ]


def test_lists_that_do_not_go_together_are_the_items_failure(bench: Bench) -> None:
    steps = [
        ("layers", {"image": "$image"}),
        ("tenths", {"image": "$image"}),
        ("both", {"image": "$s1", "other": "$s2"}),
    ]
    outcome = bench.work(plan(*steps), bench.lay(10, 20, 30))
    assert outcome.done == [2] and list(outcome.failed) == [1, 3] and outcome.ran == 7
    assert "lists of 1 and 2" in outcome.failed[1][0] and "lists of 2 and 3" in outcome.failed[3][0]
    assert bench.numbers("s3") == [[Number(41), Number(42)]]


# Files.


def test_a_file_that_cannot_be_opened_is_one_failed_item(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = bench.lay(10, 20, 30, 40)
    (bench.folder / "in" / "01.png").write_bytes(b"no picture")
    whole = ShardStore.open

    def odd(self: ShardStore, item: SourceItem, kind: str) -> Ref:
        if item.name == "02.png":
            raise OSError(errno.EIO, "Input/output error")
        if item.name == "03.png":
            raise IndexError("of a decoder")
        return whole(self, item, kind)

    monkeypatch.setattr(ShardStore, "open", odd)
    outcome = bench.work(plan(SHADE), ids)
    assert outcome.done == [1] and list(outcome.failed) == [2, 3, 4] and seen == [10]
    assert "02.png cannot be read: Input/output error" in outcome.failed[3][0] and outcome.failed[3][1]
    assert "03.png cannot be read: IndexError: of a decoder" in outcome.failed[4][0]
    assert bench.ledger.counts() == {"done": 1, "failed": 3} and bench.steps() == [(1, "s1", "finished", "", 1.0)]


def test_a_file_that_was_opened_before_is_not_opened_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = bench.lay(10, 20)
    bench.work(plan(SHADE), ids)
    opened: list[str] = []
    whole, first = ShardStore.open, bench.ledger.items([1])[0]

    def note(self: ShardStore, item: SourceItem, kind: str) -> Ref:
        opened.append(item.name)
        assert (item, kind) == (SourceItem("00.png", first.address, first.size, first.stamp), "Image")
        return whole(self, item, kind)

    monkeypatch.setattr(ShardStore, "open", note)
    other = plan(("shade", {"image": "$image", "plus": 1}))
    assert bench.work(other, ids).done == [1, 2] and opened == [] and seen == [10, 20] * 2
    (bench.folder / "in" / "00.png").unlink()
    outcome = bench.work(plan(("shade", {"image": "$image", "plus": 2})), ids)
    assert list(outcome.failed) == [1] and "00.png" in outcome.failed[1][0] and outcome.done == [2]
    assert bench.work(other, [1]).done == [] and opened == ["00.png"]  # what failed is opened anew


def test_a_value_that_was_taken_out_of_its_file_comes_from_the_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = bench.lay(10)
    inner = Image.from_numpy(np.full((2, 3, 3), 77, np.uint8))
    opened: list[str] = []

    def taken_out(self: ShardStore, item: SourceItem, kind: str) -> Ref:
        opened.append(item.name)
        return self.put(inner)

    monkeypatch.setattr(ShardStore, "open", taken_out)
    bench.work(plan(SHADE), ids)
    assert bench.work(plan(("shade", {"image": "$image", "plus": 1})), ids).done == [1]
    assert opened == ["00.png"] and seen == [77, 77] and bench.numbers("s1") == [Number(78)]
    stored = bench.shard_store.path(bench.shard_store.put(inner))
    assert stored is not None
    stored.unlink()  # then it has to be taken out again
    assert bench.work(plan(("shade", {"image": "$image", "plus": 2})), ids).done == [1] and opened == ["00.png"] * 2


def test_a_file_from_elsewhere_is_fetched_once(bench: Bench) -> None:
    ids = bench.lay(10)
    file = bench.folder / "in" / "00.png"
    bench.ledger.record_scan([SourceItem("00.png", f"file://{file}", file.stat().st_size, "1")])
    bench.work(plan(SHADE), ids)
    file.unlink()
    assert bench.work(plan(("shade", {"image": "$image", "plus": 1})), ids).done == [1] and bench.numbers("s1") == [
        Number(11)
    ]


# What ends the run.


@pytest.mark.parametrize(
    "fault",
    [
        WeightsMissing("no weights", "Pull them"),
        WeightsUnsafe("other weights", "Pull them"),
        SettingsInvalid("odd settings", "Mend"),
        StoreUnusable("no store", "Name another"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Quota exceeded"),
        OSError(errno.EROFS, "Read-only"),
    ],
)
def test_what_is_no_items_fault_stops_the_run(bench: Bench, fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    faults[20] = fault
    ids = bench.lay(10, 20, 30)
    with pytest.raises(RunStopped) as raised:
        bench.work(plan(SHADE), ids)
    assert fault.args[-2 if isinstance(fault, SuperlinkError) else -1] in raised.value.message
    assert raised.value.hint and seen == [10, 20]
    assert bench.ledger.counts() == {"left": 3} and [row[:3] for row in bench.steps()] == [(1, "s1", "finished")]

    def cannot(self: ShardStore, item: SourceItem, kind: str) -> Ref:
        raise MediaError("it cannot be opened") from fault

    monkeypatch.setattr(ShardStore, "open", cannot)
    (bench.folder / "in" / "03.png").write_bytes(b"new")
    with pytest.raises(RunStopped):
        bench.work(plan(SHADE), [bench.scan()[-1]])


@pytest.mark.parametrize(
    "fault", [OSError(errno.EACCES, "Permission denied"), OutOfMemory("too large", ""), ValueError("odd")]
)
def test_what_is_an_items_fault_does_not(bench: Bench, fault: Any) -> None:
    faults[20] = fault
    outcome = bench.work(plan(SHADE), bench.lay(10, 20, 30))
    assert outcome.done == [1, 3] and list(outcome.failed) == [2]


def test_a_failure_within_a_list_stops_the_run_too(bench: Bench) -> None:
    faults[12] = WeightsMissing("no weights", "Pull them")
    with pytest.raises(RunStopped, match="no weights. Pull them"):
        bench.work(plan(("layers", {"image": "$image"}), ("shade", {"image": "$s1"})), bench.lay(10))


def test_nothing_is_settled_whose_results_the_disk_has_not(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: ShardStore) -> None:
        raise StoreUnusable("the disk is gone", "Check it")

    ids = bench.lay(10)
    with monkeypatch.context() as patch, pytest.raises(RunStopped, match="the disk is gone. Check it"):
        patch.setattr(ShardStore, "flush_all", broken)
        bench.work(plan(SHADE), ids)
    assert bench.ledger.pending("sig") == ids and bench.work(plan(SHADE), ids).ran == 0


def test_finds_of_done_items_are_queued_before_they_are_settled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    faults[90] = ValueError("odd")
    ids = bench.lay(80, 90, 200)
    steps = plan(("find", {"image": "$image"}), SHADE)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Ledger, "settle", killed)
        bench.work(steps, ids)
    [(count,)] = raw_sql(bench.ledger, "SELECT count(*) FROM review")
    assert count == 1  # of 80: 90 has failed, and 200 is above the band
    bench.work(steps, ids)
    assert [(one.item, one.step, one.reason) for one in queue(bench.ledger)] == [("00.png", "s1", "band")]


# Plans.


@pytest.mark.parametrize(
    ("args", "kind"), [({"image": "$image"}, "image"), ({"image": "$video"}, "video"), ({"image": ["$audio"]}, "audio")]
)
def test_the_one_kind_that_a_plan_works_on(args: dict[str, Any], kind: str) -> None:
    assert media_kind(plan(("shade", args), ("double", {"number": "$s1"}))) == kind


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (plan(("shade", {})), "no file at all"),
        (plan(("both", {"image": "$image", "other": "$video"})), r"\$image and \$video"),
        (plan(("shade", {"image": "$photo"})), r"\$photo"),
        (
            Plan.load({"steps": [{"id": "s1", "tool": "shade", "args": {"image": "$image"}}], "outputs": ["$audio"]}),
            r"\$audio and \$image",
        ),
    ],
)
def test_a_plan_for_many_files_works_on_one_kind(made: Plan, said: str) -> None:
    with pytest.raises(PlanUnfit, match=said):
        media_kind(made)
