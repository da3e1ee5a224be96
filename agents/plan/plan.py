"""Plans: steps that call tools, their arguments, and the outputs; read from JSON, and identified by a hash."""

import hashlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NotRequired, Self, cast

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator
from typing_extensions import TypedDict

from tools.core.errors import MediaError, SuperlinkError
from tools.storage import atomic
from tools.values.base import canonical_json
from tools.values.files import read_source

ABOVE = "above"
"""An argument that a planner writes for an optional input, to have the newest value of its type filled in."""


class PlanInvalid(SuperlinkError):
    """A file, text or object is no plan."""


class StepJson(TypedDict):
    """A `Step` as plain JSON; without "args" it has no arguments."""

    id: str
    tool: str
    args: NotRequired[dict[str, JsonValue]]


class PlanJson(TypedDict):
    """A `Plan` as plain JSON."""

    request: str
    steps: list[StepJson]
    outputs: list[str]


class Step(BaseModel):
    """One call of a tool.

    Attributes:
        id: its name within the thread, such as "s1"; "$s1" refers to its result.
        tool: name of the tool.
        args: argument name to plain value, to a reference ("$image", "$s1"), or to a list of these. A text
            that really begins with "$" is written with "$$".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    tool: str
    args: dict[str, JsonValue] = {}


class Plan(BaseModel):
    """Steps in the order in which they may run, and the references that are the plan's results.

    Its JSON and its hash are computed once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: str = ""
    steps: tuple[Step, ...] = ()
    outputs: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_remarks(cls, data: Any) -> Any:
        # `superlink plan --json` says them of its planner; a plan that somebody hands over is theirs.
        if not isinstance(data, dict):
            return data
        beside = ("confidence", "demonstrations", "chooser", "why")
        return {key: value for key, value in data.items() if key not in beside}

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        # NaN, infinity and lone surrogates have no JSON, and so no hash.
        self.dumps()
        values = (value for step in self.steps for value in leaves(step.args))
        if any(isinstance(value, int) and abs(value) >= 2**63 for value in values):
            raise ValueError("a whole number has more than 64 bits")  # msgpack, in which threads are kept, has none
        return self

    def to_json(self) -> PlanJson:
        """The plan as plain JSON. Every call returns the same object, which must not be changed."""
        return self._json

    def dumps(self) -> str:
        """The plan as JSON text with sorted keys and no spaces: equal plans have equal text."""
        return self._text

    @cached_property
    def hash(self) -> str:
        """The sha256 of `dumps`, in hexadecimal."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools that the steps call, in their order."""
        return tuple(step.tool for step in self.steps)

    @cached_property
    def _json(self) -> PlanJson:
        return cast(PlanJson, self.model_dump(mode="json"))

    @cached_property
    def _text(self) -> str:
        return canonical_json(self._json).decode()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As of pydantic: changed fields are not validated."""
        copy = super().model_copy(update=update, deep=deep)
        for name in copy.__dict__.keys() - Plan.model_fields.keys():  # computed from the fields before
            del copy.__dict__[name]
        return copy

    def with_request(self, request: str) -> Self:
        """The same steps and outputs for a request in other words."""
        return self if request == self.request else self.model_copy(update={"request": request})

    @classmethod
    def load(cls, source: Path | str | bytes | Mapping[str, object]) -> "Plan":
        """Read a plan.

        Args:
            source: a file, JSON text, or a parsed object.

        Raises:
            PlanInvalid: when it cannot be read or is not a plan, naming what is wrong where.
        """
        where = str(source) if isinstance(source, Path) else "the plan"
        try:
            if isinstance(source, Mapping):
                return cls.model_validate(dict(source))
            text = read_source(source, where, "max_text_bytes") if isinstance(source, Path) else source
            return cls.model_validate_json(text.removeprefix(BOM_UTF8) if isinstance(text, bytes) else text)
        except MediaError as error:
            raise PlanInvalid(error.message, error.hint) from error
        except (ValidationError, RecursionError) as error:
            raise PlanInvalid(
                f"{where} is not a plan: {_faults(error)}",
                'A plan is {"request": "…", "steps": [{"id": "s1", "tool": "…", "args": {…}}], "outputs": ["$s1"]}',
            ) from error

    def dump(self, path: Path) -> None:
        """Write `dumps` to a file.

        Raises:
            WriteError: it cannot be written.
        """
        atomic.write(path, self.dumps() + "\n")

    def tree(self) -> str:
        """The plan for a terminal: one line for each step, with its wiring and its plain arguments."""
        lines = [self.request or "(no request)"]
        for step in self.steps:
            wired = {name: value for name, value in step.args.items() if any(references(value))}
            plain = {name: value for name, value in step.args.items() if name not in wired}
            written = ", ".join(f"{name}={_shown(value)}" for name, value in plain.items())
            arrows = ", ".join(f"{name} ← {_shown(value)}" for name, value in wired.items())
            lines.append(f"├─ {step.id}  {step.tool}({written})" + (f"   {arrows}" if arrows else ""))
        lines.append(f"└─ gives {', '.join(self.outputs) or 'nothing'}")
        return "\n".join(lines)

    def rename_steps(self, names: Mapping[str, str]) -> "Plan":
        """The same plan with other step ids, in the steps and in every reference to them.

        Args:
            names: old id to new id; ids that are not in it stay.
        """
        if all(old == new for old, new in names.items()):
            return self

        def swap(text: str) -> str:
            name = reference(text)
            return text if name is None or name not in names else f"${names[name]}"

        steps = tuple(
            Step(
                id=names.get(step.id, step.id),
                tool=step.tool,
                args={name: map_texts(value, swap) for name, value in step.args.items()},
            )
            for step in self.steps
        )
        return Plan(request=self.request, steps=steps, outputs=tuple(map(swap, self.outputs)))


def reference(value: object) -> str | None:
    """The name that "$name" refers to, or None for anything else ("$$5" is the text "$5")."""
    if isinstance(value, str) and value.startswith("$") and not value.startswith("$$"):
        return value[1:]
    return None


def references(value: object) -> Iterator[str]:
    """The names that an argument refers to: those of the argument itself, or of the items of a list."""
    for item in value if isinstance(value, list) else [value]:
        name = reference(item)
        if name is not None:
            yield name


def escape(value: JsonValue) -> JsonValue:
    """A plain argument as a plan holds it: texts that begin with "$" get another "$"."""
    return map_texts(value, lambda text: f"${text}" if text.startswith("$") else text)


def unescape(value: JsonValue) -> JsonValue:
    """A plain argument of a plan as the tool gets it: the reverse of `escape`."""
    return map_texts(value, lambda text: text[1:] if text.startswith("$$") else text)


def map_texts(value: JsonValue, change: Callable[[str], str]) -> JsonValue:
    """An argument with a function applied to all texts in it, also in lists and objects."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [map_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {key: map_texts(item, change) for key, item in value.items()}
    return value


def leaves(value: object) -> Iterator[object]:
    """Everything in an argument that is neither a list nor an object, in order."""
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


def _shown(value: JsonValue) -> str:
    return value if isinstance(value, str) else canonical_json(value).decode()


def _faults(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    found = [f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}" for fault in error.errors()[:5]]
    return "; ".join(found)
