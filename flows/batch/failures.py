"""Failed items in groups of one reason each."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from flows.ledger.ledger import Ledger
from flows.ledger.rows import FailedItem

_NAMED = 20
_ITEM = "…"


@dataclass
class FailureGroup:
    """Items that failed for one reason.

    Attributes:
        reason: with "…" in place of the item's name or path.
        hint: what to do.
        count: number of items.
        names: of the first of them.
    """

    reason: str
    hint: str
    count: int = 0
    names: list[str] = field(default_factory=list)


def group_failures(ledger: Ledger) -> list[FailureGroup]:
    """Failed items by reason, the most frequent reason first."""
    groups: dict[str, FailureGroup] = {}
    for item in ledger.failed_items():
        reason = shared_reason(item)
        group = groups.setdefault(reason, FailureGroup(reason, item.hint))
        group.count += 1
        if len(group.names) < _NAMED:
            group.names.append(item.name)
    return sorted(groups.values(), key=lambda group: (-group.count, group.reason))


def failed_for(ledger: Ledger, reason: str) -> Iterator[int]:
    """Numbers of the items that failed for a reason.

    Args:
        ledger: of the run.
        reason: a part of it as `FailureGroup.reason` has it, or as the failure itself says it.
    """
    return (item.id for item in ledger.failed_items() if reason in shared_reason(item) or reason in item.reason)


def shared_reason(item: FailedItem) -> str:
    """The reason without what belongs to this item alone, so that items with equal reasons fall together."""
    text = item.reason
    for own in (item.address, item.name, item.name.rpartition("/")[2]):
        text = text.replace(own, _ITEM)
    return text
