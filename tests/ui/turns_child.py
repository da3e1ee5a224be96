"""Brings sessions of the page into every state, and kills its own process.

Usage: turns_child.py FOLDER. The names of the threads and their views are in FOLDER/views.pickle.
"""

import os
import pickle
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from agents.plan.plan import Plan
from agents.session.memory import open_saver
from tests.agents.fakes import TOOLS, Scripted, picture, plan
from tests.waiting import until
from tools import Store, Text, tool
from ui.access.visitors import Files
from ui.context import Context
from ui.turns.turns import Turns

REACHED, HELD = threading.Event(), threading.Event()


def open_page(folder: Path, held: bool) -> Turns:
    """The page's sessions in a folder.

    Args:
        folder: with everything that is kept.
        held: whether the planner never answers "never", and a second step never ends.
    """

    @tool
    def work(text: Text, number: int) -> Text:
        """Note that it ran, and add to the text."""
        if held and number == 2:
            REACHED.set()
            HELD.wait()
        with (folder / "log").open("a") as log:
            log.write(f"{text.text} {number}\n")
        return Text(f"{text.text}>{number}")

    class Planner(Scripted):
        def answer(self, request: str) -> Plan | Exception:
            if held and request.startswith("never"):
                REACHED.set()
                HELD.wait()
            if "blur" in request:
                return plan(("detect", {"labels": ["dog"]}), ("blur", {}))
            first = ("work", {"text": request.split()[0], "number": 1})
            return plan(first, ("work", {"text": "$s1", "number": 2 if "hold" in request else 3}))

    page = folder / "page"
    context = Context(
        {**TOOLS, "work": work}, Planner(), Store(folder / "store"), open_saver(folder / "t.sqlite"), page, Files(page)
    )
    turns = Turns(context)
    turns.start()
    return turns


def main(folder: Path) -> None:
    """Bring one session into each state, and die."""
    photo = folder / "photo.png"
    photo.write_bytes(picture(40, 30).to_bytes())
    turns = open_page(folder, held=True)
    threads: dict[str, str] = {}

    def ask(name: str, request: str, wait: bool = True) -> None:
        threads[name] = turns.new_thread()
        turns.ask(threads[name], "local", request, [photo] if "blur" in request else [])
        if wait:
            for _ in turns.follow(threads[name], "local", 0):
                pass

    ask("done", "blur the dog")
    turns.decide(threads["done"], "local", {"action": "accept"})
    for _ in turns.follow(threads["done"], "local", 0):
        pass
    ask("approval", "blur the dog")
    ask("editing", "blur every dog")
    draft = {"request": "", "steps": [{"id": "s1", "tool": "detect", "args": {"labels": []}}], "outputs": []}
    turns.set_draft(threads["editing"], "local", draft)  # type: ignore[arg-type]
    ask("decided", "blur a dog")
    ask("running", "run and hold", wait=False)
    until(REACHED.is_set, "the second step")
    REACHED.clear()
    turns.decide(threads["decided"], "local", {"action": "accept"})  # waits in the queue behind the running one
    until(lambda: turns.view(threads["decided"], "local").stage == "queued", "the queue")
    threads["brought"] = turns.new_thread()
    own = plan(("work", {"text": "own", "number": 4})).to_json()
    turns.ask(threads["brought"], "local", "Try: work", [], own)
    until(lambda: turns.view(threads["brought"], "local").stage == "queued", "the queue")
    ask("planning", "never planned", wait=False)
    until(REACHED.is_set, "the planner")
    ask("queued", "later", wait=False)
    until(lambda: turns.view(threads["queued"], "local").stage == "queued", "the queue")
    views = {name: turns.view(thread, "local") for name, thread in threads.items()}
    (folder / "views.pickle").write_bytes(pickle.dumps(views))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
