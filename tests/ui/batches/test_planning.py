"""Plans of runs: from words, a file, or a session; and what a schedule of one asks for."""

import json
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from agents.examples.bank import Example
from agents.examples.use import open_bank
from agents.plan.plan import PlanInvalid
from agents.planners.base import Demonstration
from flows.annotate import run_batch
from flows.batch.events import Callbacks
from flows.batch.spec import RunSpec
from flows.orchestration.times import ScheduleError
from superlink.cli import _parser
from superlink.commands.annotate import run_spec
from tests.agents.fakes import Scripted, picture, plan
from tests.flows.conftest import FIND, TOOLS
from tests.ui.batches.conftest import OWNER, Desk
from tools import Store
from tools.core.settings import settings
from tools.runtime.registry import load
from tools.weights.needs import Missing
from ui.access.owners import Files
from ui.batches import schedules
from ui.batches.desk import Desk as PageDesk
from ui.batches.planning import from_plan, from_words, tool_files
from ui.batches.runs import with_spec
from ui.context import Context


@pytest.fixture(scope="module")
def tools() -> dict[str, Any]:
    return load([TOOLS], entry_points=False)


def test_words_are_planned_for_single_files(tools: dict[str, Any]) -> None:
    draft = from_words("find the bright parts", ["image", "other"], tools, Scripted([plan(("bright", {}))]))
    assert draft.works and draft.plan is not None and draft.plan.steps[0].args == {"image": "$image"}
    assert tool_files(draft.plan, tools) == (TOOLS,)
    assert from_words(" ", ["image"], tools, Scripted([])).problems == ("Say what should happen to each file.",)
    nothing = from_words("sing", ["image"], tools, Scripted([plan()]))
    assert not nothing.works and "Nothing that the tools can do" in nothing.problems[0]


def test_a_plan_of_a_session_or_a_file_is_checked(tools: dict[str, Any], tmp_path: Path) -> None:
    assert from_plan(FIND, ["image"], tools).works
    (tmp_path / "plan.json").write_text(json.dumps(FIND))
    assert from_plan(tmp_path / "plan.json", ["image"], tools).works
    # Of a session: it uses a result of an earlier turn.
    later = from_plan(
        {"steps": [{"id": "s2", "tool": "darken", "args": {"image": "$image", "regions": "$s1"}}]}, ["image"], tools
    )
    assert not later.works and "s1" in later.problems[0]
    assert from_plan({"steps": []}, ["image"], tools).problems == ("The plan has no steps.",)
    with pytest.raises(PlanInvalid):
        from_plan("{", ["image"], tools)


def test_missing_weights_are_said_with_licence_and_size(tools: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    lack = Missing("yolo26n", "dog", "AGPL-3.0-only", 5_300_000, "superlink models pull yolo26n")
    monkeypatch.setattr(tools["bright"], "needs", lambda _: [])
    monkeypatch.setattr("agents.plan.preflight.missing", lambda needs: [lack])
    draft = from_plan(FIND, ["image"], tools)
    assert draft.missing == ("Step 1 needs yolo26n, AGPL-3.0-only, 5.3 MB, for “dog”.",)
    assert draft.lacking == ("yolo26n",) and not draft.works


def test_a_schedule_asks_for_what_was_approved(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(schedules, "_superlink", lambda *given: asked.append(list(given)) or "made")
    record = desk.runs.new(OWNER, "x")
    spec = desk.spec(record, plan=FIND, scores={"left": 0.5}, formats=["coco"])
    record = desk.runs.save(with_spec(record, spec))
    run_batch(spec, Callbacks(), pilot_only=True)
    with pytest.raises(ScheduleError, match="not approved"):
        schedules.create(record, "0 2 * * *", "UTC")
    run_batch(spec, Callbacks())
    with pytest.raises(ScheduleError, match="no schedule"):
        schedules.create(record, "0 2 * *", "UTC")
    assert schedules.create(record, "0 2 * * *", "Europe/Rome", "nightly") == "made"
    given = _parser().parse_args(asked[0])
    assert (given.cron, given.timezone, given.name, given.yes) == ("0 2 * * *", "Europe/Rome", "nightly", True)
    wanted = run_spec(given)
    assert wanted.plan is not None and [step.tool for step in wanted.plan.steps] == ["bright", "keep"]
    assert (wanted.source, wanted.out, wanted.tools, wanted.formats) == (spec.source, spec.out, spec.tools, ("coco",))
    assert schedules.preview("0 2 * * 1", "UTC").startswith("At 02:00 on Monday (UTC). Next: Mon ")


def test_a_run_names_the_examples_that_the_planner_saw_for_its_user(
    tools: dict[str, Any], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERLINK_EXAMPLES", "similar")
    monkeypatch.setenv("SUPERLINK_UI_ROOTS", str(tmp_path))
    settings.cache_clear()
    shown = Demonstration(["Image"], "tag it", [{"tool": "bright", "args": {}}])
    open_bank().add([Example(shown, "approved", "ada", owner="ada")])
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(picture().to_bytes())
    begun: list[RunSpec] = []
    monkeypatch.setattr("ui.batches.desk.start_pilot", lambda runs, number, owner, spec: begun.append(spec))
    folder = tmp_path / "page"
    planner = Scripted([plan(("bright", {}))] * 2)
    desk = PageDesk(Context(tools, planner, Store(tmp_path / "store"), InMemorySaver(), folder, Files(folder)))
    for owner in ("ada", "bob"):
        draft = desk.plan_words("tag this", ["image"], owner)
        assert draft.plan is not None
        desk.begin(owner, str(photos), draft.plan)
    assert [list(spec.demonstrations) for spec in begun] == [[shown.to_json()], []]
