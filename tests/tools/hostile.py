"""Files that are damaged, lie about themselves, or are none: what a folder of a stranger may hold."""

import io
import os
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image as Pil

from tools import Audio, Video

_NOISE = np.random.default_rng(0)
_PICTURES = {
    "jpg": "JPEG",
    "png": "PNG",
    "gif": "GIF",
    "webp": "WEBP",
    "tiff": "TIFF",
    "bmp": "BMP",
    "avif": "AVIF",
    "jp2": "JPEG2000",
    "ppm": "PPM",
}


def write_all(folder: Path) -> None:
    """Write them into a folder, at least a hundred; links, a pipe and a socket are among them."""
    for name, data in _all():
        (folder / name).write_bytes(data)
    _sparse(folder)
    _irregular(folder)


def png(
    width: int, height: int, depth: int = 8, colour: int = 2, *, before: bytes = b"", pixels: bytes = bytes(64)
) -> bytes:
    """A PNG whose header says this size, with chunks before its pixels; the pixels may be fewer."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def flac(seconds: float, rate: int = 48_000, channels: int = 2, claims: int | None = None) -> bytes:
    """Silence, with another number of samples in its header if asked."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, channels, "PCM_16", format="FLAC") as file:
        left = int(seconds * rate)
        while left:
            file.write(np.zeros((min(left, 1 << 20), channels), np.int16))
            left -= min(left, 1 << 20)
    data = bytearray(buffer.getvalue())
    if claims is not None:
        data[21] = data[21] & 0xF0 | claims >> 32
        data[22:26] = struct.pack(">I", claims & 0xFFFFFFFF)
    return bytes(data)


def wav(
    rate: int = 8000,
    channels: int = 1,
    claims: int | None = None,
    bits: int = 16,
    form: int = 1,
    data: bytes = bytes(800),
) -> bytes:
    """A WAV with the given header."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", form, channels, rate, min(rate * block, 2**32 - 1), block & 0xFFFF, bits)
    size = len(data) if claims is None else claims
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + size, 2**32 - 1))
        + b"WAVEfmt \x10\0\0\0"
        + fmt
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def tiff(width: int, height: int, *, next_page: int = 0, more: dict[int, int] | None = None) -> bytes:
    """A grey TIFF whose header says this size, with one short strip; `next_page` is where the next directory begins."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 64, **(more or {})}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return (
        b"II*\0"
        + struct.pack("<I", 72)
        + bytes(64)
        + struct.pack("<H", len(tags))
        + entries
        + struct.pack("<I", next_page)
    )


def _all() -> Iterator[tuple[str, bytes]]:
    for ending, data in _real().items():
        yield f"half.{ending}", data[: len(data) // 2]
        yield f"begun.{ending}", data[:40]
        yield f"noise_after_start.{ending}", data[:16] + _NOISE.bytes(3000)
        flipped = np.frombuffer(data, np.uint8).copy()
        flipped[_NOISE.integers(0, len(flipped), 12)] ^= 0xFF
        yield f"flipped.{ending}", flipped.tobytes()
    yield from _lies()
    for ending in ("jpg", "png", "wav", "mp3", "mp4", "txt", "srt", "xyz"):
        yield f"empty.{ending}", b""
        yield f"page_not_found.{ending}", b"<html>404</html>" if ending != "txt" else b"\xff\xfe404"
        yield f"noise.{ending}", _NOISE.bytes(5000)
    yield "deep.json", b"[" * 200_000
    yield "archive.png", b"PK\3\4" + bytes(100)
    yield "program.mp4", b"\x7fELF" + bytes(200)
    yield "document.tif", b"%PDF-1.7\n1 0 obj\n"
    yield "list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    yield "sound.jpg", wav()
    yield "no\nline.png", b"x"


def _real() -> dict[str, bytes]:
    """Small whole files of each format."""
    made = {}
    picture = Pil.fromarray(_NOISE.integers(0, 255, (60, 80, 3), np.uint8))
    for ending, form in _PICTURES.items():
        buffer = io.BytesIO()
        picture.save(buffer, form)
        made[ending] = buffer.getvalue()
    sound = _NOISE.uniform(-1, 1, 8000).astype(np.float32)
    for ending, form in (("wav", "WAV"), ("flac", "FLAC"), ("ogg", "OGG"), ("mp3", "MP3")):
        buffer = io.BytesIO()
        soundfile.write(buffer, sound, 8000, format=form)
        made[ending] = buffer.getvalue()
    frames = [np.full((48, 64, 3), 20 * n, np.uint8) for n in range(8)]
    made["mp4"] = Video.from_frames(frames, 10, Audio(sound, 8000)).to_bytes()
    made["mkv"] = matroska(3.0)
    return made


def _lies() -> Iterator[tuple[str, bytes]]:
    yield "huge.png", png(40_000, 40_000)
    yield "wide.png", png(2**31 - 1, 1)
    yield "none.png", png(0, 0)
    yield "deep.png", png(4_000, 4_000, 16, 0, pixels=bytes(4_000 * 4_000 * 2 + 4_000))
    yield "deep_colours.png", png(30_000, 2_000, 16, 6)
    yield "animated.png", png(8, 8, before=chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))
    yield "text_bomb.png", png(8, 8, before=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 26))) * 3)
    yield "profile_bomb.png", png(8, 8, before=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 26))))
    yield "texts.png", png(8, 8, before=chunk(b"tEXt", b"a\0b") * 20_000)
    yield (
        "huge.gif",
        b"GIF89a"
        + struct.pack("<HH", 65535, 65535)
        + bytes(3)
        + b"\x2c"
        + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
        + b"\2\2L\1\0;",
    )
    yield "frames.gif", b"GIF89a\1\0\1\0\0\0\0" + b"\x2c\0\0\0\0\1\0\1\0\x80\0\0\0\xff\xff\xff\2\2L\1\0" * 3_000 + b";"
    yield (
        "huge.bmp",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0),
    )
    yield "upside.bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 10, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0)
    yield "huge.tiff", tiff(100_000, 100_000)
    yield "loop.tiff", tiff(8, 8, next_page=72)
    yield "far.tiff", tiff(8, 8, next_page=2**31)
    yield "far_strip.tiff", tiff(8, 8, more={273: 2**31, 279: 2**31})
    yield "bits.tiff", tiff(8, 8, more={258: 2**31, 277: 65_535})
    yield (
        "huge.jpg",
        b"\xff\xd8\xff\xc0\0\x11\x08\xff\xdc\xff\xdc\3\1\x11\0\2\x11\0\3\x11\0\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0"
        + bytes(50),
    )
    yield (
        "huge.webp",
        b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xfe\x3f\0" * 2 + b"VP8L\x04\0\0\0\x2f\xff\xff\xff",
    )
    yield "huge.ppm", b"P6 999999 999999 255\n" + bytes(50)
    yield "huge.pgm", b"P5 30000 30000 65535\n" + bytes(50)
    yield "claims.flac", flac(0.1, claims=2**35)
    yield "open_end.flac", flac(0.1, claims=0)
    yield "short.flac", flac(0.5, claims=30_000)
    yield "silence.flac", flac(120)
    yield "claims.wav", wav(claims=2**32 - 1)
    yield "slow.wav", wav(rate=1, data=bytes(40_000))
    yield "stopped.wav", wav(rate=0)
    yield "fast.wav", wav(rate=2**32 - 1)
    yield "channels.wav", wav(channels=1000, data=bytes(20_000))
    yield "no_channels.wav", wav(channels=0)
    yield "not_numbers.wav", wav(bits=32, form=3, data=np.full(200, np.nan, np.float32).tobytes())
    yield "loud.wav", wav(bits=32, form=3, data=np.full(200, 1e30, np.float32).tobytes())
    yield "unknown_codec.wav", wav(form=0x9999)
    yield "unknown_codec.mkv", matroska(1).replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT")
    film = Video.from_frames(
        [np.zeros((48, 64, 3), np.uint8)] * 4, 5, Audio(np.zeros(800, np.float32), 8000)
    ).to_bytes()
    yield "unknown_codec.mp4", film.replace(b"avc1", b"xyz1").replace(b"mp4a", b"xyz2")
    yield "gap.mkv", matroska(10**7)
    yield "claims.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + struct.pack(">I", 2**31) + b"moov" + bytes(100)
    yield "boxes.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0\0\xff\xffmoov" * 500


def matroska(gap: float) -> bytes:
    """Sound in two packets with a gap of this many seconds between them."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for start in (0, int(gap * 8000)):
            frame = av.AudioFrame.from_ndarray(np.full((1, 800), 9000, np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 8000, start
            container.mux(stream.encode(frame))
    return buffer.getvalue()


def _sparse(folder: Path) -> None:
    """Files of 5 GB that take no room on the disk."""
    for name, start in (
        ("vast.jpg", b"\xff\xd8\xff\xe0"),
        ("vast.png", png(8, 8)[:33]),
        ("vast.wav", wav(claims=2**32 - 1)),
        ("vast.mp4", b""),
        ("vast.txt", b"words"),
        ("vast.bmp", b"BM"),
    ):
        (folder / name).write_bytes(start)
        os.truncate(folder / name, 5_000_000_000)


def _irregular(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe.txt")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "zero.wav").symlink_to("/dev/zero")
    (folder / "random.mp4").symlink_to("/dev/urandom")
    (folder / "nothing.txt").symlink_to("/dev/null")
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "folder.mp4").mkdir()
    (folder / "forbidden.jpg").write_bytes(png(8, 8))
    (folder / "forbidden.jpg").chmod(0)
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket.wav")
    finally:
        os.chdir(here)
