"""Names of items: one for each file of a source, unique and stable, safe as a path within a results folder.

A name depends on the file's own path alone, so that a growing source keeps its names. Different paths have different
names: a rewritten part has a form that no other path can have.
"""

import os
import re
from pathlib import PurePosixPath

# Bytes that are not UTF-8, and control characters, which a terminal would act on.
_BYTE = re.compile("[\udc80-\udcff\x01-\x1f\x7f]")
_LIKE_BYTE = re.compile("%(?=(?:25)*(?:[0189A-F][0-9A-F]|7F))")


def relative_name(path: str) -> str:
    """The name of a file below the root of a source.

    Bytes that are not UTF-8 become "%E9", control characters "%1B", and a "%" that would be read as one of these "%25".

    Args:
        path: relative to the root, without "..".
    """
    parts = PurePosixPath(path.replace(os.sep, "/")).parts
    text = _LIKE_BYTE.sub("%25", "/".join(parts))
    return _BYTE.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text) or "item"


def listed_name(path: str) -> str:
    """The name of a file of a list: relative to the list's folder; "_up2/…" for a path that begins with "../../".

    Args:
        path: normalised, relative to the list's folder.
    """
    parts = PurePosixPath(path.replace(os.sep, "/")).parts
    up = sum(part == ".." for part in parts)
    first = f"_up{up}" if up else _unmarked(parts[0])
    return relative_name("/".join([first, *parts[up or 1 :]]))


def address_name(address: str) -> str:
    """The name of an address of a list: "_s3/bucket/a/001.jpg" for "s3://bucket/a/001.jpg".

    Args:
        address: with its protocol.
    """
    protocol, _, place = address.partition("://")
    return relative_name("/".join([f"_{protocol}", *map(_unmarked, place.split("/"))]))


def _unmarked(part: str) -> str:
    """A part of a path that leads nowhere else, and cannot be read as "_up2" or "_s3"."""
    return f"_{part}" if part in ("", ".", "..") or part.startswith("_") else part
