"""``superlink examples``: plans that people approved, from which the planner learns what they mean."""

import argparse
import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

from common.kinds import KIND_OF_INPUT, USUAL_MEDIA
from superlink.commands.options import add_tools, load_tools, words
from superlink.terminal import one_line, say, say_json

if TYPE_CHECKING:
    from superlink.commands.options import Commands

_ON = ("similar", "words", "majority", "lever")
"""How examples can be used, the usual one first; see `tools.core.settings.Settings.examples`."""


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser("examples", help="the approved plans that the planner sees as examples")
    actions: Commands = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    one = actions.add_parser("list", help="list the examples with their ids")
    one.add_argument("--json", action="store_true", help="as JSON")
    one.set_defaults(command=_list)

    one = actions.add_parser("add", help="add an example")
    one.add_argument("request", type=words, help="in words")
    one.add_argument("--plan", type=Path, required=True, metavar="plan.json", help="the right plan for it")
    one.add_argument(
        "--have",
        nargs="*",
        default=list(USUAL_MEDIA),
        choices=sorted(KIND_OF_INPUT),
        help="kinds of file at hand (default: image)",
    )
    add_tools(one)
    one.set_defaults(command=_add)

    one = actions.add_parser("remove", help="remove examples")
    one.add_argument("ids", nargs="+", metavar="ID")
    one.set_defaults(command=_remove)

    one = actions.add_parser("import", help="add the examples of a file")
    one.add_argument("file", type=Path, metavar="FILE.jsonl", help="as superlink examples export writes it")
    one.set_defaults(command=_import)

    one = actions.add_parser("export", help="write all examples to a file")
    one.add_argument("file", type=Path, metavar="FILE.jsonl")
    one.set_defaults(command=_export)

    one = actions.add_parser("status", help="how many there are, how they are used, and why")
    one.add_argument(
        "--measure",
        action="store_true",
        help="first score all choosers on examples that are held out, by which Lever-LM is used or not; takes minutes",
    )
    add_tools(one)
    one.set_defaults(command=_status)

    one = actions.add_parser("on", help="let the planner see examples, and keep approved plans")
    one.add_argument("ids", nargs="*", metavar="ID", help="only these, which were switched off")
    one.add_argument("--chooser", choices=_ON, default=_ON[0], help=f"which it sees (default: {_ON[0]})")
    one.set_defaults(command=_on)

    one = actions.add_parser("off", help="show the planner no examples, and keep no new ones")
    one.add_argument("ids", nargs="*", metavar="ID", help="only these are not shown any more")
    one.set_defaults(command=_off)


def _list(given: argparse.Namespace) -> int:
    from agents.examples.convert import in_words
    from agents.examples.use import open_bank

    examples = open_bank().all()
    if given.json:
        facts = ("origin", "who", "time", "owner", "enabled")
        say_json([{**one.demonstration.to_json(), **{name: getattr(one, name) for name in facts}} for one in examples])
        return 0
    for one in examples:
        shown = one.demonstration
        have = ", ".join(kind.lower() for kind in shown.have) or "nothing"
        of = f", seen by {one.owner} alone" if one.owner else ""
        off = "" if one.enabled else ", off"
        say(f"{one.id}  {one_line(shown.request)}")
        say(one_line(f"    with {have}: {in_words(shown)}"))
        say(one_line(f"    {one.origin} by {one.who}, {one.time[:10]}{of}{off}"))
    if not examples:
        say('There are no examples. Add one: superlink examples add "tag it" --plan plan.json')
    return 0


def _add(given: argparse.Namespace) -> int:
    from agents.examples.bank import Example
    from agents.examples.convert import NoExample, demonstration_of
    from agents.examples.use import open_bank
    from agents.plan.check import wire_and_check
    from agents.plan.plan import Plan
    from agents.plan.types import value_types

    tools, values = load_tools(given), value_types({name: KIND_OF_INPUT[name] for name in given.have})
    plan, problems = wire_and_check(Plan.load(given.plan).with_request(given.request), tools, values)
    if problems:
        raise NoExample("The plan cannot run: " + "; ".join(map(str, problems)), "Mend it, or give the kinds by --have")
    shown = demonstration_of(plan, given.request, values, tools)
    (outcome,) = open_bank().add([Example(shown, "added", getpass.getuser())])
    say(
        {"added": f"Added {shown.id}.", "replaced": f"Replaced the plan of this request: {shown.id}."}.get(
            outcome, f"{shown.id} is there already."
        )
    )
    _remind()
    return 0


def _remove(given: argparse.Namespace) -> int:
    from agents.examples.use import open_bank

    open_bank().remove(set(given.ids))
    say(f"Removed {', '.join(given.ids)}.")
    return 0


def _import(given: argparse.Namespace) -> int:
    from agents.examples.exchange import read_lines
    from agents.examples.use import open_bank

    outcomes = open_bank().add(read_lines(given.file, getpass.getuser()))
    counts = {name: outcomes.count(name) for name in ("added", "replaced", "known")}
    say(f"{counts['added']} added, {counts['replaced']} replaced, {counts['known']} there already.")
    _remind()
    return 0


def _export(given: argparse.Namespace) -> int:
    from agents.examples.exchange import to_line
    from agents.examples.use import open_bank
    from tools.storage import atomic

    examples = open_bank().all()
    with atomic.open_new(given.file) as file:
        for example in examples:
            file.write(to_line(example).encode())
    say(f"{_counted(len(examples))} in {one_line(given.file)}.")
    return 0


def _status(given: argparse.Namespace) -> int:
    from agents.examples.use import open_bank, open_examples, use
    from tools.core.settings import settings

    if given.measure:
        _measure(given)
    examples, used, shown = open_bank().all(), use(), settings().examples_shown
    off = sum(not one.enabled for one in examples)
    say(_counted(len(examples)) + (f", of which {off} are off." if off else "."))
    how = {
        "similar": f"the planner sees the {shown} examples most like the request, if they have words of it to explain",
        "words": f"the planner sees the {shown} examples that explain most words of the request",
        "majority": f"the planner sees the same {shown} examples for every request, those most like all others",
        "lever": f"the planner sees up to {shown} examples that Lever-LM chooses",
    }
    opened = open_examples()
    if opened is None:
        say(f"Off: the planner sees none, and approved plans are not kept ({used.why}).")
        return 0
    decision = opened.decision()
    say(f"On: {how[decision.chooser.name]} ({used.why}).")
    if decision.why:
        say(f"Lever-LM {'chooses' if decision.chooser.name == 'lever' else 'does not choose'}: {decision.why}.")
    if decision.hint:
        say(decision.hint)
    return 0


def _measure(given: argparse.Namespace) -> None:
    """Measure the choosers for the command line and every user of the page, whose examples differ."""
    from agents.examples.use import open_bank, to_measure

    tools = load_tools(given)
    for owner in ("", *sorted({one.owner for one in open_bank().all()} - {""})):
        verdict = to_measure(owner).measure(tools)
        of = f" of {one_line(owner)}" if owner else ""
        if not verdict.held_out:
            say(f"Of the examples{of} none is held out that the planner can write, so that nothing is measured.")
            continue
        say(f"How likely the right plan is on {verdict.held_out} held-out examples{of}, by what chooses the others:")
        for name, score in verdict.scores.items():
            say(f"  {name:<9} {score:.3f}")
        if "lever" not in verdict.scores:
            say("Lever-LM is not in this installation.")


def _on(given: argparse.Namespace) -> int:
    from agents.examples.use import open_bank

    if given.ids:
        open_bank().enable(set(given.ids), True)
        say(f"{', '.join(given.ids)}: on.")
        _remind()
        return 0
    return _switch(given.chooser, "On. Plans that you approve are kept, and the planner sees some of them.")


def _off(given: argparse.Namespace) -> int:
    from agents.examples.use import open_bank

    if given.ids:
        open_bank().enable(set(given.ids), False)
        say(f"{', '.join(given.ids)}: off.")
        return 0
    return _switch("off", "Off. The planner sees no examples, and plans are not kept. Those that are there stay.")


def _switch(chooser: str, done: str) -> int:
    from tools.core.settings import PREFIX, settings_path
    from tools.storage.toml import edit_settings

    with edit_settings() as document:
        document["examples"] = chooser
    say(f"{done} Servers that are running do so from their next start.")
    variable = f"{PREFIX}EXAMPLES"
    if os.environ.get(variable, chooser) != chooser:
        say(f"But {variable} is {os.environ[variable]} here, which goes before {settings_path()}.", error=True)
    return 0


def _counted(count: int) -> str:
    return f"{count} example{'s' * (count != 1)}"


def _remind() -> None:
    """Say so where the planner sees no examples."""
    from agents.examples.use import use

    if use().chooser == "off":
        say("The planner sees no examples now: superlink examples on")
