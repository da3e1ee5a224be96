"""Import of superlink's top-level packages before any module of the same name on the search path.

They have plain names (``tools``, ``agents`` …), which a user's own files may have, too.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("agents", "api", "backbone", "common", "flows", "tools", "ui")


class OwnPackages(MetaPathFinder):
    """Finder that precedes the search path for our packages."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the location of a package of ours; None for other modules and for submodules."""
        if name not in PACKAGES:
            return None
        folder = ROOT / name
        return spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])


def prefer_own() -> None:
    """Install the finder; calling this again changes nothing."""
    if not any(isinstance(finder, OwnPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, OwnPackages())


def foreign_packages() -> list[str]:
    """Return a message for each of our packages for which a foreign module was imported before superlink."""
    found = []
    for name in PACKAGES:
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin is not None and Path(origin).resolve().parent.parent != ROOT:
            found.append(
                f"superlink: the module '{name}' of {origin} was imported before superlink, which has a package of "
                "this name. Rename that file; where it is an installed package, install superlink into an environment "
                "of its own"
            )
    return found
