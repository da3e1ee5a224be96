"""Addresses of items in a ledger: relative to a folder, so that it can be moved."""

import os
from collections.abc import Sequence

from flows.items.source import SourceItem


def relative_address(address: str, root: str) -> bytes:
    """An address as bytes for a ledger, relative if it is below the root. Paths need not be UTF-8."""
    start = os.path.join(root, "") if root else ""
    return address.removeprefix(start).encode("utf-8", "surrogateescape")


def absolute_address(address: bytes, root: str) -> str:
    """The path or URL of an address in a ledger."""
    text = bytes(address).decode("utf-8", "surrogateescape")
    return text if "://" in text or os.path.isabs(text) else os.path.join(root, text)


def common_folder(items: Sequence[SourceItem]) -> str:
    """The deepest folder above all local items; "" for none."""
    folders = {os.path.dirname(item.address) for item in items if "://" not in item.address}
    try:
        return os.path.commonpath(folders)
    except ValueError:  # there are none, or they are on several drives
        return ""
