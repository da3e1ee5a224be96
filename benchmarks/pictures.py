"""Pictures for the benchmarks of batch runs: photographs cropped, flipped and scaled, and malformed files."""

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Pil

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "media" / "photos"
FACES: dict[str, Any] = {
    "request": "blur every face",
    "outputs": ["$s2"],
    "steps": [
        {"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": ["face"]}},
        {"id": "s2", "tool": "redact", "args": {"image": "$image", "regions": "$s1"}},
    ],
}
DARKEN: dict[str, Any] = {
    "request": "darken the bright parts",
    "outputs": ["$s2"],
    "steps": [
        {"id": "s1", "tool": "bright", "args": {"image": "$image"}},
        {"id": "s2", "tool": "darken", "args": {"image": "$image", "regions": "$s1"}},
    ],
}
"""A plan of tools without models, those of `TOOLS`."""
TOOLS = Path(__file__).resolve().parents[1] / "tests" / "flows" / "finding.py"


def make(photos: Path, folder: Path, count: int, sizes: Sequence[int] = (640,)) -> None:
    """Write different pictures: photographs cropped, flipped and scaled, with longer sides of about these sizes."""
    files = sorted(photos.glob("*.jpg"))
    folder.mkdir(parents=True)
    photographs = [Pil.open(file).convert("RGB") for file in files]
    for photo in photographs:
        photo.thumbnail((max(sizes) * 5 // 4, max(sizes) * 5 // 4))
    for number in range(count):
        photo = photographs[number % len(files)]
        cut = number // len(files)
        photo = photo.crop((cut % 7 * 5, cut % 5 * 5, photo.width - cut % 3 * 9, photo.height - cut % 11 * 4))
        if number % 2:
            photo = photo.transpose(Pil.Transpose.FLIP_LEFT_RIGHT)
        size = sizes[number % len(sizes)]
        photo = photo.resize(_inside(photo.size, size - cut % 4 * size // 32))
        photo.putpixel((0, 0), (cut % 256, cut // 256, 0))  # so that all pictures differ
        photo.save(folder / f"{number:05}.jpg", quality=92)


def _inside(size: tuple[int, int], longest: int) -> tuple[int, int]:
    scale = longest / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _png(width: int, height: int, data: bytes, broken: bool = False) -> bytes:
    """A PNG file of RGB pixels; with a wrong checksum in the chunk of the pixels if `broken`."""

    def chunk(name: bytes, body: bytes, flip: int = 0) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) ^ flip)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data), int(broken))
        + chunk(b"IEND", b"")
    )


def _cut(whole: bytes, file: Path) -> None:
    file.write_bytes(whole[: len(whole) // 3])


def _pipe(whole: bytes, file: Path) -> None:
    os.mkfifo(file)


def _folder(whole: bytes, file: Path) -> None:
    (file.parent / ".folder").mkdir(exist_ok=True)
    file.symlink_to(".folder")


MALFORMED: dict[str, tuple[str, Callable[[bytes, Path], object]]] = {
    "empty": ("is empty", lambda whole, file: file.write_bytes(b"")),
    "truncated JPEG": ("damaged or cut short", _cut),
    "text": ("is not a picture", lambda whole, file: file.write_text("This is a letter.\n" * 40)),
    "0x0 pixels": ("or it is damaged", lambda whole, file: file.write_bytes(_png(0, 0, b""))),
    "decompression bomb": ("is too large", lambda whole, file: file.write_bytes(_png(40_000, 40_000, bytes(100)))),
    "broken checksum": ("checksum", lambda whole, file: file.write_bytes(_png(8, 8, bytes(8 * 25), broken=True))),
    "zeros": ("is not a picture", lambda whole, file: file.write_bytes(bytes(5000))),
    "link to a folder": ("is a folder", _folder),
    "link to nothing": ("No such file", lambda whole, file: file.symlink_to("nowhere.jpg")),
    "link to itself": ("symbolic links", lambda whole, file: file.symlink_to(file.name)),
    "pipe": ("is no file", _pipe),
}
"""Kind of malformed file to a part of the reason of its failure, and the function that makes it from a JPEG."""


def spoil(folder: Path, count: int) -> dict[str, str]:
    """Replace `count` pictures by malformed files; return the kind of each by its name."""
    files = sorted(folder.glob("*.jpg"))
    kinds = {}
    for number in range(count):
        file = files[(2 * number + 1) * len(files) // (2 * count)]
        whole = file.read_bytes()
        file.unlink()
        kinds[file.name] = list(MALFORMED)[number % len(MALFORMED)]
        MALFORMED[kinds[file.name]][1](whole, file)
    return kinds
