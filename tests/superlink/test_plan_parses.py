"""How often one command parses and serialises its plan: an upper bound, so that no part does it for itself again."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pil

import agents.plan.plan
from agents.plan.plan import Plan
from superlink.cli import main
from superlink.commands import annotate as annotate_command
from superlink.commands import run as run_command
from superlink.stopping import Stopping

OWN = str(Path(__file__).with_name("own_tools.py"))
TEXTS: list[dict[str, Any]] = [
    {"id": f"s{n}", "tool": "note", "args": {"text": text, "number": n}}
    for n, text in enumerate(("a", "$s1", "$s2"), 1)
]
IMAGES: list[dict[str, Any]] = [
    {"id": "s1", "tool": "flip", "args": {"image": "$image"}},
    {"id": "s2", "tool": "flip", "args": {"image": "$s1"}},
    {"id": "s3", "tool": "read_nothing", "args": {"image": "$s2"}},
]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts validations of plans, from JSON or from fields, and their serialisations."""
    found: Counter[str] = Counter()

    def count(owner: Any, name: str, what: str) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            # The tree of a plan writes single arguments as JSON, too.
            found[what] += what != "texts" or (isinstance(args[0], dict) and "steps" in args[0])
            return getattr(original, "__func__", original)(*args, **kwargs)

        monkeypatch.setattr(owner, name, classmethod(counted) if hasattr(original, "__func__") else counted)

    for name in ("model_validate", "model_validate_json", "__init__"):
        count(Plan, name, "parses")
    count(Plan, "model_dump", "objects")
    count(agents.plan.plan, "canonical_json", "texts")
    return found


@pytest.fixture(params=["a plan", "a planner"])
def command(
    request: pytest.FixtureRequest, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Gives a command, with its plan in a file or from a planner."""
    monkeypatch.setenv("OWN_TOOLS", str(tmp_path))
    monkeypatch.setattr(Stopping, "_start_watcher", lambda self: None)

    def start(steps: list[dict[str, Any]], *words: str) -> int:
        more = ["--tools", OWN, "--yes", "--out", str(tmp_path / "out")]
        if request.param == "a plan":
            (tmp_path / "plan.json").write_text(json.dumps({"steps": steps}))
            return main([*words, *more, "--plan", str(tmp_path / "plan.json")])

        class Fixed:
            def plan(self, asked: str, *given: Any) -> Plan:
                return Plan.load({"request": asked, "steps": steps})

        for module in (run_command, annotate_command):
            monkeypatch.setattr(module, "make_planner", lambda given: Fixed())
        return main([*words, *more])

    return start


def test_run(command: Callable[..., int], counts: Counter[str], tmp_path: Path) -> None:
    assert command(TEXTS, "run", "go") == 0
    assert (tmp_path / "log").read_text().split() == ["1", "2", "3"]
    assert 0 < counts["parses"] <= 4 and 0 < counts["objects"] <= 4 and 0 < counts["texts"] <= 4
    counts.clear()
    assert command(TEXTS, "run", "go") == 0  # nothing runs, the answer is printed again
    assert (tmp_path / "log").read_text().split() == ["1", "2", "3"]
    assert max(counts.values()) <= 4


def test_annotate(command: Callable[..., int], counts: Counter[str], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        Pil.new("RGB", (40, 30), (90 * number, 50, 50)).save(tmp_path / "in" / f"p{number}.png")
    assert command(IMAGES, "annotate", "go", str(tmp_path / "in")) == 0
    # One of seven is that of the plan as an example for later requests.
    assert 0 < counts["parses"] <= 7 and 0 < counts["objects"] <= 7 and 0 < counts["texts"] <= 7
