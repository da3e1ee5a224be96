"""Runs whose folders were moved, and stores that cannot be used."""

import shutil
from pathlib import Path

import pytest

from agents.plan.plan import Plan
from flows.annotate import annotate
from flows.batch.folder_lock import AnnotateError
from flows.items.run_files import LEDGER
from flows.ledger.ledger import Ledger
from superlink.cli import main
from tests.flows.conftest import DARKEN, TOOLS, annotate_command, make
from tools.core.errors import StoreUnusable
from tools.core.settings import settings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make(tmp_path / "project" / "photos", 3)
    return tmp_path / "project"


def command(project: Path, *more: str, source: str = "photos") -> int:
    return main(annotate_command(project / source, project / "out", "--pilot", "0", "--format", "mirror", *more))


def test_a_run_that_was_moved_goes_on(
    home: Path, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(project) == 0
    moved = project.rename(project.with_name("moved"))
    capsys.readouterr()
    # Together with its source: nothing need be said, and exports find the pictures before the next scan.
    assert main(["export", str(moved / "out"), "report"]) == 0
    assert command(moved) == 0
    assert "3 of 3 done, 0 failed" in (output := capsys.readouterr().out) and "(0 calls run, 0 reused)" in output
    # The source alone.
    (moved / "photos").rename(moved / "pictures")
    assert command(moved, source="pictures") == 1
    assert f"--relocate if those files are now at {moved / 'pictures'}" in capsys.readouterr().err
    assert command(moved, "--relocate", source="pictures") == 0
    assert "(0 calls run, 0 reused)" in capsys.readouterr().out
    assert command(moved, source="pictures") == 0
    # The store, which goes with the home.
    shutil.move(home, home.with_name("elsewhere"))
    monkeypatch.setenv("SUPERLINK_HOME", str(home.with_name("elsewhere")))
    settings.cache_clear()
    capsys.readouterr()
    assert command(moved, source="pictures") == 1
    assert "where this run keeps its values, is not there. Put it back, or give --relocate" in capsys.readouterr().err
    assert command(moved, "--relocate", source="pictures") == 0
    assert "(0 calls run, 0 reused)" in capsys.readouterr().out


def test_another_source_is_refused(home: Path, project: Path) -> None:
    assert command(project) == 0
    other = make(project.parent / "other", 1)
    with pytest.raises(AnnotateError, match="holds a run over .*photos.*Give another folder with --out"):
        annotate("", str(other), project / "out", plan=Plan.load(DARKEN), tools=[TOOLS])


def test_an_unusable_store_is_found_before_the_first_item(home: Path, project: Path, tmp_path: Path, log: Path) -> None:
    (tmp_path / "file").touch()
    given = {"plan": Plan.load(DARKEN), "tools": [TOOLS], "pilot": 0}
    with pytest.raises(StoreUnusable, match="The store .* cannot be written"):
        annotate("", str(project / "photos"), project / "out", store=str(tmp_path / "file" / "store"), **given)  # type: ignore[arg-type]
    ledger = Ledger.open_existing(project / "out")
    assert ledger.counts().keys() <= {"left"} and not ledger.failures() and not log.read_text()
    ledger.close()
    assert annotate("", str(project / "photos"), project / "out", **given).done == 3  # type: ignore[arg-type]


def test_a_store_that_becomes_unusable_blames_no_item(home: Path, project: Path, tmp_path: Path) -> None:
    place = tmp_path / "store"

    def on_event(event: dict[str, object]) -> None:
        if event["event"] == "scan":
            shutil.rmtree(place)
            place.touch()

    given = {"plan": Plan.load(DARKEN), "tools": [TOOLS], "pilot": 0, "store": str(place)}
    with pytest.raises(Exception, match="The store .* cannot be written.*SUPERLINK_STORE"):
        annotate("", str(project / "photos"), project / "out", on_event=on_event, **given)  # type: ignore[arg-type]
    ledger = Ledger.open_existing(project / "out")
    assert ledger.counts() == {"left": 3}
    ledger.close()
    place.unlink()
    assert annotate("", str(project / "photos"), project / "out", **given).done == 3  # type: ignore[arg-type]


def test_the_store_of_a_relative_setting_stays_where_it_was(
    home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERLINK_STORE", "values")
    settings.cache_clear()
    monkeypatch.chdir(project)
    assert command(project) == 0
    monkeypatch.chdir(project.parent)
    assert command(project) == 0 and not (project.parent / "values").exists()
    ledger = Ledger(project / "out" / LEDGER)
    assert ledger.fact("store") == str(project / "values")
    ledger.close()
