"""A cache of loaded models under a memory budget. Idle models are evicted, the least recently used first."""

import gc
import sys
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast

from tools.core.allocator import trim
from tools.core.errors import SettingsInvalid
from tools.core.settings import settings
from tools.storage.store import WeightsUsed
from tools.weights.usage import record, recording

P = ParamSpec("P")
M = TypeVar("M")

Key = tuple[Hashable, ...]


@dataclass(eq=False)
class _Entry:
    key: Key
    name: str
    bytes: int
    device: str
    model: Any = None
    ready: bool = False
    users: int = 0
    last_used: float = 0.0
    weights: list[WeightsUsed] = field(default_factory=list)
    loading: threading.Lock = field(default_factory=threading.Lock)
    lease: Any = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class Loaded:
    """A model in memory, as `loaded()` lists it.

    Attributes:
        name: Of the function that loads it.
        bytes: Its size, about.
        device: "cpu" or "cuda".
        in_use: Whether a tool runs it.
        weights: Ids of the weights in it.
        idle: Seconds since it was used last.
    """

    name: str
    bytes: int
    device: str
    in_use: bool
    weights: tuple[str, ...] = ()
    idle: float = 0.0


class Resident(Generic[P, M]):
    """A loader function whose models are cached; made by `@resident`.

    Calling it returns the model, which is not evicted before the running tool has ended. For a model that two threads
    must not use at the same time, write `with loader.lease(…) as model:` instead.
    """

    def __init__(self, load: Callable[P, M], size: int, device: Literal["auto", "cpu"]) -> None:
        """Store the loader; nothing is loaded yet."""
        self.__doc__ = load.__doc__
        self.__name__ = load.__name__
        self.__wrapped__ = load
        self._load, self._size, self._device = load, size, device

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> M:
        """Return the model; load it if it is not in the cache."""
        entry = self._acquire(args, kwargs)
        model = cast(M, entry.model)
        scope = _scope.get()
        if scope is None:
            _release(entry)
        else:
            scope.append(entry)
        return model

    @contextmanager
    def lease(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[M]:
        """Lock the model for this thread inside the block; other threads wait.

        Hold one lease at a time: nested leases of different models can deadlock.
        """
        entry = self._acquire(args, kwargs)
        try:
            with entry.lease:
                yield entry.model
        finally:
            _release(entry)

    def _acquire(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Entry:
        device_name = "cpu" if self._device == "cpu" else device()
        key: Key = (self._load.__module__, self._load.__qualname__, device_name, args, tuple(sorted(kwargs.items())))
        with _lock:
            entry = _entries.setdefault(key, _Entry(key, self.__name__, self._size, device_name))
            entry.users += 1
        try:
            with entry.loading:
                if not entry.ready:
                    _make_room(entry)
                    with recording() as used:
                        entry.model = self._load(*args, **kwargs)
                    entry.weights = used
                    entry.ready = True
        except BaseException:
            with _lock:
                entry.users -= 1
                if not entry.users:
                    _entries.pop(key, None)
            raise
        record(entry.weights)  # of a cached model, too, whose loader does not run again
        return entry


def resident(*, bytes: int, device: Literal["auto", "cpu"] = "auto") -> Callable[[Callable[P, M]], Resident[P, M]]:
    """Cache the models that a loader function returns, under the memory budget.

    Args:
        bytes: Approximate size of one model in memory.
        device: "cpu" for models that run on the CPU only, "auto" for the device of the settings.
    """
    if bytes < 1:
        raise ValueError("bytes must be positive")
    return lambda load: Resident(load, bytes, device)


def device() -> Literal["cpu", "cuda"]:
    """Return the device that models run on, from the settings and the hardware.

    Raises:
        SettingsInvalid: when the settings require an accelerator and there is none.
    """
    setting = settings().device
    if setting == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if setting == "cuda":
        raise SettingsInvalid(
            "The settings ask for the device cuda, but PyTorch finds none here",
            "Set device to auto or cpu (SUPERLINK_DEVICE)",
        )
    return "cpu"


@contextmanager
def in_use() -> Iterator[None]:
    """Keep every model that is used inside the block from eviction until the block ends.

    Memory that the block freed is returned to the system.
    """
    entries: list[_Entry] = []
    token = _scope.set(entries)
    try:
        yield
    finally:
        _scope.reset(token)
        for entry in entries:
            _release(entry)
        trim()


def loaded() -> list[Loaded]:
    """List the models in memory, the one used last first."""
    with _lock:
        entries = sorted((e for e in _entries.values() if e.ready), key=lambda e: -e.last_used)
        now = time.monotonic()
        return [
            Loaded(e.name, e.bytes, e.device, e.users > 0, tuple(one["id"] for one in e.weights), now - e.last_used)
            for e in entries
        ]


def evict_idle(weights_id: str | None = None) -> int:
    """Unload the models that are not in use, or those of them with these weights; return their number."""
    with _lock:
        idle = [
            entry
            for entry in _entries.values()
            if entry.ready
            and not entry.users
            and (weights_id is None or any(one["id"] == weights_id for one in entry.weights))
        ]
        for entry in idle:
            del _entries[entry.key]
    _free(idle)
    return len(idle)


_lock = threading.Lock()
_entries: dict[Key, _Entry] = {}
_scope: ContextVar[list[_Entry] | None] = ContextVar("models_in_use", default=None)


def _release(entry: _Entry) -> None:
    with _lock:
        entry.users -= 1
        entry.last_used = time.monotonic()


def _make_room(entry: _Entry) -> None:
    """Evict idle models, the least recently used first, until this one fits; warn if the budget is exceeded."""
    budget = _budget(entry.device)
    with _lock:
        # Models that other threads are loading count, too; they are in use and so are not evicted.
        cached = [e for e in _entries.values() if e.device == entry.device and e is not entry]
        excess = sum(e.bytes for e in cached) + entry.bytes - budget
        evicted = []
        for other in sorted((e for e in cached if not e.users), key=lambda e: e.last_used):
            if excess <= 0:
                break
            del _entries[other.key]
            evicted.append(other)
            excess -= other.bytes
    _free(evicted)
    if excess > 0:
        warnings.warn(
            f"Loading {entry.name} takes {entry.device} memory {excess / 2**30:.1f} GiB above the budget of "
            f"{budget / 2**30:.1f} GiB (memory_bytes and gpu_memory_bytes in settings.toml)",
            stacklevel=4,
        )


def _budget(device_name: str) -> int:
    if device_name == "cpu":
        return settings().memory_bytes
    if settings().gpu_memory_bytes:
        return settings().gpu_memory_bytes
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory) * 4 // 5


def _free(entries: list[_Entry]) -> None:
    for entry in entries:
        entry.model = None
        entry.ready = False
    if entries:
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()
        trim()
