"""How work tells of its progress, and that abandoned work ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.waiting import WAIT
from tools import Batch, Text, Video, tool
from tools.core import abandon
from tools.core.abandon import Stopped, abandonable, on_abandon, raise_if_abandoned
from tools.core.progress import listening, report, stoppable, track, track_parts
from tools.runtime.execute import call, call_each
from tools.storage.store import Store
from tools.values.reencode import reencode

Told = list[tuple[int, int]]


@pytest.fixture
def told() -> Iterator[Told]:
    """What a listener without a throttle is told."""
    told: Told = []
    with listening(lambda done, total: told.append((done, total)), 0):
        yield told


def test_each_round_is_reported(told: Told) -> None:
    assert list(track("ab")) == ["a", "b"]
    assert told == [(0, 2), (1, 2), (2, 2)]
    report(3, 9)
    assert list(track(iter("ab"))) == ["a", "b"] and told[3:] == [(3, 9)]  # nobody knows how many


def test_a_part_counts_when_it_is_done_and_not_when_it_is_taken(told: Told) -> None:
    seen = [(part, list(told)) for part in track_parts("abcde", 2)]
    assert [part for part, _ in seen] == [["a", "b"], ["c", "d"], ["e"]]
    assert [before[-1] for _, before in seen] == [(0, 5), (2, 5), (4, 5)] and told[-1] == (5, 5)


def test_of_loops_within_loops_the_outermost_of_several_rounds_is_shown(told: Told) -> None:
    for _ in track("x"):
        for _ in track("ab"):
            list(track("cde"))
            report(1, 7)
    assert told == [(0, 2), (1, 2), (2, 2)]
    for _ in track("abc"):
        break
    list(track("de"))
    assert told[3:] == [(0, 3), (0, 2), (1, 2), (2, 2)]  # a loop that was left is over


def test_a_listener_is_not_told_more_often_than_it_wants() -> None:
    told: Told = []
    with listening(lambda done, total: told.append((done, total)), 3600):
        list(track(range(1000)))
    list(track("ab"))
    assert told == []


def abandoned_at(place: str, work: Callable[[Callable[[], None]], object]) -> list[str]:
    """Abandon work where it calls `reached`; return where it was afterwards."""
    stop, free, seen = threading.Event(), threading.Event(), list[str]()

    def reached() -> None:
        seen.append(place)
        if len(seen) == 1:
            stop.set()
            free.wait(WAIT)

    before = set(abandon._abandoned)
    with pytest.raises(Stopped):
        abandonable(lambda: work(reached), stop)
    free.set()
    [thread] = set(abandon._abandoned) - before
    thread.join(WAIT)
    assert not thread.is_alive()
    return seen


def test_abandoned_work_ends_at_its_next_round() -> None:
    assert abandoned_at("round", lambda reached: [reached() for _ in track(range(1000))]) == ["round"]
    assert abandoned_at("unknown", lambda reached: [reached() for _ in track(iter(range(1000)))]) == ["unknown"]
    assert abandoned_at("step", lambda reached: [(reached(), report(n, 1000)) for n in range(1000)]) == ["step"]


def test_what_is_begun_after_the_work_was_abandoned_is_not_begun() -> None:
    def work(reached: Callable[[], None]) -> None:
        reached()
        with on_abandon(lambda: None):
            reached()

    assert abandoned_at("before", work) == ["before"]


def test_abandoned_work_ends_at_the_next_pass_of_a_network() -> None:
    torch = pytest.importorskip("torch")
    network = torch.nn.Identity()

    def work(reached: Callable[[], None]) -> None:
        with stoppable(network):
            for _ in range(1000):
                network(torch.zeros(1))
                reached()

    assert abandoned_at("pass", work) == ["pass"]
    assert not network._forward_pre_hooks


REACHED: list[Callable[[], None]] = []


@tool
def echo(text: Text) -> Text:
    """Give back words."""
    for reached in REACHED:
        reached()
        raise_if_abandoned()
    return text


@tool
def echoes(text: Batch[Text]) -> Batch[Text]:
    """Give back words."""
    for each in track(text):
        echo(each)
    return text


@contextmanager
def reaching(reached: Callable[[], None]) -> Iterator[None]:
    REACHED.append(reached)
    try:
        yield
    finally:
        REACHED.clear()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_abandoned_call_runs_no_further_items(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    words = [f"word {number}" for number in range(40)]
    for one in (echo, echoes):

        def work(reached: Callable[[], None], one: object = one) -> object:
            with reaching(reached):
                return call_each(one, [{"text": word} for word in words], store)  # type: ignore[arg-type]

        assert abandoned_at("item", work) == ["item"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_items_of_a_list_are_counted(store: Store, told: Told) -> None:
    call(echo, {"text": ["a", "b", "c"]}, store)
    assert told == [(0, 3), (1, 3), (2, 3)]
    told.clear()
    call(echoes, {"text": ["a", "b", "c"]}, store)
    assert list(dict.fromkeys(told)) == [(0, 3), (1, 3), (2, 3), (3, 3)]
    told.clear()
    call(echoes, {"text": ["a"] * 40}, store)
    assert list(dict.fromkeys(told)) == [(n, 40) for n in range(41)]
    told.clear()
    call(echoes, {"text": "a"}, store)
    assert told == []


@tool
def spell(text: Text) -> Text:
    """Go through the letters twice."""
    list(track(text.text))
    list(track(text.text))
    return text


def test_loops_within_the_work_on_an_item_are_shares_of_it(store: Store, told: Told) -> None:
    call(spell, {"text": ["ab", "cd", "ef"]}, store)
    assert list(dict.fromkeys(told)) == [(0, 3), *((n, 6) for n in range(7))]
    told.clear()
    call(spell, {"text": ["abcd", "ef"]}, store)  # an item of another length
    assert list(dict.fromkeys(told)) == [(0, 2), *((n, 8) for n in range(5)), (2, 4), (3, 4), (4, 4)]
    told.clear()
    call(spell, {"text": "ab"}, store)
    assert told == [(0, 2), (1, 2), (2, 2)] * 2


def test_frames_of_a_video_are_counted(told: Told) -> None:
    video = Video.from_frames([np.full((32, 32, 3), 40 * n, np.uint8) for n in range(5)], 5)
    told.clear()
    reencode(video, lambda number: True, lambda number, pixels: pixels)
    assert told == [(n, 5) for n in range(6)]
    assert abandoned_at(
        "frame", lambda reached: reencode(video, lambda number: True, lambda number, pixels: reached())
    ) == ["frame"]


def test_a_network_in_the_middle_of_a_run_ends(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from tools.engines.onnx_session import Network

    # Multiplies a matrix by itself for ever, or nearly so.
    body = onnx.helper.make_graph(
        [
            onnx.helper.make_node("MatMul", ["x", "x"], ["y"]),
            onnx.helper.make_node("Identity", ["on"], ["still"]),
        ],
        "body",
        [
            onnx.helper.make_tensor_value_info("n", onnx.TensorProto.INT64, []),
            onnx.helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, []),
            onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [64, 64]),
        ],
        [
            onnx.helper.make_tensor_value_info("still", onnx.TensorProto.BOOL, []),
            onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [64, 64]),
        ],
    )
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Loop", ["count", "yes", "start"], ["end"], body=body)],
        "graph",
        [onnx.helper.make_tensor_value_info("start", onnx.TensorProto.FLOAT, [64, 64])],
        [onnx.helper.make_tensor_value_info("end", onnx.TensorProto.FLOAT, [64, 64])],
        [
            onnx.helper.make_tensor("count", onnx.TensorProto.INT64, [], [1 << 60]),
            onnx.helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True]),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "loop.onnx")
    network = Network(tmp_path / "loop.onnx")
    stop = threading.Event()
    before = set(abandon._abandoned)
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped):
        abandonable(lambda: network.run(np.zeros((64, 64), np.float32)), stop)
    [thread] = set(abandon._abandoned) - before
    thread.join(WAIT)
    assert not thread.is_alive()
