"""Which weights a call of a tool takes, and which of them are not on this computer.

A tool declares it by `@tool(needs=…)`: a function of the call's arguments that yields a `Need` for each of them.
Nothing is loaded for it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tools.core.errors import SuperlinkError, WeightsMissing
from tools.core.settings import settings
from tools.weights.catalogue import find
from tools.weights.requirements import fetched_bytes
from tools.weights.weights import locate


@dataclass(frozen=True)
class Need:
    """Weights that a call takes.

    Attributes:
        weights: Their id.
        what: What they are to find, such as "license plate"; "" where the call needs them for anything.
        role: The role for which they have to be chosen first, as the present choice cannot do the work; "" where they
            are chosen.
    """

    weights: str
    what: str = ""
    role: str = ""


Needs = Callable[[Mapping[str, object]], Iterable[Need]]
"""Yields what a call takes.

Its argument are the arguments of the call as a plan has them: inputs are references, or for detections the labels that
they were looked for by, where the plan says them.
"""


@dataclass(frozen=True)
class Missing:
    """Weights that a call takes and this computer lacks.

    Attributes:
        weights: Their id.
        what: What they are to find; "" where the call needs them for anything.
        licence: Of the weights; "" where they are not in the catalogue.
        size: Bytes to fetch; 0 where not known.
        command: What to do: a command, or a sentence where no command does it.
    """

    weights: str
    what: str
    licence: str
    size: int
    command: str


def weights_of(*roles: str) -> Needs:
    """Return the declaration of a tool that always takes the weights of some roles."""

    def needs(_: Mapping[str, object]) -> Iterator[Need]:
        for role in roles:
            yield from with_needed(settings().role(role))

    return needs


def with_needed(weights_id: str, what: str = "") -> Iterator[Need]:
    """Yield a need of weights, and of those that their engine loads with them."""
    yield Need(weights_id, what)
    for other in find(weights_id).needs:
        yield Need(other, what)


def missing(needs: Iterable[Need]) -> list[Missing]:
    """Return the needs that this computer cannot meet, each of them once."""
    found: dict[str, Missing] = {}
    try:
        for need in needs:
            lack = _missing(need)
            if lack is not None:
                found.setdefault(need.weights, lack)
    except SuperlinkError as error:  # weights that are chosen and not in the catalogue
        found[error.message] = Missing(error.message, "", "", 0, error.hint)
    return list(found.values())


def _missing(need: Need) -> Missing | None:
    entry = find(need.weights)
    command = ""
    if entry.needed:
        try:
            locate(need.weights)
        except WeightsMissing as error:
            command = error.hint.removeprefix("Run: ")
    if need.role:
        choose = f'set {need.role} = "{need.weights}" under [roles] in settings.toml'
        command = f"{command}, and {choose}" if command else choose
    size = fetched_bytes(entry) or entry.approximate_size or 0
    return Missing(need.weights, need.what, entry.licence, size, command) if command else None
