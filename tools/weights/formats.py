"""Format of a file of weights by its content, and whether loading it can run code.

Engines choose a reader by the file's name. So a file is safe only if its content has a format of numbers or text and
its name has an ending of that format. All other files may run code: pickles in any container (PyTorch's .pt, joblib,
numpy arrays of objects), TorchScript, shared libraries, and unknown formats.
"""

import gzip
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import IO

from tools.core.hashing import files_of

PICKLED = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib")
"""Endings of files that engines unpickle."""
_ENDINGS = {
    "safetensors": (".safetensors",),
    "onnx": (".onnx",),
    "gguf": (".gguf",),
    "numpy": (".npy", ".npz"),
    "text": (".json", ".txt", ".md", ".jinja", ".yaml", ".yml", ".txt.gz"),
}
"""Formats without code, and the endings for which engines use a reader of that format."""
_CODE = {"pickle": "pickled", "torchscript": "TorchScript", "native": "a shared library"}
"""Formats that can run code when they are loaded, as messages name them."""
_UNKNOWN = "in no format that is known to be safe"
_WEIGHTS = ("safetensors", "onnx", "gguf", "numpy")
_LIBRARIES = (
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"MZ",
)
_HEAD = 1 << 16
# Fields of ONNX's ModelProto, with their wire types: 0 is a number, 2 has a length.
_ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_ONNX_GRAPH = 7


def format_of(path: Path, only: Iterable[str] = ()) -> str:
    """Return the format of a file, or of the weights in a folder.

    Args:
        path: A file or a folder.
        only: For a folder: glob patterns of the files that matter.

    Returns:
        "safetensors", "onnx", "gguf", "numpy", "text", "torchscript", "native" (a shared library), or "pickle", also
        for unknown formats.
    """
    risks = {kind for _, kind in can_run_code(path, only)}
    if risks:
        return next((name for name in ("torchscript", "native") if risks - {_UNKNOWN} == {_CODE[name]}), "pickle")
    kinds = {_file_format(file) for file in files_of(path, tuple(only))}
    return next((kind for kind in _WEIGHTS if kind in kinds), "text")


def can_run_code(path: Path, only: Iterable[str] = ()) -> list[tuple[Path, str]]:
    """Return the files that can run code when they are loaded, each with its format in words.

    Args:
        path: A file or a folder.
        only: For a folder: glob patterns of the files that matter.
    """
    found = []
    for file in files_of(path, tuple(only)):
        kind = _file_format(file)
        if kind in _CODE:
            found.append((file, _CODE[kind]))
        elif not _is_safe(file, kind, alone=path.is_file()):
            unpickled = file.suffix.lower() in PICKLED
            found.append((file, _CODE["pickle"] if unpickled else _UNKNOWN))
    return found


def _is_safe(file: Path, kind: str, alone: bool) -> bool:
    name = file.name.lower()
    if alone and kind == "text" and not name.endswith(".gz"):
        return False  # a pickle of protocol 0 is text
    if not alone and (kind == "text" and "." not in name or kind == "unknown" and name.endswith(".model")):
        return True  # a licence, or the vocabulary of a tokenizer
    return name.endswith(_ENDINGS.get(kind, ()) or ("\0",))


def _file_format(file: Path) -> str:
    stat = file.stat()
    return _content_format(file, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)


@lru_cache(maxsize=4096)
def _content_format(path: Path, mtime: int, ctime: int, size: int) -> str:
    """Format of a file; size and times are in the cache key, so that a changed file is read again."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head.startswith(b"PK\x03\x04"):
            return _archive_format(path)
        if head.startswith(b"\x93NUMPY"):
            file.seek(0)
            return _array_format(file)
        if head[:1] == b"\x80" and head[1:2] <= b"\x05":
            return "pickle"
        if head.startswith(b"GGUF"):
            return "gguf"
        if head.startswith(_LIBRARIES):
            return "native"
        if _is_safetensors(path, head):
            return "safetensors"
        if _is_onnx(file, size):
            return "onnx"
    if head.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(path) as packed:
                head = packed.read(_HEAD)
        except (OSError, EOFError, ValueError):
            return "unknown"
    return "text" if _is_text(head) else "unknown"


def _archive_format(file: Path) -> str:
    """Format of a ZIP archive: PyTorch's, numpy's, or unknown."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if any(name.endswith(".pkl") for name in names):
                scripted = any("/code/" in name or name.endswith("constants.pkl") for name in names)
                return "torchscript" if scripted else "pickle"
            if not names or not all(name.endswith(".npy") for name in names):
                return "unknown"
            kinds = set()
            for name in names:
                with archive.open(name) as member:
                    kinds.add(_array_format(member))
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return "unknown"
    return kinds.pop() if len(kinds) == 1 else "pickle"


def _array_format(file: IO[bytes]) -> str:
    """Format of a numpy array file: "pickle" if it contains objects, else "numpy"."""
    from numpy.lib import format as numpy_format

    try:
        version = numpy_format.read_magic(file)
        read = numpy_format.read_array_header_1_0 if version == (1, 0) else numpy_format.read_array_header_2_0
        return "pickle" if read(file)[2].hasobject else "numpy"
    except (OSError, ValueError, EOFError):
        return "pickle"


def _is_safetensors(file: Path, head: bytes) -> bool:
    if head[8:9] != b"{":  # a JSON header follows its length
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy"):
            return True
    except (SafetensorError, OSError, ValueError):
        return False


def _is_onnx(file: IO[bytes], size: int) -> bool:
    """Whether a whole file is a protocol buffer with the fields of an ONNX model, including a graph."""
    file.seek(0)
    seen = set()
    try:
        while file.tell() < size:
            field, wire = divmod(_varint(file), 8)
            if _ONNX_FIELDS.get(field) != wire:
                return False
            value = _varint(file)
            if wire == 2:
                file.seek(value, 1)
            seen.add(field)
    except EOFError:
        return False
    return file.tell() == size and _ONNX_GRAPH in seen


def _varint(file: IO[bytes]) -> int:
    number = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            break
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return number
    raise EOFError


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not a character that is cut off
            return False
        text = head[: error.start].decode("utf-8")
    return not any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text)
