"""Packages whose public names are loaded from their modules when they are first used."""

import ast
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path


def lazy_names(package: str, file: str) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """Return `__all__`, `__getattr__` and `__dir__` for a package.

    The public names are those that the package's source imports under `if TYPE_CHECKING:`, which type checkers read
    as well.

    Args:
        package: `__name__` of the package.
        file: `__file__` of the package.

    Returns:
        The names sorted, and the two functions. `__getattr__` imports the module of a name and keeps the value in the
        package.
    """
    sources = {name: (module, original) for module, original, name in _typing_imports(Path(file))}

    def get(name: str) -> object:
        if name not in sources:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, original = sources[name]
        value: object = getattr(import_module(module), original)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *sources})

    return sorted(sources), get, list_names


def _typing_imports(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield module, name and alias of every import under `if TYPE_CHECKING:` at the top level of a file."""
    for block in ast.parse(file.read_bytes()).body:
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING":
            for statement in block.body:
                if isinstance(statement, ast.ImportFrom) and statement.module:
                    for name in statement.names:
                        yield statement.module, name.name, name.asname or name.name
