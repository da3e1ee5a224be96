"""The store of a shard: reads files of the source in place, and caches values in memory."""

import hashlib
import os
import shutil
import stat
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.items.source import SourceItem
from tools.core.errors import MediaError, StoreError
from tools.storage.atomic import flush
from tools.storage.store import Provenance, Ref, Store
from tools.values import VALUE_TYPES, Value
from tools.values.convert import open_file

_CACHE_BYTES = 256 << 20
_FLUSH_THREADS = 8  # at once: a disk takes many together in little more time than one
_OPEN_FILES = 128  # files that may be open for it


class ShardStore(Store):
    """A store that reads files of the source in place and caches values.

    A local file of the source is not copied into the store; it is read at its path, and its hash is checked each time.
    Files of other addresses are stored, since tools work on local files.

    A value that was put outlives a killed process. It outlives a power cut only after `flush_all`, so that tools need
    not wait for the disk.

    Args:
        url: see `Store`.
        cache_bytes: bytes of values kept in memory.
    """

    def __init__(self, url: str | Path, cache_bytes: int = _CACHE_BYTES) -> None:
        """Open the store; the cache is empty."""
        super().__init__(url)
        self._cache_limit, self._cache_size = cache_bytes, 0
        self._cache: OrderedDict[tuple[str, str], tuple[Value, int]] = OrderedDict()
        self._source_files: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_FLUSH_THREADS, "flush")
        self._open_slots = threading.BoundedSemaphore(_OPEN_FILES)
        self._pending_flushes: list[tuple[Path, Future[None]]] = []

    def open(self, item: SourceItem, kind: str) -> Ref:
        """Open a file of the source as a value of this kind ("Image").

        Raises:
            MediaError: it is missing, damaged, or of another kind.
            StoreError: it is of another address and cannot be stored.
        """
        if "://" in item.address:
            with _download(item) as copy:
                # A picture is read whole; sound and video stay files, and this copy goes away.
                return (self.put if kind == "Image" else super().put)(_open(copy, item.address, kind))
        path = Path(item.address)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise MediaError(
                f"{path} cannot be read: {error.strerror}", "Put it back, or run again without it"
            ) from error
        if stat.S_ISDIR(mode):  # one that could not be listed, or a link to one
            raise MediaError(
                f"{path} is a folder that was not looked into", "Check its permissions; links are not followed"
            )
        if not stat.S_ISREG(mode):  # reading a pipe would wait for ever
            raise MediaError(f"{path} is no file but a device or a pipe", "Leave it out")
        value = open_file(path, kind)
        with value.stream() as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # any stream will do
        if kind == "Audio":
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return self.put(value)  # the sound track of a video: a value of its own
        self.register_file(sha256, path)
        size = path.stat().st_size
        self._cache_value(value, sha256)
        return {
            "kind": value.kind,
            "sha256": sha256,
            "media_type": value.media_type,
            "bytes": size,
            "summary": value.summary(),
        }

    def register_file(self, sha256: str, path: Path) -> None:
        """Register a file outside the store as the bytes of a hash."""
        self._source_files[sha256] = path

    def clear(self) -> None:
        """Empty the cache, and forget the registered files."""
        with self._lock:
            self._cache.clear()
            self._source_files.clear()
            self._cache_size = 0

    def flush_all(self) -> None:
        """Wait until all values that were put are on the disk.

        Raises:
            StoreUnusable: some cannot be written; they are removed from the store.
        """
        flushing, self._pending_flushes = self._pending_flushes, []
        failed: list[OSError] = []
        for target, flushed in flushing:
            try:
                flushed.result()
            except OSError as error:
                target.unlink(missing_ok=True)
                failed.append(error)
        try:
            for folder in {target.parent for target, _ in flushing}:
                flush(folder)
        except OSError as error:
            failed.append(error)
        if failed:
            raise self._unusable(failed[0]) from failed[0]

    def put(self, value: Value, provenance: Provenance | None = None) -> Ref:
        """Store a value and cache it."""
        ref = super().put(value, provenance)
        self._cache_value(value, ref["sha256"])
        return ref

    def get(self, ref: Ref) -> Value:
        """Read a value from the cache, the source, or the store."""
        key = (str(ref.get("kind")), str(ref.get("sha256")))
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key][0]
        path = self.path(ref)
        if path is None or ref["sha256"] not in self._source_files:
            value = super().get(ref)
        else:
            try:
                with path.open("rb") as file:
                    seen = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise StoreError(f"{path} cannot be read any more: {error.strerror}", "Put it back") from error
            if seen != ref["sha256"]:
                raise StoreError(f"{path} was changed during the run", "Run again when it is complete")
            value = VALUE_TYPES[ref["kind"]].from_file(path, ref["media_type"])
        self._cache_value(value, ref["sha256"])
        return value

    def path(self, ref: Ref) -> Path | None:
        """Path of the bytes on this computer, in the source or in the store; None for other stores."""
        return self._source_files.get(ref["sha256"]) or super().path(ref)

    def __contains__(self, ref: Ref) -> bool:
        """Whether the value is in the source or in the store with all its bytes."""
        file = self._source_files.get(ref["sha256"])
        if file is not None:
            return file.exists()
        path = super().path(ref)
        if path is None:
            return super().__contains__(ref)
        try:
            return path.stat().st_size == ref["bytes"]  # a power cut may have left less
        except OSError:
            return False

    def sound(self, ref: Ref) -> bool:
        """Whether the value is there with its bytes; a file of the source was read when it was opened."""
        return ref in self if ref["sha256"] in self._source_files else super().sound(ref)

    def _flush(self, file: int, target: Path) -> None:
        self._open_slots.acquire()
        self._pending_flushes.append((target, self._pool.submit(self._flush_and_close, os.dup(file))))

    def _flush_name(self, target: Path) -> None:
        """Names are flushed in `flush_all`."""

    def _flush_and_close(self, file: int) -> None:
        try:
            os.fsync(file)
        finally:
            os.close(file)
            self._open_slots.release()

    def _cache_value(self, value: Value, sha256: str) -> None:
        size = value.memory_bytes
        with self._lock:
            key = (value.kind, sha256)
            if key in self._cache or size > self._cache_limit:
                return
            self._cache[key] = (value, size)
            self._cache_size += size
            while self._cache_size > self._cache_limit:
                _, (_, gone) = self._cache.popitem(last=False)
                self._cache_size -= gone


@contextmanager
def _download(item: SourceItem) -> Iterator[Path]:
    """Copy a file from another address to this computer, for as long as the context lasts."""
    import fsspec

    with tempfile.NamedTemporaryFile(suffix=Path(item.address).suffix) as copy:
        try:
            with fsspec.open(item.address, "rb") as file:
                shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
        except (OSError, ValueError, ImportError) as error:
            raise MediaError(f"{item.address} cannot be read: {error}", "Check the address") from error
        yield Path(copy.name)


def _open(file: Path, name: str, kind: str) -> Value:
    opener: Any = getattr(VALUE_TYPES[kind], "open")  # noqa: B009
    value: Value = opener(file, name)
    return value
