"""The Model Context Protocol server, over stdio or HTTP: the catalogue, `plan`, `run`, `annotate` and `status`."""

import io
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from pydantic import AnyUrl
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agents.plan.plan import Plan
from agents.session.events import ApprovalEvent, DoneEvent
from agents.session.policy import doubt, doubtful
from agents.session.session import Session
from agents.session.state import Decision, confidence_of
from api import batches, mcp_content
from api.mcp_calls import ACCEPT, Call, Progress, question
from api.mcp_tools import (
    OWN,
    AnnotateArguments,
    PlanArguments,
    RunArguments,
    StatusArguments,
    declarations,
    parse,
)
from api.outcomes import Outcome
from api.service import Service, follow, new_thread, unforeseen
from common.kinds import KIND_OF_INPUT
from flows.batch.prepare import PlanRefused
from tools.core.errors import ArgumentsInvalid, SuperlinkError

R = TypeVar("R")
PATH = "/mcp"
"""Address of the server over HTTP."""
_POLL = 0.05  # seconds
_MOST_BYTES = 32 << 20  # of a file that is read as a resource
_INSTRUCTIONS = (
    "superlink works on pictures, sound and video with real tools on this computer. Call `run` with a request in words "
    "and paths of files; it plans, has the plan approved where it makes something, and writes files. Or call single "
    "tools: their inputs are paths, also of files that earlier calls wrote. Inputs are never changed."
)

_log = logging.getLogger("superlink.mcp")


class _Disconnects(logging.Filter):
    """Leaves out what the protocol's package logs, with a traceback, whenever a client ends."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        return not (record.exc_info and isinstance(record.exc_info[1], anyio.ClosedResourceError))


logging.getLogger("mcp.server.streamable_http").addFilter(_Disconnects())


class McpTools:
    """The handlers of the server.

    Args:
        service: what they call.
        parallel: most calls that work at the same time.
    """

    def __init__(self, service: Service, parallel: int = 4) -> None:
        self._service, self._tools = service, declarations(service.tools)
        self._limiter: anyio.CapacityLimiter | None = None
        self._parallel = parallel

    def server(self) -> Server[Any, Any]:
        """The server, with its handlers."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("superlink")
        except PackageNotFoundError:
            number = "0"
        server: Server[Any, Any] = Server("superlink", number, _INSTRUCTIONS)

        async def list_tools() -> list[types.Tool]:
            return self._tools

        async def call_tool(name: str, arguments: dict[str, Any]) -> types.CallToolResult:
            return await self.call(Call(server), name, arguments)

        async def read_resource(uri: AnyUrl) -> Iterable[ReadResourceContents]:
            return [await to_thread.run_sync(self.read, str(uri))]

        async def list_resources() -> list[types.Resource]:
            return []  # results are linked from the calls that wrote them

        # Arguments are checked against the tools' own declarations, with hints.
        server.call_tool(validate_input=False)(call_tool)
        server.list_tools()(list_tools)  # type: ignore[no-untyped-call]
        server.read_resource()(read_resource)  # type: ignore[no-untyped-call]
        server.list_resources()(list_resources)  # type: ignore[no-untyped-call]
        return server

    async def call(self, call: Call, name: str, arguments: Mapping[str, object]) -> types.CallToolResult:
        """Call a tool. Errors are results with message and hint."""
        try:
            if name == "plan":
                return await self._plan(call, parse(PlanArguments, name, arguments))
            if name == "run":
                return await self._run(call, parse(RunArguments, name, arguments))
            if name == "annotate":
                return await self._annotate(call, parse(AnnotateArguments, name, arguments))
            if name == "status":
                return await self._status(call, parse(StatusArguments, name, arguments))
            tool = self._service.tool(name, OWN)
            progress = Progress(call, steps=1)
            work = partial(self._service.call_tool, tool.name, arguments, progress.step)
            return mcp_content.outcome(await self._work(call, work))
        except SuperlinkError as error:
            return mcp_content.failure(error)
        except Exception as error:
            _log.exception("a call of %s failed", name)
            return mcp_content.failure(unforeseen(error))

    def read(self, uri: str) -> ReadResourceContents:
        """The content of a file that a run wrote.

        Raises:
            SuperlinkError: it is another one, or too long.
        """
        file = self._service.roots.resolve(uri)
        if not self._service.has_written(file):
            raise SuperlinkError(f"{file} is no result", "Read a file that a result links to")
        if file.stat().st_size > _MOST_BYTES:
            raise SuperlinkError(f"{file} has more than {_MOST_BYTES >> 20} MB", "Open it from the disk")
        kind = mcp_content.media_type(file) or "application/octet-stream"
        data = file.read_bytes()
        if kind.startswith("text/") or kind == "application/json":
            return ReadResourceContents(data.decode(errors="replace"), kind)
        return ReadResourceContents(data, kind)

    async def _plan(self, call: Call, given: PlanArguments) -> types.CallToolResult:
        if unknown := [kind for kind in given.media if kind not in KIND_OF_INPUT]:
            raise ArgumentsInvalid("plan", [f"media: there is no kind {unknown[0]!r}; use {', '.join(KIND_OF_INPUT)}"])
        work = partial(self._service.plan, given.request, given.files, given.media)
        return mcp_content.planned(await self._work(call, work))

    async def _run(self, call: Call, given: RunArguments) -> types.CallToolResult:
        if not (given.thread or given.request.strip() or given.plan):
            raise ArgumentsInvalid(
                "run", ["say in request what should happen, or give a plan, or a thread to go on with"]
            )
        service, thread = self._service, given.thread or new_thread()
        folder = service.results / thread if given.out is None else service.roots.resolve(given.out)
        progress = Progress(call)

        def seen(waiting: ApprovalEvent) -> bool:  # who approves a plan beforehand has not looked at it
            return given.thread is not None or not doubtful(confidence_of(waiting))

        with service.session(thread) as session:

            def begin() -> ApprovalEvent | DoneEvent:
                if given.thread is not None:
                    service.status(thread)
                    events = session.continue_()
                else:
                    plan = None if given.plan is None else Plan.load(given.plan)
                    request = given.request or (plan.request if plan else "")
                    events = session.start(request, service.open_files(given.files), plan)
                return follow(
                    session,
                    events,
                    progress.step,
                    lambda waiting: ACCEPT if given.approve and _can_run(waiting) and seen(waiting) else None,
                )

            last = await self._work(call, begin, session.stop)
            if last["event"] == "approval" and _can_run(last):
                said = [*(w["message"] for w in last["warnings"]), doubt(confidence_of(last))]
                decision = await call.ask_person(question(last["tree"], list(filter(None, said))))
                if decision is not None:
                    resume = partial(self._resume, session, decision, progress)
                    last = await self._work(call, resume, session.stop)

            def end() -> Outcome:
                record = session.record()
                done = last["event"] == "done"
                return service.outcome(
                    record, "done" if done else "approval", service.write(record, folder) if done else ()
                )

            return mcp_content.outcome(await self._work(call, end))

    @staticmethod
    def _resume(session: Session, decision: Decision, progress: Progress) -> ApprovalEvent | DoneEvent:
        return follow(session, session.resume(decision), progress.step)

    async def _annotate(self, call: Call, given: AnnotateArguments) -> types.CallToolResult:
        asked = batches.BatchRequest(
            given.request,
            given.folder,
            given.out,
            None if given.plan is None else Plan.load(given.plan),
            given.limit,
            given.pilot,
            given.formats,
        )
        progress = Progress(call)
        run = partial(batches.annotate, self._service, asked, on_event=progress.batch)
        before = await self._work(call, partial(batches.plan_hash, self._service, given.out))
        asking = False

        def approve(plan: Plan, forecast: object) -> bool:
            nonlocal asking
            # Who approves a plan beforehand has not looked at it.
            approved = given.approve and (not progress.doubt or plan.hash == before)
            asking = not approved
            return approved

        try:
            return mcp_content.batch(await self._work(call, partial(run, approve=approve)))
        except PlanRefused:
            if not asking:
                raise
        # The pilot is done. Its results are kept, so that the same run goes on from here.
        decision = await call.ask_person(question(progress.tree, [*progress.warnings, *progress.forecast]))
        if decision is not None and decision["action"] == "accept":
            work = partial(run, approve=lambda plan, forecast: True)
            return mcp_content.batch(await self._work(call, work))
        status = await self._work(call, partial(batches.batch_status, self._service, given.out))
        ended = "The person declined." if decision else "This plan waits for approval."
        more = "Only the pilot has run. When a person has agreed, make the same call with approve true."
        return mcp_content.batch(status, [progress.tree, *progress.warnings, *progress.forecast, ended, more])

    async def _status(self, call: Call, given: StatusArguments) -> types.CallToolResult:
        if given.thread is not None:
            return mcp_content.outcome(await self._work(call, partial(self._service.status, given.thread)))
        if given.folder is not None:
            return mcp_content.batch(await self._work(call, partial(batches.batch_status, self._service, given.folder)))
        raise ArgumentsInvalid("status", ["give a thread or a folder"])

    async def _work(self, call: Call, work: Callable[[], R], stop: Callable[[], object] | None = None) -> R:
        """Run work in a thread.

        When the client cancels the call, work that can be stopped is stopped, and ends before this does. Other work is
        left; it ends at its next event, which `Call.report` refuses.
        """
        self._limiter = self._limiter or anyio.CapacityLimiter(self._parallel)
        ended = threading.Event()

        def noting() -> R:
            try:
                return work()
            finally:
                ended.set()

        try:
            return await to_thread.run_sync(noting, abandon_on_cancel=True, limiter=self._limiter)
        except anyio.get_cancelled_exc_class():
            call.cancelled.set()
            with anyio.CancelScope(shield=True):
                while stop is not None and not ended.is_set():
                    stop()  # again and again: a session that has not begun to run cannot be stopped
                    await anyio.sleep(_POLL)
            raise


def _can_run(waiting: ApprovalEvent) -> bool:
    return not waiting["problems"] and not waiting["missing"]


async def serve_stdio(service: Service) -> None:
    """Serve one client on standard input and output, until it closes them.

    What tools and libraries print goes to standard error, because standard output carries the protocol.
    """
    server = McpTools(service).server()
    protocol = os.dup(1)
    os.dup2(2, 1)
    written = io.TextIOWrapper(os.fdopen(protocol, "wb"), encoding="utf-8")
    read = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace")
    async with stdio_server(anyio.wrap_file(read), anyio.wrap_file(written)) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def http_app(service: Service) -> Starlette:
    """The server over streamable HTTP, at `PATH`; whoever serves it puts `api.access.guarded` in front."""
    manager = StreamableHTTPSessionManager(McpTools(service).server())

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    return Starlette(routes=[Route(PATH, endpoint=_Endpoint(manager))], lifespan=running)


class _Endpoint:
    """The manager as an application: a route takes functions for handlers of its own kind."""

    def __init__(self, manager: StreamableHTTPSessionManager) -> None:
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)
