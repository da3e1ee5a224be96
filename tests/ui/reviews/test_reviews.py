"""The review without a page: the queue, decisions, corrections, figures and keys, on small real runs."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image as Pil

from agents.examples.use import open_bank
from flows.batch.review import queue, resolve
from flows.items.source import SourceItem
from flows.ledger.ledger import Ledger
from flows.ledger.review_pages import Filter
from superlink.cli import main
from tests.flows.conftest import FIND, raw_sql
from tests.ui.reviews.conftest import ALL, Reviewer, make_run
from tools import Video
from tools.core.errors import SuperlinkError
from tools.core.settings import settings
from ui.access.owners import Files
from ui.batches.runs import Runs
from ui.reviews import keys as keyboard
from ui.reviews.desk import key_of
from ui.reviews.figures import figures
from ui.reviews.html import figures_html, head_html, strip_html
from ui.reviews.keys import KeyRefused
from ui.reviews.pointing import asked as points_of
from ui.reviews.queue import Queue
from ui.tabs.review import ReviewTab, _tick
from ui.tabs.review_runs import Desks

BAND = 6  # the lower halves


def coco(run: Path) -> list[dict[str, Any]]:
    """What an export has."""
    assert main(["export", str(run), "coco"]) == 0
    from pycocotools.coco import COCO

    found = COCO(str(run / "coco" / "annotations.json"))
    return list(found.loadAnns(found.getAnnIds()))


# The queue


def test_uncertain_finds_come_first_then_the_random_sample(reviewer: Reviewer) -> None:
    ann = reviewer()
    seen = [ann.look.entry]
    while (following := ann.desk.step(ann.number, ALL, "next")) is not None:
        seen.append(ann.go(following).entry)
    assert [one.reason for one in seen] == sorted((one.reason for one in seen), reverse=True)
    assert len(seen) > BAND and [one.score for one in seen[:BAND]] == sorted(one.score for one in seen[:BAND])
    assert (ann.look.place.number, ann.look.place.total) == (len(seen), len(seen))
    back = []
    while (previous := ann.desk.step(ann.number, ALL, "previous")) is not None:
        back.append(ann.go(previous).entry.id)
    assert back == [one.id for one in reversed(seen[:-1])] and ann.look.place.number == 1


def test_filters_position_and_the_next_open_one(reviewer: Reviewer) -> None:
    ann = reviewer()
    assert ann.desk.labels() == ["unten: ü", 'up & "over"']
    first = ann.number
    ann.desk.accept(first)
    second = ann.desk.step(first, ALL, "open")
    assert second == ann.desk.step(first, ALL, "next")
    which = Filter(label="unten: ü", state="open")
    assert ann.desk.first(which) == second
    look = ann.desk.look(first, which, {}, {})  # the filter leaves it out now, and its neighbours are still there
    assert look.place.number == 0 and look.entry in look.place.neighbours
    assert ann.desk.first(Filter(state="accepted")) == first and ann.desk.first(Filter(state="fixed")) is None
    over = ann.desk.first(Filter(least=0.6))
    assert over is not None and ann.go(over).entry.reason == "audit"
    assert ann.desk.first(Filter(reason="band", most=0.1)) is None
    assert ann.desk.first(Filter(state="mine", who="ben")) == first
    assert ann.desk.first(Filter(state="mine", who="ann")) == second
    with pytest.raises(SuperlinkError, match="no longer in the queue"):
        ann.desk.step(10**9, ALL, "next")


def test_a_long_queue_is_read_in_parts(home: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record_scan([SourceItem(f"{n}.png", f"/x/{n}.png", 1, "") for n in range(3000)])
    ids = ledger.pending("sig")
    ledger.settle([(number, "done", "", "") for number in ids], "sig")
    with ledger.writing():
        rows = [(n, "s1", "ab" * 32, 0, "cat", n % 97 / 97, "band" if n % 3 else "audit") for n in ids]
        ledger.review.add(rows)
    expected = sorted(ids, key=lambda n: (n % 3 == 0, n % 97 / 97, ids.index(n)))
    found = ledger.review.pages.after(None, ALL, 3000)
    assert [one.item for one in found] == expected
    one = found[1234]
    place = Queue(ledger).place(one, ALL)
    assert (place.number, place.total) == (1235, 3000)
    assert [n.item for n in place.neighbours] == expected[1232:1241]
    ledger.close()


# Decisions


def test_each_verdict_is_in_the_ledger_at_once(reviewer: Reviewer) -> None:
    ann = reviewer()
    first, second, third = (one.id for one in ann.look.place.neighbours[:3])
    ann.desk.accept(first)
    ann.desk.reject(second)
    other = Ledger.open_existing(ann.run)
    said = {one.id: one.verdict for one in queue(other, everything=True)}
    other.close()
    assert (said[first], said[second], said[third]) == ("accepted", "rejected", "")
    with pytest.raises(SuperlinkError, match="Nothing was changed here"):
        ann.desk.fix(third)


def test_a_second_key_at_the_same_look_is_no_second_word(reviewer: Reviewer) -> None:
    ann = reviewer()
    first, base = key_of(ann.shapes())
    second = ann.desk.step(first, ALL, "next")
    assert second is not None

    def accept() -> int:
        ann.desk.accept(first)
        return second

    def reject() -> int:
        raise AssertionError("twice")

    assert ann.desk.once(base, accept) == ann.desk.once(base, reject) == second
    look = ann.go(first)
    assert look.entry.verdict == "accepted" and key_of(ann.shapes())[1] > base
    assert " by you</span>" in head_html(look, ann.desk.who) and f" by {ann.desk.who}</span>" in head_html(look, "bob")
    # What could not be done does not count.
    base = key_of(ann.shapes())[1]
    with pytest.raises(AssertionError):
        ann.desk.once(base, reject)
    assert ann.desk.once(base, accept) == second


def test_undo_and_redo_across_finds(reviewer: Reviewer) -> None:
    ann = reviewer()
    first, second, third = (one.id for one in ann.look.place.neighbours[:3])
    ann.desk.accept(first)
    ann.desk.reject(second)
    ann.go(third)
    ann.edit(box=[5, 5, 50, 50], reshaped=True)
    ann.edit(box=[6, 6, 50, 50], reshaped=True)
    assert ann.desk.fix(third) == "corrected"
    # What was changed at a find and the verdict on it are one step.
    assert ann.desk.undo() == third and ann.state == "" and ann.own(ann.shapes())["state"] == ""
    assert ann.desk.undo() == second and ann.go(second).entry.verdict == ""
    assert ann.desk.redo() == second and ann.go(second).entry.verdict == "rejected"
    assert ann.desk.redo() == third and ann.go(third).entry.verdict == "corrected"
    assert ann.own(ann.shapes())["box"] == [6, 6, 50, 50] and ann.desk.redo() is None
    assert [ann.desk.undo() for _ in range(4)] == [third, second, first, None]
    assert ann.desk.figures().judged == 0
    # A new decision forgets what was taken back.
    ann.desk.accept(first)
    assert ann.desk.redo() is None


def test_changes_are_kept_as_they_are_made_and_taken_back_with_them(reviewer: Reviewer) -> None:
    ann = reviewer()
    before = ann.shapes()
    ann.edit(label="door")
    assert (ann.state, ann.look.entry.correct) == ("corrected", "door")
    assert not ann.desk.save(ann.shapes())  # nothing new
    assert ann.desk.save({**ann.shapes(), "shapes": before["shapes"]}) and ann.state == ""
    assert ann.desk.undo() is None  # nothing is left of it
    ann.edit(box=[1, 2, 60, 40], reshaped=True)
    # Another process, such as after a kill, goes on with the same.
    again = reviewer("ann")
    again.go(ann.number)
    own = again.own(again.shapes())
    assert own["box"] == [1, 2, 60, 40] and own["state"] == "changed" and own["score"] == 0.5
    assert again.desk.accept(ann.number) == "corrected"


def test_a_find_that_was_rejected_is_still_shown_when_it_is_its_turn(reviewer: Reviewer) -> None:
    ann = reviewer()
    ann.desk.reject(ann.number)
    shapes = ann.shapes() if ann.go(ann.number) else None
    assert ann.own(shapes)["state"] == ""
    other = next(one for one in shapes["shapes"] if one["id"] != shapes["focus"])
    other.update(label="sky", state="changed")
    assert ann.desk.save(shapes) and ann.state == "rejected"  # changing another one is no word on it
    ann.own(shapes).update(state="deleted")
    assert not ann.desk.save(shapes)
    ann.own(shapes).update(state="")
    assert ann.desk.save(shapes, undone=True) and ann.state == ""
    shapes = ann.shapes()
    ann.own(shapes).update(state="deleted")
    assert ann.desk.save(shapes) and ann.state == "rejected" and ann.desk.fix(ann.number) == "rejected"


# Corrections


def test_a_corrected_box_is_in_the_exports_as_human(reviewer: Reviewer) -> None:
    ann = reviewer()
    size = ann.shapes()["height"], ann.shapes()["width"]
    ann.edit(box=[10, 20, 70.5, 80], reshaped=True, label="door")
    shapes = ann.shapes() if ann.go(ann.number) else None
    new = {"id": "n1", "type": "box", "label": "hen", "score": None, "box": [3, 4, 33, 44], "state": "added"}
    shapes["shapes"].append(new)
    assert ann.desk.save(shapes) and not ann.desk.save(shapes)
    human = [one for one in coco(ann.run) if one.get("source") == "human"]
    assert [(one["bbox"], one["score"]) for one in human] == [([10, 20, 60.5, 60], 0.5), ([3, 4, 30, 40], 1)]
    assert size[0] > 80
    # It is shown again, can be changed once more, and goes when it is deleted.
    ann.go(ann.number)
    shapes = ann.shapes()
    added = next(one for one in shapes["shapes"] if one["state"] == "added")
    assert added["box"] == [3, 4, 33, 44] and added["label"] == "hen"
    added.update(box=[3, 4, 30, 40])
    assert ann.desk.save(shapes)
    assert [3, 4, 27, 36] in [one["bbox"] for one in coco(ann.run)]
    shapes["shapes"].remove(added)
    assert ann.desk.save(shapes)
    assert len([one for one in coco(ann.run) if one.get("source") == "human"]) == 1
    assert ann.desk.undo() == ann.number and len(coco(ann.run)) == 12


def test_a_mask_is_corrected_by_its_outline(reviewer: Reviewer, tmp_path: Path) -> None:
    ann = reviewer(run=make_run(tmp_path, FIND))
    shapes = ann.shapes()
    assert shapes["draw"] == ["box", "polygon", "brush"] and ann.own(shapes)["rings"]
    square = [[10, 10], [30, 10], [30, 30], [10, 30]]
    ann.edit(rings=[square], box=[10, 10, 30, 30], reshaped=True)
    ann.go(ann.number)
    assert not ann.desk.save(ann.shapes())  # the outline comes back as it was drawn
    [human] = [one for one in coco(ann.run) if one.get("source") == "human"]
    assert human["area"] == 400 and human["bbox"] == [10, 10, 20, 20]
    slope = [[10, 10], [70, 13], [40, 41], [12, 25]]  # its edges are stairs of pixels
    ann.edit(rings=[slope], box=[10, 10, 70, 41], reshaped=True)
    ann.go(ann.number)
    assert not ann.desk.save(ann.shapes())


def test_what_is_clicked_is_outlined_where_the_weights_are(
    reviewer: Reviewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = reviewer(run=make_run(tmp_path, FIND))
    said = ann.desk.outline(ann.number, [(1, 1, True)], 3)
    assert said["rings"] == [] and "superlink models pull" in said["said"]
    asked: list[Any] = []

    def square(pixels: Any, points: Any) -> Any:
        asked.append((pixels.shape, points))
        mask = np.zeros(pixels.shape[:2], bool)
        mask[10:30, 10:20] = points[0][2]
        return mask

    monkeypatch.setattr("ui.reviews.desk.outlining.outline", square)
    monkeypatch.setattr("ui.reviews.desk.outlining.is_here", lambda: True)
    assert ann.go(ann.number).shapes["draw"] == ["box", "polygon", "brush", "outline"]
    points, serial = points_of({"points": [[12.5, 20, True]], "serial": 4})
    answer = ann.desk.outline(ann.number, points, serial)
    assert (answer["serial"], answer["box"], answer["said"]) == (4, [10, 10, 20, 30], "")
    assert asked == [((ann.look.shapes["height"], ann.look.shapes["width"], 3), [(12.5, 20, True)])]
    ann.edit(rings=answer["rings"], box=answer["box"], reshaped=True)
    [human] = [one for one in coco(ann.run) if one.get("source") == "human"]
    assert human["area"] == 200 and human["bbox"] == [10, 10, 10, 20]
    assert ann.desk.outline(ann.number, [(1, 1, False)], 5)["rings"] == []
    with pytest.raises(SuperlinkError, match="no point"):
        points_of({"points": [[1]], "serial": 4})


def test_joints_are_moved(reviewer: Reviewer, tmp_path: Path) -> None:
    stand = {**FIND, "steps": [{"id": "s1", "tool": "stand", "args": {"image": "$image"}}]}
    run = make_run(tmp_path, stand, count=12)
    ann = reviewer(run=run)
    assert ann.look.entry.label == "person" and ann.shapes()["draw"] == ["joints"]
    joints = ann.own(ann.shapes())["joints"]
    joints[3] = [12, 34, 1]
    ann.edit(joints=joints, box=[1, 2, 100, 80], reshaped=True)
    ann.go(ann.number)
    assert not ann.desk.save(ann.shapes())
    human = [one for one in coco(ann.run) if one.get("source") == "human"]
    assert [one["keypoints"][9:12] for one in human] == [[12, 34, 2]] * len(human) and human
    assert len(human) < 12


def test_words_and_places_of_read_text(reviewer: Reviewer, tmp_path: Path) -> None:
    spell = {**FIND, "steps": [{"id": "s1", "tool": "spell", "args": {"image": "$image"}}]}
    ann = reviewer(run=make_run(tmp_path, spell))
    assert ann.look.segment is not None and ann.look.segment.text == "<EXIT>"
    assert not ann.desk.save_words(ann.number, "<EXIT>", None, None)
    assert ann.desk.save_words(ann.number, "EXIT", None, None) and ann.state == "corrected"
    ann.edit(box=[2, 2, 20, 20], reshaped=True)
    with pytest.raises(SuperlinkError, match="words are empty"):
        ann.desk.save_words(ann.number, " ", None, None)
    assert main(["export", str(ann.run), "jsonl"]) == 0
    lines = [json.loads(line) for line in (ann.run / "jsonl" / "items.jsonl").read_text().splitlines()]
    result = next(line["results"]["s1"][0] for line in lines if line["item"] == ann.look.entry.name)
    assert result["human"] == [1] and result["value"]["segments"][1]["text"] == "EXIT"
    assert result["value"]["segments"][1]["box"] == [2, 2, 20, 20]


def test_words_and_times_of_speech(reviewer: Reviewer, tmp_path: Path) -> None:
    import wave

    source = tmp_path / "sounds"
    source.mkdir()
    with wave.open(str(source / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(64000))
    tools = tmp_path / "say.py"
    tools.write_text(
        "from tools import Audio, Segment, Transcript, tool\n\n\n@tool\ndef say(audio: Audio) -> Transcript:\n"
        '    """Write down what is said."""\n    return Transcript((Segment("won two", 1, 2, score=0.5),), "en")\n'
    )
    from agents.plan.plan import Plan
    from flows.annotate import annotate
    from flows.batch.review import ReviewRouting

    plan = Plan.load({"steps": [{"id": "s1", "tool": "say", "args": {"audio": "$audio"}}], "outputs": ["$s1"]})
    run = tmp_path / "heard"
    routing = ReviewRouting(band=(0.4, 0.6), audit=0)
    annotate("", str(source), run, plan=plan, tools=[str(tools)], pilot=0, formats=["srt"], routing=routing)
    ann = reviewer(run=run)
    assert ann.look.segment is not None and ann.look.sound.endswith(".wav#t=1.00,2.00") and not ann.look.said
    assert ann.desk.save_words(ann.number, "one two", 0.5, 2)
    with pytest.raises(SuperlinkError, match="times must be"):
        ann.desk.save_words(ann.number, "one two", 3, 2)
    assert main(["export", str(run), "srt"]) == 0
    assert "00:00:00,500 --> 00:00:02,000\none two" in (run / "srt" / "a.srt").read_text()


def test_a_video_is_reviewed_frame_by_frame(reviewer: Reviewer, tmp_path: Path) -> None:
    frames = [np.full((64, 96, 3), 40, np.uint8) for _ in range(40)]
    for number, frame in enumerate(frames[30:], 30):
        frame[10:30, number : number + 20] = (0, 200, 0)
    source = tmp_path / "films"
    source.mkdir()
    (source / "a.mp4").write_bytes(Video.from_frames(frames, 10).to_bytes())
    glow = {**FIND, "steps": [{"id": "s1", "tool": "glow", "args": {"video": "$video"}}]}
    ann = reviewer(run=make_run(tmp_path, glow, source=source))
    number = ann.shapes()["frame"]
    assert number >= 30 and len(ann.shapes()["shapes"]) == 1
    picture = ann.shapes()["picture"].partition("=")[2]
    assert Pil.open(picture).convert("RGB").getpixel((number + 10, 20))[1] > 120  # type: ignore[index]
    shapes = ann.shapes()
    box = [1, 2, 11, 12]
    made = {"id": "n1", "type": "box", "label": "hen", "score": None, "box": box, "state": "added", "frame": number}
    shapes["shapes"].append(made)
    assert ann.desk.save(shapes)
    assert [one["label"] for one in ann.go(ann.number).shapes["shapes"]] == ["glow", "hen"]
    other = ann.desk.step(ann.number, ALL, "next") or ann.desk.step(ann.number, ALL, "previous")
    assert other is not None
    assert [one["label"] for one in ann.go(other).shapes["shapes"]] == ["glow"]  # of its own frame alone
    assert not ann.desk.save(ann.shapes())


@pytest.mark.parametrize(
    "change",
    [
        {"id": "0:99"},
        {"id": "1:0"},
        {"id": "q"},
        {"box": [1, 2], "reshaped": True},
        {"box": [500, 500, 600, 600], "reshaped": True},
        {"label": " "},
        {"type": "circle"},
    ],
)
def test_shapes_that_cannot_be_are_refused_and_nothing_is_lost(reviewer: Reviewer, change: dict[str, Any]) -> None:
    ann = reviewer()
    shapes = ann.shapes()
    ann.own(shapes).update({"state": "changed", **change})
    with pytest.raises(SuperlinkError):
        ann.desk.save(shapes)
    assert ann.desk.figures().judged == 0
    with pytest.raises(SuperlinkError, match="no find to judge"):
        ann.desk.save({**shapes, "key": "{}"})


def test_what_cannot_be_shown_is_said_and_can_be_skipped(reviewer: Reviewer) -> None:
    ann = reviewer()
    lost = ann.look.place.neighbours[1]
    (ann.run.parent / "pictures" / lost.name).unlink()
    look = ann.go(lost.id)
    assert "cannot be" in look.said and look.shapes["shapes"] == [] and look.shapes["key"]
    assert ann.desk.step(lost.id, ALL, "next") is not None
    assert [one.picture == "" for one in ann.desk.strip(lost.id, ALL).neighbours][:3] == [False, True, False]


def test_a_find_of_an_earlier_plan_is_said(reviewer: Reviewer) -> None:
    ann = reviewer()
    ann.desk.accept(ann.number)
    ledger = Ledger.open_existing(ann.run)
    raw_sql(ledger, "UPDATE works SET refs = replace(refs, ?, ?)", (ann.look.entry.sha256, "0" * 64))
    ledger.close()
    assert "worked again since" in ann.go(ann.number).said  # although it was read before


@pytest.mark.parametrize("inside", [True, False])
def test_runs_of_the_page_are_their_owners_and_shared_ones_for_everyone(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setenv("SUPERLINK_UI_ROOTS", str(shared))
    settings.cache_clear()
    runs = Runs(settings().home)
    record = runs.new("ada", "find the halves")
    run = make_run(tmp_path, count=3)
    place = record.folder if inside else shared / "run"
    shutil.copytree(run, place, dirs_exist_ok=True)
    page = tmp_path / "page"
    files = Files(page)
    context: Any = SimpleNamespace(folder=page, files=files)
    desks = Desks(context)
    ada = desks.open(str(place), "ada")
    assert ada is desks.open(str(place), "ada") and ada.who == "ada"
    picture = ada.look(ada.first(ALL) or 0, ALL, {}, {}).shapes["picture"].partition("=")[2]
    assert files.may_read(picture, "ada") and not files.may_read(picture, "bob")
    if inside:
        with pytest.raises(SuperlinkError, match="no such run"):
            desks.open(str(place), "bob")
        assert [folder for _, folder in desks.choices("ada")] == [str(place)] and desks.choices("bob") == []
    else:
        bob = desks.open(str(place), "bob")
        bob.accept(bob.first(ALL) or 0)
        assert files.may_read(picture, "bob") and bob is not ada
        bob.close()
    for outside in ("/etc", str(tmp_path / "run"), "", "s3://bucket/run", str(shared / ".." / "run")):
        with pytest.raises(SuperlinkError):
            desks.open(outside, "ada")
    ada.close()


# Teaching the planner


def test_the_planner_is_taught_only_by_a_tick_and_each_person_teaches_their_own(
    reviewer: Reviewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERLINK_EXAMPLES", "similar")
    monkeypatch.setenv("SUPERLINK_UI_ROOTS", str(tmp_path))
    settings.cache_clear()
    run, bank = reviewer().run, open_bank()
    context: Any = SimpleNamespace(folder=tmp_path / "page", files=Files(tmp_path / "page"))
    tab = ReviewTab(context, cast(Any, None))
    tab.note, tab.teach = cast(Any, "note"), cast(Any, "tick")
    ada, bob = (tab._desks.open(str(run), owner) for owner in ("ada", "bob"))
    ada.accept(ada.first(ALL) or 0)
    assert not bank.all() and not ada.is_taught(), "to judge a find teaches nothing"

    def tick(owner: str, wanted: bool) -> Any:
        number = json.dumps({"run": str(run), "find": ada.first(ALL), "base": 1})
        monkeypatch.setattr("ui.tabs.review.owner_of", lambda request: owner)
        return tab._teach(cast(Any, None), wanted, {"key": number}, None, "All", "All", "All labels", 0, 1)["tick"]

    assert tick("ada", True) is True and ada.is_taught() and not bob.is_taught()
    assert [(one.origin, one.who, one.owner, one.demonstration.request) for one in bank.all()] == [
        ("reviewed", "ada", "ada", "find the bright parts")
    ]
    assert tick("bob", True) is True and tick("ada", False) is False and [one.owner for one in bank.all()] == ["bob"]
    assert main(["review", str(run), "--teach"]) == 0
    assert [one.owner for one in bank.all()] == ["bob", ""]
    ada._examples = None  # as where they are switched off
    assert tick("ada", True) is False and _tick(ada)["interactive"] is False and _tick(bob)["value"] is True
    ada.close()
    bob.close()


# Figures and pictures


def test_two_people_and_the_figures(reviewer: Reviewer) -> None:
    ann, ben = reviewer("ann"), reviewer("ben")
    first, second = (one.id for one in ann.look.place.neighbours[:2])
    sampled = ann.desk.first(Filter(reason="audit", least=0.6))
    assert sampled is not None
    for number in (first, second, sampled):
        ann.desk.accept(number)
    ben.desk.reject(first)
    ben.desk.accept(second)
    found = ben.desk.figures()
    assert found.agreement == (2, 1) and found.states["Rejected"] == 1 and found.judged == 3
    assert [(one.label, one.right, one.audited) for one in found.precision] == [('up & "over"', 1, 1)]
    assert ben.desk.undo() == second and ben.desk.undo() == first
    assert ben.desk.figures().agreement == (0, 0) and ann.go(first).entry.verdict == "accepted"
    page = figures_html(found)
    assert "up &amp; &#34;over&#34;" in page and "2 judged by several people, 1 alike (50 %)" in page


def test_pace_is_of_the_last_minutes(reviewer: Reviewer) -> None:
    ann = reviewer()
    ledger = Ledger.open_existing(ann.run)
    ids = [one.id for one in queue(ledger)][:4]
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for seconds, number in zip((3000, 30, 15, 0), ids, strict=True):
        resolve(ledger, number, "accepted", who="ann")
        time = (now - timedelta(seconds=seconds)).isoformat(timespec="seconds")
        with ledger.writing():
            ledger.review.decide(number, "accepted", "", "ann", time)
    assert figures(ledger, "ann", lambda: now).pace == 4
    assert figures(ledger, "ben", lambda: now).pace is None
    ledger.close()


def test_neighbours_and_pictures_that_come_next(reviewer: Reviewer) -> None:
    ann = reviewer()
    strip = ann.desk.strip(ann.number, ALL)
    files = [Path(one.picture.partition("=")[2]) for one in strip.neighbours]
    assert len(files) == 7 and all(Pil.open(file).width <= 112 for file in files)
    following = ann.desk.step(ann.number, ALL, "next")
    assert following is not None and strip.upcoming[0] == ann.go(following).shapes["picture"]
    html = strip_html(strip, ann.number)
    assert html.count("<button") == 7 and html.count('aria-current="true"') == 1
    assert "unten: ü" in head_html(ann.look)


# Keys


def test_keys_can_be_changed_but_not_taken_from_others() -> None:
    keys = keyboard.changed({}, "accept", "Y")
    assert keyboard.commands(keys)["y"] == "accept" and "a" not in keyboard.commands(keys)
    keys = keyboard.changed(keys, "box", "a")  # free now
    assert keyboard.editor_keys(keys)["box"] == "a"
    for action, key in (
        ("reject", "y"),
        ("reject", "g"),
        ("reject", "5"),
        ("reject", "/"),
        ("reject", ""),
        ("fix", "ab"),
    ):
        with pytest.raises(KeyRefused):
            keyboard.changed(keys, action, key)
    # What a browser kept may be of another version, or changed by hand.
    kept = {"accept": "y", "gone": "q", "fix": 3, "reject": "y", "skip": "tab"}
    assert keyboard.checked(kept) == {"accept": "y"}
    assert {said: key for key, said in keyboard.listed(keys)}["Accept: it is right"] == "Y"
