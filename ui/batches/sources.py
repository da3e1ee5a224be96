"""Sources of runs: folders of this server inside `ui_roots`, uploads, and rendered pictures."""

import os
import random
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agents.worlds import write_world
from flows.items.source import Scan, SourceItem, scan
from tools.core.errors import SuperlinkError
from tools.core.settings import expand_path, settings
from tools.values.convert import open_file
from ui.access.database import page_folder
from ui.turns.files import link_or_copy

_FOLDERS = 500
_SECONDS = 2.0
_NAMED = 8
_TOKEN = 8  # bytes of the random name of a folder of uploads
_KEPT = re.compile(f"[0-9a-f]{{{2 * _TOKEN}}}")
_LISTS = (".txt", ".lst", ".list")


class SourceRefused(SuperlinkError):
    """A source may not be used, or is not there."""


@dataclass(frozen=True)
class SourceView:
    """What is in a source.

    Attributes:
        source: Absolute path or pattern.
        count: Number of items.
        kinds: Medium ("image", "audio", "video") to number of items; "other" for items named one by one.
        size: Bytes of all items.
        skipped: What was left out, in words.
        checked: Number of items that were opened.
        unreadable: Name and reason of those that cannot be read, among the ones that were opened.
    """

    source: str
    count: int
    kinds: dict[str, int]
    size: int
    skipped: str
    checked: int
    unreadable: tuple[tuple[str, str], ...]


def roots() -> list[Path]:
    """Return the folders that the page may use, without links in their paths."""
    return [Path(os.path.realpath(root)) for root in settings().ui_roots]


def missing_roots() -> list[Path]:
    """Return the folders of `ui_roots` that are not there."""
    return [root for root in roots() if not root.is_dir()]


def allowed(path: str | Path, also: Sequence[Path] = ()) -> Path:
    """Return the real path of a folder or file that the page may use.

    Args:
        path: Absolute, or relative to the first of `ui_roots`.
        also: Further folders that may be used, such as that of uploads.

    Raises:
        SourceRefused: when it lies outside of `ui_roots`, also by a link or "..", or in superlink's own folders, which
            hold the files of all users, or holds a null byte.
    """
    text = str(path).strip()
    if "\0" in text or "://" in text:
        raise SourceRefused("Give a folder of this server", "Addresses such as s3://… work with superlink annotate")
    place = Path(os.path.realpath(roots()[0] / expand_path(text)))
    if not any(place.is_relative_to(root) for root in (*roots(), *also)):
        raise SourceRefused(
            f"{text} is outside of the folders that this page may use",
            f"Use files inside {', '.join(map(str, roots()))}; ui_roots in settings.toml, or SUPERLINK_UI_ROOTS, sets "
            "these folders",
        )
    _refuse_others(place, text, also)
    return place


def items_of(source: str | Path, also: Sequence[Path] = ()) -> Scan:
    """Return the items of a source that may be used, none of which lies where only others may look.

    Raises:
        SourceRefused: when it may not be used, or one of its items, by a pattern or a link.
        SourceError: when it has no items.
    """
    place = allowed(source, also)
    if place.suffix.lower() in _LISTS and place.is_file():
        raise SourceRefused(
            f"{place.name} is a list, which may name files anywhere", "Give a folder; superlink annotate takes lists"
        )
    found = scan(str(place))
    for folder in {os.path.dirname(item.address) for item in found.items}:
        allowed(folder, also)
    for item in found.items:
        _refuse_others(Path(os.path.realpath(item.address)), item.name, also)
    return found


def _refuse_others(place: Path, name: str, also: Sequence[Path]) -> None:
    """Refuse what lies in superlink's own folders, except in those that are this user's."""
    own = (Path(os.path.realpath(folder)) for folder in (settings().home, page_folder()))
    if any(place.is_relative_to(folder) for folder in own) and not any(place.is_relative_to(one) for one in also):
        raise SourceRefused(
            f"{name} belongs to superlink, or to another user", "Choose another folder, or upload files"
        )


def folders(path: str | Path) -> list[str]:
    """Return the names of the folders in an allowed folder, sorted, without hidden ones and links; 500 at most.

    Raises:
        SourceRefused: when the folder is not allowed or cannot be read.
    """
    place = allowed(path)
    try:
        with os.scandir(place) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    except OSError as error:
        raise SourceRefused(f"{place} cannot be read: {error.strerror}", "Choose another folder") from error
    return sorted(names, key=str.casefold)[:_FOLDERS]


def view(source: str | Path, also: Sequence[Path] = (), seconds: float = _SECONDS) -> SourceView:
    """Return what is in a source: numbers, kinds, and what cannot be read.

    Args:
        source: Folder, file or pattern such as "photos/**/*.jpg".
        also: See `allowed`.
        seconds: Time after which no further item is opened.

    Raises:
        SourceRefused: when it may not be used.
        SourceError: when it has no items.
    """
    place, found = allowed(source, also), items_of(source, also)
    kinds = Counter(item.media or "other" for item in found.items)
    size = sum(max(item.size, 0) for item in found.items)
    until = time.monotonic() + seconds
    checked, bad = 0, []
    for number in random.Random(0).sample(range(len(found.items)), len(found.items)):  # a part of them stands for all
        if checked and time.monotonic() > until:
            break
        checked += 1
        if reason := _fault(found.items[number]):
            bad.append((found.items[number].name, reason))
    return SourceView(str(place), len(found.items), dict(kinds), size, found.skipped_text, checked, tuple(sorted(bad)))


def unreadable_text(shown: SourceView) -> str:
    """Return in words what cannot be read; "" where all that were opened can be."""
    if not shown.unreadable:
        return ""
    names = "; ".join(f"{name}: {reason}" for name, reason in shown.unreadable[:_NAMED])
    more = len(shown.unreadable) - _NAMED
    return f"{len(shown.unreadable)} of {shown.checked} opened cannot be read: {names}" + (
        f"; and {more} more" if more > 0 else ""
    )


def keep_uploads(folder: Path, files: Sequence[str | Path]) -> Path:
    """Copy uploaded files into a new folder, where they stay as long as their run may need them.

    Args:
        folder: Where the new folder is made.
        files: The uploads, of any names; equal names get a number.

    Raises:
        SourceRefused: when there are none, or the disk is full.
    """
    if not files:
        raise SourceRefused("No file was uploaded", "Drop files, or choose a folder of this server")
    place = folder / secrets.token_hex(_TOKEN)
    try:
        place.mkdir(parents=True)
        for file in map(Path, files):
            target = place / file.name.lstrip(".")
            number = 2
            while target.exists():
                target = place / f"{file.stem.lstrip('.')}_{number}{file.suffix}"
                number += 1
            link_or_copy(file, target)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise SourceRefused(f"The uploads cannot be kept: {error.strerror}", "Free some space and try again") from error
    return place


def forget_uploads(folder: Path, used: Callable[[Path], bool], before: float) -> None:
    """Delete kept uploads that are older than a time and that no run uses.

    Args:
        folder: With a folder for each user, in which `keep_uploads` made folders.
        used: Returns whether a run uses one of these.
        before: Time in seconds since 1970.
    """
    for place in folder.glob("*/*"):
        with suppress(OSError):  # deleted meanwhile
            if _KEPT.fullmatch(place.name) and place.stat().st_mtime < before and not used(place):
                shutil.rmtree(place)


def draw_world(folder: Path, count: int, seed: int = 0, size: int = 512) -> Path:
    """Draw rendered pictures into a new folder, and return the folder of the pictures.

    Raises:
        ArgumentsInvalid: when a number is out of range, or skia cannot be loaded.
    """
    place = folder / f"world-{count}-{seed}-{size}"
    if not (place / "annotations.json").is_file():
        write_world(count, seed, "test", size, place)
    return place / "images"


def _fault(item: SourceItem) -> str:
    """Return why an item cannot be read; "" when it can be."""
    try:
        open_file(item.address, item.media.capitalize() or None)
    except SuperlinkError as error:
        return error.message.replace(item.address, "it")
    except OSError as error:
        return str(error.strerror or error)
    except Exception as error:  # a decoder's fault on a damaged file
        return f"{type(error).__name__}: {error}"
    return ""
