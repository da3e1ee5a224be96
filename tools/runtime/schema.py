"""JSON schema of a tool's arguments."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from common.card import ParameterSchema
from tools.runtime.declaration import Input

Schema = dict[str, object]
"""A JSON schema."""


def parameter_schemas(params: type[BaseModel]) -> tuple[dict[str, ParameterSchema], list[str]]:
    """Return the JSON schemas of the plain parameters, and the names of those that are required."""
    schema = params.model_json_schema()
    properties = {name: _simplify(entry) for name, entry in schema.get("properties", {}).items()}
    return properties, list(schema.get("required", []))


def arguments_schema(inputs: Mapping[str, Input], params: type[BaseModel], one_of: Sequence[str]) -> Schema:
    """Return the JSON schema of a call's arguments; inputs are references such as "$image" or "$s1".

    Inputs are never required, because an input that is left out is filled in by kind. Text may be written out instead.

    Args:
        inputs: Parameters that take values, by name.
        params: Model of the plain parameters.
        one_of: Names of parameters of which at least one has to be given.
    """
    plain, required = parameter_schemas(params)
    return {
        "type": "object",
        "properties": {name: _reference_schema(given) for name, given in inputs.items()} | plain,
        "required": required,
        **at_least(one_of),
        "additionalProperties": False,
    }


def at_least(one_of: Sequence[str]) -> Schema:
    """Return what to add to a JSON schema of arguments, so that at least one of these names is required."""
    return {"anyOf": [{"required": [name]} for name in one_of]} if one_of else {}


def _reference_schema(given: Input) -> Schema:
    reference: Schema = {"type": "string"}
    if not given.literal:
        reference["pattern"] = r"^\$[A-Za-z0-9_]+$"
    if given.many:
        reference = {"anyOf": [reference, {"type": "array", "items": reference}]}
    what = f"{'The words, or a reference' if given.literal else 'Reference'} to {' or '.join(given.accepted)}"
    return {**reference, "description": f"{what}. {given.doc}".removesuffix(". ")}


def _simplify(entry: dict[str, Any]) -> ParameterSchema:
    """Drop titles, and the null that an optional parameter allows: a call leaves the parameter out instead."""
    simple = {k: v for k, v in copy.deepcopy(entry).items() if k != "title" and not (k == "default" and v is None)}
    options = [o for o in simple.get("anyOf", []) if o.get("type") != "null"]
    if len(options) == 1:
        del simple["anyOf"]
        simple = options[0] | simple
    elif options:
        simple["anyOf"] = options
    return cast(ParameterSchema, simple)
