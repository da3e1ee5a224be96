"""Results of the parts of a call, kept on the disk so that a call that was stopped goes on where it was.

A tool that works through a video or a recording gets each part's result from `kept`. The results lie beside the values
of the store until the call has ended well; those of calls that nobody continued are removed after a week.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from tools.core.log import logger
from tools.storage.atomic import sweep
from tools.values import VALUE_TYPES, Value
from tools.values.base import canonical_json
from tools.weights.usage import recorded

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V", bound=Value)

_AGE = 7 * 24 * 3600.0
_log = logger.getChild("tools")


class _Parts:
    """The parts of one call; its file is opened for the first of them.

    Args:
        folder: Where parts are kept.
        call: What tells calls apart, as JSON.
    """

    def __init__(self, folder: Path, call: Mapping[str, object]) -> None:
        self._folder, self._call = folder, call
        self._file: Path | None = None
        self._done: dict[int, Any] = {}
        self._weights: list[str] = []

    def get(self, number: int, work: Callable[[], Any]) -> Any:
        """Return the kept result of a part, or what `work` returns, which is kept."""
        if self._file is None:
            self._open()
        if number not in self._done:
            result = work()
            # A part that used weights that are not part of the file's name might be out of date later.
            if _weights() == self._weights:
                self._keep(number, result)
            return result
        return self._done[number]

    def drop(self) -> None:
        """Remove the parts of a call that has ended."""
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink()

    def _open(self) -> None:
        self._weights = _weights()
        name = hashlib.sha256(canonical_json({**self._call, "weights": self._weights})).hexdigest()
        self._file = self._folder / name
        sweep(self._folder.glob("*"), _AGE)
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return
        for line in lines:
            try:
                sha256, _, text = line.partition(" ")
                if hashlib.sha256(text.encode()).hexdigest() == sha256:
                    number, result = json.loads(text)
                    self._done[number] = result
            except ValueError:  # the last line of a process that was killed
                continue

    def _keep(self, number: int, result: object) -> None:
        assert self._file is not None
        text = json.dumps([number, result])
        line = f"{hashlib.sha256(text.encode()).hexdigest()} {text}\n"
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:  # it is only for a later call that parts are kept
            _log.debug("%s: a part of a call was not kept: %s", self._file, error)


_current: ContextVar[_Parts | None] = ContextVar("parts", default=None)


@contextmanager
def keeping(folder: Path | None, call: Mapping[str, object]) -> Iterator[None]:
    """Keep the parts of the call inside the block until the block ends without an error.

    Args:
        folder: Where they are kept; None for nowhere.
        call: What tells calls apart, as JSON: tool, version, arguments and content of the inputs. The weights that
            were used before the first part are added.
    """
    parts = None if folder is None else _Parts(folder, call)
    token = _current.set(parts)
    try:
        yield
    finally:
        _current.reset(token)
    if parts is not None:
        parts.drop()


def kept(number: int, work: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
    """Return the result of a part of the current call; a call that continues this one does not compute it again.

    Args:
        number: Tells the part from others, such as the number of its first frame.
        work: Computes the result, which JSON can hold. All weights must be in use before the first part.
        args: Arguments of `work`.
        named: Further arguments of `work`.
    """
    parts = _current.get()
    result: R = work(*args, **named) if parts is None else parts.get(number, lambda: work(*args, **named))
    return result


def kept_values(number: int, work: Callable[P, Sequence[V]], *args: P.args, **named: P.kwargs) -> list[V]:
    """Return the result of a part as `kept` does, for values whose bytes are text, such as `Detections`."""
    rows = kept(number, lambda: [[one.kind, one.media_type, one.to_bytes().decode()] for one in work(*args, **named)])
    return [cast(V, VALUE_TYPES[kind].from_bytes(text.encode(), media_type)) for kind, media_type, text in rows]


def _weights() -> list[str]:
    return sorted(one["sha256"] for one in recorded())
