"""The OpenAI-compatible server: the planner as a function-calling model, and superlink's own plans and runs."""

import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from agents.plan.plan import Plan
from agents.session.state import Decision
from api.completions import Plans, complete
from api.http_errors import add_error_handlers, json_of
from api.messages import (
    MODEL,
    ChatRequest,
    DecisionRequest,
    PlanRequest,
    RequestInvalid,
    RunRequest,
    chunks,
    completion,
)
from api.runs import Runs
from api.service import Service

MAX_FILES = 64
"""Most files of one request."""
_UNSUPPORTED = ("functions", "function_call", "logprobs", "audio", "web_search_options")


def application(service: Service, folder: Path) -> FastAPI:
    """The server's application; whoever serves it puts `api.access.guarded` in front.

    Args:
        service: what it plans and runs with.
        folder: of the files of runs.
    """
    runs = Runs(service, folder)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(runs.close)

    app = FastAPI(title="superlink", docs_url=None, redoc_url=None, lifespan=running)
    add_error_handlers(app)
    _add_completions(app, service)
    _add_plans(app, service)
    _add_runs(app, runs)
    return app


def _add_completions(app: FastAPI, service: Service) -> None:
    asked = Plans(service.planner, service.examples)
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "superlink"}

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        """The one model."""
        return {"object": "list", "data": [model]}

    @app.get("/v1/models/{name}")
    def one_model(name: str) -> dict[str, Any]:
        """The model of this name."""
        _check_model(name)
        return model

    @app.post("/v1/chat/completions", response_model=None)
    def chat(request: ChatRequest) -> Response:
        """Calls of the caller's functions that do what the last message of the user says."""
        _check_model(request.model)
        extra = request.model_extra or {}
        for name in _UNSUPPORTED:
            if extra.get(name):
                raise RequestInvalid(f"{name} is not supported", "Use tools, and leave it out", "unsupported", name)
        if request.n not in (None, 1):
            raise RequestInvalid("n is always 1", "Leave it out", "unsupported", "n")
        if (extra.get("response_format") or {"type": "text"}).get("type") != "text":
            raise RequestInvalid("only calls have a schema", "Use tools", "unsupported", "response_format")
        reply = complete(request, asked)
        if request.stream:
            with_usage = bool(request.stream_options and request.stream_options.include_usage)
            return StreamingResponse(chunks(reply, with_usage), media_type="text/event-stream")
        return JSONResponse(completion(reply))


def _add_plans(app: FastAPI, service: Service) -> None:
    @app.post("/v1/plans")
    def plans(request: PlanRequest) -> dict[str, Any]:
        """A checked plan over superlink's own tools; nothing is run."""
        _check_said(request.request, request.plan)
        plan = None if request.plan is None else Plan.load(request.plan)
        return {"object": "plan", **service.plan(request.request, request.paths, request.media, plan)}


def _add_runs(app: FastAPI, runs: Runs) -> None:
    @app.post("/v1/runs", status_code=202, response_model=None)
    async def begin(request: Request) -> JSONResponse:
        """Begin a run: JSON, or a form with the fields of the JSON and any number of `files`."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            given = RunRequest.model_validate(await json_of(request))
            run_id = await run_in_threadpool(_begin, runs, given)
        elif kind == "multipart/form-data":
            async with request.form(max_files=MAX_FILES) as form:
                given, uploads = _form(form)
                run_id = await run_in_threadpool(_begin_with, runs, given, uploads)
        else:
            raise HTTPException(415, "Send application/json, or multipart/form-data with files")
        found = await run_in_threadpool(runs.state, run_id)
        return JSONResponse(found, 202, {"Location": f"/v1/runs/{run_id}"})

    @app.get("/v1/runs/{run_id}")
    def state(run_id: str) -> dict[str, Any]:
        """Where a run stands."""
        return dict(runs.state(run_id))

    @app.post("/v1/runs/{run_id}/decision")
    def decide(run_id: str, given: DecisionRequest) -> dict[str, Any]:
        """Decide on the plan that waits."""
        decision: Decision = {"action": given.action}
        if given.plan is not None:
            decision["plan"] = Plan.load(given.plan).to_json()
        if given.reason:
            decision["reason"] = given.reason
        runs.decide(run_id, decision, given.hash)
        return dict(runs.state(run_id))

    @app.get("/v1/runs/{run_id}/files/{name}", response_model=None)
    def file(run_id: str, name: str) -> FileResponse:
        """A file that a run has written; never shown inline, as it may be made of foreign data."""
        return FileResponse(runs.file(run_id, name), filename=name, content_disposition_type="attachment")

    @app.delete("/v1/runs/{run_id}")
    def delete(run_id: str) -> dict[str, Any]:
        """Forget a run and its files."""
        runs.delete(run_id)
        return {"id": run_id, "object": "run", "deleted": True}


def _begin(runs: Runs, given: RunRequest, uploads: Sequence[tuple[str, Path]] = ()) -> str:
    _check_said(given.request, given.plan)
    plan = None if given.plan is None else Plan.load(given.plan)
    return runs.begin(given.request, plan, given.paths, uploads, given.approved_hash)


def _begin_with(runs: Runs, given: RunRequest, uploads: Sequence[UploadFile]) -> str:
    """Begin a run with files that came with the request; their bytes are in the store when it returns."""
    with tempfile.TemporaryDirectory(prefix="superlink-upload-") as folder:
        saved = [(file.filename or "a file", _save(file, Path(folder), n)) for n, file in enumerate(uploads)]
        return _begin(runs, given, saved)


def _save(upload: UploadFile, folder: Path, number: int) -> Path:
    suffix = Path(upload.filename or "").suffix
    file = folder / f"{number}{suffix if re.fullmatch(r'[.][A-Za-z0-9]{1,8}', suffix) else ''}"
    with file.open("wb") as copy:
        shutil.copyfileobj(upload.file, copy)
    return file


def _form(form: FormData) -> tuple[RunRequest, list[UploadFile]]:
    """The fields of a form, and its files."""
    uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    fields: dict[str, Any] = {"paths": []}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != "files":
                raise RequestInvalid(f"a file was sent as {name!r}", "Send files as `files`", "invalid_value", name)
        elif name == "paths":
            fields["paths"].append(value)
        else:
            fields[name] = value
    if "plan" in fields:
        fields["plan"] = Plan.load(str(fields["plan"])).to_json()
    return RunRequest.model_validate(fields), uploads


def _check_model(name: str) -> None:
    if name != MODEL:
        raise RequestInvalid(f"there is no model {name!r}", f"Use {MODEL}", "model_not_found", "model")


def _check_said(request: str, plan: object) -> None:
    if not request.strip() and plan is None:
        raise RequestInvalid("there is nothing to do", "Say it in request, or give a plan", "invalid_value", "request")
