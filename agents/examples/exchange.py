"""Examples as lines of JSON, by which they go from one home to another."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agents.examples.bank import Example
from agents.examples.convert import NoExample, check_size, is_writable
from agents.plan.check import MAX_STEPS
from agents.planners.base import Demonstration, ToolCall
from tools.core.errors import MediaError, SuperlinkError
from tools.values.base import canonical_json
from tools.values.files import read_source


class LinesInvalid(SuperlinkError):
    """A file does not hold examples."""


class _Call(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tool: Annotated[str, Field(min_length=1)]
    args: dict[str, JsonValue] = {}


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    have: list[str]
    request: Annotated[str, Field(pattern=r"\S")]
    calls: Annotated[list[_Call], Field(min_length=1, max_length=MAX_STEPS)]
    owner: str = ""
    enabled: bool = True


def to_line(example: Example) -> str:
    """An example as a line of JSON, without the name of who approved it; `owner` says who alone may see it."""
    facts = {"origin": example.origin, "time": example.time, "owner": example.owner, "enabled": example.enabled}
    return canonical_json({**example.demonstration.to_json(), **facts}).decode() + "\n"


def read_lines(file: Path, who: str) -> list[Example]:
    """Read the examples of a file.

    Args:
        file: of lines as `to_line` makes them.
        who: the person who imports them.

    Raises:
        LinesInvalid: the file cannot be read, or a line is no example; names the line.
    """
    try:
        lines = read_source(file, str(file), "max_text_bytes").decode("utf-8-sig").splitlines()
    except MediaError as error:
        raise LinesInvalid(error.message, error.hint) from error
    except UnicodeDecodeError as error:
        raise LinesInvalid(f"{file} is not UTF-8 text: {error}", "Give a file of superlink examples export") from error
    return [_example(line, file, number, who) for number, line in enumerate(lines, 1) if line.strip()]


def _example(line: str, file: Path, number: int, who: str) -> Example:
    try:
        read = _Line.model_validate_json(line)
        calls: list[ToolCall] = [{"tool": call.tool, "args": call.args} for call in read.calls]
        if not all(is_writable(value) for call in calls for value in call["args"].values()):
            raise NoExample("an argument is an object, or a list of lists")
        shown = Demonstration(read.have, read.request, calls)
        check_size(shown)
    except ValidationError as error:
        fault = error.errors()[0]
        why = f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}"
    except (NoExample, ValueError, RecursionError) as error:  # NaN and lone surrogates have no JSON
        why = str(error)
    else:
        return Example(shown, "imported", who, owner=read.owner, enabled=read.enabled)
    raise LinesInvalid(
        f"{file}, line {number} is no example: {why}",
        'A line is {"have": ["Image"], "request": "…", "calls": [{"tool": "…", "args": {…}}]}. Nothing was imported',
    )
