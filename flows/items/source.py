"""Scan of a source: the files of a folder, a glob, a list, or an fsspec address.

Folders, globs and addresses give the files whose ending is that of a picture, sound or video. Hidden files and
folders, links to folders, other endings, and files that superlink wrote are left out and counted. Files that are named
one by one are items whatever their ending is.
"""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import fsspec
from fsspec.utils import glob_translate

from agents.session.results import RECORD, written_names
from common.kinds import media_kind_of
from flows.items.names import address_name, listed_name, relative_name
from flows.items.run_files import LEDGER, NESTED_PROVENANCE, PROVENANCE
from tools.core.errors import SuperlinkError
from tools.core.settings import expand_path

_LISTS = (".txt", ".lst", ".list")
_PROVENANCE = re.compile(f"(?:^|/)(?:{NESTED_PROVENANCE}|{PROVENANCE})$")
"""Marks the folder above it as an export."""


class SourceError(SuperlinkError):
    """A source has no items, or cannot be read."""


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One file to work on; it has not been opened.

    Attributes:
        name: relative to the source, with "/"; results get this name, and it never leads out of a folder.
        address: path or URL.
        size: bytes; -1 when unknown.
        stamp: modification time or entity tag; changes when the file does.
    """

    name: str
    address: str
    size: int
    stamp: str

    @property
    def media(self) -> str:
        """Medium by the ending of its name: "image", "audio", "video", or "" for any other."""
        return media_kind_of(self.address)


@dataclass(frozen=True)
class Scan:
    """Items of a source.

    Attributes:
        items: in order of name; names are unique.
        skipped: reason to number of files left out: "links" (to folders), "hidden", "of unknown kind", "results" (files
            and folders that superlink wrote), "listed twice".
    """

    items: list[SourceItem]
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def skipped_text(self) -> str:
        """Numbers and reasons of what was left out; "" for nothing."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self.skipped.items()))


def absolute_source(source: str) -> str:
    """The absolute path of a source without "..", or its URL: the same from whatever folder it was named."""
    if "://" in source:
        return source
    path = expand_path(source).absolute()
    if ".." not in path.parts:
        return str(path)
    return str(path.resolve() if path.name == ".." else path.parent.resolve() / path.name)


def scan(source: str, out: Path | None = None) -> Scan:
    """List the items of a source.

    Args:
        source: a folder (all pictures, sound and video in it, at any depth), a glob such as "photos/**/*.jpg", one
            file, a text file with one path or address a line ("#" begins a comment), or an fsspec address such as
            "s3://bucket/folder". Links to files are followed, links to folders are not. A folder in it that cannot be
            read, and a missing file of a list, are items, too, so that they are reported as failures.
        out: folder of the run; files in it are never items.

    Raises:
        SourceError: it has no items, cannot be read, or is the folder of a run.
    """
    scanner = _Scanner(out)
    local = re.sub("^(file|local)://", "", source)
    items: dict[str, SourceItem] = {}
    for item in scanner.remote(local) if "://" in local else scanner.local(local):
        if item.name in items:
            scanner.skipped["listed twice"] += 1
        items[item.name] = item
    found = Scan([items[name] for name in sorted(items)], dict(scanner.skipped))
    if not items:
        skipped = f" (skipped: {found.skipped_text})" if found.skipped_text else ""
        raise SourceError(f"There are no pictures, sound or video in {source}{skipped}", "Check the path")
    return found


class _Scanner:
    """Lists the files of one source, and counts those that it leaves out."""

    def __init__(self, out: Path | None) -> None:
        self.out = None if out is None else Path(os.path.realpath(out))
        self.skipped: Counter[str] = Counter()

    def local(self, source: str) -> Iterator[SourceItem]:
        """Items of a path or glob on this computer."""
        path = expand_path(source)
        if path.is_dir():
            yield from self._from_folder(path)
        elif path.is_file() and path.suffix.lower() in _LISTS:
            yield from self._from_list(path)
        elif path.exists():
            yield _local_item(relative_name(path.name), path)
        elif glob.has_magic(source):
            yield from self._from_pattern(str(path))
        else:
            raise SourceError(f"There is no file or folder {source}", "Check the path")

    def remote(self, source: str) -> Iterator[SourceItem]:
        """Items of an fsspec address."""
        try:
            files, root = fsspec.url_to_fs(source)
            if glob.has_magic(root):
                base, matching = _fixed_folder(root), _pattern(root)
            elif files.isdir(root):
                base, matching = root, None
            elif files.exists(root):
                yield _remote_item(source)
                return
            else:
                raise SourceError(f"There is nothing at {source}", "Check the address")
            found: dict[str, dict[str, object]] = files.find(base, detail=True)
        except (ValueError, ImportError, OSError) as error:
            raise SourceError(
                f"{source} cannot be read: {error}",
                "Check the address; buckets need their fsspec package, such as s3fs",
            ) from error
        names = {place: place.removeprefix(base).lstrip("/") for place in found}
        # An export that lies in a folder marks it and all below it.
        marked = {f"{mark}/" for name in names.values() if (mark := _PROVENANCE.sub("", name)) not in (name, "")}
        for place, facts in found.items():
            name = names[place]
            if facts.get("type") != "file" or (matching is not None and not matching.match(name)):
                continue
            if any(name.startswith(folder) for folder in marked):
                self.skipped["results"] += 1
            elif any(part.startswith(".") for part in name.split("/")):
                self.skipped["hidden"] += 1
            elif self._has_known_kind(name):
                size = facts.get("size")
                yield SourceItem(
                    relative_name(name),
                    files.unstrip_protocol(place),
                    size if isinstance(size, int) else 0,
                    _stamp(facts),
                )

    def _has_known_kind(self, name: str) -> bool:
        known = bool(media_kind_of(name))
        if not known:
            self.skipped["of unknown kind"] += 1
        return known

    def _is_output(self, path: str | Path) -> bool:
        """Whether a path lies in the folder of this run."""
        return self.out is not None and Path(os.path.realpath(path)).is_relative_to(self.out)

    def _from_folder(self, root: Path) -> Iterator[SourceItem]:
        if self._is_output(root):
            raise SourceError(f"{root} is where this run writes to", "Give another folder with --out")
        if (root / LEDGER).exists():
            raise SourceError(
                f"{root} is the folder of another run",
                f"Name what is in it, such as {root / 'mirror'}, or the pictures themselves",
            )
        yield from self._walk(root)

    def _from_pattern(self, pattern: str) -> Iterator[SourceItem]:
        root = _fixed_folder(pattern)
        if self._is_output(root):
            raise SourceError(f"{root} is where this run writes to", "Give another folder with --out")
        parts = PurePosixPath(pattern).parts
        deepest = None if "**" in parts else len(parts) - len(PurePosixPath(root).parts)
        if os.path.isdir(root):
            yield from self._walk(Path(root), _pattern(pattern), deepest)

    def _walk(
        self, root: Path, matching: re.Pattern[str] | None = None, deepest: int | None = None
    ) -> Iterator[SourceItem]:
        """Files below a folder, and folders below it that cannot be read.

        Args:
            root: the folder.
            matching: pattern of their paths below the root; None for all.
            deepest: number of levels to search, 1 for the root alone; None for all.
        """
        waiting: list[tuple[Path, str, int]] = [(root, "", 1)]
        while waiting:
            folder, prefix, level = waiting.pop()
            try:
                with os.scandir(folder) as listing:
                    entries = list(listing)
            except OSError as error:
                if not prefix:
                    raise SourceError(
                        f"The folder {root} cannot be read: {error.strerror}", "Check its permissions"
                    ) from error
                yield _local_item(relative_name(prefix), folder)
                continue
            names = {entry.name for entry in entries}
            if prefix and (_is_results_folder(folder, names) or self._is_output(folder)):
                self.skipped["results"] += 1
                continue
            written = written_names(folder) if RECORD in names else frozenset()
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.name.startswith("."):
                    self.skipped["hidden"] += 1
                elif entry.name in written:
                    self.skipped["results"] += 1
                elif entry.is_dir(follow_symlinks=False):
                    if deepest is None or level < deepest:
                        waiting.append((Path(entry.path), f"{name}/", level + 1))
                elif entry.is_symlink() and os.path.isdir(entry.path):
                    self.skipped["links"] += 1
                elif (matching is None or matching.match(name)) and self._has_known_kind(name):
                    yield _local_item(relative_name(name), entry)

    def _from_list(self, file: Path) -> Iterator[SourceItem]:
        try:
            text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
        except OSError as error:
            raise SourceError(f"The list {file} cannot be read: {error.strerror}", "Check its permissions") from error
        if "\0" in text:
            raise SourceError(f"The list {file} is no plain text", "Save it as UTF-8, one path a line")
        for line in (line.strip() for line in text.split("\n")):
            if not line or line.startswith("#"):
                continue
            if "://" in line:
                yield _remote_item(line, address_name(line))
                continue
            path = Path(os.path.normpath(file.parent / expand_path(line)))
            if self._is_output(path):
                self.skipped["results"] += 1
            else:
                yield _local_item(listed_name(os.path.relpath(path, file.parent)), path)


def _is_results_folder(folder: Path, names: set[str]) -> bool:
    """Whether a folder with entries of these names is that of a run or an export."""
    nested = "superlink" in names and (folder / NESTED_PROVENANCE).exists()
    return LEDGER in names or PROVENANCE in names or nested


def _remote_item(address: str, name: str = "") -> SourceItem:
    files, place = fsspec.url_to_fs(address)
    name = name or relative_name(PurePosixPath(place).name)
    try:
        facts = files.info(place)
    except (OSError, ValueError):
        return SourceItem(name, address, -1, "")
    return SourceItem(name, address, int(facts.get("size") or 0), _stamp(facts))


def _stamp(facts: dict[str, object]) -> str:
    known = (facts.get(name) for name in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "updated", "created"))
    return next((str(value) for value in known if value), "")


def _local_item(name: str, path: Path | os.DirEntry[str]) -> SourceItem:
    address = os.path.join(os.getcwd(), path)
    try:
        stat = path.stat()
    except OSError:
        return SourceItem(name, address, -1, "")
    return SourceItem(name, address, stat.st_size, str(stat.st_mtime_ns))


def _fixed_folder(pattern: str) -> str:
    """The part of a pattern before its first wildcard."""
    parts = PurePosixPath(pattern).parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return str(PurePosixPath(*parts[:first])) if first else "."


def _pattern(pattern: str) -> re.Pattern[str]:
    """Regular expression of a pattern's part from its first wildcard on; "**" is any number of folders."""
    parts = PurePosixPath(pattern).parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    try:
        return re.compile(glob_translate("/".join(parts[first:])))
    except ValueError as error:
        raise SourceError(
            f"The pattern {pattern} cannot be read: {error}", 'Write "**" as a part of its own: "photos/**/*.jpg"'
        ) from error
