"""Versions of sessions, by which a page learns that another one changed the session that it shows."""

import re
from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from tools.core.errors import SuperlinkError
from ui.access.login import USER

ADDRESS = re.compile(r"/sessions/[0-9a-f]{32}/version", re.ASCII)
"""Address of the version of a session."""


def versions(version: Callable[[str, str], int]) -> APIRouter:
    """Return the route of versions, for the owners of sessions.

    Args:
        version: Returns the version of a session, given its name and the user.
    """
    router = APIRouter()

    @router.get("/sessions/{thread}/version")
    def send(thread: str, request: Request) -> Response:
        try:
            body = {"version": version(thread, request.scope[USER])}
        except SuperlinkError:
            return JSONResponse({}, 404, {"cache-control": "no-store"})
        return JSONResponse(body, headers={"cache-control": "no-store"})

    return router
