"""The form of a step, made from the declaration of its tool: a field for each argument, without widgets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from agents.plan.plan import Plan, escape, reference, references, unescape
from agents.plan.types import cards_of
from common.card import Card, CardInput, ParameterSchema
from tools.runtime.tool import AnyTool, Suggested
from tools.values.base import canonical_json
from ui.plans.scope import Scope
from ui.plans.words import label

Kind = Literal["choice", "slider", "number", "switch", "tags", "text", "json", "reference", "references", "spoken"]
"""What a field is shown as.

"choice": one of a few values. "slider" and "number": a number, with and without both bounds. "switch": yes or no.
"tags": a list of texts. "text": a text. "json": anything else, as JSON. "reference": a value at hand.
"references": several of them. "spoken": a value at hand, or a text itself.
"""

_MOST_BRACKETS = 200

Shown = str | int | float | bool | list[str] | None
"""The value of a widget."""


@dataclass(frozen=True)
class Field:
    """A field of a step's form.

    Attributes:
        name: Name of the argument.
        label: The name as people write it.
        kind: What it is shown as.
        value: Value of its widget; None or an empty one where the argument is not given.
        required: Whether the step cannot run without it.
        more: Whether it belongs among further options: it may be left out, and is.
        note: What the docstring says of it.
        choices: Words and value of everything that can be chosen.
        suggested: Declared suggestions; None where there are none.
        default: Value that counts where it is not given; None where the tool decides.
        minimum: Least number.
        maximum: Greatest number.
        step: Distance of two numbers of a slider; 1 for whole numbers.
        whole: Whether only whole numbers are allowed.
    """

    name: str
    label: str
    kind: Kind
    value: Shown
    required: bool
    more: bool
    note: str = ""
    choices: tuple[tuple[str, str | int], ...] = ()
    suggested: Suggested | None = None
    default: JsonValue = None
    minimum: float | None = None
    maximum: float | None = None
    step: float = 1
    whole: bool = False


def fields(plan: Plan, number: int, scope: Scope) -> list[Field]:
    """Return the form of the step at a place (from 0): its inputs, then its plain parameters.

    Arguments that the tool does not have, and those of an unknown tool, are fields of the kind "json".
    """
    step = plan.steps[number]
    tool = scope.tools.get(step.tool)
    if tool is None:
        return [_unknown(name, value) for name, value in step.args.items()]
    card = cards_of({tool.name: tool})[tool.name]
    found = [_input_field(plan, number, name, tool, card, scope) for name in card["inputs"]]
    found += [_plain_field(name, step.args.get(name), tool, card) for name in card["params"]]
    known = {field.name for field in found}
    return found + [_unknown(name, value) for name, value in step.args.items() if name not in known]


def written(field: Field, value: Shown) -> JsonValue:
    """Return the value of a field's widget as a plan holds it; None where the argument is to be left out."""
    if value is None or value == "" or value == []:
        return None
    match field.kind:
        case "reference":
            return str(value)
        case "references":
            several = value if isinstance(value, list) else [str(value)]
            return several[0] if len(several) == 1 else list(several)
        case "spoken":
            return value if value in [choice for _, choice in field.choices] else escape(str(value))
        case "json":
            return escape(_parsed(str(value)))
        case "number" | "slider" if isinstance(value, int | float) and field.whole and value == int(value):
            return int(value)
        case _:
            return escape(value if not isinstance(value, list) else list(value))


def _input_field(plan: Plan, number: int, name: str, tool: AnyTool, card: Card, scope: Scope) -> Field:
    given, value = card["inputs"][name], plan.steps[number].args.get(name)
    choices = _values(plan, number, given, scope)
    known = {choice for _, choice in choices}
    kind: Kind = "references" if given["many"] else "spoken" if given.get("literal") else "reference"
    shown: Shown = value if isinstance(value, str) else None
    if kind == "references":
        shown = [f"${one}" for one in references(value) if f"${one}" in known]
    elif kind == "spoken" and isinstance(value, str) and reference(value) is None:
        shown = str(unescape(value))
    elif shown not in known:
        shown = None
    if kind == "reference" and given["optional"]:
        choices = [("None", ""), *choices]
    return Field(
        name,
        label(name),
        kind,
        shown,
        required=not given["optional"],
        more=_is_extra(name, value, given["optional"], card),
        note=tool.inputs[name].doc,
        choices=tuple(choices),
    )


def _plain_field(name: str, value: JsonValue, tool: AnyTool, card: Card) -> Field:
    schema, required = card["params"][name], name in card["required"]
    default = _json(schema.get("default"))
    kind = _kind(schema)
    plain = unescape(value)
    shown = plain if value is not None else default
    if not _suits(kind, shown, schema) or (value is not None and any(references(value))):
        kind = "number" if kind == "slider" and _suits("number", shown, schema) else "json"
    choices: list[tuple[str, str | int]] = []
    if kind == "choice":
        choices = [(label(str(one)), one) for one in schema.get("enum", [schema["const"]] if "const" in schema else [])]
        if not required and default is None:
            choices = [("The tool's own", ""), *choices]
    least, most = _bounds(schema)
    whole = schema.get("type") == "integer"
    return Field(
        name,
        label(name),
        kind,
        _as_text(shown) if kind == "json" else _shown(shown),
        required=required,
        # An empty list as the default means everything there is, which a person is to see.
        more=default != [] and _is_extra(name, value, not required, card),
        note=schema.get("description", ""),
        choices=tuple(choices),
        suggested=_suggested(tool, name),
        default=default,
        minimum=least,
        maximum=most,
        step=_step(least, most, whole, schema),
        whole=whole,
    )


def _unknown(name: str, value: JsonValue) -> Field:
    return Field(name, label(name), "json", _as_text(unescape(value)), required=False, more=False)


def _values(plan: Plan, number: int, given: CardInput, scope: Scope) -> list[tuple[str, str | int]]:
    """Return words and reference of the values of the right kind that a step can use, new ones first."""
    before = scope.before(plan, number)
    fitting = [name for name, what in before.items() if what.kind in given["kinds"]]
    return [(scope.value_words(plan, name), f"${name}") for name in reversed(fitting)]


def _is_extra(name: str, value: JsonValue, optional: bool, card: Card) -> bool:
    return optional and value is None and name not in card["one_of"]


def _suggested(tool: AnyTool, name: str) -> Suggested | None:
    return next((one for one in tool.params.model_fields[name].metadata if isinstance(one, Suggested)), None)


def _kind(schema: ParameterSchema) -> Kind:
    if "enum" in schema or "const" in schema:
        return "choice"
    match schema.get("type"):
        case "boolean":
            return "switch"
        case "integer" | "number":
            return "slider" if None not in _bounds(schema) else "number"
        case "string":
            return "text"
        case "array" if schema.get("items", {}).get("type") == "string" and "enum" not in schema["items"]:
            return "tags"
        case _:
            return "json"


def _suits(kind: Kind, value: JsonValue, schema: ParameterSchema) -> bool:
    """Whether a widget of a kind can show a value; nothing at all suits all but the slider's range."""
    if value is None:
        return True
    match kind:
        case "choice":
            return value in schema.get("enum", [schema.get("const")]) and not isinstance(value, bool)
        case "switch":
            return isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "slider":
            least, most = _bounds(schema)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return number and (least or 0) <= float(str(value)) <= (most or 0)
        case "text":
            return isinstance(value, str)
        case "tags":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case _:
            return True


def _bounds(schema: Mapping[str, object]) -> tuple[float | None, float | None]:
    """Return the least and the greatest number. The check refuses a bound that may not be reached itself."""

    def bound(*names: str) -> float | None:
        found = [schema[name] for name in names if name in schema]
        return found[0] if found and isinstance(found[0], int | float) else None

    return bound("minimum", "exclusiveMinimum"), bound("maximum", "exclusiveMaximum")


def _step(least: float | None, most: float | None, whole: bool, schema: Mapping[str, object]) -> float:
    multiple = schema.get("multipleOf")
    if isinstance(multiple, int | float):
        return multiple
    if whole or least is None or most is None:
        return 1
    return float(f"{(most - least) / 100:.1g}")


def _parsed(text: str) -> JsonValue:
    """Return what a text says as JSON, or the text itself; no argument is nested deeper than a few lists."""
    if text.count("[") + text.count("{") > _MOST_BRACKETS:
        return text
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return text
    return value


def _as_text(value: JsonValue) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) and _parsed(value) == value else canonical_json(value).decode()


def _shown(value: JsonValue) -> Shown:
    if isinstance(value, list):
        return [str(item) for item in value]
    return None if isinstance(value, dict) else value


def _json(value: object) -> JsonValue:
    parsed: JsonValue = json.loads(json.dumps(value))
    return parsed


def catalogue(tools: Mapping[str, AnyTool], names: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return words and name of each tool, for a step to add."""
    return [(f"{label(name)}: {tools[name].doc.rstrip('.')}", name) for name in names or tools]
