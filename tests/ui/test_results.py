"""What the page shows of results, without widgets: pictures, words, choices of a person, commands, archives."""

import io
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image as Pil

from agents.plan.plan import Plan
from agents.session.memory import close_saver, open_saver
from tests.agents.fakes import TOOLS, Scripted, plan
from tests.waiting import until
from tools import Detections, Image, Poses, Store, Text, Transcript, ValueInvalid, Video, tool
from tools.runtime.registry import file_tools
from tools.storage.store import Ref
from tools.values.transcript import Segment
from ui.access.access import Access
from ui.access.archive import archive, archive_url, archives
from ui.access.login import USER
from ui.access.visitors import _ROUTES
from ui.context import Context
from ui.results.downloads import NotRepeatable, repeat, write_plan
from ui.results.html import downloads_html, note_html
from ui.results.keeping import choice_of, keep
from ui.results.panes import panes_of
from ui.results.pictures import SIDE, Seen
from ui.results.preview import Previews, tracks
from ui.results.reading import Item, facts, read
from ui.results.sentences import sentences_of
from ui.turns.turns import Turns
from ui.turns.view import SessionView

DETECT = ("detect", {"labels": ["dog", "cat"]})
SCRIPT = "<script>alert(1)</script>"


@tool
def twice(images: list[Image]) -> list[Image]:
    """Give pictures back."""
    return images


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    access = Access.open(tmp_path / "page")
    yield access
    access.close()


@pytest.fixture
def turns(tmp_path: Path, store: Store, access: Access) -> Iterator[Any]:
    """Turns of a session on fakes; call with prepared plans."""
    saver = open_saver(tmp_path / "threads.sqlite")
    made: list[Turns] = []

    def make(*plans: Plan) -> Turns:
        tools = {**TOOLS, "twice": twice}
        made.append(Turns(Context(tools, Scripted(plans), store, saver, tmp_path / "page", access.files)))
        access.files.owner_of_thread = made[0].owner_of_thread
        return made[0]

    yield make
    for one in made:
        one.close()
    close_saver(saver)


def run(turns: Turns, thread: str, request: str, *files: Path) -> SessionView:
    """Run a request to its end; what waits is accepted."""
    turns.ask(thread, "ada", request, files)
    while True:
        for _ in turns.follow(thread, "ada", -1):
            pass
        view = turns.view(thread, "ada")
        if view.stage == "idle":
            return view
        assert view.stage == "approval", view.turn
        turns.decide(thread, "ada", {"action": "accept"})


def photo(folder: Path, name: str = "a b.png", value: int = 200) -> Path:
    Pil.fromarray(np.full((10, 12, 3), value, np.uint8)).save(folder / name)
    return folder / name


def at_hand(view: SessionView) -> dict[str, Any]:
    turn = view.turn
    assert turn is not None
    return {**turn.given, **{one.name: one.refs for each in view.turns for one in each.results}}


def test_results_know_their_pictures_also_those_of_earlier_requests(turns: Any, tmp_path: Path, store: Store) -> None:
    sessions = turns(plan(DETECT, ("blur", {})), plan(("count", {})), plan(("blur", {"image": "$image"})))
    thread = sessions.new_thread()
    view = run(sessions, thread, "blur them", photo(tmp_path))
    found, blurred = sorted(read(view.turn, at_hand(view)), key=lambda one: one.name)
    assert (found.items[0].look, found.final) == ("shapes", False)
    assert (blurred.items[0].look, blurred.final) == ("compare", True)
    assert facts(found) == "2 found: 1 × dog, 1 × cat."
    given = view.turn.given["image"]
    assert found.items[0].source == blurred.items[0].source == given
    view = run(sessions, thread, "count")
    assert [one.items[0].look for one in read(view.turn, at_hand(view))] == ["text"]
    view = run(sessions, thread, "fill them")
    [filled] = read(view.turn, at_hand(view))
    assert filled.items[0].look == "compare"


def test_what_a_person_keeps_of_shapes_is_used_next(turns: Any, tmp_path: Path, store: Store) -> None:
    sessions = turns(plan(DETECT), plan(("count", {})))
    thread = sessions.new_thread()
    view = run(sessions, thread, "find them", photo(tmp_path))
    [found] = read(view.turn, at_hand(view))
    [ref] = keep(found.items, 0.2, {"cat"}, store)
    made = ref.get("provenance")
    assert made is not None and made["tool"] == "person" and found.items[0].ref["sha256"] in made["inputs"]
    assert made["args"] == {"least_score": 0.2, "hidden_labels": ["cat"]}
    assert sessions.keep(thread, "ada", found.name, ref) == "kept"
    view = run(sessions, thread, "count them")
    assert store.get(view.turn.results[0].refs).text == "1"
    assert view.turn.given["kept"] == ref
    with pytest.raises(NotRepeatable, match="kept"):
        repeat(view.turns, 2, TOOLS)


def test_scores_are_compared_as_they_are_shown(store: Store) -> None:
    value = Detections([[0, 0, 5, 5]] * 2, ("a", "b"), [0.3, 0.29], (10, 10))
    [ref] = keep([Item(store.put(value), None, ())], 0.3, (), store)
    assert store.get(ref) == value.select([0])  # as float32, 0.3 is above 0.3
    people = Poses(np.ones((1, 17, 3)), [0.5], [[0, 0, 5, 5]], (10, 10))
    assert len(store.get(keep([Item(store.put(people), None, ())], 0.6, (), store)[0])) == 0  # type: ignore[arg-type]
    with pytest.raises(ValueInvalid, match="Text"):
        keep([Item(store.put(Text("x")), None, ())], 0, (), store)


@pytest.mark.parametrize(
    "wrong", [{}, {"threshold": float("nan")}, {"threshold": "high"}, {"threshold": 0.5, "hidden": 3}]
)
def test_a_choice_that_no_browser_of_ours_sends_is_refused(wrong: dict[str, Any]) -> None:
    assert choice_of({"threshold": 1, "hidden": ["cat"]}) == (1.0, {"cat"})
    with pytest.raises(ValueInvalid, match="lowest score|hidden labels"):
        choice_of(wrong)


def test_a_turn_is_one_command_with_the_steps_it_used_before(turns: Any, tmp_path: Path) -> None:
    sessions = turns(plan(DETECT), plan(("blur", {})))
    thread = sessions.new_thread()
    run(sessions, thread, "find", photo(tmp_path, "a b.png"))
    view = run(sessions, thread, "it's blurred; rm -rf $HOME")
    again = repeat(view.turns, 2, TOOLS)
    assert shlex.split(again.command) == [
        "superlink", "run", "it's blurred; rm -rf $HOME", "a b.png", "--plan", "plan.json",
    ]  # fmt: skip
    assert [step["tool"] for step in again.plan["steps"]] == ["detect", "blur"]
    assert again.plan["steps"][1]["args"]["image"] == "$image"
    place = write_plan(tmp_path / "files", again.plan)
    assert Plan.load(place).to_json() == Plan.load(again.plan).to_json()
    with pytest.raises(NotRepeatable, match="nothing was planned"):
        view.turns[0].plan = None
        repeat(view.turns, 1, TOOLS)


def test_the_command_names_the_files_of_its_tools(turns: Any, tmp_path: Path) -> None:
    file = tmp_path / "my tools.py"
    file.write_text(
        "from superlink import Image, tool\n@tool\n"
        "def mirror(image: Image) -> Image:\n    'Mirror.'\n    return image\n"
    )
    sessions = turns(plan(DETECT))
    thread = sessions.new_thread()
    view = run(sessions, thread, "find", photo(tmp_path, "a.png"))
    mirror = {"id": "s9", "tool": "mirror", "args": {"image": "$image"}}
    view.turn.plan["steps"].append(mirror)
    again = repeat(view.turns, 1, {**TOOLS, "mirror": file_tools(file)[0]})
    assert shlex.split(again.command)[-4:] == ["--plan", "plan.json", "--tools", "my tools.py"]


def test_a_second_picture_is_called_image_by_the_command_too(turns: Any, tmp_path: Path) -> None:
    sessions = turns(plan(DETECT), plan(DETECT))
    thread = sessions.new_thread()
    run(sessions, thread, "find", photo(tmp_path, "a.png"))
    view = run(sessions, thread, "find", photo(tmp_path, "b.png", 90))
    again = repeat(view.turns, 2, TOOLS)
    assert view.turn.plan["steps"][0]["args"]["image"] == "$image_2"
    assert again.plan["steps"][0]["args"]["image"] == "$image" and [file.name for file in again.files] == ["b.png"]


def test_pictures_for_the_browser_are_small_and_without_metadata(tmp_path: Path, store: Store) -> None:
    large, exif = Pil.new("RGB", (SIDE + 400, 40), "red"), Pil.Exif()
    exif[0x010E] = "where I live"
    large.save(tmp_path / "x.jpg", exif=exif)
    ref = store.put(Image.open(tmp_path / "x.jpg"))
    seen = Seen(tmp_path / "thread", store)
    file = seen.picture(ref)
    assert Pil.open(file).size == (SIDE, 35) and b"where I live" not in file.read_bytes()
    assert seen.picture(ref) == file and seen.file(ref, ".jpg").read_bytes() == (tmp_path / "x.jpg").read_bytes()


def clip(store: Store) -> tuple[Video, Detections, Ref, Ref]:
    frames = [np.full((32, 48, 3), 10 * n, np.uint8) for n in range(6)]
    video = Video.from_frames(frames, 5)
    boxes = [[1, 1, 9, 9], [20, 5, 30, 20], [21, 5, 31, 20]]
    found = Detections(boxes, ("cat", "dog", "dog"), [0.5, 0.6, 0.7], (32, 48), None, [1, 4, 4], [0, 2, 5])
    place = store.put(video)
    made: Any = {"inputs": [place["sha256"]]}
    return video, found, place, store.put(found, made)


def test_boxes_are_drawn_into_a_video_once(tmp_path: Path, store: Store) -> None:
    video, found, place, ref = clip(store)
    previews, seen = Previews(), Seen(tmp_path / "thread", store)
    panes = panes_of(Item(ref, place, ()), "clip", seen, store, previews)
    assert panes.preview is not None and not panes.said
    until(panes.preview.ended.is_set, "the preview")
    assert panes.preview.fault == "" and panes.preview.done == panes.preview.total == 6
    drawn = Video.open(panes.preview.place)
    assert drawn.frame_count == 6
    assert panes_of(Item(ref, place, ()), "clip", seen, store, previews).preview is panes.preview
    # Another server finds it, and a broken video says so.
    assert Previews().ask(panes.preview.place, video, found).ended.is_set()
    assert [(t.number, t.label, t.start, t.end, t.frames) for t in tracks(video, found)] == [
        (1, "cat", 0.0, 0.0, 1),
        (4, "dog", 0.4, 1.0, 2),
    ]


def test_a_value_that_is_gone_is_said(tmp_path: Path, store: Store) -> None:
    ref = store.put(Image.from_numpy(np.zeros((4, 4, 3), np.uint8)))
    place = store.path(ref)
    assert place is not None
    place.unlink()
    panes = panes_of(Item(ref, None, ()), "x", Seen(tmp_path / "thread", store), store, Previews())
    assert panes.shapes is None and "not in the store" in " ".join(panes.said)


def test_what_was_not_found_is_said(store: Store) -> None:
    from ui.results.reading import Shown

    def said(value: Any) -> str:
        return facts(Shown("s1", "x", value.kind, (Item(store.put(value), None, ()),), False, True))

    assert said(Detections.empty((4, 4))) == "Nothing was found."
    assert said(Poses.empty((4, 4))) == "Nobody was found."
    assert said(Transcript(())) == "No words were found."
    assert said(Text("")) == "The text is empty."
    assert said(Detections([[0, 0, 2, 2]], ("a",), [1], (4, 4), dropped=2)).endswith("2 answers of the model had no "
        "place in it and were left out.")  # fmt: skip
    assert facts(Shown("s1", "crop", "Image", (), True, True)) == "Nothing came out: the list is empty."


def test_words_in_files_and_names_are_inert() -> None:
    heard = Transcript((Segment(SCRIPT, 0.5, 2), Segment(" ", 2, 3), Segment("no time")))
    assert sentences_of(heard) == [{"text": SCRIPT, "start": 0.5, "end": 2.0}]
    assert "<script>" not in note_html(SCRIPT)


def test_names_of_downloads_are_escaped(tmp_path: Path) -> None:
    file = tmp_path / '"><img src=x onerror=alert(1)>.txt'
    file.write_text("x")
    html = downloads_html([file, tmp_path / "gone"], "/results/x.zip", None)
    assert "<img" not in html and html.count("<a ") == 2


def test_an_archive_streams_what_the_owner_may_have(tmp_path: Path, access: Access) -> None:
    thread = "0123456789abcdef0123456789abcdef"
    access.files.owner_of_thread = {thread: "ada"}.get
    folder = tmp_path / "page" / "results" / thread / "turn_1"
    (folder / "given").mkdir(parents=True)
    (folder / "given" / "secret.png").write_bytes(b"before")
    (folder / "record.json").write_text("{}")
    (folder / "s1.bin").write_bytes(bytes(range(256)) * 4000)
    user = "ada"
    app = FastAPI()
    app.include_router(archives(tmp_path / "page", access.files))

    @app.middleware("http")
    async def log_in(request: Any, call_next: Any) -> Any:
        request.scope[USER] = user
        return await call_next(request)

    client, address = TestClient(app), archive_url(thread, 1)
    assert _ROUTES["GET"].fullmatch(address)
    answer = client.get(address)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as whole:
        assert whole.testzip() is None and sorted(whole.namelist()) == ["record.json", "s1.bin"]
        assert whole.read("s1.bin") == (folder / "s1.bin").read_bytes()
    assert "attachment" in answer.headers["content-disposition"]
    assert client.get(archive_url(thread, 2)).status_code == 404
    user = "bob"
    assert client.get(address).status_code == 404
    for wrong in (
        "/results/../turn_1.zip",
        f"/results/{thread}/../x.zip",
        f"/results/{thread}/turn_0.zip",
        "/results/x",
    ):
        assert not _ROUTES["GET"].fullmatch(wrong)
    # Pieces are handed on as they are read.
    assert len(list(archive([folder / "s1.bin", folder / "gone"]))) > 3
