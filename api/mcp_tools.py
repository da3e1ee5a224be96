"""The tools of the MCP server: their declarations, and the arguments of the four that plan and run."""

from collections.abc import Mapping
from typing import Any, TypeVar

from mcp import types
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from agents.plan.types import AnyTool
from common.kinds import USUAL_MEDIA
from tools.core.errors import ArgumentsInvalid, SettingsInvalid

Arguments = TypeVar("Arguments", bound=BaseModel)


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlanArguments(_Arguments):
    """Arguments of the tool `plan`."""

    request: str = Field(min_length=1, description='What should happen, in words, such as "blur every face"')
    files: list[str] = Field([], description="Paths of the pictures, sound, video or texts that come with it")
    media: list[str] = Field(
        list(USUAL_MEDIA),
        description='Without files: the kinds that will come, of "image", "audio", "video", "text"; usually "image"',
    )


class RunArguments(_Arguments):
    """Arguments of the tool `run`."""

    request: str = Field("", description='What should happen, in words, such as "blur every face"')
    files: list[str] = Field([], description="Paths of the pictures, sound, video or texts that come with it")
    plan: dict[str, Any] | None = Field(None, description="A plan to run, as the tool plan gave it, instead of words")
    approve: bool = Field(
        False, description="Whether the plan may change or make something. Only after a person has agreed to it"
    )
    thread: str | None = Field(
        None, description="Name of an earlier run that waits for approval: goes on with that one"
    )
    out: str | None = Field(None, description="Folder of the files that are written; has a default")


class AnnotateArguments(_Arguments):
    """Arguments of the tool `annotate`."""

    request: str = Field("", description='What should happen to each file, in words, such as "find every dog"')
    folder: str = Field(description="The folder with the pictures, sound or video")
    out: str = Field(description="Folder of the run: its ledger and its exports. The same again goes on")
    plan: dict[str, Any] | None = Field(None, description="A plan to run, as the tool plan gave it, instead of words")
    approve: bool = Field(
        False, description="Whether all files are worked after the pilot. Only after a person has agreed to it"
    )
    limit: PositiveInt | None = Field(None, description="Most files")
    pilot: int = Field(8, ge=0, description="Files to try before approval is asked")
    formats: list[str] | None = Field(
        None, description="Exports: coco, yolo, voc, label-studio, jsonl, parquet, srt, vtt, mirror, report"
    )


class StatusArguments(_Arguments):
    """Arguments of the tool `status`."""

    thread: str | None = Field(None, description="Name of a run, as the tool run gave it")
    folder: str | None = Field(None, description="Folder of a batch run, the out of the tool annotate")


OWN: dict[str, tuple[type[_Arguments], str, bool]] = {
    "plan": (
        PlanArguments,
        "Turn a request in words into a checked plan of tool calls. Nothing is run. Gives the plan as JSON and as a "
        "tree, problems and warnings, and whether a person has to approve it.",
        True,
    ),
    "run": (
        RunArguments,
        "Do what a request says to some files: plan, check, run, and write the results as files. A plan that makes or "
        "changes something waits for approval: the person is asked, or the plan comes back and nothing has run.",
        False,
    ),
    "annotate": (
        AnnotateArguments,
        "Do what a request says to every file of a folder, and export a data set. A pilot runs first, then approval "
        "is needed. Resumable: the same call goes on and runs nothing twice.",
        False,
    ),
    "status": (StatusArguments, "Say where a run or a batch run stands.", True),
}
"""The tools of the server itself: arguments, description, and whether they change nothing."""


def parse(model: type[Arguments], name: str, arguments: Mapping[str, object]) -> Arguments:
    """The arguments of a tool.

    Raises:
        ArgumentsInvalid: with one sentence for each fault.
    """
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ArgumentsInvalid(name, faults) from error


def declarations(tools: Mapping[str, AnyTool]) -> list[types.Tool]:
    """The tools as MCP clients see them: `plan`, `run`, `annotate`, `status`, and every tool of the catalogue.

    Raises:
        SettingsInvalid: a tool of the catalogue has the name of one of the four.
    """
    if taken := sorted(OWN.keys() & tools.keys()):
        raise SettingsInvalid(f"the tool {taken[0]!r} has the name of a tool of this server", "Rename it")
    own = [
        types.Tool(
            name=name,
            description=description,
            inputSchema=_schema(model),
            annotations=types.ToolAnnotations(
                readOnlyHint=read_only, destructiveHint=False, idempotentHint=True, openWorldHint=False
            ),
        )
        for name, (model, description, read_only) in OWN.items()
    ]
    return own + [_declaration(tool) for tool in tools.values()]


def _declaration(tool: AnyTool) -> types.Tool:
    returns = f"{'a list of ' * tool.returns.many}{tool.returns.kind}"
    examples = f" Example of what it is for: {tool.examples[0]}." if tool.examples else ""
    return types.Tool(
        name=tool.name,
        description=f"{tool.doc} Gives {returns}, written as files.{examples}",
        inputSchema=call_schema(tool),
        # It writes files of its own, and never changes the ones that it is given.
        annotations=types.ToolAnnotations(
            readOnlyHint=False, destructiveHint=False, idempotentHint=True, openWorldHint=False
        ),
    )


def call_schema(tool: AnyTool) -> dict[str, Any]:
    """JSON schema of the arguments of a call whose inputs are paths of files."""
    schema: dict[str, Any] = dict(tool.json_schema())
    properties: dict[str, Any] = dict(schema["properties"])
    for name, given in tool.inputs.items():
        kinds = " or ".join(given.accepted)
        what = f"the path of a file with {kinds}, such as one that an earlier call wrote"
        if given.literal:
            what = f"the words themselves, or the file: URI of a file with {kinds}"
        doc = f" {given.doc}" if given.doc else ""
        more = "" if given.many else "; the tool runs once for each of a list"
        properties[name] = {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "description": f"{what[0].upper()}{what[1:]}{more}.{doc}",
        }
    required = [name for name, given in tool.inputs.items() if not given.optional]
    return {**schema, "properties": properties, "required": [*required, *schema["required"]]}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    properties = {
        name: {key: value for key, value in entry.items() if key != "title"}
        for name, entry in schema["properties"].items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }
