"""Serves the page within the process of the tests, and visits it as programs do."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import argon2
import httpx
import pytest

from agents.plan.types import AnyTool
from agents.session.memory import close_saver, open_saver
from tests.agents.fakes import say, shout
from tests.serving import in_thread
from tests.ui.serve import Rules
from tests.waiting import WAIT
from tools.storage.store import Store
from ui.access.access import Access
from ui.access.server import application
from ui.access.versions import versions
from ui.api import NAMES
from ui.context import Context
from ui.page import build
from ui.turns.turns import Turns

USERS = {"ada": "open sesame", "bob": "something else"}
LIMIT = 1 << 20
API = "/gradio_api"


@contextmanager
def served(
    folder: Path, users: dict[str, str] | None = None, more: dict[str, AnyTool] | None = None, **options: Any
) -> Iterator[str]:
    """The page on a free port of this computer; its address."""
    saver = open_saver(folder / "threads.sqlite")
    hasher = argon2.PasswordHasher
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "page"))
        # How slow it is to check a password is not what is tested.
        patch.setattr("ui.access.users.PasswordHasher", lambda: hasher(time_cost=1, memory_cost=8, parallelism=1))
        access = Access.open(folder / "page")
        for name, password in (users or {}).items():
            if name not in [user.name for user in access.users.all()]:
                access.users.add(name, password)
        tools: dict[str, AnyTool] = {"shout": shout, "say": say, **(more or {})}
        context = Context(tools, Rules(), Store(str(folder / "store")), saver, folder / "page", access.files)
        turns = Turns(context)
        turns.start()
        routes = [versions(turns.version)]
        app = application(build(context, turns), access, max_upload=LIMIT, endpoints=NAMES, routes=routes, **options)
        try:
            with in_thread(app) as address:
                yield address
        finally:
            turns.close()
            close_saver(saver)
            access.close()


@contextmanager
def logged_in(address: str, user: str) -> Iterator[httpx.Client]:
    """A program that is logged in."""
    with httpx.Client(base_url=address, timeout=WAIT) as client:
        assert client.post("/login", data={"username": user, "password": USERS[user]}).status_code == 200
        yield client


class Visitor:
    """What the server sees of a browser tab."""

    def __init__(self, client: httpx.Client) -> None:
        self.client, self.session, self.thread = client, uuid.uuid4().hex, uuid.uuid4().hex
        assert client.get("/").status_code == 200
        self.calls = {call["api_name"]: call["id"] for call in client.get("/config").json()["dependencies"]}

    def upload(self, data: bytes = b"hello", **kind: Any) -> httpx.Response:
        return self.client.post(f"{API}/upload", files={"files": ("a.txt", data)}, **kind)

    def join(self, call: str, data: list[Any], session: str = "") -> httpx.Response:
        body = {"fn_index": self.calls[call], "session_hash": session or self.session, "data": data}
        return self.client.post(f"{API}/queue/join", json=body)

    def ask(self, request: str, *files: str, session: str = "") -> httpx.Response:
        given = [{"path": file, "meta": {"_type": "gradio.FileData"}} for file in files]
        return self.join("_ask", [{"text": request, "files": given}, None, self.thread, None], session)

    def follow(self) -> str:
        """What the page shows until the turn ends."""
        self.read()
        assert self.join("_follow_session", [self.thread, None]).status_code == 200
        return self.read()

    def read(self) -> str:
        """The events until nothing is at work."""
        with self.client.stream("GET", f"{API}/queue/data", params={"session_hash": self.session}) as events:
            return "".join(events.iter_text())
