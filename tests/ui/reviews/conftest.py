"""Small runs to review."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")

from agents.plan.plan import Plan
from flows.annotate import annotate
from flows.batch.review import ReviewRouting
from flows.ledger.review_pages import Filter
from tests.flows.conftest import FIND, TOOLS, make
from ui.reviews.desk import Desk, Look

ALL = Filter()
HALVES: dict[str, Any] = {**FIND, "steps": [{"id": "s1", "tool": "halves", "args": {"image": "$image"}}]}
"""Two boxes in each picture: an upper half with the score 0.75, a lower one with 0.5."""


def make_run(folder: Path, plan: dict[str, Any] = HALVES, count: int = 6, source: Path | None = None) -> Path:
    """A run whose doubtful finds are those with a score from 0.4 up to below 0.6, with half of the others to audit."""
    source = source or make(folder / "pictures", count)
    out = folder / "run"
    routing = ReviewRouting(band=(0.4, 0.6), audit=0.5)
    annotate("", str(source), out, plan=Plan.load(plan), tools=[TOOLS], pilot=0, formats=["jsonl"], routing=routing)
    return out


class Person:
    """Somebody who reviews a run."""

    def __init__(self, run: Path, who: str, pictures: Path) -> None:
        self.desk, self.run = Desk(run, who, pictures), run
        first = self.desk.first(ALL)
        assert first is not None
        self.look: Look = self.go(first)

    def go(self, number: int) -> Look:
        self.look = self.desk.look(number, ALL, {}, {})
        return self.look

    @property
    def number(self) -> int:
        return self.look.entry.id

    @property
    def state(self) -> str:
        return self.go(self.number).entry.verdict

    def shapes(self) -> Any:
        """The component's value after its way to the browser and back."""
        return json.loads(json.dumps(self.look.shapes))

    def own(self, shapes: Any) -> Any:
        """The shape of the find under review."""
        return next(one for one in shapes["shapes"] if one["id"] == shapes["focus"])

    def edit(self, **changes: Any) -> Any:
        """Change the find's shape as the editor does, and have that kept."""
        shapes = self.shapes()
        self.own(shapes).update({"state": "changed", **changes})
        assert self.desk.save(shapes)
        return shapes


Reviewer = Callable[..., Person]


@pytest.fixture
def reviewer(home: Path, tmp_path: Path) -> Iterator[Reviewer]:
    """Makes people who review a run, by default one of six pictures with two boxes each."""
    made: list[Person] = []

    def start(who: str = "ann", run: Path | None = None) -> Person:
        folder = run or (made[0].run if made else make_run(tmp_path))
        made.append(Person(folder, who, tmp_path / "page" / "reviews"))
        return made[-1]

    yield start
    for person in made:
        person.desk.close()
