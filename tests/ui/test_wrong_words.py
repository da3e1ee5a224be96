"""Requests that cannot be done, through the sessions of the page with the shipped planner: never green; it says why."""

import os
import re
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gradio")

from agents.plan.plan import Plan
from agents.plan.preflight import in_sentence, missing_weights
from agents.planners.backbone import BackbonePlanner, model_file
from agents.session.memory import close_saver, open_saver
from tests.agents.fakes import picture
from tools import Store
from tools.core.errors import WeightsMissing
from tools.core.settings import settings
from tools.runtime.registry import load
from ui.access.visitors import Files
from ui.context import Context
from ui.turns.turns import Turns

# The request, the kind of the file that comes with it, and what has to be said.
WRONG = [
    # Nothing can do it.
    ("order a pizza", "image", "nothing to run"),
    ("send this picture to my mother", "image", "nothing to run"),
    ("what will the weather be tomorrow?", "", "nothing to run"),
    ("rotate the picture by 90 degrees", "image", "nothing to run"),
    ("translate the recording into French", "audio", "nothing to run"),
    ("convert it to PDF", "image", "nothing to run"),
    ("tell me a joke", "", "nothing to run"),
    ("asdf qwer zxcv", "image", "nothing to run"),
    # There is no such thing in the picture, the sound or the text.
    ("blur every face", "image", "face"),
    ("count the dogs", "image", "dog"),
    ("cut out the cat", "image", "cat"),
    ("read the text", "image", "words|rapidocr"),
    ("write down what is said", "audio", "words|whisper"),
    ("find the unicorns", "image", "unicorn"),
    ("blur the", "image", "person|'blur'|nothing to run"),
    # The file is of the wrong kind.
    ("blur every face", "audio", "needs an image"),
    ("transcribe this", "image", "transcribe"),
    ("write down what is said", "text", "needs a sound"),
    ("count the dogs", "text", "needs an image|nothing to run"),
    ("how are the people standing", "audio", "needs an image"),
    ("read the text", "audio", "read"),
    # There is no file.
    ("blur every face", "", "needs an image"),
    ("transcribe this recording", "", "needs a sound"),
    ("cut out the dog", "", "needs an image"),
    ("what does the sign say?", "", "needs an image"),
    # It is in another language.
    ("verwische alle Gesichter", "image", "verwische|nothing to run"),
    ("compte les chiens", "image", "does not name"),
    ("borra el coche", "image", "coche|nothing to run"),
    ("вырежи собаку", "image", "nothing to run"),
    ("数一数有几只狗", "image", "does not name"),
    # It asks for two things, of which one can be done.
    ("count the dogs and rotate the picture", "image", '"rotate"'),
    ("blur the faces and email it to me", "image", "[\"']email[\"']"),
    ("find the cars and translate the sign", "image", '"translate"'),
    ("transcribe it and summarise it in one sentence", "audio", '"summarise"'),
]


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Turns]:
    """Sessions with the built-in tools, on the weights of the starter set as far as they are here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERLINK_WEIGHTS", "starter")
        settings.cache_clear()
        try:
            model_file()
        except WeightsMissing as error:
            pytest.skip(str(error))
        folder = tmp_path_factory.mktemp("wrong")
        saver = open_saver(folder / "threads.sqlite")
        tools = load(entry_points=False)
        page = folder / "page"
        turns = Turns(Context(tools, BackbonePlanner(), Store(folder / "store"), saver, page, Files(page)))
        yield turns
        turns.close()
        close_saver(saver)
    settings.cache_clear()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An empty picture, a tone and a text."""
    folder = tmp_path_factory.mktemp("files")
    files = {"image": folder / "grey.png", "audio": folder / "tone.wav", "text": folder / "note.txt"}
    files["image"].write_bytes(picture(320, 240).to_bytes())
    files["text"].write_text("Nothing in particular.")
    tone = (np.sin(np.arange(16_000) / 8) * 8000).astype("<i2")
    with wave.open(os.fspath(files["audio"]), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(tone.tobytes())
    return files


@pytest.mark.parametrize(("request_", "kind", "said"), WRONG, ids=[f"{row[0]}-{row[1]}" for row in WRONG])
def test_it_is_never_green(turns: Turns, files: dict[str, Path], request_: str, kind: str, said: str) -> None:
    thread = turns.new_thread()
    turns.ask(thread, "local", request_, [files[kind]] if kind else [])
    *_, view = turns.follow(thread, "local", 0)
    turn = view.turn
    assert turn is not None
    lacks = missing_weights(Plan.load(turn.plan), turns._context.tools) if turn.plan else []
    words = [*map(in_sentence, lacks), *(problem["message"] for problem in [*turn.warnings, *turn.problems])]
    if view.stage == "approval" and not words:  # nothing speaks against it yet
        turns.decide(thread, "local", {"action": "accept"})
        *_, view = turns.follow(thread, "local", 0)
        turn = view.turn
        assert turn is not None
    told = "\n".join([turn.answer, *words])
    assert turn.colour == "wait", f"{turn.status}: {told}"
    assert re.search(said, told), told
