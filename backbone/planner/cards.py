"""How the planner reads a tool card: the arguments that it may write, and the card as one line of text."""

from dataclasses import dataclass
from typing import Literal

from common.card import Card, ParameterSchema


@dataclass(frozen=True)
class Parameter:
    """One parameter of a tool that the planner may write.

    Attributes:
        name: as in the tool's signature.
        kind: type of its value; ``above`` is an optional input that takes the newest value of its kinds.
        required: the call is invalid without it.
        many: a list of such values.
        choices: the allowed values, for ``choice``.
        given_by: kinds of value that fill it when it is left out (inputs).
    """

    name: str
    kind: Literal["text", "number", "integer", "boolean", "choice", "above"]
    required: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()
    given_by: tuple[str, ...] = ()


class UnplannableTool(ValueError):
    """A tool has a required argument of a type that the planner cannot write."""


def parameters(card: Card) -> list[Parameter]:
    """The parameters that the planner may write: required ones first, each group in the order of the signature.

    Raises:
        UnplannableTool: a required argument, or every argument of ``one_of``, is of a type that cannot be written (an
            object, a list of lists).
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
    """Text of a card in the prompt: one line with name, arguments, types, first docstring line and one example."""
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
