"""Functions of a caller as tools that the planner can plan with, and a plan's arguments as the caller's JSON.

Each function becomes a `Tool` with a signature made from its JSON schema, so that its card, and the checks of a plan,
are those of every other tool. It is never run here. All functions give a text: what the caller sends back.

A parameter takes the result of an earlier call in two cases. A required text with a name such as "body" or "text" may
be written out, or be such a result. A required object, which the planner cannot write, always is one.
"""

import inspect
import json
import keyword
import re
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal, cast

from jsonschema import Draft202012Validator, SchemaError
from pydantic import BaseModel, Field, JsonValue

from agents.plan.plan import Step, reference, unescape
from agents.plan.types import AnyTool
from api.messages import FunctionSchema, RequestInvalid, ToolSchema
from tools.core.errors import DeclarationInvalid
from tools.runtime.registry import BUILTIN
from tools.runtime.tool import Tool
from tools.values import Text

CONTENT = re.compile(
    "article|body|caption|contents?|data|document|essay|input|message|notes?|paragraph|passage|report|results?|summary"
    "|text|transcript"
)
"""Names of required text parameters that may take the result of an earlier call."""

_BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}
_LONGEST_DOC = 200
_DEEPEST = 16  # references of a schema that are followed

_BUILTIN_NAMES = frozenset(spec.partition(":")[2] for spec in BUILTIN)


@dataclass(frozen=True)
class Argument:
    """A parameter of a function.

    Attributes:
        name: as the caller calls it.
        type: "string", "number", "integer", "boolean", "array", "object", or "" for any.
    """

    name: str
    type: str


@dataclass(frozen=True)
class Function:
    """A function of a caller.

    Attributes:
        name: as the caller calls it.
        tool: for the planner.
        arguments: name of the tool's parameter to that of the function.
        nulls: parameters that have to be given, and are null where they are left out.
    """

    name: str
    tool: AnyTool
    arguments: Mapping[str, Argument]
    nulls: Sequence[str] = ()

    def render(self, step: Step, results: Mapping[str, str]) -> str:
        """The arguments of a step as the caller's JSON.

        Args:
            step: that calls this function.
            results: what the caller sent back, by the id of the step.

        Raises:
            KeyError: it refers to a result that is not there.
        """
        written: dict[str, JsonValue] = dict.fromkeys(self.nulls)
        for name, value in step.args.items():
            argument = self.arguments[name]
            step_id = reference(value)
            if step_id is not None:
                written[argument.name] = _result(results[step_id], argument.type)
            else:
                written[argument.name] = _number(unescape(value), argument.type)
        return json.dumps(written, ensure_ascii=False)


@dataclass(frozen=True)
class Functions:
    """The functions of a caller that the planner can plan with.

    Attributes:
        by_tool: by the name of the tool.
        schemas: of all of them, as JSON.
        left_out: function name to the reason, for those with which it cannot.
    """

    schemas: tuple[str, ...] = ()
    by_tool: dict[str, Function] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def tools(self) -> dict[str, AnyTool]:
        """The tools, by name."""
        return {name: function.tool for name, function in self.by_tool.items()}

    def only(self, name: str) -> "Functions":
        """The function of this name alone."""
        return Functions(
            (name, *self.schemas),
            {key: one for key, one in self.by_tool.items() if one.name == name},
            {key: reason for key, reason in self.left_out.items() if key == name},
        )


def functions_of(tools: Sequence[ToolSchema]) -> Functions:
    """Convert the functions of a request; the same ones are converted once.

    Raises:
        RequestInvalid: the parameters of one are no JSON schema.
    """
    return _converted(tuple(tool.function.model_dump_json() for tool in tools))


@lru_cache(maxsize=32)
def _converted(schemas: tuple[str, ...]) -> Functions:
    found = Functions(schemas)
    for schema in map(FunctionSchema.model_validate_json, schemas):
        try:
            Draft202012Validator.check_schema(schema.parameters)
        except SchemaError as error:
            raise RequestInvalid(
                f"the parameters of {schema.name} are no JSON schema: {error.message}",
                "Correct them",
                "invalid_function_parameters",
                "tools",
            ) from error
        name = identifier(schema.name, {*_BUILTIN_NAMES, *found.by_tool})
        try:
            found.by_tool[name] = _convert(schema, name)
        except (DeclarationInvalid, _Unplannable, RecursionError) as error:
            found.left_out[schema.name] = str(error)
    return found


class _Unplannable(ValueError):
    """A function has parameters that the planner can neither write nor take from an earlier call."""


def _convert(schema: FunctionSchema, name: str) -> Function:
    properties = schema.parameters.get("properties") or {}
    required = [entry for entry in schema.parameters.get("required") or [] if entry in properties]
    arguments: dict[str, Argument] = {}
    parameters: list[inspect.Parameter] = []
    nulls: list[str] = []
    has_input = False
    for original, entry in properties.items():
        entry = _resolved(entry if isinstance(entry, dict) else {}, schema.parameters)  # true stands for any value
        annotation, kind = _annotation(entry, schema.parameters), _type(entry)
        must = original in required
        if must and _nullable(entry):
            nulls.append(original)
            must = False
        own = identifier(original, {*arguments, *dir(BaseModel)})
        default: object = inspect.Parameter.empty
        if must and annotation is str and not has_input and CONTENT.fullmatch(own):
            annotation, has_input = Text, True
        elif must and annotation is None:
            if has_input:
                raise _Unplannable(f"{schema.name} has required parameters that cannot be asked for in words")
            annotation, has_input = list[Text], True
        elif annotation is None:
            continue  # optional, and not to be had from words: it is left out
        elif not must:
            annotation, default = cast(Any, annotation) | None, None
        arguments[own] = Argument(original, kind)
        parameters.append(
            inspect.Parameter(own, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    return Function(schema.name, _tool(name, _doc(schema), parameters), arguments, nulls)


def _tool(name: str, doc: str, parameters: Sequence[inspect.Parameter]) -> AnyTool:
    def function(**given: object) -> Text:
        raise NotImplementedError("functions of a caller are run by the caller")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": Text}
    function.__signature__ = inspect.Signature(parameters, return_annotation=Text)  # type: ignore[attr-defined]
    return Tool(function, read_only=False)


def identifier(name: str, taken: Collection[str]) -> str:
    """A name in lower_case that a tool or parameter can have: "getWeather" becomes "get_weather".

    Args:
        name: of the caller.
        taken: names that it may not have.
    """
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3_\2\4", name)
    plain = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:36].rstrip("_")
    plain = plain if plain[:1].isalpha() else f"the_{plain}"[:36].rstrip("_")
    number, found = 1, plain
    while found in taken or keyword.iskeyword(found) or re.fullmatch(r"s\d+", found):
        number += 1
        found = f"{plain}_{number}"
    return found


def _doc(schema: FunctionSchema) -> str:
    """The first sentence of the description, or the name in words: cards have one line."""
    text = " ".join((schema.description or "").split())
    sentence = re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]
    if len(sentence) > _LONGEST_DOC:
        sentence = sentence[:_LONGEST_DOC].rsplit(" ", 1)[0]
    return sentence or f"{identifier(schema.name, ()).replace('_', ' ').capitalize()}."


def _resolved(entry: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its references into the same document followed."""
    found = dict(entry)
    for _ in range(_DEEPEST):
        alone = found.get("allOf")
        if isinstance(alone, list) and len(alone) == 1 and isinstance(alone[0], dict):
            found = {**alone[0], **{key: value for key, value in found.items() if key != "allOf"}}
        place = found.pop("$ref", None)
        if not isinstance(place, str):
            return found
        target: Any = whole
        for part in place.removeprefix("#/").split("/"):
            target = target.get(part) if isinstance(target, dict) else None
        found = {**(target if isinstance(target, dict) else {}), **found}
    return {}


def _alternatives(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    options = entry.get("anyOf") or entry.get("oneOf") or []
    return [option for option in options if isinstance(option, dict)]


def _nullable(entry: Mapping[str, Any]) -> bool:
    kinds = entry.get("type")
    return (isinstance(kinds, list) and "null" in kinds) or any(o.get("type") == "null" for o in _alternatives(entry))


def _type(entry: Mapping[str, Any]) -> str:
    kinds = entry.get("type")
    if isinstance(kinds, list):
        kinds = next((kind for kind in kinds if kind != "null"), "")
    if kinds is None:
        return next((found for option in _alternatives(entry) if (found := _type(option)) not in ("", "null")), "")
    return str(kinds)


def _annotation(entry: Mapping[str, Any], whole: Mapping[str, Any], in_list: bool = False) -> Any:
    """The type of a parameter that the planner can write; None for any other."""
    choices = [entry["const"]] if "const" in entry else [one for one in entry.get("enum") or [] if one is not None]
    if choices:
        plain = all(isinstance(one, str | int) and not isinstance(one, bool) for one in choices)
        return Literal[tuple(choices)] if plain else None
    if options := _alternatives(entry):
        written = (_annotation(_resolved(option, whole), whole, in_list) for option in options)
        return next((one for one in written if one is not None), None)
    match _type(entry):
        case "string":
            return str
        case "boolean":
            return bool
        case "integer" | "number" as kind:
            bounds = {
                ours: entry[theirs]
                for theirs, ours in _BOUNDS.items()
                if isinstance(entry.get(theirs), int | float) and not isinstance(entry[theirs], bool)
            }
            plain_type = int if kind == "integer" else float
            return Annotated[plain_type, Field(**bounds)] if bounds else plain_type
        case "array" if not in_list:
            items = entry.get("items")
            one: Any = _annotation(_resolved(items, whole), whole, in_list=True) if isinstance(items, dict) else None
            return None if one is None else types.GenericAlias(list, one)
    return None


def _result(text: str, kind: str) -> JsonValue:
    """What a caller sent back, as an argument of this type: text as it is, anything else as the JSON that it is."""
    if kind == "string":
        return text
    try:
        found: JsonValue = json.loads(text)
    except ValueError:
        return text
    return found


def _number(value: JsonValue, kind: str) -> JsonValue:
    return int(value) if kind == "number" and isinstance(value, float) and value.is_integer() else value
