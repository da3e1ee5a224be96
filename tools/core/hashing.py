"""Hashes of files and folders of weights."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

from tools.core.errors import WeightsMissing

_lock = threading.Lock()
_seen: dict[tuple[object, ...], str] = {}


def sha256_of(path: Path, only: Sequence[str] = ()) -> str:
    """Return the sha256 of a file, or of a folder's lines "hash  name" in order of name.

    Hashes are cached until a file is changed or replaced.

    Args:
        path: A file or a folder.
        only: For a folder: glob patterns of the files that matter.

    Raises:
        WeightsMissing: when there are no such files.
    """
    files = files_of(path, only)
    if not files:
        raise WeightsMissing(
            f"The folder {path} holds none of the files that belong to the weights",
            "Delete it and pull the weights again",
        )
    # The change time, unlike the modification time, cannot be set by whoever replaces a file.
    stats = [(str(file), file.stat().st_mtime_ns, file.stat().st_ctime_ns, file.stat().st_size) for file in files]
    key = (str(path), *stats)
    with _lock:
        if key not in _seen:
            digests = [_digest(file) for file in files]
            lines = (
                f"{digest}  {file.relative_to(path).as_posix()}\n" for digest, file in zip(digests, files, strict=True)
            )
            _seen[key] = digests[0] if path.is_file() else hashlib.sha256("".join(lines).encode()).hexdigest()
        return _seen[key]


def files_of(path: Path, only: Sequence[str] = ()) -> list[Path]:
    """Return the file, or a folder's files in order of name, without hidden ones (metadata of downloads)."""
    if path.is_file():
        return [path]
    matches = {file for pattern in only or ("**/*",) for file in path.glob(pattern)}
    visible = (
        file
        for file in matches
        if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in file.relative_to(path).parts)
    )
    return sorted(visible, key=lambda file: file.relative_to(path).as_posix())


def forget() -> None:
    """Clear the cache, so that every file is read again."""
    with _lock:
        _seen.clear()


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
