"""Tools as the Tools tab shows them: what each takes and gives, whether it works here, and one call of it as a plan."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from agents.plan.plan import Plan, Step
from agents.plan.preflight import missing_of
from agents.plan.types import AnyTool, cards_of
from common.card import Card, ParameterSchema
from tools.core.errors import SuperlinkError
from tools.runtime.registry import file_of
from tools.weights.catalogue import find
from tools.weights.needs import Missing
from ui.plans.words import label


@dataclass(frozen=True)
class Parameter:
    """An argument of a tool in words: its name, what it takes, whether it may be left out, and what it means."""

    name: str
    takes: str
    optional: bool
    note: str


@dataclass(frozen=True)
class Used:
    """Weights that a plain call of a tool uses and that are here: id, licence, and what runs them; "" where unknown."""

    weights: str
    licence: str
    engine: str


@dataclass(frozen=True)
class ToolRow:
    """A tool.

    Attributes:
        name: Its name.
        title: Its name as people write it.
        doc: What it does, in one line.
        takes: Kinds of values that it takes.
        gives: Kind of value that it gives.
        parameters: Its arguments.
        examples: Requests in words for it.
        origin: "built in", or the file or package that it comes from.
        changes: Whether it makes pictures, sound or video, so that its plans wait for a person.
        isolated: Whether it runs in a process of its own.
        uses: Weights that a plain call uses and that are here.
        missing: Weights that it needs and that are not here.
        fault: Why its last call failed, and the day; None where it gave a result or was not called.
    """

    name: str
    title: str
    doc: str
    takes: tuple[str, ...]
    gives: str
    parameters: tuple[Parameter, ...]
    examples: tuple[str, ...]
    origin: str
    changes: bool
    isolated: bool
    uses: tuple[Used, ...]
    missing: tuple[Missing, ...]
    fault: tuple[str, str] | None

    @property
    def works(self) -> bool:
        """Whether all that a plain call needs is here."""
        return not self.missing


def rows(
    tools: Mapping[str, AnyTool],
    search: str = "",
    kind: str = "",
    works: bool = False,
    faults: Mapping[str, tuple[str, str]] | None = None,
) -> list[ToolRow]:
    """Return the tools in the order of the catalogue, those of a person's own files first.

    Args:
        tools: Tools by name.
        search: Words that name, docstring or examples must contain; case does not matter.
        kind: Kind of value that a tool must take or give; "" for any.
        works: Leave out tools that lack weights.
        faults: Why the last call of a tool failed, and the day, by name of the tool.
    """
    words = search.lower().split()
    found = [_row(tool, (faults or {}).get(tool.name)) for tool in tools.values()]
    return sorted(
        (
            row
            for row in found
            if all(word in " ".join((row.name, row.doc, *row.examples)).lower() for word in words)
            and (not kind or kind in (*row.takes, row.gives))
            and (row.works or not works)
        ),
        key=lambda row: not row.origin.endswith(".py"),
    )


def kinds(tools: Mapping[str, AnyTool]) -> list[str]:
    """Return the kinds of values that any tool takes or gives, by name."""
    return sorted({kind for card in cards_of(tools).values() for kind in (*_taken(card), card["returns"]["kind"])})


def one_call(tool: AnyTool) -> Plan:
    """Return a plan of one call of a tool; inputs are left out, because the check fills them in by their types."""
    return Plan(steps=(Step(id="s1", tool=tool.name, args={}),), outputs=("$s1",))


def kinds_needed(tool: AnyTool) -> list[tuple[str, ...]]:
    """Return the kinds of which each required input of a tool takes one; of inputs with a literal text, none."""
    card = cards_of({tool.name: tool})[tool.name]
    return [
        tuple(given["kinds"])
        for name, given in card["inputs"].items()
        if not given["optional"] or name in card["one_of"][:1]
        if not given.get("literal")
    ]


def _row(tool: AnyTool, fault: tuple[str, str] | None) -> ToolRow:
    card = cards_of({tool.name: tool})[tool.name]
    inputs = [
        Parameter(
            name,
            " or ".join(given["kinds"]) + (" (several)" if given["many"] else ""),
            given["optional"],
            tool.inputs[name].doc,
        )
        for name, given in card["inputs"].items()
    ]
    plain = [
        Parameter(name, _takes(schema), name not in card["required"], schema.get("description", ""))
        for name, schema in card["params"].items()
    ]
    missing = _missing(tool)
    return ToolRow(
        name=tool.name,
        title=label(tool.name),
        doc=tool.doc,
        takes=_taken(card),
        gives=card["returns"]["kind"],
        parameters=(*inputs, *plain),
        examples=tool.examples,
        origin=_origin(tool),
        changes=not tool.read_only,
        isolated=tool.isolated,
        uses=tuple(_uses(tool, {lack.weights for lack in missing})),
        missing=tuple(missing),
        fault=fault,
    )


def _taken(card: Card) -> tuple[str, ...]:
    return tuple(dict.fromkeys(kind for given in card["inputs"].values() for kind in given["kinds"]))


def _missing(tool: AnyTool) -> list[Missing]:
    try:
        return missing_of(tool, {})
    except SuperlinkError:  # of settings that name no weights; the tool itself says it when it runs
        return []


def _uses(tool: AnyTool, missing: Collection[str]) -> Iterator[Used]:
    try:
        names = dict.fromkeys(need.weights for need in (tool.needs({}) if tool.needs is not None else ()))
        for entry in (find(name) for name in names if name not in missing):
            yield Used(entry.id, entry.licence, entry.engine)
    except SuperlinkError:  # of settings that name no weights; the tool itself says it when it runs
        return


def _origin(tool: AnyTool) -> str:
    module = tool.fn.__module__
    return file_of(tool) or (
        "built in" if module.partition(".")[0] == "tools" else f"package {module.partition('.')[0]}"
    )


def _takes(schema: ParameterSchema) -> str:
    if "enum" in schema:
        return ", ".join(str(one) for one in schema["enum"])
    kind = {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no", "array": "list"}
    name = kind.get(str(schema.get("type", "")), "value")
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"{name} from {least} to {most}"
    if least is not None:
        return f"{name} of at least {least}"
    return name if most is None else f"{name} of at most {most}"
