"""Weights as the Models tab shows them: what there is, what is on disk and in memory, and what each is used for."""

from dataclasses import dataclass

import psutil

from tools.core.errors import WeightsMissing
from tools.core.settings import main_memory, settings
from tools.runtime.model_cache import Loaded, loaded
from tools.weights import starter
from tools.weights.catalogue import Weights, address, catalogue, is_fetched, pinned
from tools.weights.requirements import doubts, has_gpu, in_words, is_permissive, size_in_words
from tools.weights.weights import is_here, is_removable, locate, needs_trust
from ui.catalogue.jobs import Job


@dataclass(frozen=True)
class WeightsRow:
    """One entry of the catalogue.

    Attributes:
        id: Its name.
        roles: What it can do.
        used_for: Roles for which the settings choose it.
        size: Of what is here, its size; of what is not, how much is fetched.
        licence: As an SPDX name.
        permissive: Whether the licence asks for no more than to be named.
        unsafe: Whether the file can run code when it is loaded, and no hash is pinned.
        sources: Where it would be fetched from.
        note: What to know before it is used, and what this computer lacks to run it.
        here: Whether it is on this computer, or no file is needed.
        place: Where it is; "" where it is not here.
        can_pull: Whether superlink can fetch it.
        can_remove: Whether superlink fetched it, and so can delete it.
        can_use: Roles for which it can be chosen instead of what is chosen now.
        pinned: Whether its sha256 is known, so that another file is refused.
        in_memory: Bytes of its loaded models, about.
        busy: Whether a tool runs one of them.
        last_used: When one of them was used last, such as "3 min ago"; "" where none is loaded.
        job: What is being done with it, or was done last.
    """

    id: str
    roles: tuple[str, ...]
    used_for: tuple[str, ...]
    size: str
    licence: str
    permissive: bool
    unsafe: bool
    sources: tuple[str, ...]
    note: str
    here: bool
    place: str
    can_pull: bool
    can_remove: bool
    can_use: tuple[str, ...]
    pinned: bool
    in_memory: int
    busy: bool
    last_used: str
    job: Job | None


@dataclass(frozen=True)
class Computer:
    """What this computer has and uses.

    Attributes:
        process: Memory of this process in bytes.
        memory: Main memory in bytes; None where the system does not tell.
        models: Memory of loaded models in bytes, about.
        budget: Memory that loaded models may take in bytes.
        device: What models run on, in words.
    """

    process: int
    memory: int | None
    models: int
    budget: int
    device: str


@dataclass(frozen=True)
class StarterSet:
    """The starter set.

    Attributes:
        missing: Ids of what is not here.
        licences: Licences of what is not here.
        size: How much is fetched for it.
        chosen: Whether the settings choose it for all its roles.
    """

    missing: tuple[str, ...]
    licences: tuple[str, ...]
    size: str
    chosen: bool


def rows(jobs: dict[str, Job], search: str = "", missing_only: bool = False) -> list[WeightsRow]:
    """Return the weights of the catalogue: those that are in use first, then by name.

    Args:
        jobs: Jobs by id of weights.
        search: Words that id, role, licence or note must contain; case does not matter.
        missing_only: Leave out what is on this computer.
    """
    used_for: dict[str, list[str]] = {}
    for role, weights_id in settings().roles.items():
        used_for.setdefault(weights_id, []).append(role)
    models = loaded()
    found = [
        _row(entry, tuple(used_for.get(entry.id, ())), models, jobs.get(entry.id)) for entry in catalogue().values()
    ]
    words = search.lower().split()
    return sorted(
        (row for row in found if _matches(row, words) and not (missing_only and row.here)),
        key=lambda row: (not row.used_for, row.id),
    )


def computer() -> Computer:
    """Return what this computer has and uses."""
    return Computer(
        psutil.Process().memory_info().rss,
        main_memory(),
        sum(model.bytes for model in loaded()),
        settings().memory_bytes,
        "GPU" if has_gpu() else "processor (no GPU found)",
    )


def starter_set() -> StarterSet:
    """Return what of the starter set is not here."""
    choices = starter.choices()
    missing = [choice.entry for choice in choices if not choice.here]
    licences = tuple(sorted({entry.licence for entry in missing}))
    chosen = all(settings().role(role) == choice.entry.id for choice in choices for role in choice.roles)
    return StarterSet(tuple(entry.id for entry in missing), licences, in_words(starter.bytes_to_fetch(choices)), chosen)


def ago(seconds: float) -> str:
    """Return a span of time in words, such as "3 min ago"."""
    if seconds < 60:
        return "just now"
    return f"{seconds / 60:.0f} min ago" if seconds < 5400 else f"{seconds / 3600:.0f} h ago"


def _row(entry: Weights, used_for: tuple[str, ...], models: list[Loaded], job: Job | None) -> WeightsRow:
    here = is_here(entry.id)
    own = [model for model in models if entry.id in model.weights]
    return WeightsRow(
        id=entry.id,
        roles=entry.roles,
        used_for=used_for,
        size=in_words(entry.size) if here and entry.size else "" if here else size_in_words(entry),
        licence=entry.licence,
        permissive=is_permissive(entry),
        unsafe=needs_trust(entry.id),
        sources=tuple(address(source) for source in entry.sources if is_fetched(source)),
        note=" ".join(f"{part.rstrip('.')}." for part in (entry.note, *doubts(entry)) if part),
        here=here,
        place=_place(entry),
        can_pull=not here and any(map(is_fetched, entry.sources)),
        can_remove=is_removable(entry.id),
        # The planner is loaded when the page starts.
        can_use=tuple(role for role in entry.roles if here and role not in (*used_for, "planner")),
        pinned=pinned(entry) is not None,
        in_memory=sum(model.bytes for model in own),
        busy=any(model.in_use for model in own),
        last_used=ago(min(model.idle for model in own)) if own else "",
        job=job,
    )


def _matches(row: WeightsRow, words: list[str]) -> bool:
    text = " ".join((row.id, *row.roles, row.licence, row.note)).lower()
    return all(word in text for word in words)


def _place(entry: Weights) -> str:
    try:
        return str(locate(entry.id)) if entry.needed else ""
    except WeightsMissing:
        return ""
