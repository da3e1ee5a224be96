"""Plans of runs as examples: who approves one keeps it, and the record names those that its planner saw."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents.examples.bank import Bank, Example
from agents.examples.choose import Similar
from agents.examples.use import Examples
from agents.plan.plan import Plan
from agents.planners.backbone import RequestEncoder
from agents.planners.base import Demonstration
from flows.annotate import approve_pilot, approve_plan, run_batch
from flows.batch.events import Callbacks
from flows.batch.prepare import PlanRefused, keep_example
from flows.batch.provenance import provenance
from flows.batch.reading import Reading
from flows.batch.review import ReviewError, is_taught, teach
from flows.batch.spec import RunSpec, SpecInvalid
from flows.items.run_files import LEDGER
from flows.ledger.ledger import Ledger
from tests.agents.fakes import UNSURE, Confident, Scripted, plan
from tests.flows.conftest import DARKEN, FIND, TOOLS
from tools import Store

CALLS = [{"tool": "bright", "args": {}}, {"tool": "darken", "args": {}}]


@pytest.fixture
def examples(home: Path) -> Examples:
    return Examples(Bank(home / "examples.sqlite"), Similar(), RequestEncoder(), "ada")


def spec_of(pictures: Path, out: Path, **more: Any) -> RunSpec:
    return RunSpec.load({"source": str(pictures), "out": out, "tools": [TOOLS], **more})


def kept(examples: Examples) -> list[tuple[str, str, list[Any]]]:
    return [(one.demonstration.request, one.origin, one.demonstration.calls) for one in examples.bank.all()]


def test_a_plan_that_a_person_approves_is_kept_without_what_the_options_added(
    pictures: Path, tmp_path: Path, examples: Examples
) -> None:
    spec = spec_of(pictures, tmp_path / "out", plan=DARKEN, scores={"left": 0.5})
    with pytest.raises(PlanRefused):
        approve_plan(spec, Callbacks(approve=lambda plan, forecast: False, examples=examples))
    assert kept(examples) == []
    made = approve_plan(spec, Callbacks(approve=lambda plan, forecast: True, examples=examples))
    assert "keep" in made.tools
    assert kept(examples) == [("darken the bright parts", "approved", CALLS)]


def test_a_plan_that_nobody_looked_at_is_not_kept(pictures: Path, tmp_path: Path, examples: Examples) -> None:
    approve_plan(spec_of(pictures, tmp_path / "yes", plan=FIND), Callbacks(examples=examples))
    assert kept(examples) == []
    doubted = Confident([plan(("bright", {}))], UNSURE)
    spec = spec_of(pictures, tmp_path / "doubted", request="find what shines")
    approve_plan(spec, Callbacks(doubted, look=lambda plan, forecast: True, examples=examples))
    assert kept(examples) == [("find what shines", "approved", CALLS[:1])]


def test_the_pilot_that_a_person_approves_later_and_a_reviewed_run(
    pictures: Path, tmp_path: Path, log: Path, examples: Examples
) -> None:
    spec = spec_of(pictures, tmp_path / "out", plan=FIND, pilot=2)
    run_batch(spec, Callbacks(), pilot_only=True)
    approve_pilot(spec.out, Plan.load(FIND).hash, examples)
    assert kept(examples) == [("find the bright parts", "approved", CALLS[:1])]
    examples.bank.remove([one.id for one in examples.bank.all()])
    ledger = Ledger(spec.out / LEDGER)
    keep_example(ledger, None)
    assert kept(examples) == []
    assert not is_taught(ledger, examples)
    teach(ledger, examples)
    assert kept(examples) == [("find the bright parts", "reviewed", CALLS[:1])] and is_taught(ledger, examples)
    other = Examples(examples.bank, Similar(), RequestEncoder(), "eve", "eve")
    for wanted in (True, False, False):
        teach(ledger, other, wanted)
        assert is_taught(ledger, other) == wanted and is_taught(ledger, examples)
    teach(ledger, examples, wanted=False)
    assert kept(examples) == []
    with pytest.raises(ReviewError, match="switched off"):
        teach(ledger, None)
    ledger.set_facts(example=None)
    with pytest.raises(ReviewError, match="cannot be an example"):
        is_taught(ledger, examples)
    ledger.close()


def test_the_record_of_a_run_names_the_examples_that_its_planner_saw(
    pictures: Path, tmp_path: Path, log: Path, examples: Examples
) -> None:
    shown = Demonstration(["Image"], "tag it", [{"tool": "bright", "args": {}}])
    examples.bank.add([Example(shown, "added", "ada")])
    planner = Scripted([plan(("bright", {}))])
    spec = spec_of(pictures, tmp_path / "out", request="tag them", limit=1, pilot=0)
    made = approve_plan(spec, Callbacks(planner, examples=examples))
    scheduled = spec.model_copy(update={"plan": made})
    for again in (spec, scheduled):  # the plan is that of the ledger
        run_batch(again, Callbacks(planner, examples=examples))
        ledger = Ledger.open_existing(spec.out)
        said = provenance(Reading(ledger, Store(ledger.text("store")), ["Detections"]))
        ledger.close()
        assert planner.shown == [[shown]] and said["demonstrations"] == [shown.to_json()]
        assert said["chooser"] == "similar"


def test_a_plan_that_was_refused_is_made_anew_once_an_example_says_what_is_meant(
    pictures: Path, tmp_path: Path, examples: Examples
) -> None:
    planner = Scripted([plan(("bright", {})), plan(("bright", {}), ("darken", {}))])
    spec = spec_of(pictures, tmp_path / "out", request="tag them")
    no = Callbacks(planner, approve=lambda plan, forecast: False, examples=examples)
    for _ in range(2):
        with pytest.raises(PlanRefused):
            approve_plan(spec, no)
    assert planner.shown == [[]]
    shown = Demonstration(["Image"], "tag it", [{"tool": "bright", "args": {}}, {"tool": "darken", "args": {}}])
    examples.bank.add([Example(shown, "added", "ada")])
    yes = Callbacks(planner, approve=lambda plan, forecast: True, examples=examples)
    assert approve_plan(spec, yes).tools == ("bright", "darken") and planner.shown == [[], [shown]]
    examples.bank.remove([shown.id])
    assert approve_plan(spec, yes).tools == ("bright", "darken") and len(planner.shown) == 2, "it was approved"


def test_a_plan_of_a_file_brings_the_examples_that_its_planner_saw(
    pictures: Path, tmp_path: Path, examples: Examples
) -> None:
    shown = Demonstration(["Image"], "tag it", [{"tool": "bright", "args": {}}])
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({**FIND, "demonstrations": [shown.to_json()], "chooser": "words", "why": {}}))
    spec = spec_of(pictures, tmp_path / "out", plan=file)
    assert spec.demonstrations == (shown.to_json(),) and RunSpec.load(spec.to_json()) == spec
    assert spec.chooser == "words"
    assert spec_of(pictures, tmp_path / "out", plan=FIND).demonstrations == ()
    approve_plan(spec, Callbacks())
    ledger = Ledger.open_existing(spec.out)
    assert ledger.demonstrations == [shown] and ledger.text("chooser") == "words"
    ledger.close()
    file.write_text(json.dumps({**FIND, "demonstrations": 3}))
    with pytest.raises(SpecInvalid, match="demonstrations = 3"):
        spec_of(pictures, tmp_path / "out", plan=file)
