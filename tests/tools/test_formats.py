"""Formats of weights, determined from the bytes of real files."""

import gzip
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from tools.weights.formats import can_run_code, format_of


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return (print, ("ran",))


def _torch(file: Path, zipped: bool = True) -> None:
    torch.save({"weights": torch.ones(2)}, file, _use_new_zipfile_serialization=zipped)


def _script(file: Path) -> None:
    class Double(torch.nn.Module):
        def forward(self, number: torch.Tensor) -> torch.Tensor:
            return 2 * number

    torch.jit.trace(Double(), torch.ones(1)).save(str(file))  # type: ignore[no-untyped-call]


def _gguf(file: Path) -> None:
    file.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(16))


def _onnx(file: Path) -> None:
    file.write_bytes(b"\x08\x0a\x12\x04test\x3a\x03\x12\x01g\x42\x02\x10\x11")


def _objects(file: Path) -> None:
    with file.open("wb") as out:
        np.save(out, np.array([Evil()], dtype=object), allow_pickle=True)


def _objects_in_archive(file: Path) -> None:
    with file.open("wb") as out:
        np.savez(out, plain=np.ones(2), objects=np.array([Evil()], dtype=object), allow_pickle=True)


def _archive(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.h5", b"x")


RISKY: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a.pt": ("pickle", _torch),
    "legacy.pth": ("pickle", lambda file: _torch(file, zipped=False)),
    "a.ckpt": ("pickle", _torch),
    "a.pkl": ("pickle", lambda file: file.write_bytes(pickle.dumps(Evil()))),
    "old.pkl": ("pickle", lambda file: file.write_bytes(pickle.dumps(Evil(), protocol=0))),
    "packed.joblib": ("pickle", lambda file: file.write_bytes(gzip.compress(pickle.dumps(Evil())))),
    "packed.txt.gz": ("pickle", lambda file: file.write_bytes(gzip.compress(pickle.dumps(Evil())))),
    "objects.npy": ("pickle", _objects),
    "objects.npz": ("pickle", _objects_in_archive),
    "a.ts": ("torchscript", _script),
    "a.keras": ("pickle", _archive),
    "a.xml": ("pickle", lambda file: file.write_text("<net/>")),
    "a.so": ("native", lambda file: file.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))),
    "letters.txt": ("pickle", lambda file: file.write_bytes(pickle.dumps(Evil(), protocol=0))),
    "nothing.safetensors": ("pickle", lambda file: file.write_bytes(b"")),
    "noise.safetensors": ("pickle", lambda file: file.write_bytes(bytes(range(256)))),
    "cut.onnx": ("pickle", lambda file: file.write_bytes(b"\x08\x0a\x3a\x7f")),
    # The name says one thing and the bytes another: engines go by the name.
    "pickle.safetensors": ("pickle", _torch),
    "pickle.onnx": ("pickle", _torch),
    "pickle.gguf": ("pickle", lambda file: file.write_bytes(pickle.dumps(Evil()))),
    "safetensors.pt": ("pickle", lambda file: save_file({"x": np.ones(2)}, file)),
    "gguf.pt": ("pickle", _gguf),  # a pickle may begin with these letters
    "script.onnx": ("torchscript", _script),
}
HARMLESS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a.safetensors": ("safetensors", lambda file: save_file({"x": np.ones(2)}, file)),
    "a.onnx": ("onnx", _onnx),
    "a.gguf": ("gguf", _gguf),
    "a.npy": ("numpy", lambda file: np.save(file, np.ones(2))),
    "a.npz": ("numpy", lambda file: np.savez(file, a=np.ones(2), b=np.zeros(1))),
    "words.txt.gz": ("text", lambda file: file.write_bytes(gzip.compress("wörter\n".encode() * 9))),
}


@pytest.mark.parametrize("name", RISKY)
def test_what_can_run_code(tmp_path: Path, name: str) -> None:
    kind, write = RISKY[name]
    write(tmp_path / name)
    assert [file.name for file, _ in can_run_code(tmp_path / name)] == [name]
    assert format_of(tmp_path / name) == kind


@pytest.mark.parametrize("name", HARMLESS)
def test_what_holds_numbers_or_words_alone(tmp_path: Path, name: str) -> None:
    kind, write = HARMLESS[name]
    write(tmp_path / name)
    assert can_run_code(tmp_path / name) == []
    assert format_of(tmp_path / name) == kind


def test_a_folder_is_as_safe_as_each_of_its_files(tmp_path: Path) -> None:
    save_file({"x": np.ones(2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "LICENSE").write_text("MIT")
    (tmp_path / "spiece.model").write_bytes(bytes(range(256)))
    assert can_run_code(tmp_path) == [] and format_of(tmp_path) == "safetensors"
    for name, write in (
        ("pytorch_model.bin", _torch),
        ("spiece.model", _torch),
        ("modeling.py", lambda file: file.write_text("print('ran')")),
        ("data.bin", lambda file: file.write_bytes(b"\x01")),
    ):
        (tmp_path / "sub").mkdir()
        write(tmp_path / "sub" / name)
        assert [file.name for file, _ in can_run_code(tmp_path)] == [name]
        assert format_of(tmp_path) == "pickle"
        assert can_run_code(tmp_path, ["*.safetensors", "*.json"]) == []
        (tmp_path / "sub" / name).unlink()
        (tmp_path / "sub").rmdir()


def test_a_file_is_looked_at_again_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_file({"x": np.ones(2)}, file)
    assert can_run_code(file) == []
    file.write_bytes(pickle.dumps(Evil()))
    assert [kind for _, kind in can_run_code(file)] == ["pickled"]


def test_the_libraries_of_this_computer_are_known() -> None:
    assert format_of(Path(sys.executable).resolve()) == "native"


def test_real_onnx_models_are_known() -> None:
    from importlib.util import find_spec

    found = find_spec("silero_vad")
    if found is None or found.origin is None:
        pytest.skip("silero_vad is not installed")
    models = list((Path(found.origin).parent / "data").glob("*.onnx"))
    assert models and all(can_run_code(model) == [] for model in models)


def test_a_long_text_may_be_cut_within_a_letter(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"x" + "ä".encode() * (1 << 16)))
    assert format_of(tmp_path / "a.txt.gz") == "text"
