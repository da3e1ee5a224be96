"""HTML of the plan, its progress, and the weights that this computer lacks; the templates escape every text."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
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
from ui.turns.tab import Tab
from ui.turns.words import sentences

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
"""For each role of weights, the tool that needs them and what it does with them."""

_COLOURS = {"Done": "good", "Failed": "bad", "Needs changes": "bad", "Waits for you": "wait"}


@dataclass(frozen=True)
class Argument:
    """An argument of a step: its plain text, or the names of the values that it refers to."""

    name: str
    text: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepView:
    """A step as the page shows it: its arguments, its state, the time it took, and why it failed."""

    id: str
    tool: str
    arguments: list[Argument]
    state: str
    took: str
    fault: str


def plan_html(tab: Tab) -> str:
    """Return the plan as a list of steps with the state of each, and its problems."""
    if not tab.status:
        return f'<p class="sl-empty">{EMPTY}</p>'
    plan = None if tab.plan is None else Plan.model_validate(tab.plan)
    return _render(
        "plan.html.j2",
        status=tab.status,
        colour=_COLOURS.get(tab.status, "wait" if tab.stage == "idle" else ""),
        busy=tab.stage == "working",
        steps=None if plan is None else [_step(step, tab) for step in plan.steps],
        outputs=[] if plan is None else [_name(output) for output in plan.outputs],
        warnings=[_problem(warning) for warning in tab.warnings],
        problems=[_problem(problem) for problem in tab.problems],
    )


def fault_html(fault: str) -> str:
    """Return what is wrong with the text in the editor; "" where nothing is."""
    return _render("problems.html.j2", problems=[sentences(fault)]) if fault else ""


def limits_html(tools: Mapping[str, AnyTool], planner: Planner) -> str:
    """Return what cannot be done here, in one line that opens to the commands that change this."""
    own = isinstance(planner, BackbonePlanner)
    note = "The built-in planner is small and knows English: look at its plan before you run it." if own else ""
    roles = {role: work for role, work in _WORK.items() if work[0] in tools or (own and role == "planner")}
    how = {role: _missing(settings().role(role)) for role in roles}
    lacking: dict[str, list[str]] = {}
    of_tool: dict[str, set[bool]] = {}
    for role, (tool, work) in roles.items():
        of_tool.setdefault(tool, set()).add(bool(how[role]))
        if how[role]:
            lacking.setdefault(how[role], []).append(work)
    if not note and not lacking:
        return ""
    names = ", ".join(f"{tool} (in part)" if len(lack) == 2 else tool for tool, lack in of_tool.items() if True in lack)
    return _render("limits.html.j2", note=note, lacking=lacking, names=names)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("ui.plans"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, **context: object) -> str:
    return _environment().get_template(template).render(context)


def _missing(weights_id: str) -> str:
    """Return the command that fetches these weights; "" if they are here or none are needed."""
    if not weights.find(weights_id).needed:
        return ""
    try:
        weights.locate(weights_id)
    except WeightsMissing as error:
        return error.hint.removeprefix("Run: ")
    return ""


def _step(step: Step, tab: Tab) -> StepView:
    event = tab.progress.get(step.id)
    state = "waiting" if event is None else event["state"]
    took = "skipped" if state == "skipped" else ""
    if event is not None and state in ("finished", "failed"):
        took = f"{event['seconds']:.1f} s"
    error = event.get("error") if event is not None else None
    fault = "" if error is None else sentences(error["message"], error["hint"])
    arguments = [_argument(name, value) for name, value in step.args.items()]
    return StepView(step.id, step.tool, arguments, state, took, fault)


def _argument(name: str, value: JsonValue) -> Argument:
    if any(references(value)):
        return Argument(name, references=tuple(map(_name, value if isinstance(value, list) else [value])))
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return Argument(name, ", ".join(map(str, value)))
    return Argument(name, value if isinstance(value, str) else canonical_json(value).decode())


def _name(value: JsonValue) -> str:
    """Return the name of the value that a reference means, or the text of anything else."""
    name = reference(value)
    return name if name is not None else str(value)


def _problem(problem: ProblemJson) -> str:
    where = " ".join(part for part in (problem["step"], problem["argument"]) if part)
    sentence = sentences(problem["message"], problem["hint"])
    return f"{where}: {sentence}" if where else sentence
