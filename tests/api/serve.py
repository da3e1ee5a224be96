"""A service with tiny tools and a planner of a few fixed rules, also served on standard input and output.

Usage: serve.py FOLDER, with the tools file of `write_tools` and files of callers in it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import anyio

from agents.plan.plan import Plan
from agents.planners.base import Confidence
from agents.session.memory import close_saver, open_saver
from api.roots import Roots
from api.service import Service
from tests.agents.fakes import TOOLS, UNSURE, Confident, picture, plan
from tools.core.errors import WeightsMissing
from tools.runtime.registry import file_tools
from tools.storage.store import Store

Call = tuple[str, dict[str, Any]]

DOGS: Call = ("detect", {"labels": ["dog"]})
RULES: dict[str, list[Call]] = {
    "blur": [DOGS, ("blur", {})],
    "count": [DOGS, ("count", {})],
    "darken": [("darken", {})],
    "noise": [("noise", {"words": "hello"})],
}
FILE = '''
import os
from superlink import Image, Text, tool

@tool
def darken(image: Image) -> Image:
    """Make a picture black."""
    return Image.from_numpy(image.pixels * 0)

@tool
def noise(words: str) -> Text:
    """Print to standard output, by Python and below it."""
    print("not the protocol", flush=True)
    os.write(1, b"nor this\\n")
    return Text(words)
'''


class Rules(Confident):
    """Plans by the first rule whose word is in the request, and doubts what "may" be meant; the inputs are wired."""

    def __init__(self) -> None:
        super().__init__()

    def plan_with_confidence(self, request: str, *more: Any) -> tuple[Plan, Confidence | None]:
        return self.plan(request, *more), UNSURE if "may" in request.split() else None

    def answer(self, request: str) -> Plan | Exception:
        if "away" in request:
            return WeightsMissing("the planner is away", "Run: superlink models pull planner")
        return plan(*next((calls for word, calls in RULES.items() if word in request), []))


@contextmanager
def opened(folder: Path) -> Iterator[Service]:
    """The service over a folder; its pictures are made."""
    root = folder / "root"
    (root / "photos").mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(("street.png", "photos/a.png", "photos/b.png", "photos/c.png")):
        (root / name).write_bytes(picture(value=200 + number).to_bytes())
    file = root / "my_tools.py"
    file.write_text(FILE)
    tools = {**TOOLS, **{tool.name: tool for tool in file_tools(file)}}
    saver = open_saver(folder / "threads.sqlite")
    try:
        store = Store(folder / "store")
        yield Service(tools, Rules(), store, saver, Roots([root]), root / "results", [str(file)])
    finally:
        close_saver(saver)


if __name__ == "__main__":
    from api.mcp_server import serve_stdio

    with opened(Path(sys.argv[1])) as service:
        anyio.run(serve_stdio, service)
