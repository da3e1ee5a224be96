"""``superlink plan``: plans for requests, checked but not run."""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from common.kinds import KIND_OF_INPUT, USUAL_MEDIA
from superlink.commands.options import add_planner, add_tools, load_tools, make_planner, words
from superlink.terminal import one_line, say, say_json

if TYPE_CHECKING:
    from agents.plan.types import AnyTool
    from agents.planners.base import ConfidenceJson, Demonstration, Planner
    from agents.planners.repair import Attempt
    from agents.planners.shortlist import Shortlist
    from superlink.commands.options import Commands


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser("plan", help="plan a request, or a file of requests, without running anything")
    parser.add_argument("request", nargs="?", type=words, help="what should happen, in words")
    parser.add_argument(
        "--media",
        nargs="*",
        default=list(USUAL_MEDIA),
        choices=sorted(KIND_OF_INPUT),
        help="kinds of file at hand (default: image)",
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument(
        "--requests",
        type=Path,
        metavar="FILE.jsonl",
        help='many: lines of {"id", "request", "media"}; without media, those of --media',
    )
    parser.add_argument("--out", type=Path, metavar="FILE.jsonl", help='where the answers go: lines of {"id", "steps"}')
    parser.add_argument(
        "--why",
        action="store_true",
        help="also print which tools the planner considered and left out, and which examples it saw",
    )
    add_planner(parser)
    add_tools(parser)
    parser.set_defaults(command=plan)


def plan(given: argparse.Namespace) -> int:
    """Plan one request or many."""
    if given.requests:
        return _many(given)
    if not given.request:
        say("superlink plan: give a request in words, or --requests FILE.jsonl", error=True)
        return 2
    from agents.examples.use import open_examples
    from agents.plan.plan import Plan
    from agents.plan.preflight import missing_weights, with_remedy
    from agents.planners.repair import plan_request
    from agents.session.policy import in_words

    tools, planner = load_tools(given), make_planner(given)
    last = plan_request(given.request, _values(given.media), tools, planner, open_examples())
    found = last.plan or Plan(request=given.request)
    if given.json:
        why = {"why": _why(planner, given.request, given.media, tools, last)} if given.why else {}
        shown = [shown.to_json() for shown in last.demonstrations]
        seen = {"demonstrations": shown, "chooser": last.chooser} if shown else {}
        say_json({**found.to_json(), **_confidence(last), **seen, **why})
    else:
        say(found.tree() if found.steps else "Nothing to run.")
        if line := in_words(last.confidence, [step.id for step in found.steps]):
            say(line)
        for line in _why_lines(planner, given.request, given.media, tools, last) if given.why else ():
            say(line)
    for problem in last.problems:
        say(problem, error=True)
    for warning in last.warnings:
        say(f"Warning: {warning}", error=True)
    for lack in missing_weights(found, tools):
        say(f"Warning: {with_remedy(lack)}", error=True)
    return 1 if last.problems else 0


def _confidence(attempt: "Attempt") -> "dict[str, ConfidenceJson]":
    """Return the confidence in the plan as part of its JSON; nothing where the planner has none."""
    return {} if attempt.confidence is None else {"confidence": attempt.confidence.to_json()}


def _values(media: list[str]) -> dict[str, str]:
    return {kind: KIND_OF_INPUT[kind] for kind in media}


def _why(
    planner: "Planner", request: str, media: list[str], tools: "Mapping[str, AnyTool]", attempt: "Attempt"
) -> dict[str, object]:
    """Return what the planner considered, the examples that it saw, and what chose them, as plain JSON."""
    considered = _shortlist(planner, request, media, tools, attempt.demonstrations).to_json()
    seen = [shown.to_json() for shown in attempt.demonstrations]
    return {**considered, "examples": seen, "chooser": attempt.chooser}


def _why_lines(
    planner: "Planner", request: str, media: list[str], tools: "Mapping[str, AnyTool]", attempt: "Attempt"
) -> Iterator[str]:
    """Yield `_why` as lines of text."""
    from agents.examples.convert import in_words

    yield from _shortlist(planner, request, media, tools, attempt.demonstrations).lines()
    yield f"Examples seen: {len(attempt.demonstrations) or 'none'}"
    for shown in attempt.demonstrations:
        yield one_line(f"  {shown.id}  {shown.request}: {in_words(shown)}")
    if attempt.demonstrations:
        yield f"  chosen by {attempt.chooser}"


def _shortlist(
    planner: "Planner",
    request: str,
    media: list[str],
    tools: "Mapping[str, AnyTool]",
    demonstrations: "Sequence[Demonstration]",
) -> "Shortlist":
    """Return which tools the planner considered; all where it reads every card, as chat models do."""
    from agents.plan.types import planner_cards
    from agents.planners.backbone import BackbonePlanner
    from agents.planners.shortlist import Shortlist

    cards = planner_cards(tools)
    if isinstance(planner, BackbonePlanner):
        return planner.shortlist(request, _values(media), cards, demonstrations)
    return Shortlist((), tuple(card["name"] for card in cards))


def _many(given: argparse.Namespace) -> int:
    from tools.storage import atomic

    # All are read before the first is planned, which takes long.
    rows = list(_read_requests(given.requests, given.media))
    if given.out is None:
        return _plan_all(rows, given, say_json)
    with atomic.open_new(given.out) as file:
        return _plan_all(rows, given, lambda answer: file.write(_line(answer)))


class _Row(NamedTuple):
    id: object
    request: str
    media: list[str]


def _plan_all(rows: list[_Row], given: argparse.Namespace, write: Callable[[dict[str, object]], object]) -> int:
    """Plan every request and write each answer; return the exit status."""
    from agents.examples.use import open_examples
    from agents.planners.repair import plan_request

    tools, planner, examples = load_tools(given), make_planner(given), open_examples()
    faulty = 0
    for name, request, media in rows:
        last = plan_request(request, _values(media), tools, planner, examples)
        faulty += bool(last.problems)
        answer: dict[str, object] = {
            "id": name,
            "steps": [{"tool": step.tool, "args": dict(step.args)} for step in (last.plan.steps if last.plan else ())],
            **_confidence(last),
        }
        if last.problems:
            answer["problems"] = [str(problem) for problem in last.problems]
            for problem in last.problems:
                say(f"{name}: {problem}", error=True)
        if given.why:
            answer["why"] = _why(planner, request, media, tools, last)
        write(answer)
    return 1 if faulty else 0


def _line(answer: dict[str, object]) -> bytes:
    return (json.dumps(answer, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _read_requests(file: Path, usual: list[str]) -> Iterator[_Row]:
    """Yield the requests of a file of lines of JSON.

    Args:
        file: Of the requests.
        usual: Kinds of file at hand, for lines that name none.

    Raises:
        ArgumentsInvalid: when the file cannot be read or a line is malformed.
    """
    from tools.core.errors import ArgumentsInvalid

    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ArgumentsInvalid("plan", [f"--requests {file} cannot be read: {error.strerror or error}"]) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig"))
            request, media = words(row["request"]), row.get("media", usual)
            if not isinstance(media, list) or not all(kind in KIND_OF_INPUT for kind in media):
                raise ValueError(f"media are a list of {', '.join(KIND_OF_INPUT)}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, argparse.ArgumentTypeError) as error:
            what = (
                "it is nested too deeply" if isinstance(error, RecursionError) else f"{type(error).__name__}: {error}"
            )
            raise ArgumentsInvalid(
                "plan", [f'{file}, line {number} is not {{"id", "request", "media"}} in UTF-8: {what}']
            ) from error
        yield _Row(row.get("id", number), request, media)
