"""Reading a tool's declaration from its function: the types of its parameters and of what it returns."""

import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Annotated, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.fields import FieldInfo

from tools.core.errors import DeclarationInvalid
from tools.values import VALUE_TYPES
from tools.values.base import Value
from tools.values.convert import STAND_INS

T = TypeVar("T")
Function = Callable[..., object]

_BATCH = "batch"
Batch = Annotated[Sequence[T], _BATCH]
"""Annotation of an input or a result: `images: Batch[Image]` takes many items at once, with one result for each."""

_PLAIN = (str, int, float, bool)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Input:
    """A parameter that takes values.

    Attributes:
        kinds: Kinds that it declares, such as ("Audio", "Video").
        many: Whether it takes a list as a whole (`list[Image]`).
        optional: Whether it has the default None, so that it is not filled in.
        batch: Whether the function takes many items at once (`Batch[Image]`); a plan still gives it single items.
        doc: Its description in the docstring's Args, or "".
    """

    kinds: tuple[str, ...]
    many: bool = False
    optional: bool = False
    batch: bool = False
    doc: str = ""

    @property
    def accepted(self) -> tuple[str, ...]:
        """The declared kinds, then those that are converted to them (a Transcript for a Text)."""
        stand_ins = (other for kind in self.kinds for other in STAND_INS.get(kind, ()))
        return tuple(dict.fromkeys([*self.kinds, *stand_ins]))

    @property
    def literal(self) -> bool:
        """Whether the text itself can be given instead of a reference."""
        return "Text" in self.kinds and not self.many

    def accepts(self, kind: str) -> bool:
        """Whether a value of this kind can be given."""
        return kind in self.accepted


@dataclass(frozen=True)
class Suggested:
    """Annotation of a plain parameter whose values can be suggested: `labels: Annotated[list[str], Suggested(known)]`.

    Attributes:
        values: Returns the values to suggest; others are allowed. It may take long, and may raise a SuperlinkError.
    """

    values: Callable[[], Sequence[str]]


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


def invalid(fn: Function, what: str, hint: str) -> DeclarationInvalid:
    """Return the error that a function cannot be a tool, with the place of its definition."""
    code = getattr(fn, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    return DeclarationInvalid(f"The tool {getattr(fn, '__name__', fn)!r}{where} {what}", hint)


def placeholders(fn: Function, template: str) -> list[str]:
    """Return the names in braces of a template.

    Raises:
        DeclarationInvalid: when it is no template.
    """
    try:
        return [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except (ValueError, TypeError) as error:
        raise invalid(fn, f"has words that are no template: {error}", 'Write words="Find: {labels}"') from error


def function_name(fn: Function) -> str:
    """Return the name of a function that can be a tool.

    Raises:
        DeclarationInvalid: when it is no plain function, or its name cannot be a tool's.
    """
    name = getattr(fn, "__name__", "")
    if not inspect.isfunction(fn) or inspect.iscoroutinefunction(fn) or not _NAME.fullmatch(name):
        raise invalid(
            fn,
            "is not a plain function with a name in lower_case of at most 40 characters",
            "Use `def name(…)`, not a class, a lambda or `async def`",
        )
    return name


def _type_hints(fn: Function) -> dict[str, object]:
    try:
        return get_type_hints(fn, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise invalid(fn, f"has a type that cannot be found: {error}", "Import it at the top of its file") from error


def read_parameters(fn: Function, description: str) -> tuple[dict[str, Input], type[BaseModel]]:
    """Return the inputs by name, and a model of the plain parameters.

    Args:
        fn: The function.
        description: Its docstring, whose Args section describes the parameters.

    Raises:
        DeclarationInvalid: when a parameter cannot be one of a tool.
    """
    hints, docs = _type_hints(fn), _argument_docs(description)
    inputs: dict[str, Input] = {}
    plain: dict[str, tuple[object, FieldInfo]] = {}
    for name, parameter in inspect.signature(fn).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise invalid(
                fn,
                f"has the parameter {parameter}, which cannot be given by name",
                "Write out its parameters one by one",
            )
        if name not in hints:
            raise invalid(fn, f"has the untyped parameter {name!r}", f"Write {name}: Image, {name}: str, …")
        if name.startswith("_") or hasattr(BaseModel, name):
            raise invalid(fn, f"has a parameter called {name!r}, which is taken", "Choose another name")
        found = _read_annotation(hints[name])
        if found is None:
            plain[name] = _plain_field(fn, name, hints[name], parameter.default, docs.get(name))
            continue
        if parameter.default not in (parameter.empty, None) or (
            found.nullable and parameter.default is parameter.empty
        ):
            raise invalid(
                fn,
                f"has the input {name!r} with a default other than None, or None without that default",
                f"Write {name}: {' | '.join(found.kinds)} | None = None",
            )
        inputs[name] = Input(found.kinds, found.many, parameter.default is None, found.batch, docs.get(name, ""))
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    return inputs, create_model(f"{getattr(fn, '__name__', 'tool')}_params", __config__=config, **plain)  # type: ignore[call-overload]  # fields by name


class _ValueAnnotation(NamedTuple):
    kinds: tuple[str, ...]
    many: bool
    batch: bool
    nullable: bool


def _read_annotation(annotation: object) -> _ValueAnnotation | None:
    """Read the type of an input or a result; None for a type that is no value."""
    nullable = False
    if get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation):
        nullable = True
        annotation = Union[tuple(a for a in get_args(annotation) if a is not type(None))]  # noqa: UP007
    batch = get_origin(annotation) is Annotated and _BATCH in get_args(annotation)[1:]
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
    return _ValueAnnotation(tuple(o.kind for o in options), many, batch, nullable)


def _plain_field(
    fn: Function, name: str, annotation: object, default: object, doc: str | None
) -> tuple[object, FieldInfo]:
    """Return type and field of a plain parameter, as pydantic takes them.

    Raises:
        DeclarationInvalid: when its type is not plain JSON, or refuses its default.
    """
    if not _is_plain(annotation):
        raise invalid(
            fn,
            f"has the parameter {name!r} of type {annotation}, which neither a value nor plain JSON is",
            f"Values are {', '.join(VALUE_TYPES)}; plain are str, int, float, bool, Literal[…] and lists of these",
        )
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if default is None and type(None) not in get_args(bare):
        raise invalid(fn, f"has the parameter {name!r} with the default None", f"Write {name}: … | None = None")
    if default is inspect.Parameter.empty:
        return annotation, cast(FieldInfo, Field(description=doc))
    try:
        TypeAdapter[object](annotation).validate_python(default)
    except ValidationError as error:
        raise invalid(
            fn,
            f"has the parameter {name!r} with the default {default!r}, which its type refuses",
            "Correct the default or the type",
        ) from error
    return annotation, cast(FieldInfo, Field(default, description=doc))


def _is_plain(annotation: object) -> bool:
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


def read_output(fn: Function, inputs: Mapping[str, Input]) -> tuple[Output, bool]:
    """Return what the function returns, and whether that is a Batch.

    Raises:
        DeclarationInvalid: when the function does not say which value it returns.
    """
    hints = _type_hints(fn)
    hint = hints.get("return")
    found = None if hint is None else _read_annotation(hint)
    follows = next((name for name in inputs if hints[name] is hint), "") if isinstance(hint, TypeVar) else ""
    if found is None or (len(found.kinds) != 1 and not follows) or found.nullable:
        raise invalid(
            fn,
            "does not say what value it returns",
            "Write -> Image, -> list[Image], -> Detections, … or the TypeVar of one of its inputs",
        )
    return Output(found.kinds[0], found.many, follows), found.batch


def _argument_docs(description: str) -> dict[str, str]:
    """Return the description of each parameter in the Args section of a Google-style docstring."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", description, re.MULTILINE)
    if not section:
        return {}
    entries = re.findall(r"^    (\w+)(?: \(.*?\))?: (.*(?:\n {5,}.*)*)", section[1], re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
