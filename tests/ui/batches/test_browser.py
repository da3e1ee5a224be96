"""A batch in a browser: files, plan, pilot, scores, run, export; with a run that is killed on the way."""

import contextlib
import json
import os
import re
import signal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

pytest.importorskip("gradio")

from tests.flows.conftest import DARKEN
from tests.flows.conftest import TOOLS as FINDING
from tests.ui.batches.conftest import Desk
from tests.ui.served import served
from tests.waiting import WAIT
from tools.runtime.registry import load
from ui.access.login import LOCAL
from ui.batches.process import process_of


@pytest.mark.walk
def test_source_plan_pilot_run_export(browser: Any, desk: Desk, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT * 1000)
    (tmp_path / "plan.json").write_text(json.dumps(DARKEN))
    with served(tmp_path / "page", more=load([FINDING], entry_points=False)) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(WAIT * 1000)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
        page.goto(address)
        page.get_by_role("tab", name="Batch").click()
        folder = page.locator("#batch-folder").locator("textarea, input")
        seen, state = page.locator("#batch-seen"), page.locator("#run-state")

        for wrong, said in (("/etc", "outside of the folders"), (str(tmp_path / "nowhere"), "no file or folder")):
            folder.fill(wrong)
            folder.press("Enter")
            expect(seen).to_contain_text(said)
            expect(page.locator("#batch-to-plan")).to_be_disabled()
        folder.fill(str(desk.photos))
        folder.press("Enter")
        expect(seen).to_contain_text("3 of 15 opened cannot be read")
        page.locator("#batch-to-plan").click()
        page.get_by_label("From a file").check()
        page.locator("#batch-plan-file input[type=file]").set_input_files(tmp_path / "plan.json")
        expect(page.locator("#batch-plan li")).to_have_count(2)
        page.locator("#batch-to-pilot").click()

        # Fewer items than a pilot has: all are worked, and still nothing is exported before a person has looked.
        expect(page.locator("#pilot-sheet img")).to_have_count(12)
        expect(page.locator("#pilot-sheet")).to_contain_text("3 of 15 failed")
        [record] = desk.runs.all(LOCAL)
        assert not (record.folder / "jsonl").exists()
        counts, bar = page.locator("#pilot-counts"), page.get_by_role("slider", name=re.compile("right"))
        expect(counts).to_contain_text("right 12 of 12 kept")
        shown = page.locator("#pilot-sheet rect:visible").count()
        bar.focus()
        bar.press("End")
        expect(counts).to_contain_text("right 0 of 12 kept")
        expect(page.locator("#batch-run")).to_be_disabled()
        assert page.locator("#pilot-sheet rect:visible").count() == shown - 12
        page.locator("#batch-apply").click()
        expect(page.locator("#batch-apply")).to_be_hidden()
        expect(page.locator("#batch-run")).to_be_enabled()
        expect(counts).to_contain_text("right 0 of 12 kept")
        page.locator("#batch-run").click()
        expect(state).to_contain_text("Done: 12 of 15 done, 3 failed")
        expect(page.locator("#run-latest img")).to_have_count(12)
        expect(page.locator("#run-failures")).to_contain_text("is empty")
        assert "keep" in (record.folder / "jsonl/provenance.json").read_text()

        # A reload shows the same run, and one that is killed can go on.
        page.reload()
        page.get_by_role("tab", name="Batch").click()
        page.locator("#batch-runs label").first.click()
        expect(state).to_contain_text("Done: 12 of 15 done")
        page.locator("#run-retry").click()
        process = None
        while process is None and not state.get_by_text("Done:").count():
            process = process_of(desk.runs.get(record.id, LOCAL))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(desk.runs.get(record.id, LOCAL).pid, signal.SIGKILL)
        expect(page.locator("#run-resume")).to_be_visible()
        page.locator("#run-resume").click()
        expect(state).to_contain_text("Done: 12 of 15 done")

        page.locator("#run-export").get_by_role("button", name="Export").click()
        page.get_by_label("JSONL").check()
        page.locator("#run-zip").click()
        with page.expect_download() as download:
            page.locator("#run-download a").click()
        assert {name.split("/")[0] for name in ZipFile(download.value.path()).namelist()} == {"coco", "jsonl"}
        page.locator("#run-review").click()
        expect(page.get_by_role("tab", name="Review", exact=True)).to_have_attribute("aria-selected", "true")
        page.close()
    assert not complaints
