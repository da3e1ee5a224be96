"""Eight people at once."""

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .browser import Walk, percentile
from .material import photographs
from .suite import Suite

PEOPLE = 8
MEMORY = 1300
"""The most MB that the page's process may have."""
_REQUESTS = (
    "blur every face",
    "count the people",
    "cut out the person",
    "find every cat",
    "pixelate every face",
    "find the joints of every person",
)


@dataclass
class Person:
    """One of them, and what became of their requests."""

    walk: Walk
    picture: Path
    asked: int = 0
    refused: int = 0
    began: float = 0.0
    planned: bool = False
    decided: bool = False
    plans: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def go_on(self, more: bool) -> bool:
        """Do what the page waits for; returns whether there is something left to wait for."""
        walk = self.walk
        if self.began and walk.turns < self.asked:
            # These eight are one user, who may have four requests in line; words that are refused stay in the box.
            if "of your requests wait" in walk.note:
                self.refused += 1
                walk.page.locator("#request textarea").press("Enter")
            return True
        stage = walk.stage
        if self.began and not self.planned and stage in ("approval", "running", "idle"):
            self.plans.append(time.perf_counter() - self.began)
            self.planned = True
        if stage == "approval":
            if not self.decided:  # the page shows the buttons until the server has answered
                self.decided = True
                walk.page.locator("#run" if walk.page.locator("#run").is_enabled() else "#reject").click()
            return True
        if stage not in ("new", "idle"):
            return True
        if self.began:
            self._check()
            self.began = 0.0
        if not more:
            return False
        if self.asked == 0:
            walk.attach(self.picture)
        self.began, self.planned, self.decided = time.perf_counter(), False, False
        walk.say(_REQUESTS[(self.asked + int(self.picture.stem.split("_")[1])) % len(_REQUESTS)])
        self.asked += 1
        return True

    def _check(self) -> None:
        """What the turn was given, and each of its steps, has to come from this person's picture."""
        status = self.walk.status
        if status in ("Failed", "Partly done"):
            self.faults.append(
                f"{self.picture.name}, turn {self.asked}: {self.walk.state()['answers'][-1:]} ({status})"
            )
            return
        if status == "Rejected":
            return
        record = self.walk.record()
        mine = hashlib.sha256(self.picture.read_bytes()).hexdigest()
        self.known.add(mine)
        given = record["given"]["image"]["sha256"]
        if given != mine:
            self.faults.append(f"{self.picture.name}: the record is about another picture")
        for step in record["steps"]:
            refs = _refs(step.get("refs"))
            inputs = {one for ref in refs for one in ref["provenance"]["inputs"]}
            if not inputs <= self.known:
                self.faults.append(f"{self.picture.name}, turn {self.asked}: {step['tool']} had a foreign input")
            self.known |= {ref["sha256"] for ref in refs}


def _refs(found: Any) -> list[dict[str, Any]]:
    return [] if not found else found if isinstance(found, list) else [found]


def together(suite: Suite) -> None:
    """Eight sessions with mixed requests for some minutes, and the reaction to Enter while others are at work."""
    pictures = photographs(suite.folder / "together", PEOPLE)
    people = [Person(suite.visit().ready(), picture) for picture in pictures]
    end = time.monotonic() + suite.minutes * 60
    memory, reactions = 0.0, []
    waiting = list(people)
    while waiting and time.monotonic() < end + 300:
        for person in list(waiting):
            asked = person.asked
            if not person.go_on(more=time.monotonic() < end):
                waiting.remove(person)
            elif person.asked > asked:
                reactions.append(person.walk.reaction())
        memory = max(memory, suite.server.memory())
        time.sleep(0.1)
    faults = [fault for person in people for fault in person.faults]
    faults += [f"{person.picture.name}: still at work after 5 minutes" for person in waiting]
    asked = sum(person.asked for person in people)
    suite.table.correct(
        f"8 sessions, {suite.minutes:g} min: no error, no mixed values",
        "0 errors; each result's inputs belong to its session",
        faults,
        f"{asked} requests; {sum(person.refused for person in people)} said again, the line was full",
    )
    suite.table.timed("8 sessions: plan shown, p95", 12, percentile([one for person in people for one in person.plans]))
    suite.table.timed("8 sessions: Enter to first visible reaction, p95", 0.3, percentile(reactions))
    over = [] if memory <= MEMORY else [f"{memory:.0f} MB"]
    suite.table.correct("8 sessions: memory of the page's process", f"≤ {MEMORY} MB", over, f"{memory:.0f} MB")
