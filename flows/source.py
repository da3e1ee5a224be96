"""What there is to work on: the files of a folder, a glob, a list, or an fsspec address."""

import glob
import mimetypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import fsspec

from tools.errors import SuperlinkError

MEDIA = ("image", "audio", "video")
_LISTS = (".txt", ".lst", ".list")
# Python's table knows these only where the system's has them.
_MORE = {".avif": "image", ".webp": "image", ".jp2": "image", ".flac": "audio", ".opus": "audio", ".m4a": "audio",
         ".mkv": "video", ".webm": "video"}  # fmt: skip


class SourceError(SuperlinkError):
    """There is nothing to work on at an address, or it cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file to work on; it has not been opened.

    Attributes:
        name: where its results go, relative to the source, with "/"; never leads out of a folder.
        address: path or URL under which it is opened.
        size: bytes, or -1 where it cannot be looked at.
        stamp: changes when the file does: its time of change, or what the storage says instead.
    """

    name: str
    address: str
    size: int
    stamp: str

    @property
    def media(self) -> str:
        """What its name says that it is: "image", "audio", "video", or "" for anything else."""
        return media_of(self.address)


def scan(source: str) -> list[Item]:
    """List the items of a source, in order of name.

    Args:
        source: a folder (all pictures, sound and video in it, at any depth, hidden files left out), a glob such as
            "photos/**/*.jpg", one media file, a text file with one path or address a line ("#" begins a comment), or an
            fsspec address such as "s3://bucket/folder". A folder within it that cannot be read, and a file of a list that
            is not there, are items too, so that they are told as failures.

    Raises:
        SourceError: when there is nothing there, or it cannot be read.
    """
    items = _remote(source) if "://" in source else _here(source)
    unique = {item.name: item for item in items}
    if not unique:
        raise SourceError(f"There are no pictures, sound or video in {source}", "Check the path")
    return [unique[name] for name in sorted(unique)]


def media_of(name: str) -> str:
    """What a file name says that the file is: "image", "audio", "video", or ""."""
    return _media_of(PurePosixPath(name).suffix.lower())


@lru_cache(1024)
def _media_of(suffix: str) -> str:
    known = _MORE.get(suffix) or (mimetypes.guess_type(f"x{suffix}")[0] or "").partition("/")[0]
    return known if known in MEDIA else ""


def _here(source: str) -> Iterator[Item]:
    path = Path(source).expanduser()
    if path.is_dir():
        yield from _folder(path)
    elif path.is_file():
        yield from _listed(path) if path.suffix.lower() in _LISTS else [_file(path.name, path)]
    elif glob.has_magic(source):
        root = _steady(str(path))
        for found in glob.iglob(str(path), recursive=True):
            if os.path.isfile(found):
                yield _file(_name(os.path.relpath(found, root)), Path(found))
    else:
        raise SourceError(f"There is no file or folder {source}", "Check the path")


def _folder(root: Path) -> Iterator[Item]:
    try:
        os.scandir(root).close()
    except OSError as error:
        raise SourceError(f"The folder {root} cannot be read: {error.strerror}", "Check its permissions") from error
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            entries = os.scandir(folder)
        except OSError:
            yield Item(_name(prefix), str(folder), -1, "")
            continue
        with entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), f"{name}/"))
                elif media_of(entry.name):
                    yield _file(_name(name), entry)


def _listed(file: Path) -> Iterator[Item]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"The list {file} cannot be read: {error}", "Save it as UTF-8, one path a line") from error
    for line in (line.strip() for line in lines):
        if not line or line.startswith("#"):
            continue
        if "://" in line:
            yield _address(line)
        else:
            path = Path(os.path.normpath(file.parent / Path(line).expanduser()))
            yield _file(_name(os.path.relpath(path, file.parent)), path)


def _remote(source: str) -> Iterator[Item]:
    try:
        files, root = fsspec.url_to_fs(source)
        if glob.has_magic(root):
            found = files.glob(root, detail=True)
            base = _steady(root)
        elif files.isdir(root):
            found = {place: facts for place, facts in files.find(root, detail=True).items() if media_of(place)}
            base = root
        elif files.exists(root):
            yield _address(source)
            return
        else:
            raise SourceError(f"There is nothing at {source}", "Check the address")
    except (ValueError, ImportError, OSError) as error:
        raise SourceError(f"{source} cannot be read: {error}",
                          "Check the address; buckets need their fsspec package, such as s3fs") from error  # fmt: skip
    for place, facts in found.items():
        if facts.get("type") == "file" and not PurePosixPath(place).name.startswith("."):
            name = _name(place.removeprefix(base).lstrip("/"))
            yield Item(name, files.unstrip_protocol(place), int(facts.get("size") or 0), _stamp(facts))


def _address(address: str) -> Item:
    files, place = fsspec.url_to_fs(address)
    try:
        facts = files.info(place)
    except (OSError, ValueError):
        return Item(_name(place), address, -1, "")
    return Item(_name(PurePosixPath(place).name), address, int(facts.get("size") or 0), _stamp(facts))


def _stamp(facts: dict[str, object]) -> str:
    known = (facts.get(name) for name in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "updated", "created"))
    return next((str(value) for value in known if value), "")


def _file(name: str, path: Path | os.DirEntry[str]) -> Item:
    address = os.path.join(os.getcwd(), path)
    try:
        stat = path.stat()
    except OSError:
        return Item(name, address, -1, "")
    return Item(name, address, stat.st_size, str(stat.st_mtime_ns))


def _steady(pattern: str) -> str:
    """The folder of a pattern before its first wildcard."""
    parts = PurePosixPath(pattern).parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return str(PurePosixPath(*parts[:first])) if first else "."


def _name(path: str) -> str:
    """A name that stays inside a folder whatever the path was, and that can be written as UTF-8."""
    parts = [part for part in PurePosixPath(path.replace(os.sep, "/")).parts if part not in ("/", "..", ".")]
    return "/".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace") or "item"
