"""Runs over real files: faults, caching, resuming, budgets, approval, several processes."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image as Pil

from agents.plan.plan import Plan
from agents.session.policy import PlanDoubtful
from flows.annotate import annotate, approve_plan
from flows.batch.events import Callbacks, Event
from flows.batch.folder_lock import AnnotateError
from flows.batch.prepare import PlanRefused
from flows.batch.review import ReviewRouting
from flows.batch.shard import PlanUnfit, RunStopped, media_kind
from flows.batch.spec import RunSpec
from flows.batch.summary import Summary
from flows.ledger.ledger import Ledger
from superlink.cli import main
from tests.agents.fakes import Confident, Scripted, plan
from tests.flows.conftest import DARKEN, FIND, TOOLS, Run, make


def calls(log: Path, name: str) -> int:
    return log.read_text().split().count(name)


def test_a_bad_file_is_one_failed_row(run: Run, pictures: Path, tmp_path: Path) -> None:
    summary = run(pictures, shard=5)
    assert (summary.items, summary.done, summary.failed, summary.left) == (15, 12, 3, 0)
    reasons = {name: reason for name, reason, _ in summary.failures}
    assert (
        "empty" in reasons["bad0.jpg"] and "damaged" in reasons["bad1.jpg"] and "not a picture" in reasons["bad2.jpg"]
    )
    assert "bad1.jpg" in (tmp_path / "out" / "failures.txt").read_text()


def test_nothing_is_done_twice(run: Run, pictures: Path, log: Path) -> None:
    shutil.copy(pictures / "p0000.jpg", pictures / "twin.jpg")
    assert run(pictures).done == 13
    assert calls(log, "bright") == 12  # twins are worked once
    again = run(pictures)
    assert (again.ran, again.done) == (0, 13) and calls(log, "bright") == 12
    # Another last step, and then the first step is found again under the old one.
    assert run(pictures, DARKEN).ran == 12 and calls(log, "bright") == 12
    assert run(pictures, FIND).ran == 0


def test_a_changed_file_is_worked_again_and_a_missing_one_is_left_out(run: Run, pictures: Path, log: Path) -> None:
    run(pictures)
    shutil.copy(pictures / "p0001.jpg", pictures / "p0000.jpg")
    (pictures / "p0002.jpg").unlink()
    make(pictures.parent / "more", 14)
    shutil.copy(pictures.parent / "more" / "p0013.jpg", pictures / "p0013.jpg")
    summary = run(pictures)
    assert (summary.items, summary.done) == (15, 12)
    assert summary.ran == 1  # only p0013 has content that was not worked before


def test_retry_failed_runs_only_those(run: Run, pictures: Path, log: Path) -> None:
    run(pictures)
    before = calls(log, "bright")
    assert run(pictures).failed == 3
    summary = run(pictures, retry_failed=True)
    assert (summary.failed, calls(log, "bright")) == (3, before)
    make(pictures.parent / "more", 20)
    (pictures / "bad0.jpg").write_bytes((pictures.parent / "more" / "p0018.jpg").read_bytes())
    assert run(pictures).failed == 2


def test_another_version_of_a_tool_is_run_again(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.runtime.registry import file_tools

    run(pictures)
    bright = next(tool for tool in file_tools(Path(TOOLS)) if tool.name == "bright")
    monkeypatch.setattr(bright, "version", "2")
    assert run(pictures).ran == 12


def test_several_processes_give_the_same(run: Run, pictures: Path, tmp_path: Path) -> None:
    run(pictures, DARKEN, formats=["jsonl", "mirror"])
    both = run(
        pictures,
        DARKEN,
        formats=["jsonl", "mirror"],
        out=tmp_path / "two",
        workers=2,
        shard=4,
        store=str(tmp_path / "store two"),
    )
    assert both.ran == 24
    for name in ("jsonl/items.jsonl", "jsonl/provenance.json", "mirror/sub/p0003.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_list_mapped_within_an_item(run: Run, pictures: Path, tmp_path: Path) -> None:
    steps = [
        *FIND["steps"],
        {"id": "s2", "tool": "quarters", "args": {"image": "$image", "regions": "$s1"}},
        {"id": "s3", "tool": "bright", "args": {"image": "$s2"}},
    ]
    summary = run(pictures, {"steps": steps, "outputs": ["$s2", "$s3"]}, formats=["mirror", "jsonl"])
    assert summary.done == 12
    assert (tmp_path / "out" / "mirror" / "p0000_1.png").exists() and (
        tmp_path / "out" / "mirror" / "p0000_2.png"
    ).exists()
    line = json.loads((tmp_path / "out" / "jsonl" / "items.jsonl").read_text().splitlines()[0])
    assert len(line["results"]["s3"]) == 2


def test_budgets_stop_between_shards(run: Run, pictures: Path) -> None:
    summary = run(pictures, shard=4, budget=["0.001MB"], formats=[])
    assert "MB" in summary.stopped and summary.left > 0
    assert run(pictures, formats=[]).left == 0


def test_pilot_forecast_and_approval(run: Run, pictures: Path, tmp_path: Path) -> None:
    asked = []
    with pytest.raises(PlanRefused):
        run(pictures, pilot=4, approve=lambda plan, forecast: asked.append(forecast) or False)
    (forecast,) = asked
    assert (forecast.pilot, forecast.items) == (4, 11) and forecast.seconds > 0 and forecast.sheet.exists()
    assert run(pictures, pilot=4, approve=lambda plan, forecast: True).done == 12
    # Approved once, this plan is not asked about again.
    assert run(pictures, retry_failed=True, approve=lambda plan, forecast: False).failed == 3


def test_missing_weights_stop_the_run(run: Run, pictures: Path) -> None:
    plan = {"steps": [{"id": "s1", "tool": "pose", "args": {"image": "$image"}}], "outputs": ["$s1"]}
    with pytest.raises(RunStopped, match="yolo26n-pose"):
        run(pictures, plan)


def test_a_vanished_file_and_one_that_is_changed_underneath(run: Run, pictures: Path) -> None:
    listed = pictures / "list.txt"
    listed.write_text("p0000.jpg\n# not this one\nno-such.jpg\nsub/p0003.jpg\n")
    summary = run(listed)
    assert (summary.done, [name for name, _, _ in summary.failures]) == (2, ["no-such.jpg"])


def test_a_full_disk_stops_the_run_and_leaves_it_resumable(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from tools.storage.store import Store

    whole = Store._write
    left = [4]

    def write(self: Store, *args: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "_write", write)
    with pytest.raises(RunStopped, match="disk is full"):
        run(pictures, DARKEN, shard=4)
    monkeypatch.setattr(Store, "_write", whole)
    assert (run(pictures, DARKEN).done, run(pictures, DARKEN).failed) == (12, 3)


def test_one_run_for_one_folder(run: Run, pictures: Path, tmp_path: Path) -> None:
    run(pictures)
    with pytest.raises(AnnotateError, match="holds a run over"):
        run(make(tmp_path / "other", 1))


def test_plans_for_many_files_work_on_one() -> None:
    assert media_kind(Plan.load(DARKEN)) == "image"
    with pytest.raises(PlanUnfit, match="no file"):
        media_kind(Plan.load({"steps": [{"id": "s1", "tool": "generate", "args": {"prompt": "a cat"}}]}))


def test_review_queue_verdicts_and_precision(run: Run, pictures: Path, tmp_path: Path) -> None:
    from flows.batch.review import ReviewError, precision, queue, resolve

    run(pictures, routing=ReviewRouting(band=(0, 0.4), audit=0.5), formats=["coco"])
    before = json.loads((tmp_path / "out" / "coco" / "annotations.json").read_text())
    ledger = Ledger.open_existing(tmp_path / "out")
    waiting = list(queue(ledger))
    audited = [one for one in waiting if one.reason == "audit"]
    assert audited and all(one.score < 0.4 for one in waiting if one.reason == "band")
    resolve(ledger, audited[0].id, "rejected", who="ann")
    resolve(ledger, audited[1].id, "corrected", "window", who="ann")
    for one in audited[2:]:
        resolve(ledger, one.id, "accepted", who="ann")
    with pytest.raises(ReviewError):
        resolve(ledger, 10_000, "accepted")
    found = precision(ledger)
    assert sum(one.audited for one in found) == len(audited) and all(
        one.low <= one.right / one.audited <= one.high for one in found
    )
    ledger.close()
    assert main(["export", str(tmp_path / "out"), "coco"]) == 0
    after = json.loads((tmp_path / "out" / "coco" / "annotations.json").read_text())
    assert len(after["annotations"]) == len(before["annotations"]) - 1
    assert "window" in [category["name"] for category in after["categories"]]
    provenance = json.loads((tmp_path / "out" / "coco" / "superlink" / "provenance.json").read_text())
    assert {edit["verdict"] for edit in provenance["human_edits"]} == {"rejected", "corrected"}


def test_an_item_is_done_only_once_its_finds_are_in_the_queue(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    everything = ReviewRouting(audit=1.0)
    for name in ("enqueue", "Ledger.settle"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"flows.batch.shard.{name}", killed)
            run(pictures, routing=everything)
    assert run(pictures, routing=everything).ran == 0
    ledger = Ledger.open_existing(tmp_path / "out")
    found = {row[0] for row in ledger.review.rows()}
    assert len(found) == ledger.counts()["done"]
    ledger.close()


def test_the_command(home: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(DARKEN))
    out = tmp_path / "out"
    common = ["annotate", "", str(pictures), "--out", str(out), "--plan", str(plan), "--tools", TOOLS, "--pilot", "3"]
    assert main(common) == 1  # nobody can be asked
    assert "--yes" in capsys.readouterr().err
    assert main([*common, "--yes", "--format", "mirror", "--format", "coco"]) == 1
    output = capsys.readouterr().out
    assert "12 of 15 done, 3 failed" in output and "bad1.jpg" in output and (out / "pilot.png").exists()
    assert main(["review", str(out)]) == 0
    assert main(["export", str(out), "no-such"]) == 1
    assert main(["export", str(out), "jsonl", "--to", str(tmp_path / "to"), "--step", "s1"]) == 0


def test_without_request_or_plan(home: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanRefused):
        annotate("", str(pictures), tmp_path / "out")


def test_pages_that_were_not_worked_on_are_reported(
    home: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Pil.open(pictures / "p0000.jpg") as page:
        page.save(pictures / "scan.tiff", save_all=True, append_images=[page, page])
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(FIND))
    main(
        ["annotate", "", str(pictures), "--out", str(tmp_path / "out"), "--plan", str(plan), "--yes", "--tools", TOOLS]
    )
    assert "Only the first of several pages or frames was worked on in 1 items: scan.tiff" in capsys.readouterr().out


def test_a_changed_tools_file_is_worked_anew(home: Path, pictures: Path, tmp_path: Path) -> None:
    tools = tmp_path / "mine.py"
    tools.write_text(
        "from tools import Image, Number, tool\n\n\n@tool\ndef size(image: Image) -> Number:\n"
        '    """Measure it."""\n    return Number(image.width)\n'
    )
    plan = Plan.load(
        {"request": "x", "steps": [{"id": "s1", "tool": "size", "args": {"image": "$image"}}], "outputs": ["$s1"]}
    )

    def run() -> Summary:
        return annotate("", str(pictures), tmp_path / "out", plan=plan, tools=[str(tools)], pilot=0, formats=["jsonl"])

    assert run().ran == 12 and run().ran == 0
    tools.write_text(tools.read_text().replace("image.width", "-image.width"))
    assert run().ran == 12
    rows = (tmp_path / "out" / "jsonl" / "items.jsonl").read_text()
    assert '"value":-12' in rows and '"value":12' not in rows


def test_items_in_which_nothing_was_found_are_counted(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name, level in (("dark", 0), ("light", 250), ("black", 0)):
        Pil.new("RGB", (40, 30), (level,) * 3).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "plan.json").write_text(Plan.load(DARKEN | {"request": "blur the bright parts"}).dumps())
    command = [
        "annotate",
        "",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
        "--plan",
        str(tmp_path / "plan.json"),
    ]
    assert main([*command, "--yes", "--tools", TOOLS]) == 0
    output = capsys.readouterr().out
    assert "In 2 of 3 items nothing was found, and nothing was changed." in output
    assert 'Warning: the request says "blur", and no step does' in output
    cut = Plan.load(
        {
            "steps": [
                FIND["steps"][0],
                {"id": "s2", "tool": "quarters", "args": {"image": "$image", "regions": "$s1"}},
            ],
            "outputs": ["$s2"],
        }
    )
    cropped = annotate("", str(tmp_path / "in"), tmp_path / "cropped", plan=cut, tools=[TOOLS], pilot=0, formats=[])
    assert cropped.nothing_found == 2  # also where the first item has nothing
    looked = annotate(
        "", str(tmp_path / "in"), tmp_path / "looked", plan=Plan.load(FIND), tools=[TOOLS], pilot=0, formats=[]
    )
    assert looked.nothing_found == 0  # a plan that only looks changes nothing anyway


def test_a_folder_of_sound_and_video_is_planned_for_one_of_them(home: Path, tmp_path: Path) -> None:
    import numpy as np

    from tools.values import Audio, Video

    tone = Audio(np.sin(np.arange(8000) / 15).astype(np.float32) / 2, 8000)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "talk.wav").write_bytes(tone.to_bytes())
    (tmp_path / "in" / "clip.mp4").write_bytes(
        Video.from_frames((np.full((32, 48, 3), n, np.uint8) for n in range(5)), 10, tone).to_bytes()
    )
    planner = Scripted([plan(("both", {}))] * 9)
    tools = tmp_path / "mine.py"
    tools.write_text(
        "from superlink import Audio, Number, Video, tool\n\n\n@tool\ndef both(audio: Audio | Video) -> Number:\n"
        '    """Measure it."""\n    return Number(audio.seconds)\n'
    )
    summary = annotate(
        "measure it", str(tmp_path / "in"), tmp_path / "out", planner=planner, tools=[str(tools)], pilot=0, formats=[]
    )
    assert (summary.items, summary.done) == (2, 2)


def test_calls_of_the_pilot_are_counted(run: Run, pictures: Path) -> None:
    summary = run(pictures, pilot=4)
    assert summary.forecast is not None and summary.forecast.ran == 4 - summary.forecast.failed and summary.ran == 12


def test_a_doubtful_plan_is_not_worked_before_a_person_has_looked(pictures: Path, tmp_path: Path, log: Path) -> None:
    def planner() -> Confident:
        return Confident([plan(("bright", {}))] * 9)

    what, events = {"tools": [TOOLS], "pilot": 2}, list[Event]()
    args = ("find the bright parts", str(pictures), tmp_path / "out")
    for _ in range(2):  # the second time, the plan is that of the ledger
        with pytest.raises(PlanDoubtful, match="only 30 % sure"):
            annotate(*args, planner=planner(), on_event=events.append, **what)
    assert calls(log, "bright") == 0
    shown = [event for event in events if event["event"] == "plan"]
    assert all("30 % sure" in event["sure"] and "looked" in event["doubt"] for event in shown) and len(shown) == 2
    with pytest.raises(PlanRefused):
        annotate(*args, planner=planner(), approve=lambda plan, forecast: False, **what)
    assert calls(log, "bright") == 2  # the pilot that the person looked at
    assert annotate(*args, planner=planner(), approve=lambda plan, forecast: True, **what).done == 12
    assert annotate(*args, planner=planner(), **what).done == 12  # it was approved here
    spec = RunSpec.load({"request": args[0], "source": args[1], "out": tmp_path / "schedule", "tools": [TOOLS]})
    with pytest.raises(PlanDoubtful):
        approve_plan(spec, Callbacks(planner()))
    looked: list[Plan] = []
    assert approve_plan(spec, Callbacks(planner(), look=lambda plan, forecast: not looked.append(plan))) == looked[0]
    given = annotate("", *args[1:2], tmp_path / "given", plan=looked[0], tools=[TOOLS], pilot=0)
    assert given.done == 12  # a plan that somebody hands over is theirs
