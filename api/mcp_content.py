"""Results as MCP clients get them: text, links to the files, small pictures, and the same as plain data."""

import base64
import io
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mcp import types
from pydantic import AnyUrl

from agents.session.policy import in_words
from agents.session.state import confidence_of
from api.batches import BatchStatus
from api.outcomes import Outcome, Planned
from tools.core.errors import SuperlinkError

PICTURES = 3
"""Most small pictures of one result."""
_EDGE = 640  # pixels of the longer edge of a small picture
_FILES = 40  # links of one result at most

RUN_AGAIN = "Nothing has run yet. When a person has agreed, call run with this thread and approve true"


def planned(found: Planned) -> types.CallToolResult:
    """A checked plan; an error where it cannot run."""
    lines = [found["tree"] if found["works"] else "No plan fits this request: nothing would run."]
    lines += [f"Problem: {problem}" for problem in found["problems"]]
    lines += [f"Warning: {warning}" for warning in [*found["warnings"], *found["missing"]]]
    lines += [*_sure(found), *_seen(found)]
    if found["needs_approval"]:
        lines.append("A person has to approve this plan before it runs.")
    return result(lines, found, error=not found["works"])


def outcome(found: Outcome) -> types.CallToolResult:
    """A run, with its files."""
    lines = [found["answer"]]
    if found["stands"] == "approval":
        lines = [
            found["tree"],
            *found["problems"],
            *(f"Warning: {warning}" for warning in [*found["warnings"], *found["missing"]]),
            *_sure(found),
            *_seen(found),
        ]
        first = "Get what it needs first. " if found["missing"] else ""
        lines.append(f"This plan waits for approval, thread {found['thread']}. {first}{RUN_AGAIN}.")
    elif found["stands"] == "working":
        lines = [f"The run {found['thread']} is at work, or was cut short."]
    files = [Path(file) for file in found["files"]]
    if files:
        lines.append(f"Files in {files[0].parent}: {', '.join(file.name for file in files[:_FILES])}")
    failed = found["result"] == "failed" or not found["works"] or bool(found["missing"])
    return result(lines, found, files, error=failed)


def _sure(found: Planned) -> list[str]:
    """How sure the planner is of a plan that has not run, and why it waits for a person if it doubts it."""
    steps = [] if found["plan"] is None else [step["id"] for step in found["plan"]["steps"]]
    line = in_words(confidence_of(found), steps) if found["works"] else ""
    doubt = f"A person has to look at it: {found['doubt']}." if found["doubt"] else ""
    return [said for said in (line and f"{line}.", doubt) if said]


def _seen(found: Planned) -> list[str]:
    """The examples that the planner saw, by their requests."""
    requests = [f"“{shown['request']}”" for shown in found["demonstrations"]]
    return [f"Examples that the planner saw: {', '.join(requests)}"] if requests else []


def batch(found: BatchStatus, more: Sequence[str] = ()) -> types.CallToolResult:
    """Where a batch run stands."""
    lines = [f"{found['done']} done, {found['failed']} failed, {found['left']} left, in {found['folder']}", *more]
    lines += found["failures"]
    lines += [f"{name}: {folder}" for name, folder in found["exports"].items()]
    if found["at_work"]:
        lines.append("It is at work.")
    elif found["reason"]:
        lines.append(f"It ended early: {found['reason']}. The same call goes on.")
    return result(lines, found)


def failure(error: SuperlinkError) -> types.CallToolResult:
    """An error of a tool, with its message and what to do next."""
    return result([str(error)], {"error": {"message": error.message, "hint": error.hint}}, error=True)


def result(
    lines: Sequence[str], data: Mapping[str, Any], files: Sequence[Path] = (), error: bool = False
) -> types.CallToolResult:
    """Text, links to files, and small versions of the pictures among them."""
    content: list[types.ContentBlock] = [types.TextContent(type="text", text="\n".join(filter(None, lines)))]
    content += [_link(file) for file in files[:_FILES]]
    pictures = [file for file in files if (media_type(file) or "").startswith("image/")]
    # The drawn picture of what was found comes after the data, and both have the same stem.
    content += [small for file in pictures[:PICTURES] if (small := _small(file)) is not None]
    return types.CallToolResult(content=content, structuredContent=cast(dict[str, Any], dict(data)), isError=error)


def _link(file: Path) -> types.ResourceLink:
    return types.ResourceLink(
        type="resource_link",
        name=file.name,
        uri=AnyUrl(file.as_uri()),
        mimeType=media_type(file),
        size=file.stat().st_size,
    )


def media_type(file: Path) -> str | None:
    """The media type that the name of a file says."""
    return mimetypes.guess_type(file.name)[0]


def _small(file: Path) -> types.ImageContent | None:
    from PIL import Image

    try:
        with Image.open(file) as picture:
            picture.draft("RGB", (_EDGE, _EDGE))
            picture.thumbnail((_EDGE, _EDGE))
            written = io.BytesIO()
            picture.convert("RGB").save(written, "JPEG", quality=80)
    except (OSError, ValueError, Image.DecompressionBombError):  # the file itself is linked
        return None
    return types.ImageContent(type="image", data=base64.b64encode(written.getvalue()).decode(), mimeType="image/jpeg")
