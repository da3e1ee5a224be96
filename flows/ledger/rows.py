"""Rows of a ledger as Python values, and the references that they hold as JSON."""

import json
import re
from dataclasses import dataclass
from typing import NamedTuple, cast

from pydantic import JsonValue

from flows.items.addresses import absolute_address
from tools.storage.store import Ref, Refs

_SHA256 = re.compile("[0-9a-f]{64}")
_REF = {"kind": str, "sha256": str, "media_type": str, "bytes": int, "summary": dict}

SqlValue = str | int | float | bytes | None
Rows = dict[str, list[tuple[SqlValue, ...]]]
"""Plain rows by table, in the columns of `flows.ledger.schema.COPIED`."""


class LedgerItem(NamedTuple):
    """One row of `items`; `ref` is the item's content, None before it was opened."""

    id: int
    name: str
    address: str
    size: int
    stamp: str
    state: str
    ref: Ref | None


class ItemFault(NamedTuple):
    """An item that failed or lost a value: its name, the reason, and what to do."""

    name: str
    reason: str
    hint: str


class FailedItem(NamedTuple):
    """An item that failed: its number, name, path or URL, the reason, and what to do."""

    id: int
    name: str
    address: str
    reason: str
    hint: str


class FinishedCall(NamedTuple):
    """One row of `works`: a finished call of a tool; `refs` are its results."""

    key: str
    base: str
    tool: str
    weights: str
    roles: str
    refs: Refs
    seconds: float


class StepRow(NamedTuple):
    """One row of `steps`: a step on an item; `work` is the key of its finished call, or the base where it failed."""

    item: int
    step: str
    state: str
    work: str
    error: str = ""
    hint: str = ""
    seconds: float = 0.0


class StepCost(NamedTuple):
    """What a step took: items with its result, items on which it failed, calls that gave the results, and seconds."""

    items: int
    failed: int
    calls: int
    seconds: float


@dataclass(frozen=True)
class ScanChanges:
    """Numbers of items after a scan: all, new, changed, and gone."""

    items: int
    new: int
    changed: int
    gone: int


def parse_refs(text: str | None) -> Refs | None:
    """References from their JSON; None when the text holds none: SQLite does not notice a changed byte in a text."""
    value = parse_json(text)
    refs = value if isinstance(value, list) else [value]
    return cast(Refs, value) if all(map(_is_ref, refs)) else None


def _is_ref(ref: object) -> bool:
    return (
        isinstance(ref, dict)
        and all(isinstance(ref.get(name), kind) for name, kind in _REF.items())
        and _SHA256.fullmatch(ref["sha256"]) is not None
    )


def parse_json(text: str | None) -> JsonValue:
    """The value of a JSON text; None when the text is none or cannot be parsed."""
    try:
        value: JsonValue = None if text is None else json.loads(text)
    except ValueError:
        return None
    return value


def parse_item(row: tuple[int, str, bytes, int, str, str, str | None], root: str) -> LedgerItem:
    """An item from its columns, whose address is relative to the folder `root`."""
    number, name, address, size, stamp, state, ref = row
    found = parse_refs(ref)
    return LedgerItem(
        number, name, absolute_address(address, root), size, stamp, state, None if isinstance(found, list) else found
    )


def compact_json(data: object) -> str:
    """Data as JSON without spaces, as rows hold it."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
