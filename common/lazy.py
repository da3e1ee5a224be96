"""Packages whose public names are loaded from their modules when they are first used."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazy_names(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """Return `__all__`, `__getattr__` and `__dir__` for a package.

    Args:
        package: Name of the package.
        modules: The names that each module gives it; "load as load_tools" gives `load` under another name.

    Returns:
        The names sorted, and the two functions. `__getattr__` imports the module of a name and keeps the value in the
        package.
    """
    homes = {
        name.rpartition(" as ")[2]: (module, name.partition(" as ")[0])
        for module, names in modules.items()
        for name in names
    }

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, original = homes[name]
        value: object = getattr(import_module(module), original)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return sorted(homes), get, list_names
