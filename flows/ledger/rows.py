"""Rows of a ledger as Python has them, and the references that are kept in them as JSON."""

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from agents.session.state import Refs, listed
from flows.items.addresses import absolute_address
from tools.storage.store import Ref

_SHA256 = re.compile("[0-9a-f]{64}")
_REF = {"kind": str, "sha256": str, "media_type": str, "bytes": int, "summary": dict}

Rows = dict[str, list[tuple[Any, ...]]]
"""Plain rows by table, in the columns of `flows.ledger.schema.COPIED`."""


class LedgerItem(NamedTuple):
    """An item as the ledger has it; `ref` is None before it was opened."""

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


class FinishedCall(NamedTuple):
    """A finished call of a tool; `refs` is what came out."""

    key: str
    base: str
    tool: str
    weights: str
    roles: str
    refs: Refs
    seconds: float


class StepRow(NamedTuple):
    """How a step came out on an item; `work` is the key of its work, or its base where it failed."""

    item: int
    step: str
    state: str
    work: str
    error: str = ""
    hint: str = ""
    seconds: float = 0.0


class StepCost(NamedTuple):
    """Of a step: items that have its result, items on which it failed, calls that made the results, and their seconds."""

    items: int
    failed: int
    calls: int
    seconds: float


@dataclass(frozen=True)
class ScanChanges:
    """What a scan changed: how many items there are, and how many are new, changed, and gone."""

    items: int
    new: int
    changed: int
    gone: int


def parse_refs(text: str | None) -> Refs | None:
    """References as a row has them, or None where they are none: SQLite does not notice a changed byte in a text."""
    refs: Refs | None = parse_json(text)
    return refs if isinstance(refs, dict | list) and all(map(_is_ref, listed(refs))) else None


def _is_ref(ref: Any) -> bool:
    return (
        isinstance(ref, dict)
        and all(isinstance(ref.get(name), kind) for name, kind in _REF.items())
        and _SHA256.fullmatch(ref["sha256"]) is not None
    )


def parse_json(text: str | None) -> Any:
    """What a row has as JSON, or None where it is none."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def parse_item(row: tuple[Any, ...], root: str) -> LedgerItem:
    """An item from its columns; its address is relative to the folder `root`."""
    number, name, address, size, stamp, state, ref = row
    found = parse_refs(ref)
    return LedgerItem(
        number, name, absolute_address(address, root), size, stamp, state, None if isinstance(found, list) else found
    )


def compact_json(data: Any) -> str:
    """Data as the JSON that rows keep."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
