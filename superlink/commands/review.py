"""``superlink review``: detections that wait for a person, their verdicts, and the precision of each label."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands.options import examples_of_user, shown, whole
from superlink.terminal import one_line, say

if TYPE_CHECKING:
    from superlink.commands.options import Commands


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser("review", help="list and resolve the finds of a run that a person should look at")
    parser.add_argument("run", type=Path, metavar="DIR", help="the folder that superlink annotate wrote to")
    parser.add_argument("--accept", type=whole(0), nargs="+", default=[], metavar="NUMBER", help="these are right")
    parser.add_argument("--reject", type=whole(0), nargs="+", default=[], metavar="NUMBER", help="nothing is there")
    parser.add_argument(
        "--correct", nargs=2, action="append", default=[], metavar=("NUMBER", "LABEL"), help="it is something else"
    )
    parser.add_argument(
        "--withdraw", type=whole(0), nargs="+", default=[], metavar="NUMBER", help="take your verdicts on these back"
    )
    parser.add_argument("--teach", action="store_true", help="let the planner see the plan of this run as an example")
    parser.add_argument("--label", default="", help="list only this label")
    parser.add_argument("--reason", default="", choices=["", "band", "audit", "person"], help="list only these")
    parser.add_argument("--limit", type=whole(1), default=50, metavar="N", help="list at most N (default: 50)")
    parser.add_argument("--all", action="store_true", help="list resolved ones, too")
    parser.set_defaults(command=review)


def review(given: argparse.Namespace) -> int:
    """Store the given verdicts or list what waits; then print the precision of each label."""
    import getpass

    from flows.batch.review import agreement, precision, queue, resolve, teach, withdraw
    from flows.ledger.ledger import Ledger
    from tools.core.errors import ArgumentsInvalid

    ledger = Ledger.open_existing(given.run)
    try:
        who = getpass.getuser()
        for number in given.accept:
            resolve(ledger, number, "accepted", who=who)
        for number in given.reject:
            resolve(ledger, number, "rejected", who=who)
        for number, label in given.correct:
            if not number.isdecimal() or len(number) > 18:
                raise ArgumentsInvalid("review", [f"--correct takes a number and a label, not {shown(number)}"])
            resolve(ledger, int(number), "corrected", label, who)
        for number in given.withdraw:
            withdraw(ledger, number, who)
        if given.teach:
            teach(ledger, examples_of_user())
            say("The planner sees the plan of this run as an example from now on.")
        if not (given.accept or given.reject or given.correct or given.withdraw or given.teach):
            for one in queue(ledger, given.label, given.reason, given.all, given.limit):
                moved = " (moved)" if one.shape else ""
                verdict = f"  {one.verdict} {one_line(one.correct)}".rstrip() + moved
                say(
                    f"{one.id:6}  {one.score:.2f}  {one_line(one.label):20}  {one.reason:5}  {one_line(one.item)} "
                    f"({one_line(one.step)}){verdict}"
                )
        for label in precision(ledger):
            say(
                f"{one_line(label.label)}: {label.right} of {label.audited} audited finds right, "
                f"{label.low:.0%} to {label.high:.0%} (95 %)"
            )
        judged, same = agreement(ledger)
        if judged:
            say(f"{judged} finds were judged by several people, {same} of them alike")
    finally:
        ledger.close()
    return 0
