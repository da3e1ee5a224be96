"""Atomic replacement of a folder: the new one is written beside it, and the two are exchanged in one step.

A process killed at any moment leaves the old folder or the new one, never a part of either. Where the system cannot
exchange two folders, the old one is renamed first; after a kill in between, the next `replace_folder` restores it.
"""

import ctypes
import errno
import filecmp
import itertools
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from tools.storage.atomic import flush, lock, prefix

_HERE = -100  # AT_FDCWD
_EXCHANGE = 2  # RENAME_EXCHANGE
_UNABLE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}

Ours = Callable[[Path], Collection[str]]
"""Function of a folder: the paths, with "/", of the files in it that may be deleted."""


@contextmanager
def replace_folder(folder: Path, ours: Ours, aside: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` when the block ends without an error.

    Files in the old folder that are not `ours` are kept: at the same path within the new folder or, where that has
    another file there, in a folder `NAME.kept` beside it.

    Args:
        folder: The folder; made with its parents when missing. Of a symbolic link, the target is replaced.
        ours: Returns what in the old folder may be deleted.
        aside: Called with each file that was moved to `NAME.kept`.

    Raises:
        OSError: when it cannot be replaced; the old folder is then unchanged.
    """
    place = Path(os.path.realpath(folder))
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    place.parent.mkdir(parents=True, exist_ok=True)
    before = place.with_name(f"{prefix(place)}before")
    with _lock_folder(place.parent):
        _sweep(place)
        if before.exists():
            _restore(before, place, ours)
        draft = place.with_name(f"{prefix(place)}{secrets.token_hex(4)}.part")
        draft.mkdir()
        descriptor = os.open(draft, os.O_RDONLY)
        lock(descriptor)
    try:
        yield draft
        flush_tree(draft)
        with _lock_folder(place.parent):
            moved = _carry(place, draft, place, ours)
            if not place.exists():
                draft.rename(place)
            elif not _exchange(draft, place):
                place.rename(before)
                try:
                    draft.rename(place)
                except OSError:
                    before.rename(place)
                    raise
                before.rename(draft)
            flush(place.parent)
        for file in moved:
            if aside is not None:
                aside(file)
    finally:
        os.close(descriptor)
        shutil.rmtree(draft, ignore_errors=True)  # unfinished, or the old folder


def flush_tree(folder: Path) -> None:
    """Flush everything within a folder to the disk.

    Raises:
        OSError: when it cannot.
    """
    syncfs = getattr(_libc(), "syncfs", None)
    if syncfs is not None:  # one call is much faster than one fsync for each of thousands of files
        file = os.open(folder, os.O_RDONLY)
        try:
            if syncfs(file) == 0:
                return
            code = ctypes.get_errno()
        finally:
            os.close(file)
        if code not in _UNABLE:
            raise OSError(code, os.strerror(code), str(folder))
    for at, _, names in os.walk(folder):
        for path in (*(Path(at) / name for name in names), Path(at)):
            if not path.is_symlink():
                flush(path)


def files_in(folder: Path) -> Iterator[str]:
    """Yield the relative paths of all files within a folder, with "/", sorted; links are not followed."""
    for at, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(at, name))]
        folders[:] = sorted(set(folders) - set(links))
        for name in sorted([*names, *links]):
            yield Path(at, name).relative_to(folder).as_posix()


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system or the disk cannot."""
    rename = getattr(_libc(), "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNABLE:
        return False
    raise OSError(code, os.strerror(code), str(other))


@cache
def _libc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError):  # not on Windows
        return None


def _restore(before: Path, place: Path, ours: Ours) -> None:
    """Restore or finish a replacement that a kill interrupted after the old folder was renamed."""
    if place.exists():
        _carry(before, place, place, ours)
        shutil.rmtree(before)
    else:
        before.rename(place)


def _carry(old: Path, new: Path, place: Path, ours: Ours) -> list[Path]:
    """Link files that are not ours into the new folder or into `NAME.kept`; return the latter."""
    moved: list[Path] = []
    if not old.is_dir():
        return moved
    known = ours(old)
    for name in files_in(old):
        file, target = old / name, new / name
        if name in known:
            continue
        if not os.path.lexists(target) and _linked(file, target):
            continue
        if _same(file, target):
            continue
        backup = place.with_name(f"{place.name}.kept") / name
        for number in itertools.count(2):
            if not os.path.lexists(backup):
                _link(file, backup)
                moved.append(backup)
                break
            if _same(file, backup):
                break
            backup = backup.with_name(f"{Path(name).stem}_{number}{Path(name).suffix}")
    return moved


def _same(one: Path, other: Path) -> bool:
    return (
        not one.is_symlink() and other.is_file() and not other.is_symlink() and filecmp.cmp(one, other, shallow=False)
    )


def _linked(file: Path, target: Path) -> bool:
    """Link a file; return False where the new folder has a file in place of it or of its folder."""
    try:
        _link(file, target)
    except (FileExistsError, NotADirectoryError):
        return False
    return True


def _link(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # not on this disk
        shutil.copy2(file, target, follow_symlinks=False)


def _sweep(place: Path) -> None:
    """Remove unfinished folders of killed processes."""
    for left in place.parent.glob(f"{prefix(place)}*.part"):
        with suppress(OSError):
            file = os.open(left, os.O_RDONLY)
            try:
                if lock(file):
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(file)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes that replace folders within it, where the disk supports locks."""
    file = os.open(folder, os.O_RDONLY)
    try:
        lock(file, wait=True)
        yield
    finally:
        os.close(file)
