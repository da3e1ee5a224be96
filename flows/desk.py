"""The store as a shard uses it: files of the source stay where they are, and what was just used stays in memory."""

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from flows.source import Item
from tools.errors import MediaError, StoreError
from tools.store import Provenance, Ref, Store
from tools.values import KINDS, Image, Value
from tools.values.convert import open_file

_ROOM = 256 << 20


class Desk(Store):
    """A store in front of another address.

    A file of the source on this computer is not copied into the store; it is read where it lies, and its hash is checked
    each time. Files from elsewhere are stored, since tools work on local ones.

    Args:
        url: as of `Store`.
        room: bytes of values kept in memory.
    """

    def __init__(self, url: str | Path, room: int = _ROOM) -> None:
        """Open the store; nothing is kept yet."""
        super().__init__(url)
        self._room, self._held = room, 0
        self._kept: OrderedDict[tuple[str, str], tuple[Value, int]] = OrderedDict()
        self._lying: dict[str, tuple[Path, str]] = {}
        self._lock = threading.Lock()

    def open(self, item: Item, kind: str) -> Ref:
        """Open a file of the source as a value of this kind ("Image").

        Raises:
            MediaError: when it is missing, damaged, or something else.
            StoreError: when it comes from elsewhere and cannot be stored.
        """
        if "://" in item.address:
            return self.put(_fetched(item, kind))
        path = Path(item.address)
        if path.is_dir():
            raise MediaError(f"the folder {path} cannot be read", "Check its permissions")
        value = open_file(path, kind)
        with value.stream() as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # any stream will do
        if kind == "Audio":
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return self.put(value)  # the sound track of a video: a value of its own
        self.lay(sha256, path)
        size = path.stat().st_size
        self._keep(value, sha256)
        return {"kind": value.kind, "sha256": sha256, "media_type": value.media_type, "bytes": size,
                "summary": value.summary()}  # fmt: skip

    def lay(self, sha256: str, path: Path) -> None:
        """Say where the bytes of this hash lie, outside the store."""
        self._lying[sha256] = (path, "")

    def clear(self) -> None:
        """Let go of everything kept in memory, and of where files lie."""
        with self._lock:
            self._kept.clear()
            self._lying.clear()
            self._held = 0

    def put(self, value: Value, provenance: Provenance | None = None) -> Ref:
        """Store a value and keep it at hand."""
        ref = super().put(value, provenance)
        self._keep(value, ref["sha256"])
        return ref

    def get(self, ref: Ref) -> Value:
        """Read a value: from memory, from the source, or from the store."""
        key = (str(ref.get("kind")), str(ref.get("sha256")))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        path = self.path(ref)
        if path is None or ref["sha256"] not in self._lying:
            value = super().get(ref)
        else:
            try:
                with path.open("rb") as file:
                    seen = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise StoreError(f"{path} cannot be read any more: {error.strerror}", "Put it back") from error
            if seen != ref["sha256"]:
                raise StoreError(f"{path} was changed during the run", "Run again when it is complete")
            value = KINDS[ref["kind"]].from_file(path, ref["media_type"])
        self._keep(value, ref["sha256"])
        return value

    def path(self, ref: Ref) -> Path | None:
        """Return where the bytes lie on this computer: in the source, or in the store."""
        lying = self._lying.get(ref["sha256"])
        return lying[0] if lying else super().path(ref)

    def __contains__(self, ref: Ref) -> bool:
        """Whether the value is there, in the source or in the store."""
        lying = self._lying.get(ref["sha256"])
        return lying[0].exists() if lying else super().__contains__(ref)

    def _keep(self, value: Value, sha256: str) -> None:
        size = _size(value)
        with self._lock:
            key = (value.kind, sha256)
            if key in self._kept or size > self._room:
                return
            self._kept[key] = (value, size)
            self._held += size
            while self._held > self._room:
                _, (_, gone) = self._kept.popitem(last=False)
                self._held -= gone


def _size(value: Value) -> int:
    """About how much memory a value takes."""
    if isinstance(value, Image):
        return value.width * value.height * 4
    held: Any = getattr(value, "samples", getattr(value, "source", b""))
    return 4096 + (held.nbytes if hasattr(held, "nbytes") else len(held) if isinstance(held, bytes) else 0)


def _fetched(item: Item, kind: str) -> Value:
    """A file from another address, read whole."""
    import fsspec

    try:
        with fsspec.open(item.address, "rb") as file:
            data: bytes = file.read()
    except (OSError, ValueError, ImportError) as error:
        raise MediaError(f"{item.address} cannot be read: {error}", "Check the address") from error
    if not data:
        raise MediaError(f"{item.address} is empty (0 bytes)", "Copy or upload the file again")
    opener: Any = getattr(KINDS[kind], "open")  # noqa: B009
    value: Value = opener(data, item.address)
    return value
