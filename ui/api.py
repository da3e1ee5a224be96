"""Endpoints of the page for programs: plan, run, decide, status. Called with `gradio_client`.

    client = gradio_client.Client("http://127.0.0.1:7860", auth=("ada", password))
    done = client.predict("blur every face", [gradio_client.handle_file("street.jpg")], api_name="/run")

Every answer says where a session stands; `files` are the results, which the client downloads.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import gradio as gr

from agents.session.state import Decision
from tools.core.errors import SuperlinkError
from ui.access.owners import Files
from ui.access.visitors import owner_of
from ui.turns.turns import Turns
from ui.turns.view import SessionView

NAMES = ("plan", "run", "decide", "status")
"""Names of the endpoints, all that programs find of the page."""

Json = dict[str, Any]

_LOOK = 0.2  # seconds between two looks at a session under way


class Endpoints:
    """Functions of the endpoints. They wait without holding a thread; a turn goes on when nobody waits for it.

    Args:
        turns: The sessions.
        files: Owners of files.
    """

    def __init__(self, turns: Turns, files: Files) -> None:
        self._turns, self._files = turns, files

    def lay_out(self) -> None:
        """Declare the endpoints; called within the blocks of the page."""
        for name in NAMES:
            gr.api(getattr(self, name), api_name=name, concurrency_limit=None)

    async def plan(self, caller: gr.Request, request: str, files: list[Json] = [], session: str = "") -> Json:  # noqa: B006
        """Make a plan for a request, in a new session or as the next request of one.

        A plan that only looks runs at once, as on the page; any other waits for `decide`.

        Args:
            caller: Given by Gradio.
            request: In words.
            files: Made with `gradio_client.handle_file`.
            session: Name of the session; "" for a new one.
        """
        return await self._asked(owner_of(caller), request, files, session)

    async def run(self, caller: gr.Request, request: str, files: list[Json] = [], session: str = "") -> Json:  # noqa: B006
        """Make a plan for a request and run it; returns at the end.

        A plan with problems, with warnings or without its weights waits for `decide`.

        Args:
            caller: Given by Gradio.
            request: In words.
            files: Made with `gradio_client.handle_file`.
            session: Name of the session; "" for a new one.
        """
        owner = owner_of(caller)
        state = await self._asked(owner, request, files, session)
        if state["stage"] != "approval" or state["problems"] or state["warnings"] or state["missing"]:
            return state
        return await self._decided(owner, state["session"], {"action": "accept"})

    async def decide(
        self,
        caller: gr.Request,
        session: str,
        action: Literal["accept", "edit", "change", "reject"],
        plan: Json | None = None,
        remark: str = "",
        reason: str = "",
    ) -> Json:
        """Decide on the plan that waits; returns at the end, or when another plan waits.

        Args:
            caller: Given by Gradio.
            session: Name of the session.
            action: What is to be done.
            plan: The edited plan, for "edit".
            remark: What should be different, for "change".
            reason: Why not, for "reject".
        """
        decision = {"action": action, "plan": plan or {}, "remark": remark, "reason": reason}
        return await self._decided(owner_of(caller), session, cast(Decision, decision))

    async def status(self, caller: gr.Request, session: str) -> Json:
        """Say where a session stands.

        Args:
            caller: Given by Gradio.
            session: Name of the session.
        """
        return _state(await _said(self._turns.view, session, owner_of(caller)))

    async def _asked(self, owner: str, request: str, files: Sequence[Json], session: str) -> Json:
        paths = [Path(str(file.get("path") or "")) if isinstance(file, dict) else Path() for file in files]
        for path in paths:
            # Only what this user uploaded: a path can name any file of the server.
            if not self._files.may_read(path, owner):
                name = path.name or "a file"
                raise _error(SuperlinkError(f"{name} was not uploaded", "Use gradio_client.handle_file"))
        thread = session or self._turns.new_thread()
        await _said(self._turns.ask, thread, owner, request, paths)
        return await self._ended(thread, owner)

    async def _decided(self, owner: str, thread: str, decision: Decision) -> Json:
        await _said(self._turns.decide, thread, owner, decision)
        return await self._ended(thread, owner)

    async def _ended(self, thread: str, owner: str) -> Json:
        """Return where a session stands once nothing happens in it without somebody's doing."""
        while (view := await _said(self._turns.view, thread, owner)).works:
            await asyncio.sleep(_LOOK)
        return _state(view)


async def _said(call: Callable[..., SessionView], *given: object) -> SessionView:
    """Call a method of the sessions in a thread; its errors are told to the program."""
    try:
        return await asyncio.to_thread(call, *given)
    except SuperlinkError as error:
        raise _error(error) from error


def _error(error: SuperlinkError) -> gr.Error:
    return gr.Error(str(error), print_exception=False)


def _state(view: SessionView) -> Json:
    """Return where a session stands as plain JSON."""
    turn = view.turn
    if turn is None:
        return {"session": view.thread, "stage": view.stage, "status": "", "turn": 0}
    files = [*(file for result in turn.results if result.final for file in result.files), turn.record]
    return {
        "session": view.thread,
        "stage": view.stage,
        "status": turn.status,
        "turn": turn.number,
        "request": turn.request,
        "plan": turn.plan,
        "hash": turn.hash,
        "problems": turn.problems,
        "warnings": turn.warnings,
        "missing": [vars(missing) for missing in turn.missing],
        "steps": {name: {"state": step.state, "seconds": step.seconds} for name, step in turn.steps.items()},
        "queue": None if view.queue is None else vars(view.queue),
        "answer": turn.answer,
        "result": turn.result,
        "files": [
            {"path": str(file), "orig_name": file.name, "meta": {"_type": "gradio.FileData"}} for file in files if file
        ],
    }
