"""A tool is one typed function; its signature and docstring are its only declaration."""

import copy
import functools
import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from common.card import Card, CardReturns, ParameterSchema
from tools.core.errors import ArgumentsInvalid, DeclarationInvalid
from tools.values import VALUE_TYPES
from tools.values.base import Value
from tools.values.convert import STAND_INS

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_BATCH = "batch"
Batch = Annotated[Sequence[T], _BATCH]
"""`images: Batch[Image]`: the function takes many items at once and returns one result for each."""

_MEDIA = {"Image", "Audio", "Video"}
_PLAIN = (str, int, float, bool)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Input:
    """A parameter that takes values.

    Attributes:
        kinds: The kinds it declares, such as ("Audio", "Video").
        many: Whether it takes a list as a whole (`list[Image]`).
        optional: Whether it may be left out for good.
        batch: Whether the function takes many items at once (`Batch[Image]`); a plan still gives it single items.
        doc: Its line in the docstring's Args, or "".
    """

    kinds: tuple[str, ...]
    many: bool = False
    optional: bool = False
    batch: bool = False
    doc: str = ""

    @property
    def accepted(self) -> tuple[str, ...]:
        """The declared kinds, then those that can stand in for them (a Transcript where Text is asked for)."""
        stand_ins = (other for kind in self.kinds for other in STAND_INS.get(kind, ()))
        return tuple(dict.fromkeys([*self.kinds, *stand_ins]))

    @property
    def literal(self) -> bool:
        """Whether the words themselves can be given instead of a value."""
        return "Text" in self.kinds and not self.many

    def accepts(self, kind: str) -> bool:
        """Whether a value of this kind can be given."""
        return kind in self.accepted


@dataclass(frozen=True)
class Output:
    """What a tool returns for one item.

    Attributes:
        kind: The kind of value; the first of several where it follows an input.
        many: Whether it is a list of them.
        follows: The input whose kind it has (`def redact(image: Picture, …) -> Picture` with a TypeVar), or "".
    """

    kind: str
    many: bool = False
    follows: str = ""


class Tool(Generic[P, R]):
    """A function that the planner, the forms, the batch flows and the API can use; made by `@tool`.

    Attributes:
        fn: The function itself.
        name: Its name.
        doc: First line of its docstring.
        description: All of its docstring.
        inputs: Parameters that take values, by name.
        params: Pydantic model of the plain parameters.
        returns: What comes out.
        batch: Whether it takes many items at once.
        examples: How people ask for it.
        one_of: Names of parameters of which at least one is to be given.
        isolated: Whether it runs in a process of its own.
        timeout: Seconds after which that process is ended; None for no limit.
        version: Changes when results change; part of every cache key. Of tools that are not built in, it ends with "+" and a
            hash of their source file.
        read_only: Whether it only looks: makes no picture, sound or video.
    """

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        examples: Sequence[str] = (),
        one_of: Sequence[str] = (),
        version: str = "1",
        read_only: bool | None = None,
        isolated: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Read the declaration from the function.

        Raises:
            DeclarationInvalid: when it cannot be a tool as it is written, saying what to change.
        """
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name = _checked_name(fn)
        self.description = inspect.getdoc(fn) or ""
        self.doc = self.description.partition("\n")[0].strip()
        if not self.doc:
            raise _wrong(fn, "has no docstring", "Say in one line what it does; planners read it")
        self.inputs, self.params = _parameters(fn, self.description)
        self.returns, returns_batch = _output(fn, self.inputs)
        self.batch = any(i.batch for i in self.inputs.values())
        self.examples = tuple(examples)
        self.one_of = tuple(one_of)
        self.version = version
        self.isolated, self.timeout = isolated, timeout
        self.read_only = self.returns.kind not in _MEDIA if read_only is None else read_only
        self._check_declaration(returns_batch)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function directly, on values; that of an isolated tool runs in its process.

        Raises:
            ArgumentsInvalid: when none of the `one_of` parameters is given.
        """
        if not (self.one_of or self.isolated):
            return self.fn(*args, **kwargs)
        given = inspect.signature(self.fn).bind(*args, **kwargs).arguments
        self.check_one_of([name for name, value in given.items() if value is not None])
        return self.run(**given)

    def run(self, **given: Any) -> R:
        """Run the function where it belongs: here, or in the tool's own process; arguments are not checked.

        Raises:
            ToolCrashed, ToolTimedOut: when that process ends, or does not end in time.
        """
        if not self.isolated:
            return self.fn(**given)  # type: ignore[call-arg]  # by name, which a ParamSpec cannot tell
        from tools.runtime import isolation

        return cast(R, isolation.run(self, given))

    def __repr__(self) -> str:
        """Return the name and the signature."""
        return f"<tool {self.name}{inspect.signature(self.fn)}>"

    def accepts(self, name: str, kind: str) -> bool:
        """Whether the input of this name takes a value of this kind."""
        return name in self.inputs and self.inputs[name].accepts(kind)

    def arguments(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plain parameters, converted and with their defaults.

        Raises:
            ArgumentsInvalid: with one "name: what is wrong" for each fault.
        """
        try:
            model = self.params.model_validate(dict(plain))
        except ValidationError as error:
            raise ArgumentsInvalid(self.name, [self._sentence(e) for e in error.errors()]) from error
        return {name: getattr(model, name) for name in self.params.model_fields}

    def check_one_of(self, given: Sequence[str]) -> None:
        """Check that at least one of the `one_of` parameters is among the names given.

        Raises:
            ArgumentsInvalid: when none is.
        """
        if self.one_of and not any(name in given for name in self.one_of):
            raise ArgumentsInvalid(self.name, [f"give at least one of {', '.join(self.one_of)}"])

    def card(self) -> Card:
        """Return the declaration as plain data, for planners and pages."""
        params, required = self._params_schema()
        returns: CardReturns = {"kind": self.returns.kind, "many": self.returns.many}
        if self.returns.follows:
            returns["follows"] = self.returns.follows
        return {
            "name": self.name,
            "doc": self.doc,
            "inputs": {
                name: {"kinds": list(i.accepted), "many": i.many, "optional": i.optional, "literal": i.literal}
                for name, i in self.inputs.items()
            },
            "params": params,
            "required": required,
            "one_of": list(self.one_of),
            "returns": returns,
            "examples": list(self.examples),
            "read_only": self.read_only,
        }

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of a call's arguments; inputs are references such as "$image" or "$s1".

        Inputs are never required: what is left out is filled in by kind. Text may be written out instead.
        """
        params, required = self._params_schema()
        properties: dict[str, Any] = {}
        for name, given in self.inputs.items():
            reference: dict[str, Any] = {"type": "string"}
            if not given.literal:
                reference["pattern"] = r"^\$[A-Za-z0-9_]+$"
            if given.many:
                reference = {"anyOf": [reference, {"type": "array", "items": reference}]}
            what = f"{'The words, or a reference' if given.literal else 'Reference'} to {' or '.join(given.accepted)}"
            properties[name] = {**reference, "description": f"{what}. {given.doc}".removesuffix(". ")}
        return {
            "type": "object",
            "properties": properties | params,
            "required": required,
            **at_least(self.one_of),
            "additionalProperties": False,
        }

    def _params_schema(self) -> tuple[dict[str, ParameterSchema], list[str]]:
        """Return the JSON schemas of the plain parameters, and the names of those that are required."""
        schema = self.params.model_json_schema()
        properties = {name: _tidy(entry) for name, entry in schema.get("properties", {}).items()}
        return properties, list(schema.get("required", []))

    def _sentence(self, error: Any) -> str:
        place = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            known = [*self.inputs, *self.params.model_fields]
            return f"{place}: there is no such parameter (parameters are {', '.join(known)})"
        if error["type"] == "missing":
            return f"{place}: is missing"
        return f"{place}: {error['msg'][0].lower()}{error['msg'][1:]}"

    def _check_declaration(self, returns_batch: bool) -> None:
        if self.batch != returns_batch:
            raise _wrong(
                self.fn,
                "takes a Batch but does not return one, or the other way round",
                "A function over Batch inputs returns Batch[…] with one result for each item",
            )
        if self.batch and not all(i.batch for i in self.inputs.values()):
            raise _wrong(self.fn, "mixes Batch inputs with single ones", "Make all value inputs Batch")
        for name in self.one_of:
            if name in self.inputs:
                open_ = self.inputs[name].optional
            elif name in self.params.model_fields:
                open_ = not self.params.model_fields[name].is_required()
            else:
                raise _wrong(self.fn, f"names {name!r} in one_of, which is no parameter", "Correct the name")
            if not open_:
                raise _wrong(self.fn, f"names {name!r} in one_of, which has no default", f"Write {name}=None")
        if self.timeout is not None and not (self.isolated and self.timeout > 0):
            raise _wrong(
                self.fn,
                f"has the timeout {self.timeout}, but is not isolated or the timeout is not above 0",
                "Write isolated=True, timeout=60: only a process of its own can be ended",
            )
        if self.isolated and "<locals>" in self.fn.__qualname__:
            raise _wrong(
                self.fn,
                "is isolated, but defined inside a function, where another process cannot find it",
                "Define it at the top of its file",
            )
        if isinstance(self.examples, str) or not all(isinstance(e, str) and e.strip() for e in self.examples):
            raise _wrong(self.fn, "has examples that are no requests", "Give a list of requests in words")


@overload
def tool(fn: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    examples: Sequence[str] = (),
    one_of: Sequence[str] = (),
    version: str = "1",
    read_only: bool | None = None,
    isolated: bool = False,
    timeout: float | None = None,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    fn: Callable[P, R] | None = None,
    /,
    *,
    examples: Sequence[str] = (),
    one_of: Sequence[str] = (),
    version: str = "1",
    read_only: bool | None = None,
    isolated: bool = False,
    timeout: float | None = None,
) -> Any:
    """Make a typed function a tool.

    Args:
        fn: The function, when used as plain `@tool`.
        examples: How people ask for it, in a few words each; they teach the planner and are tested.
        one_of: Parameters of which at least one is to be given; each needs the default None.
        version: Raise it when results change, so that cached ones are not used again; a change in the tool's own file is noticed
            without that.
        read_only: Whether approval may be skipped; by default when no picture, sound or video is made.
        isolated: Run it in a process of its own, which is started with the first call and kept. What crashes there, or
            is killed for its memory, is a failed step; the next call starts a new process.
        timeout: Of an isolated tool: seconds after which a call is given up and its process ended.

    Raises:
        DeclarationInvalid: when the function cannot be a tool as it is written.
    """

    def make(function: Callable[P, R]) -> Tool[P, R]:
        return Tool(
            function,
            examples=examples,
            one_of=one_of,
            version=version,
            read_only=read_only,
            isolated=isolated,
            timeout=timeout,
        )

    return make if fn is None else make(fn)


def at_least(one_of: Sequence[str]) -> dict[str, Any]:
    """Return what `one_of` adds to a JSON schema of arguments: at least one of these names, or nothing to add."""
    return {"anyOf": [{"required": [name]} for name in one_of]} if one_of else {}


def _wrong(fn: Callable[..., Any], what: str, hint: str) -> DeclarationInvalid:
    code = getattr(fn, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    return DeclarationInvalid(f"The tool {getattr(fn, '__name__', fn)!r}{where} {what}", hint)


def _checked_name(fn: Callable[..., Any]) -> str:
    name = getattr(fn, "__name__", "")
    if not inspect.isfunction(fn) or inspect.iscoroutinefunction(fn) or not _NAME.fullmatch(name):
        raise _wrong(
            fn,
            "is not a plain function with a name in lower_case of at most 40 characters",
            "Use `def name(…)`, not a class, a lambda or `async def`",
        )
    return name


def _hints(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(fn, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise _wrong(fn, f"has a type that cannot be found: {error}", "Import it at the top of its file") from error


def _parameters(fn: Callable[..., Any], description: str) -> tuple[dict[str, Input], type[BaseModel]]:
    hints, docs = _hints(fn), _argument_docs(description)
    inputs: dict[str, Input] = {}
    plain: dict[str, Any] = {}
    for name, parameter in inspect.signature(fn).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise _wrong(
                fn,
                f"has the parameter {parameter}, which cannot be given by name",
                "Write out its parameters one by one",
            )
        if name not in hints:
            raise _wrong(fn, f"has the untyped parameter {name!r}", f"Write {name}: Image, {name}: str, …")
        if name.startswith("_") or hasattr(BaseModel, name):
            raise _wrong(fn, f"has a parameter called {name!r}, which is taken", "Choose another name")
        found = _as_input(hints[name])
        if found is None:
            plain[name] = _plain_field(fn, name, hints[name], parameter.default, docs.get(name))
            continue
        kinds, many, batch, nullable = found
        if parameter.default not in (parameter.empty, None) or (nullable and parameter.default is parameter.empty):
            raise _wrong(
                fn,
                f"has the input {name!r} with a default other than None, or None without that default",
                f"Write {name}: {' | '.join(kinds)} | None = None",
            )
        inputs[name] = Input(kinds, many, parameter.default is None, batch, docs.get(name, ""))
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    return inputs, create_model(f"{getattr(fn, '__name__', 'tool')}_params", __config__=config, **plain)


def _as_input(annotation: Any) -> tuple[tuple[str, ...], bool, bool, bool] | None:
    """Return kinds, many, batch, nullable; None for a plain parameter."""
    nullable = False
    if get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation):
        nullable = True
        annotation = Union[tuple(a for a in get_args(annotation) if a is not type(None))]  # noqa: UP007
    batch = get_origin(annotation) is Annotated and _BATCH in annotation.__metadata__
    if batch:
        annotation = get_args(annotation)[0]
    many = get_origin(annotation) is list
    if many or batch:
        annotation = get_args(annotation)[0]
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    if isinstance(annotation, TypeVar):
        options = annotation.__constraints__
    if not options or not all(
        isinstance(o, type) and issubclass(o, Value) and o.__name__ in VALUE_TYPES for o in options
    ):
        return None
    return tuple(o.kind for o in options), many, batch, nullable


def _plain_field(fn: Callable[..., Any], name: str, annotation: Any, default: Any, doc: str | None) -> Any:
    if not _is_plain(annotation):
        raise _wrong(
            fn,
            f"has the parameter {name!r} of type {annotation}, which neither a value nor plain JSON is",
            f"Values are {', '.join(VALUE_TYPES)}; plain are str, int, float, bool, Literal[…] and lists of these",
        )
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if default is None and type(None) not in get_args(bare):
        raise _wrong(fn, f"has the parameter {name!r} with the default None", f"Write {name}: … | None = None")
    if default is inspect.Parameter.empty:
        return (annotation, Field(description=doc))
    try:
        TypeAdapter(annotation).validate_python(default)
    except ValidationError as error:
        raise _wrong(
            fn,
            f"has the parameter {name!r} with the default {default!r}, which its type refuses",
            "Correct the default or the type",
        ) from error
    return (annotation, Field(default, description=doc))


def _is_plain(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_plain(get_args(annotation)[0])
    if origin is Literal:
        return all(isinstance(a, str | int) for a in get_args(annotation))
    if origin is list:
        return _is_plain(get_args(annotation)[0]) and get_origin(get_args(annotation)[0]) is not list
    if origin in (Union, types.UnionType):
        return all(a is type(None) or _is_plain(a) for a in get_args(annotation))
    return annotation in _PLAIN


def _output(fn: Callable[..., Any], inputs: Mapping[str, Input]) -> tuple[Output, bool]:
    hints = _hints(fn)
    hint = hints.get("return")
    found = None if hint is None else _as_input(hint)
    follows = next((name for name in inputs if hints[name] is hint), "") if isinstance(hint, TypeVar) else ""
    if found is None or (len(found[0]) != 1 and not follows) or found[3]:
        raise _wrong(
            fn,
            "does not say what value it returns",
            "Write -> Image, -> list[Image], -> Detections, … or the TypeVar of one of its inputs",
        )
    kinds, many, batch, _ = found
    return Output(kinds[0], many, follows), batch


def _argument_docs(description: str) -> dict[str, str]:
    """Read the Args section of a Google-style docstring."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", description, re.MULTILINE)
    if not section:
        return {}
    entries = re.findall(r"^    (\w+)(?: \(.*?\))?: (.*(?:\n {5,}.*)*)", section[1], re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _tidy(entry: dict[str, Any]) -> ParameterSchema:
    """Drop titles, and the null that an optional parameter allows: leaving it out says the same."""
    tidy = {k: v for k, v in copy.deepcopy(entry).items() if k != "title" and not (k == "default" and v is None)}
    options = [o for o in tidy.get("anyOf", []) if o.get("type") != "null"]
    if len(options) == 1:
        del tidy["anyOf"]
        tidy = options[0] | tidy
    elif options:
        tidy["anyOf"] = options
    return cast(ParameterSchema, tidy)
