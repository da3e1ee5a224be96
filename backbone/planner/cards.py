"""How the planner reads a tool card: the arguments that it may write, and the card as one line of text."""

from dataclasses import dataclass
from typing import Literal

from common.card import Card, ParameterSchema


@dataclass(frozen=True)
class Parameter:
    """One argument that the planner may write.

    Attributes:
        name: as in the tool's signature.
        kind: how its value is written.
        required: it must be written.
        many: a list of such values.
        choices: the only values there are, for ``choice``.
        given_by: kinds of value that stand in for it when it is left out (text inputs).
    """

    name: str
    kind: Literal["text", "number", "integer", "boolean", "choice", "above"]
    required: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()
    given_by: tuple[str, ...] = ()


class UnplannableTool(ValueError):
    """A tool has an argument that no request in words can fill."""


def parameters(card: Card) -> list[Parameter]:
    """What the planner may write for this tool: required arguments first, then the optional ones, in their order.

    Raises:
        UnplannableTool: a required argument is of a type that cannot be written (an object, a list of lists), or so are all
            of those of which one is to be given.
    """
    found: list[Parameter] = []
    for name, given in card["inputs"].items():
        if given.get("literal"):
            found.append(Parameter(name, "text", not given["optional"], given_by=tuple(given["kinds"])))
        elif given["optional"]:
            found.append(Parameter(name, "above", given_by=tuple(given["kinds"])))
    for name, schema in card["params"].items():
        required = name in card["required"]
        parameter = _parameter(name, schema, required)
        if parameter is not None:
            found.append(parameter)
        elif required:
            raise UnplannableTool(
                f"tool {card['name']}: its argument {name} is of a type that cannot be asked for in words. "
                "Give it a default, or use text, numbers, booleans, choices or a list of these"
            )
    if card["one_of"] and not any(parameter.name in card["one_of"] for parameter in found):
        raise UnplannableTool(
            f"tool {card['name']}: none of {', '.join(card['one_of'])} can be asked for in words. "
            "Add one that takes text, numbers, booleans, choices or a list of these"
        )
    return sorted(found, key=lambda parameter: not parameter.required)


def _parameter(name: str, schema: ParameterSchema, required: bool, many: bool = False) -> Parameter | None:
    schema = next((s for s in schema.get("anyOf", ()) if s.get("type") != "null"), schema)
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if choices:
        return Parameter(name, "choice", required, many, tuple(str(c) for c in choices if c is not None))
    match schema.get("type"):
        case "string":
            return Parameter(name, "text", required, many)
        case "number":
            return Parameter(name, "number", required, many)
        case "integer":
            return Parameter(name, "integer", required, many)
        case "boolean":
            return Parameter(name, "boolean", required, many)
        case "array" if not many:
            return _parameter(name, schema.get("items", {}), required, many=True)
    return None


def card_text(card: Card) -> str:
    """A card as the planner reads it: one line with name, arguments, types, first docstring line and an example."""
    written = []
    for p in parameters(card):
        if p.kind == "above":
            continue
        kind = "/".join(p.choices) if p.kind == "choice" else p.kind
        written.append(f"{p.name}{'' if p.required else '?'}: {kind}{' list' if p.many else ''}")
    takes = " ".join("|".join(i["kinds"][:2]).lower() for i in card["inputs"].values() if not i["optional"])
    flow = f" {takes or 'nothing'} -> {card['returns']['kind'].lower()}"
    example = f" e.g. {card['examples'][0]}" if card["examples"] else ""
    return f" {card['name']}({', '.join(written)}){flow}: {card['doc']}{example}"
