"""Models in memory: loaded once, evicted when idle, never while in use."""

import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import WAIT
from tools.core.settings import settings
from tools.runtime.model_cache import Resident, evict_idle, in_use, loaded, resident
from tools.weights.usage import record


@pytest.fixture(autouse=True)
def small_budget(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    evict_idle()
    monkeypatch.setenv("SUPERLINK_MEMORY_BYTES", "100")
    settings.cache_clear()
    yield
    evict_idle()


class Loader:
    """Counts its loads."""

    def __init__(self, size: int) -> None:
        self.loads: list[str] = []

        def load(name: str = "a") -> list[str]:
            self.loads.append(name)
            return [name]

        load.__qualname__ = f"load_{id(self)}"
        self.get: Resident[[str], list[str]] = resident(bytes=size, device="cpu")(load)


def _names() -> set[str]:
    return {entry.name for entry in loaded()}


def test_a_model_is_loaded_once_for_each_argument() -> None:
    loader = Loader(10)
    assert loader.get("a") is loader.get("a")
    assert loader.get("b") == ["b"]
    assert loader.loads == ["a", "b"]


def test_threads_wait_for_one_load() -> None:
    loads = []

    @resident(bytes=10, device="cpu")
    def slow() -> object:
        loads.append(1)
        time.sleep(0.1)
        return object()

    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(slow())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and len(set(map(id, seen))) == 1


def test_the_one_not_used_for_longest_goes() -> None:
    loader = Loader(40)
    for name in ("a", "b", "a", "c"):
        loader.get(name)
    assert loader.loads == ["a", "b", "c"]
    loader.get("a")
    assert loader.loads == ["a", "b", "c"]
    loader.get("b")
    assert loader.loads == ["a", "b", "c", "b"]
    assert sum(entry.bytes for entry in loaded()) <= 100


def test_a_model_in_use_stays_and_the_budget_is_exceeded_with_a_warning() -> None:
    loader = Loader(60)
    with loader.get.lease("a"), pytest.warns(UserWarning, match="above the budget"):
        loader.get("b")
        assert len(loaded()) == 2 and evict_idle() == 1
    assert evict_idle() == 1


def test_inside_a_run_models_stay_until_its_end() -> None:
    loader = Loader(60)
    with in_use():
        loader.get("a")
        assert loaded()[0].in_use
        assert evict_idle() == 0
    assert not loaded()[0].in_use
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader.get("b")
    assert len(loaded()) == 1


def test_freed_memory_is_returned_after_a_run_and_after_an_eviction(monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[int] = []
    monkeypatch.setattr("tools.core.allocator._malloc_trim", returned.append)
    loader = Loader(60)
    with in_use():
        loader.get("a")
        assert returned == []
    assert returned == [0]
    assert evict_idle() == 1
    assert returned == [0, 0]


def test_a_model_larger_than_the_budget_is_loaded_alone() -> None:
    small, large = Loader(10), Loader(200)
    small.get("a")
    with pytest.warns(UserWarning, match="above the budget"):
        large.get("a")
    assert [entry.bytes for entry in loaded()] == [200]


def test_models_that_load_at_the_same_time_share_the_budget() -> None:
    both = threading.Barrier(2, timeout=WAIT)

    @resident(bytes=60, device="cpu")
    def slow(name: str) -> str:
        both.wait()
        return name

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=slow, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert any("above the budget" in str(warning.message) for warning in caught)


def test_a_failed_load_is_tried_again() -> None:
    tries = []

    @resident(bytes=10, device="cpu")
    def flaky() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no such file")
        return "model"

    with pytest.raises(OSError):
        flaky()
    assert not _names() & {"flaky"}
    assert flaky() == "model"


def test_leases_take_turns() -> None:
    loader = Loader(10)
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with loader.get.lease("a"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and loader.loads == ["a"]


def test_the_models_of_some_weights_are_unloaded() -> None:
    @resident(bytes=10, device="cpu")
    def with_weights(name: str) -> object:
        record([{"id": name, "sha256": "0", "licence": "MIT"}])
        return object()

    with_weights("one")
    with in_use():
        with_weights("two")
        assert evict_idle("two") == 0  # a tool runs it
    assert {entry.weights for entry in loaded()} == {("one",), ("two",)}
    assert evict_idle("two") == 1 and evict_idle("three") == 0
    assert [entry.weights for entry in loaded()] == [("one",)]
