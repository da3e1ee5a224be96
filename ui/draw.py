"""Draws the plan, its progress, and what this computer lacks, as HTML; every text is escaped."""

from collections.abc import Mapping
from html import escape
from typing import Any

from pydantic import JsonValue

from agents.plan.plan import Plan, Step, reference, references
from agents.plan.problems import ProblemJson
from agents.plan.types import AnyTool
from agents.planners.backbone import BackbonePlanner
from agents.planners.base import Planner
from tools.core.errors import WeightsMissing
from tools.core.settings import settings
from tools.values.base import canonical_json
from tools.weights import weights
from ui.turns import Tab, sentences

EMPTY = "The plan appears here. A plan that only looks runs at once; one that makes something waits for your word."

_WORK = {
    "detect": ("detect", "find common things"),
    "detect_open": ("detect", "find anything by its name"),
    "face": ("detect", "find faces"),
    "segment": ("segment", "outline common things"),
    "segment_open": ("segment", "outline anything by its name"),
    "segment_boxes": ("segment", "outline what was found"),
    "pose": ("pose", "find poses"),
    "track": ("track", "follow things in a video"),
    "remove": ("remove", "remove things"),
    "edit": ("edit", "edit by instruction"),
    "generate": ("generate", "make pictures"),
    "read_text": ("read_text", "read text"),
    "caption": ("caption", "describe pictures"),
    "ask": ("ask", "answer questions about pictures"),
    "transcribe": ("transcribe", "write down speech"),
    "vad": ("transcribe", "tell speech from other sound"),
    "speak": ("speak", "speak"),
    "planner": ("the planner", "plan"),
}
"""Role of weights to the tool that needs them, and what it then can do."""


_COLOURS = {"Done": "good", "Failed": "bad", "Needs changes": "bad", "Waits for you": "wait"}


def plan_html(tab: Tab) -> str:
    """The plan as a tree with the state of each step, and its problems."""
    if not tab.status:
        return f'<p class="sl-empty">{EMPTY}</p>'
    colour = _COLOURS.get(tab.status, "wait" if tab.stage == "idle" else "")
    busy = " sl-busy" if tab.stage == "working" else ""
    parts = [f'<div class="sl-status {colour}{busy}">{escape(tab.status)}</div>']
    if tab.plan is not None:
        plan = Plan.model_validate(tab.plan)
        parts.append('<ol class="sl-steps">')
        parts += [_step(step, tab) for step in plan.steps]
        gives = " ".join(_wired(output) for output in plan.outputs)
        parts.append(f'</ol><div class="sl-gives">gives {gives or "nothing"}</div>')
    parts += [f'<p class="sl-warning">{escape(_problem(warning))}</p>' for warning in tab.warnings]
    if tab.problems:
        parts.append('<ul class="sl-problems">')
        parts += [f"<li>{escape(_problem(problem))}</li>" for problem in tab.problems]
        parts.append("</ul>")
    return "".join(parts)


def fault_html(fault: str) -> str:
    """What is wrong with the text in the editor."""
    return f'<ul class="sl-problems"><li>{escape(sentences(fault))}</li></ul>' if fault else ""


def limits_html(tools: Mapping[str, AnyTool], planner: Planner) -> str:
    """What cannot be done here, in one line; it opens to the commands that change this."""
    own = isinstance(planner, BackbonePlanner)
    line = "The built-in planner is small and knows English: look at its plan before you run it." if own else ""
    roles = {role: work for role, work in _WORK.items() if work[0] in tools or (own and role == "planner")}
    how = {role: _missing(settings().role(role)) for role in roles}
    if not any(how.values()):
        return f'<div class="sl-limits">{line}</div>' if line else ""
    lacking: dict[str, list[str]] = {}
    of_tool: dict[str, set[bool]] = {}
    for role, (tool, work) in roles.items():
        of_tool.setdefault(tool, set()).add(bool(how[role]))
        if how[role]:
            lacking.setdefault(how[role], []).append(work)
    names = ", ".join(f"{tool} (in part)" if len(lack) == 2 else tool for tool, lack in of_tool.items() if True in lack)
    rows = "".join(f"<li>{escape(', '.join(works))}: <code>{escape(way)}</code></li>" for way, works in lacking.items())
    return (
        f'<div class="sl-limits">{line}<details><summary>Needs a download first: {escape(names)}</summary>'
        f"<ul>{rows}</ul></details></div>"
    )


def _missing(weights_id: str) -> str:
    """What to do to get these weights; empty when they are here or none are needed."""
    if not weights.find(weights_id).needed:
        return ""
    try:
        weights.locate(weights_id)
    except WeightsMissing as error:
        return error.hint.removeprefix("Run: ")
    return ""


def _step(step: Step, tab: Tab) -> str:
    event = tab.progress.get(step.id)
    state = "waiting" if event is None else event["state"]
    took = "skipped" if state == "skipped" else ""
    if event is not None and state in ("finished", "failed"):
        took = f"{event['seconds']:.1f} s"
    args = "".join(f"<span><i>{escape(name)}</i> {_argument(value)}</span>" for name, value in step.args.items())
    error = event.get("error") if event is not None else None
    fault = "" if error is None else sentences(error["message"], error["hint"])
    return (
        f'<li class="{escape(state)}"><div><b>{escape(step.tool)}</b><code>{escape(step.id)}</code>'
        f'<span class="sl-took">{escape(took)}</span></div>'
        + (f'<div class="sl-args">{args}</div>' if args else "")
        + (f'<div class="sl-fault">{escape(fault)}</div>' if fault else "")
        + "</li>"
    )


def _argument(value: JsonValue) -> str:
    if any(references(value)):
        return " ".join(map(_wired, value if isinstance(value, list) else [value]))
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return escape(", ".join(map(str, value)))
    return escape(value if isinstance(value, str) else canonical_json(value).decode())


def _wired(value: Any) -> str:
    name = reference(value)
    return f"<code>{escape(name if name is not None else str(value))}</code>"


def _problem(problem: ProblemJson) -> str:
    where = " ".join(part for part in (problem["step"], problem["argument"]) if part)
    told = sentences(problem["message"], problem["hint"])
    return f"{where}: {told}" if where else told
