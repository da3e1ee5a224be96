"""Parts of a call that ended early, whatever ended it, are kept for the next."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tools import Batch, Detections, Store, Text, Video, tool
from tools.core.errors import ToolError
from tools.detect import detect
from tools.engines import routing
from tools.engines.dispatch import Picture
from tools.runtime.execute import call, call_each
from tools.runtime.parts import kept, kept_values
from tools.storage.store import Ref
from tools.track import track
from tools.weights.usage import record

ENDS: dict[int, Exception] = {}
"""The part at which the next call ends, and how."""
USED: list[str] = []
"""Hashes of the weights that are in use before the first part, then one more for each part."""
COMPUTED: list[int] = []


def use(sha256: str) -> None:
    record([{"id": "w", "sha256": sha256, "licence": "MIT"}])


def compute(number: int) -> list[object]:
    if number in ENDS:
        raise ENDS.pop(number)
    COMPUTED.append(number)
    if len(USED) > number + 1:
        use(USED[number + 1])
    return [number, "é", 0.1]


def look(number: int) -> list[Detections]:
    score = np.array([0.1 + number / 7], np.float32)
    return [Detections(np.array([[0.3, 1, 2.7, 3]], np.float32), ("é",), score, (9, 9))] if compute(number) else []


@tool
def count(text: Text, factor: int = 1) -> Text:
    """Work in parts."""
    use(USED[0])
    return Text(str([kept(number, compute, number) for number in range(4)]))


@tool
def boxes(text: Text) -> Detections:
    """Find in parts."""
    use(USED[0])
    return Detections.concat([one for number in range(4) for one in kept_values(number, look, number)])


@tool
def counts(text: Batch[Text]) -> Batch[Text]:
    """Work in parts on several at once."""
    use(USED[0])
    return [Text(f"{each.text} {kept(0, lambda each=each: each.text)}") for each in text]


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Store:
    ENDS.clear()
    COMPUTED.clear()
    USED[:] = ["weights"]
    return Store(tmp_path / "store")


def ended(store: Store, at: int = 2) -> None:
    ENDS[at] = RuntimeError("ended")
    with pytest.raises(ToolError, match="ended"):
        call(count, {"text": "a"}, store)


def left(store: Store) -> list[Path]:
    folder = store.parts_folder()
    assert folder is not None
    return list(folder.glob("*"))


def test_a_call_goes_on_where_it_ended(store: Store) -> None:
    ended(store)
    assert COMPUTED == [0, 1] and len(left(store)) == 1
    other = Store(store.url)  # as of another process
    done = call(count, {"text": "a"}, other)
    assert COMPUTED == [0, 1, 2, 3] and not left(store)
    call(count, {"text": "a"}, store)
    assert COMPUTED == [0, 1, 2, 3, 0, 1, 2, 3]  # what has ended is not kept
    assert isinstance(done, dict) and store.get(done) == Text(str([[n, "é", 0.1] for n in range(4)]))


def test_values_are_the_same_as_of_an_undisturbed_call(store: Store) -> None:
    whole = call(boxes, {"text": "a"}, store)
    ENDS[3] = RuntimeError("ended")
    with pytest.raises(ToolError, match="ended"):
        call(boxes, {"text": "a"}, store)
    COMPUTED.clear()
    again = call(boxes, {"text": "a"}, store)
    assert isinstance(whole, dict) and isinstance(again, dict)
    assert COMPUTED == [3] and again["sha256"] == whole["sha256"]


def other_input(store: Store) -> dict[str, object]:
    return {"text": "b"}


def other_argument(store: Store) -> dict[str, object]:
    return {"text": "a", "factor": 2}


def other_weights(store: Store) -> dict[str, object]:
    USED[0] = "others"
    return {"text": "a"}


def other_version(store: Store) -> dict[str, object]:
    object.__setattr__(count, "version", "2")
    return {"text": "a"}


def damaged(store: Store) -> dict[str, object]:
    [file] = left(store)
    file.write_text(file.read_text().replace("é", "e").replace("\\u00e9", "e"))
    return {"text": "a"}


@pytest.mark.parametrize("changed", [other_input, other_argument, other_weights, other_version, damaged])
def test_parts_of_another_call_are_not_used(store: Store, changed: Callable[[Store], dict[str, object]]) -> None:
    version = count.version
    ended(store)
    COMPUTED.clear()
    try:
        call(count, changed(store), store)
    finally:
        object.__setattr__(count, "version", version)
    assert COMPUTED == [0, 1, 2, 3]


def test_parts_that_began_to_use_other_weights_are_not_kept(store: Store) -> None:
    USED[:] = ["weights", "weights", "late"]
    ended(store, 3)
    assert COMPUTED == [0, 1, 2]
    call(count, {"text": "a"}, store)
    assert COMPUTED == [0, 1, 2, 1, 2, 3]


def test_half_a_line_of_a_killed_process_is_left_out(store: Store) -> None:
    ended(store)
    [file] = left(store)
    file.write_bytes(file.read_bytes()[:-5])
    COMPUTED.clear()
    call(count, {"text": "a"}, store)
    assert COMPUTED == [1, 2, 3]


def test_calls_that_run_together_do_not_share_parts(store: Store) -> None:
    done = call_each(counts, [{"text": word} for word in "ab"], store)
    refs: list[Ref] = [one.result for one in done]  # type: ignore[union-attr,misc]
    assert [store.get(ref) for ref in refs] == [Text("a a"), Text("b b")] and not left(store)


def test_parts_that_nobody_asked_for_in_a_week_are_removed(store: Store) -> None:
    ended(store)
    [old] = left(store)
    os.utime(old, (0, 0))
    call(count, {"text": "b"}, store)
    assert not left(store)


@pytest.mark.parametrize("name", ["detect", "track"])
def test_frames_that_were_looked_at_are_not_looked_at_again(
    store: Store, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []

    def find(pictures: Sequence[Picture], score: float) -> list[Detections]:
        if not pictures:
            return []
        if len(batches) == 2:
            batches.append(0)
            raise RuntimeError("ended")
        batches.append(len(pictures))
        found = np.array([[1, 2, 20, 30.3]], np.float32)
        return [Detections(found, ("dog",), np.array([0.9], np.float32), (32, 48)) for _ in pictures]

    monkeypatch.setattr(routing, "finders", lambda *_, **__: [routing.Finder(find, 0.4, ("dog",))])
    frames = [np.full((32, 48, 3), 10 * n, np.uint8) for n in range(20)]
    args = {"image" if name == "detect" else "video": store.put(Video.from_frames(frames, 5)), "labels": ["dog"]}
    follow = {"detect": detect, "track": track}[name]
    with pytest.raises(ToolError, match="ended"):
        call(follow, args, store)
    whole = call(follow, args, store)
    assert batches == [8, 8, 0, 4]
    other = Store(f"{store.url} of an undisturbed call")
    fresh = call(follow, args | {next(iter(args)): other.put(Video.from_frames(frames, 5))}, other)
    assert isinstance(whole, dict) and isinstance(fresh, dict) and fresh["sha256"] == whole["sha256"]
    assert whole["summary"]["frames"] == 20
