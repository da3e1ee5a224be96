"""Errors of the HTTP server in OpenAI's shape, with the status that says whose fault they are."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from agents.planners.chat import ChatUnavailable
from agents.session.session import SessionError
from api.access import error_body
from api.messages import RequestInvalid
from api.roots import OutsideRoots
from api.runs import NoSuchRun
from api.service import unforeseen
from tools.core.errors import SettingsInvalid, StoreError, SuperlinkError, WeightsMissing, WriteError

_STATUS: tuple[tuple[type[SuperlinkError], int, str], ...] = (
    (NoSuchRun, 404, "not_found_error"),
    (SessionError, 409, "conflict_error"),
    (OutsideRoots, 403, "permission_error"),
    (WeightsMissing, 503, "server_error"),
    (ChatUnavailable, 503, "server_error"),
    (StoreError, 500, "server_error"),
    (WriteError, 500, "server_error"),
    (SettingsInvalid, 500, "server_error"),
)
"""Status and type of errors; any other of superlink's is the caller's fault."""

_log = logging.getLogger("superlink.api")


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of an application in OpenAI's shape."""

    async def of_superlink(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, SuperlinkError)
        if isinstance(error, RequestInvalid):
            status = 404 if error.code == "model_not_found" else 400
            return _answer(status, error.message, error.hint, "invalid_request_error", error.code, error.param)
        for kind, status, name in _STATUS:
            if isinstance(error, kind):
                return _answer(status, error.message, error.hint, name)
        return _answer(400, error.message, error.hint, "invalid_request_error")

    async def of_validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError | ValidationError)
        faults = [(".".join(map(str, one["loc"])).removeprefix("body."), one["msg"]) for one in error.errors()]
        text = "; ".join(f"{place}: {message}" for place, message in faults[:5])
        return _answer(400, text, "", "invalid_request_error", "invalid_value", faults[0][0])

    async def of_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _answer(error.status_code, str(error.detail), "", "invalid_request_error")

    async def of_any(request: Request, error: Exception) -> JSONResponse:
        _log.error("a request failed", exc_info=error)
        found = unforeseen(error)
        return _answer(500, found.message, found.hint, "server_error")

    app.add_exception_handler(SuperlinkError, of_superlink)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(ValidationError, of_validation)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(Exception, of_any)


async def json_of(request: Request) -> object:
    """The body of a request as JSON.

    Raises:
        RequestInvalid: it is none.
    """
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        raise RequestInvalid(f"the body is no JSON: {error}", "Send an object", "invalid_value", "body") from error


def _answer(
    status: int, message: str, hint: str, kind: str, code: str | None = None, param: str | None = None
) -> JSONResponse:
    return JSONResponse(error_body(message, hint, kind, code, param), status)
