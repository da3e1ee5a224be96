"""HTML of the plan, its progress, and the weights that this computer lacks; the templates escape every text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agents.plan.plan import Plan, Step, reference, references
from agents.plan.problems import Problem
from agents.planners.backbone import BackbonePlanner
from agents.planners.base import Confidence, Planner
from agents.session.policy import doubtful, percent, unsure
from agents.session.state import confidence_of
from ui.plans.scope import Placed, Scope, missing_words, placed
from ui.plans.words import noun, places, words
from ui.templates import Templates
from ui.turns.view import SessionView, StepView, TurnView
from ui.turns.words import sentences

_render = Templates("ui.plans").render

EMPTY = "The plan appears here. A plan that only looks runs at once; one that makes something waits for your word."
SMALL = "The built-in planner is small and reads English. Look at its plan: it may leave out or misread a part."

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_GOLDEN = 137.5
"""Degrees between the hues of two values: however many there are, no two are alike."""


@dataclass(frozen=True)
class Chip:
    """A value as the card shows it, with the same colour and mark wherever it stands.

    Attributes:
        name: Name of the value, such as "s2".
        text: What it is called, such as "what was found" or "street.jpg".
        mark: Number of the step that makes it, or a letter.
        hue: Of its colour, in degrees.
        origin: Where it comes from, in words.
        thumbnail: Address of a picture of it; "" where there is none.
    """

    name: str
    text: str
    mark: str
    hue: int
    origin: str
    thumbnail: str = ""

    @property
    def anchor(self) -> str:
        """Id of the element where the value comes from."""
        return f"plan-value-{self.name}"


@dataclass(frozen=True)
class Line:
    """A step as the card shows it."""

    value: Chip
    words: str
    state: str
    note: str
    sure: str
    done: int
    total: int
    inputs: list[Chip]
    missing: list[str]
    problems: Sequence[str]
    fault: str
    trace: str


def empty_html(planner: Planner) -> str:
    """Return what stands in the place of the first plan: when plans run, and what the planner cannot do."""
    notes = [EMPTY, *([SMALL] if isinstance(planner, BackbonePlanner) else [])]
    return "".join(f'<p class="sl-empty">{note}</p>' for note in notes)


def card_html(view: SessionView, turn: TurnView, scope: Scope, thumbnails: Mapping[str, str]) -> str:
    """Return the card of a turn's plan.

    Args:
        view: The session.
        turn: One of its turns.
        scope: Tools, and the values at hand before this turn's plan runs.
        thumbnails: Address of a picture of a value by its name.
    """
    plan = Plan() if turn.plan is None else Plan.load(turn.plan)
    editing = turn is view.turn and view.stage == "editing"
    chips = _chips(plan, scope, thumbnails)
    at = placed([Problem(**problem) for problem in turn.problems], plan, scope)
    # A person who let the plan run has seen them.
    decided = turn.decision is not None and turn.decision["action"] in ("accept", "edit")
    busy = turn is view.turn and view.works
    given = [name for name in chips if name not in {step.id for step in plan.steps}]
    outputs = [name for name in map(reference, plan.outputs) if name in chips]
    confidence = None if editing or decided else confidence_of({"confidence": turn.confidence})
    return _render(
        "card.html.j2",
        status="You are changing this plan" if editing else turn.status,
        colour="wait" if editing else turn.colour,
        busy=busy and not editing,
        takes=[] if editing else [chips[name] for name in given],
        steps=[]
        if editing
        else [_line(n, plan, turn, scope, chips, at, busy, confidence) for n in range(len(plan.steps))],
        sure=_sure(plan, confidence),
        gives=[] if editing else [chips[name] for name in outputs if name is not None],
        warnings=[]
        if decided
        else [sentences(places(w["message"], plan), places(w["hint"], plan)) for w in turn.warnings],
        problems=[] if editing else [*at.outputs, *at.plan],
    )


def note_html(problems: Sequence[str], note: str = "") -> str:
    """Return what stands below a field: what is wrong with it, and its description."""
    return _render("note.html.j2", problems=problems, note=note)


def title_html(number: int, plan: Plan, scope: Scope, at: Placed) -> str:
    """Return the head of the form of the step at a place: its heading, its id, and what is wrong with it as a whole."""
    step = plan.steps[number]
    return _render(
        "title.html.j2",
        number=number + 1,
        id=step.id,
        words=words(step, scope.tools, scope.before(plan, number)),
        heading=heading(number, plan, scope, at),
        problems=at.steps.get(number, ()),
        missing=at.missing.get(number, ()),
    )


def heading(number: int, plan: Plan, scope: Scope, at: Placed) -> str:
    """Return the heading of a step's form: its words, and whether something is wrong with it."""
    said = words(plan.steps[number], scope.tools, scope.before(plan, number))
    count = at.count(number)
    problems = [f"{count} problem{'s' if count > 1 else ''}"] if count else []
    lacks = ["needs a download"] if at.missing.get(number) else []
    return " — ".join([f"{number + 1}  {said}", *problems, *lacks])


def _chips(plan: Plan, scope: Scope, thumbnails: Mapping[str, str]) -> dict[str, Chip]:
    """Return a chip for each value of a plan by its name: what it takes, then what its steps give."""
    steps = {step.id: number for number, step in enumerate(plan.steps, 1)}
    used = [name for step in plan.steps for value in step.args.values() for name in references(value)]
    outputs = [name for name in map(reference, plan.outputs) if name is not None]
    types = scope.before(plan, len(plan.steps))
    chips: dict[str, Chip] = {}
    letters = iter(_LETTERS)
    for place, name in enumerate(dict.fromkeys([*(n for n in [*used, *outputs] if n not in steps), *steps])):
        what = types.get(name)
        called = name if what is None else noun(what.kind, what.many).removeprefix("the ")
        if name in steps:
            mark, origin = str(steps[name]), f"from step {steps[name]}"
        else:
            mark, origin = next(letters, "·"), "from an earlier request" if what and what.made else "from you"
            called = called if what and what.made else scope.captions.get(name, name)
        chips[name] = Chip(name, called, mark, round(place * _GOLDEN) % 360, origin, thumbnails.get(name, ""))
    return chips


def _line(
    number: int,
    plan: Plan,
    turn: TurnView,
    scope: Scope,
    chips: Mapping[str, Chip],
    at: Placed,
    busy: bool,
    confidence: Confidence | None,
) -> Line:
    step = plan.steps[number]
    progress = turn.steps.get(step.id, StepView())
    problems = [
        *at.steps.get(number, ()),
        *(said for (n, _), group in at.fields.items() if n == number for said in group),
    ]
    fault = trace = ""
    if progress.state == "failed" and progress.error is not None:
        fault = sentences(progress.error["message"], progress.error["hint"])
        trace = progress.error.get("traceback", "")
    return Line(
        chips[step.id],
        words(step, scope.tools, scope.before(plan, number)),
        progress.state,
        _note(step, plan, turn, progress, busy),
        unsure(confidence.steps[number]) if confidence is not None and number < len(confidence.steps) else "",
        progress.done,
        progress.total if progress.state == "started" else 0,
        [chips[name] for name in dict.fromkeys(_uses(step)) if name in chips],
        [missing_words(lack.weights, lack.licence, lack.size) for lack in turn.missing if lack.step == step.id],
        problems,
        fault,
        trace,
    )


def _sure(plan: Plan, confidence: Confidence | None) -> str:
    """Return how sure the planner is of a plan; "" where it is, or where that is not known."""
    if confidence is None or not plan.steps:
        return ""
    if doubtful(confidence):
        return f"The planner is only {percent(confidence.plan)} sure of this plan. Look at it before you run it."
    said = unsure(confidence.plan)
    return f"The planner is {said} of this plan." if said else ""


def _note(step: Step, plan: Plan, turn: TurnView, progress: StepView, busy: bool) -> str:
    """Return the state of a step in a few words: its time, how far it is, or what it waits for."""
    match progress.state:
        case "finished":
            return f"{progress.seconds:.1f} s"
        case "failed":
            return f"failed after {progress.seconds:.1f} s"
        case "started":
            seconds = f" · {progress.seconds:.0f} s" if progress.seconds >= 1 else ""
            return (f"{progress.done} of {progress.total}" if progress.total else "running") + seconds
        case "skipped":
            reason = places(progress.error["message"], plan) if progress.error is not None else ""
            return f"not run: {reason}" if reason else "not run"
    made = {other.id for other in plan.steps}
    pending = [n for n in dict.fromkeys(_uses(step)) if n in made and turn.steps.get(n, StepView()).state != "finished"]
    if not busy or not turn.steps:
        return ""
    return places("waits for " + " and ".join(pending), plan) if pending else "waits"


def _uses(step: Step) -> Iterable[str]:
    return (name for value in step.args.values() for name in references(value))
