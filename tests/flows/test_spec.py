"""What a run is asked to do, as one value."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents.plan.plan import Plan, PlanInvalid
from flows.annotate import annotate
from flows.batch.review import ReviewError, ReviewRouting
from flows.batch.spec import RunSpec, SpecInvalid
from flows.items.source import absolute_source
from flows.orchestration.approval import NotApproved, check, sign
from tests.flows.conftest import FIND, Run, make
from tools.core.errors import SettingsInvalid, SuperlinkError

CHANGES: dict[str, Any] = {
    "request": "find every cat",
    "source": "/elsewhere",
    "out": Path("/elsewhere"),
    "plan": None,
    "demonstrations": ({"id": "1", "have": [], "request": "x", "calls": []},),
    "chooser": "words",
    "scores": {"dog": 0.4},
    "tools": (),
    "pilot": 1,
    "shard": 2,
    "workers": 3,
    "runner": "ray",
    "retry_failed": True,
    "reason": "too dark",
    "limit": 4,
    "budget": ("3h",),
    "formats": None,
    "routing": ReviewRouting(seed=1),
    "store": "memory://values",
    "relocate": True,
}


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    (tmp_path / "own.py").touch()
    return RunSpec(
        source="/photos",
        out=Path("/out"),
        plan=Plan.load(FIND),
        tools=(str(tmp_path / "own.py"),),
        budget=("2h",),
        formats=("coco",),
        routing=ReviewRouting((0.1, 0.2), {"dog": (0.3, 0.4)}, 0.5, 6),
    )


def test_it_comes_back_from_json_as_it_was(spec: RunSpec) -> None:
    assert RunSpec.load(json.loads(json.dumps(spec.to_json()))) == spec
    assert CHANGES.keys() == RunSpec.model_fields.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_is_signed(home: Path, spec: RunSpec, name: str) -> None:
    signature = sign(spec.to_json())
    check(spec.to_json(), signature)
    with pytest.raises(NotApproved, match="Nobody approved"):
        check(spec.model_copy(update={name: CHANGES[name]}).to_json(), signature)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"shards": 3}, SpecInvalid, "shards = 3.*Its options are request, source, out"),
        ({"shard": 0}, SpecInvalid, "shard = 0: Input should be greater than 0"),
        ({"runner": "threads"}, SpecInvalid, "runner = 'threads'.*'processes' or 'ray'"),
        ({"source": None}, SpecInvalid, "source = None"),
        ({"budget": ["2 parsecs"]}, SettingsInvalid, "'2 parsecs' is no budget"),
        ({"plan": {"steps": 3}}, PlanInvalid, "is not a plan"),
        ({"routing": {"audit": 2}}, ReviewError, r"2\.0 is no share of finds"),
    ],
)
def test_what_no_run_can_have_is_refused(options: dict[str, Any], kind: type[SuperlinkError], message: str) -> None:
    with pytest.raises(kind, match=message):
        RunSpec.load({"source": "photos", "out": "out", **options})


def test_an_unknown_option_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid, match="plna"):
        annotate("find it", str(tmp_path), tmp_path / "out", plna=None)
    assert not (tmp_path / "out").exists()


def test_another_process_needs_no_working_folder(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sent = RunSpec(source="in", out=Path("out"), tools=("own.py",), plan=spec.plan).portable()
    assert (sent.source, sent.out, sent.tools) == (str(tmp_path / "in"), tmp_path / "out", (str(tmp_path / "own.py"),))
    assert sent.request == "find the bright parts"
    assert RunSpec(source="s3://bucket/photos", out=Path("out")).portable().source == "s3://bucket/photos"


def test_a_source_is_the_same_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real" / "photos").mkdir(parents=True)
    (tmp_path / "real" / "in").symlink_to("photos")
    (tmp_path / "out").symlink_to("real/photos")
    monkeypatch.chdir(tmp_path / "out")
    # The link keeps its name, and ".." is the folder above what a link leads to.
    assert absolute_source("../in") == str(tmp_path / "real" / "in")
    assert absolute_source(f"{tmp_path}/real/photos/../**/*.jpg") == f"{tmp_path}/real/**/*.jpg"
    assert absolute_source(str(tmp_path / "out")) == str(tmp_path / "out")
    assert absolute_source("..") == str(tmp_path / "real")
    assert absolute_source("s3://bucket/../photos") == "s3://bucket/../photos"


def test_a_run_goes_on_from_another_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "pictures", 2)
    out = tmp_path / "out"
    assert run(tmp_path / "pictures", formats=[], out=out).ran == 2
    monkeypatch.chdir(out)
    assert run("../pictures", formats=[], out=out).ran == 0
