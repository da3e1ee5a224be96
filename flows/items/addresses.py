"""Addresses of items as a ledger keeps them: relative to a folder, so that it can be moved."""

import os
from collections.abc import Sequence

from flows.items.source import SourceItem


def relative_address(address: str, root: str) -> bytes:
    """An address as a row has it: relative where it lies below the root. Paths need not be UTF-8."""
    start = os.path.join(root, "") if root else ""
    return address.removeprefix(start).encode("utf-8", "surrogateescape")


def absolute_address(address: bytes, root: str) -> str:
    """The path or URL that a row's address stands for."""
    text = bytes(address).decode("utf-8", "surrogateescape")
    return text if "://" in text or os.path.isabs(text) else os.path.join(root, text)


def common_folder(items: Sequence[SourceItem]) -> str:
    """The deepest folder that holds all items of this computer; "" for none."""
    folders = {os.path.dirname(item.address) for item in items if "://" not in item.address}
    try:
        return os.path.commonpath(folders)
    except ValueError:  # there are none, or they are on several drives
        return ""
