"""Whether the top-level packages that we import are ours.

They have plain names (``tools``, ``agents`` …); another distribution that claims one would be imported in their place.
"""

from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("agents", "backbone", "flows", "tools", "ui")


def foreign_packages() -> list[str]:
    """A message for each of our packages that Python would take from somewhere else."""
    found = []
    for name in PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != ROOT:
            found.append(
                f"superlink: the package '{name}' is taken from {origin or 'nowhere'}, not from {ROOT}. Take that folder out of "
                "PYTHONPATH; where it is an installed package, install superlink into an environment of its own"
            )
    return found
