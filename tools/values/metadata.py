"""Removing metadata (place, time, camera, previews) from picture files without decoding the pixels."""

import struct
from collections.abc import Iterator

# Segments that are needed to decode the pixels: JFIF, ICC profile, Adobe's colour transform.
_JPEG_KEPT = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_PNG_DROPPED = (b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"caBX")
_WEBP_DROPPED = (b"EXIF", b"XMP ")
_WEBP_FLAGS = 0b1100  # bits of VP8X: the file has EXIF, it has XMP
_START_OF_SCAN, _END = 0xDA, 0xD9
_STANDALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_ORIENTATION = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0%c\0\0\0\0\0\0\0"


def strip_metadata(data: bytes, suffix: str, orientation: int) -> bytes | None:
    """Return a picture file without its metadata, or None if that requires decoding.

    Args:
        data: The file.
        suffix: Its format, such as ".jpg".
        orientation: EXIF orientation, 1 to 8. It is the only EXIF entry that a JPEG keeps.
    """
    if suffix == ".jpg":
        return b"".join(_jpeg(data, orientation))
    if orientation != 1:
        return None
    if suffix == ".png":
        return data[:8] + b"".join(part for name, part in _png(data) if name not in _PNG_DROPPED)
    if suffix == ".webp":
        return _webp(data)
    return data if suffix in (".bmp", ".ppm") else None


def _jpeg(data: bytes, orientation: int) -> Iterator[bytes]:
    """Yield the parts of a JPEG without metadata, and without what follows its end (further pictures)."""
    yield data[:2]
    if orientation != 1:
        body = _ORIENTATION % orientation
        yield b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] == 0xFF:  # fill bytes
            at += 1
            continue
        marker = data[at + 1]
        if marker == _END:
            yield data[at : at + 2]
            return
        end = at + 2 if marker in _STANDALONE or marker == 0 else at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN:
            while end + 1 < len(data) and (data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7):
                end = data.find(b"\xff", end + 1)
                end = len(data) if end < 0 else end
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or data[at + 4 :].startswith(
            _JPEG_KEPT.get(marker, b"\0\0\0\0\0")
        ):
            yield data[at:end]
        at = end
    yield data[at:]


def _png(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and bytes of each chunk."""
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        yield name, data[at:end]
        if name == b"IEND":
            return
        at = end


def _webp(data: bytes) -> bytes:
    parts, at = [], 12
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        end += end % 2
        name, part = data[at : at + 4], data[at:end]
        if name == b"VP8X":
            part = part[:8] + bytes([part[8] & ~_WEBP_FLAGS & 0xFF]) + part[9:]
        if name not in _WEBP_DROPPED:
            parts.append(part)
        at = end
    body = b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
