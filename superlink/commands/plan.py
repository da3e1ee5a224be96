"""``superlink plan``: words in, checked plans out; nothing is run."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from superlink.commands.options import add_planner, add_tools, load_tools, make_planner

KINDS = {"image": "Image", "audio": "Audio", "video": "Video", "text": "Text"}


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("plan", help="plan a request, or a file of requests, without running anything")
    parser.add_argument("request", nargs="?", help="what should happen, in words")
    parser.add_argument(
        "--media", nargs="*", default=["image"], choices=sorted(KINDS), help="kinds of file at hand (default: image)"
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--requests", type=Path, metavar="FILE.jsonl", help='many: lines of {"id", "request", "media"}')
    parser.add_argument("--out", type=Path, metavar="FILE.jsonl", help='where the answers go: lines of {"id", "steps"}')
    add_planner(parser)
    add_tools(parser)
    parser.set_defaults(command=plan)


def plan(given: argparse.Namespace) -> int:
    """Plan one request or many."""
    if given.requests:
        return _many(given)
    if not given.request:
        print("superlink plan: give a request in words, or --requests FILE.jsonl", file=sys.stderr)
        return 2
    from agents.propose import propose

    proposal = propose(given.request, _values(given.media), load_tools(given), make_planner(given))
    if given.json:
        print(proposal.plan.dumps())
    else:
        print(proposal.plan.tree() if proposal.plan.steps else "Nothing to run.")
    for problem in proposal.problems:
        print(problem, file=sys.stderr)
    return 1 if proposal.problems else 0


def _values(media: list[str]) -> dict[str, str]:
    return {kind: KINDS[kind] for kind in media}


def _many(given: argparse.Namespace) -> int:
    from agents.propose import propose
    from tools.errors import ArgumentsInvalid

    tools, planner = load_tools(given), make_planner(given)
    out = given.out.open("w") if given.out else sys.stdout
    faulty = 0
    with given.requests.open() as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                request, values = row["request"], _values(row.get("media", []))
            except (ValueError, KeyError, TypeError) as error:
                raise ArgumentsInvalid(
                    "plan", [f'{given.requests}, line {number} is not {{"id", "request", "media"}}: {error!r}']
                ) from error
            proposal = propose(request, values, tools, planner)
            faulty += bool(proposal.problems)
            answer: dict[str, Any] = {
                "id": row.get("id", number),
                "steps": [{"tool": step.tool, "args": dict(step.args)} for step in proposal.plan.steps],
            }
            if proposal.problems:
                answer["problems"] = [str(problem) for problem in proposal.problems]
            print(json.dumps(answer, ensure_ascii=False), file=out, flush=True)
    if given.out:
        out.close()
    return 1 if faulty else 0
