"""Content-addressed store of values: each once, under the sha256 of its bytes, in a folder or at an fsspec address."""

import hashlib
import os
import re
import uuid
from pathlib import Path
from typing import BinaryIO, NotRequired, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from typing_extensions import TypedDict

from tools.core.errors import StoreError, StoreUnusable, SuperlinkError
from tools.storage.atomic import flush, lock, sweep, write_error
from tools.values import VALUE_TYPES
from tools.values.base import Value, ValueSummary

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20
LAYOUT = 1
"""Version of the layout of a store; in 1, a value is the file HASH in a folder of the hash's first two digits."""
_DRAFTS = ".drafts"
_PARTS = ".parts"
_MARK = ".superlink-store"  # contains the layout; a store without this file has layout 1
_AGAIN = "The same superlink run or superlink annotate command makes it again"


class WeightsUsed(TypedDict):
    """Weights that took part in making a value."""

    id: str
    sha256: str
    licence: str


class LinkUsed(TypedDict):
    """How a decoder was addressed through a language core; other engines are given the call's text.

    Attributes:
        decoder: Name of the decoder.
        queries: Number of learned queries whose states in the core addressed it.
        asked: What was asked for in words; "" for a region of the picture.
    """

    decoder: str
    queries: int
    asked: str


class Provenance(TypedDict):
    """How a value was made.

    Attributes:
        step: Id of the plan step.
        tool: Name of the tool.
        version: Its version.
        weights: Weights that took part.
        args: Plain parameters, and texts given as they are.
        inputs: sha256 of the input values.
        seconds: How long the tool ran.
        time: When it ended (ISO 8601, UTC).
        links: How decoders were addressed, where they were through a language core.
        notes: What to know before the value is believed, each as a sentence without its full stop.
    """

    step: str
    tool: str
    version: str
    weights: list[WeightsUsed]
    args: dict[str, object]
    inputs: list[str]
    seconds: float
    time: str
    links: NotRequired[list[LinkUsed]]
    notes: NotRequired[list[str]]


class Ref(TypedDict):
    """Reference to a stored value, as plain JSON."""

    kind: str
    sha256: str
    media_type: str
    bytes: int
    summary: ValueSummary
    provenance: NotRequired[Provenance]


Refs = Ref | list[Ref]
"""One reference, or several of one kind."""

R = TypeVar("R", Ref, Ref | str)


def as_list(refs: R | list[R]) -> list[R]:
    """References as a list, whether they are one or not."""
    return refs if isinstance(refs, list) else [refs]


class Store:
    """A content-addressed store.

    Args:
        url: A folder, or any fsspec address such as "s3://bucket/values" or "memory://values".

    Raises:
        StoreError: when the address cannot be used.
    """

    def __init__(self, url: str | Path) -> None:
        """Open the store; nothing is written yet."""
        self.url = str(url)
        try:
            self._files, root = fsspec.url_to_fs(os.path.expanduser(self.url))
        except (ValueError, ImportError, OSError) as error:
            raise StoreError(
                f"The store {self.url} cannot be opened: {error}",
                "Check the address; buckets need their fsspec package, such as s3fs",
            ) from error
        self._local = isinstance(self._files, LocalFileSystem)
        self._root = root.rstrip("/")
        self._known = self._swept = False

    def check(self) -> None:
        """Check that the store can be written and has a known layout; its folder is made.

        Raises:
            StoreUnusable: when it cannot be used, whatever the value.
        """
        self._check_layout()
        mark = f"{self._root}/{_MARK}"
        try:
            self._files.makedirs(self._root, exist_ok=True)
            if not self._files.exists(mark):
                self._files.pipe_file(mark, f"{LAYOUT}\n".encode())
            if self._local:
                draft = self._drafts() / uuid.uuid4().hex
                draft.touch()
                draft.unlink()
        except OSError as error:
            raise self._unusable(error) from error
        except Exception as error:  # clients of buckets have errors of their own
            raise StoreUnusable(
                f"The store {self.url} cannot be written: {error}", "Check the address and the access to it"
            ) from error

    def _unusable(self, error: OSError) -> StoreUnusable:
        said = write_error(error, self.url, f"The store {self.url}")
        return StoreUnusable(said.message, f"{said.hint}. SUPERLINK_STORE names another store")

    def _check_layout(self) -> None:
        if self._known:
            return
        mark = f"{self._root}/{_MARK}"
        try:
            found = re.match(rb"\d+", self._files.cat_file(mark))
        except Exception:  # a new store, or one that cannot be read: `get` says so
            found = None
        if found and int(found[0]) != LAYOUT:
            raise StoreUnusable(
                f"The store {self.url} was written by another superlink (layout {int(found[0])}; this one "
                f"knows {LAYOUT})",
                "Update superlink, or name another store in SUPERLINK_STORE",
            )
        self._known = True

    def put(self, value: Value, provenance: Provenance | None = None) -> Ref:
        """Store a value, unless its bytes are stored already; a damaged file is written again.

        On a local disk the bytes are written to a folder for drafts, flushed, and renamed, so that a crash leaves
        no partial value.

        Raises:
            StoreUnusable: when the store cannot be written.
            StoreError: when the value cannot be read.
        """
        self._check_layout()
        sha256 = ""
        try:
            # Even for large media, hashing first is cheaper than writing bytes that are stored already.
            with value.stream() as stream:
                sha256, size = _copy(stream)
                place = self._place(sha256)
                if not self._holds(place, sha256, size):
                    stream.seek(0)
                    self._write(stream, place, sha256)
        except OSError as error:
            if sha256:  # all of the value was read
                raise self._unusable(error) from error
            raise StoreError(
                f"A value of kind {value.kind} cannot be read: {error}", "Check that its file is still there"
            ) from error
        ref: Ref = {
            "kind": value.kind,
            "sha256": sha256,
            "media_type": value.media_type,
            "bytes": size,
            "summary": value.summary(),
        }
        if provenance is not None:
            ref["provenance"] = provenance
        return ref

    def get(self, ref: Ref) -> Value:
        """Read a value, and check its bytes against its hash.

        Raises:
            StoreError: when it is missing or damaged, or the reference is malformed.
        """
        if missing := [name for name in ("kind", "sha256", "media_type") if not isinstance(ref.get(name), str)]:
            raise StoreError(f"The reference has no {' and no '.join(missing)}", "References come from Store.put")
        kind = VALUE_TYPES.get(ref["kind"])
        if kind is None:
            raise StoreError(
                f"The reference is to an unknown kind of value, {ref['kind']!r}", f"Kinds are {', '.join(VALUE_TYPES)}"
            )
        self._check_layout()
        place = self._place(ref["sha256"])
        path = self.path(ref)
        try:
            if path is not None:
                seen = self._hash(place)
            else:
                data: bytes = self._files.cat_file(place)
                seen = hashlib.sha256(data).hexdigest()
        except FileNotFoundError as error:
            raise StoreError(
                f"The {ref['kind']} {ref['sha256'][:12]} is not in the store {self.url}: there is no {place}",
                f"It may have been deleted, or belong to another store. {_AGAIN}",
            ) from error
        except OSError as error:
            raise StoreError(
                f"The store {self.url} cannot be read: {place}: {error.strerror or error}",
                f"Check the disk and the permissions. {_AGAIN}",
            ) from error
        if seen != ref["sha256"]:
            raise StoreError(
                f"{place} is damaged: it was the {ref['kind']} {ref['sha256'][:12]}, but its bytes have the "
                f"hash {seen[:12]}",
                _AGAIN,
            )
        try:
            return kind.from_bytes(data, ref["media_type"]) if path is None else kind.from_file(path, ref["media_type"])
        except SuperlinkError as error:
            raise StoreError(
                f"The {ref['kind']} {ref['sha256'][:12]} cannot be read: {error.message}", error.hint
            ) from error

    def parts_folder(self) -> Path | None:
        """Return the folder for parts of calls that have not ended (`tools.runtime.parts`); None for remote stores."""
        return Path(self._root, _PARTS) if self._local else None

    def exists(self) -> bool:
        """Return whether the folder exists (its disk may not be mounted); True for other addresses."""
        return not self._local or os.path.isdir(self._root)

    def sound(self, ref: Ref) -> bool:
        """Return whether the value is stored and its bytes, which are read, have its hash."""
        return self._holds(self._place(ref["sha256"]), ref["sha256"], ref["bytes"])

    def __contains__(self, ref: Ref) -> bool:
        """Return whether the value is stored; its bytes are not checked."""
        return bool(self._files.exists(self._place(ref["sha256"])))

    def path(self, ref: Ref) -> Path | None:
        """Return the path of the value's file, or None for a remote store."""
        place = self._place(ref["sha256"])
        return Path(place) if self._local else None

    def _place(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):  # references are read from files and may contain ".."
            raise StoreError(f"The reference has no sha256 but {sha256!r}")
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _holds(self, place: str, sha256: str, size: int) -> bool:
        try:
            return bool(self._files.size(place) == size) and self._hash(place) == sha256
        except OSError:
            return False

    def _hash(self, place: str) -> str:
        """Return the sha256 of the file at this place."""
        if self._local:
            with open(place, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        with self._files.open(place, "rb") as stream:
            return _copy(stream)[0]

    def _write(self, stream: BinaryIO, place: str, sha256: str) -> None:
        if not self._local:
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
            with self._files.open(place, "wb") as file:
                written, _ = _copy(stream, file)
            if written != sha256:
                self._files.rm_file(place)
                raise _changed(place)
            return
        target = Path(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = self._drafts() / uuid.uuid4().hex
        try:
            with draft.open("wb") as file:
                lock(file.fileno())
                written, _ = _copy(stream, file)
                if written != sha256:
                    raise _changed(place)
                file.flush()
                self._flush(file.fileno(), target)
            draft.replace(target)
            self._flush_name(target)
        finally:
            draft.unlink(missing_ok=True)

    def _drafts(self) -> Path:
        """Return the folder where values are written first; files of killed processes there are removed."""
        folder = Path(self._root, _DRAFTS)
        folder.mkdir(parents=True, exist_ok=True)
        if not self._swept:
            sweep(folder.iterdir(), 60)  # a younger file may not be locked yet
            self._swept = True
        return folder

    def _flush(self, file: int, target: Path) -> None:
        """Flush a written file, given by its descriptor, before it is renamed."""
        os.fsync(file)

    def _flush_name(self, target: Path) -> None:
        """Flush the name of a renamed file."""
        flush(target.parent)


def _copy(source: BinaryIO, target: BinaryIO | None = None) -> tuple[str, int]:
    """Read a stream, write it to `target` if there is one, and return its sha256 and its length in bytes."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
    return digest.hexdigest(), size


def _changed(place: str) -> StoreError:
    return StoreError(f"A file was changed while it was being stored as {place}", "Store it again when it is complete")
