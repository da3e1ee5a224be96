"""Models in memory: loaded when first used, kept while there is room, never unloaded while in use."""

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
    turn: Any = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class Loaded:
    """A model in memory, as `loaded()` lists it."""

    name: str
    bytes: int
    device: str
    in_use: bool


class Resident(Generic[P, M]):
    """A loader whose models stay in memory; made by `@resident`.

    Calling it returns the model. Inside a tool's run the model then stays until the tool is done. Where two
    threads must not use one model at the same time, write `with loader.lease(…) as model:` instead.
    """

    def __init__(self, load: Callable[P, M], size: int, device: Literal["auto", "cpu"]) -> None:
        """Keep the loader; nothing is loaded yet."""
        self.__doc__ = load.__doc__
        self.__name__ = load.__name__
        self.__wrapped__ = load
        self._load, self._size, self._device = load, size, device

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> M:
        """Return the model, loaded now if it is not in memory."""
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
        """Have the model to oneself inside the block; other threads wait for their turn.

        Leases of different models inside each other can wait for each other for ever: take one at a time.
        """
        entry = self._acquire(args, kwargs)
        try:
            with entry.turn:
                yield entry.model
        finally:
            _release(entry)

    def _acquire(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Entry:
        place = "cpu" if self._device == "cpu" else device()
        key: Key = (self._load.__module__, self._load.__qualname__, place, args, tuple(sorted(kwargs.items())))
        with _lock:
            entry = _entries.setdefault(key, _Entry(key, self.__name__, self._size, place))
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
        record(entry.weights)  # the loader ran once, but what is made now was made with these weights, too
        return entry


def resident(*, bytes: int, device: Literal["auto", "cpu"] = "auto") -> Callable[[Callable[P, M]], Resident[P, M]]:
    """Keep what a loader function returns in memory, under a budget.

    Args:
        bytes: What one model takes, about.
        device: "cpu" for models that never run anywhere else, "auto" for those that follow the settings.
    """
    if bytes < 1:
        raise ValueError("bytes must be positive")
    return lambda load: Resident(load, bytes, device)


def device() -> Literal["cpu", "cuda"]:
    """Return where models run, after the settings and what this computer has.

    Raises:
        SettingsInvalid: when the settings ask for an accelerator that is not there.
    """
    wanted = settings().device
    if wanted == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise SettingsInvalid(
            "The settings ask for the device cuda, but PyTorch finds none here",
            "Set device to auto or cpu (SUPERLINK_DEVICE)",
        )
    return "cpu"


@contextmanager
def in_use() -> Iterator[None]:
    """Keep every model that is asked for inside the block until its end."""
    entries: list[_Entry] = []
    token = _scope.set(entries)
    try:
        yield
    finally:
        _scope.reset(token)
        for entry in entries:
            _release(entry)


def loaded() -> list[Loaded]:
    """List the models in memory, the one used last first."""
    with _lock:
        entries = sorted((e for e in _entries.values() if e.ready), key=lambda e: -e.last_used)
        return [Loaded(e.name, e.bytes, e.device, e.users > 0) for e in entries]


def evict_idle() -> int:
    """Unload every model that is not in use; return how many."""
    with _lock:
        idle = [entry for entry in _entries.values() if entry.ready and not entry.users]
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
    """Evict the models that were not used for longest until this one fits; go over the budget if none is idle."""
    budget = _budget(entry.device)
    with _lock:
        # Models that other threads are loading at this moment count, too; they are in use, so never evicted.
        held = [e for e in _entries.values() if e.device == entry.device and e is not entry]
        excess = sum(e.bytes for e in held) + entry.bytes - budget
        evicted = []
        for other in sorted((e for e in held if not e.users), key=lambda e: e.last_used):
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


def _budget(place: str) -> int:
    if place == "cpu":
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
