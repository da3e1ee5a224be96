"""The folders that a server for programs may read and write."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.core.errors import SuperlinkError
from tools.core.settings import expand_path, settings


class OutsideRoots(SuperlinkError):
    """A path leads out of the folders that the server may use."""


class Roots:
    """Folders, in which all paths of callers must lie after symbolic links are resolved.

    The home folder of superlink and its store are never inside: they hold the server's token and what other sessions
    did.

    Args:
        folders: at least one; relative paths of callers are relative to the first.

    Raises:
        OutsideRoots: one of them is no folder.
    """

    def __init__(self, folders: Sequence[Path | str]) -> None:
        self.folders: list[Path] = []
        for folder in folders:
            place = expand_path(folder).resolve()
            if not place.is_dir():
                raise OutsideRoots(f"{folder} is no folder", "Give a folder that exists with --root")
            self.folders.append(place)

    def resolve(self, path: str | Path) -> Path:
        """The real place of a path or ``file:`` URI, which need not exist yet.

        Raises:
            OutsideRoots: it is not inside the roots, or is no path at all.
        """
        text = str(path)
        if text.startswith("file:"):
            text = unquote(urlsplit(text).path)
        try:
            place = (self.folders[0] / expand_path(text)).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop of links
            raise OutsideRoots(f"{text[:200]!r} is no path: {error}", "Give the path of a file") from error
        own = (settings().home, Path(settings().store_url))  # an address that is no path is inside of nothing
        if not any(map(place.is_relative_to, self.folders)) or any(place.is_relative_to(one.resolve()) for one in own):
            names = ", ".join(map(str, self.folders))
            raise OutsideRoots(
                f"{text} is outside the folders that this server may use",
                f"Use files inside {names}, or start the server with a further --root",
            )
        return place
