"""Access to the servers for programs: a bearer token, and the guard against other sites."""

import json
from collections.abc import Iterable
from pathlib import Path
from secrets import compare_digest

from flows.orchestration.secret import secret
from tools.core.http_guard import App, HttpGuard, Receive, Scope, Send, bearer_token, header, refuse
from tools.core.settings import expand_path, settings

TOKEN_FILE = "api-token"
"""Name of the token's file in the home folder."""


def token_file(given: Path | None = None) -> Path:
    """The file of the token: the one given, or that in the home folder."""
    return settings().home / TOKEN_FILE if given is None else expand_path(given).absolute()


def read_token(file: Path) -> str:
    """The token in a file, which is made with mode 0600 when it is missing.

    Raises:
        SettingsInvalid: the file cannot be read or made, or its token is too short.
    """
    return secret(file)


class BearerToken:
    """ASGI middleware that answers requests without the token with 401, as an error of OpenAI's shape.

    Args:
        app: the application behind it.
        token: that callers send as ``Authorization: Bearer TOKEN``.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] == "lifespan" or compare_digest(bearer_token(scope).encode(), self._token):
            await self._app(scope, receive, send)
            return
        given = header(scope, "authorization") is not None
        body = error_body(
            "The token is wrong" if given else "There is no token",
            "Send Authorization: Bearer TOKEN; the server says at its start where its owner finds the token",
            "authentication_error",
            "invalid_api_key",
        )
        headers = {b"content-type": b"application/json", b"www-authenticate": b"Bearer"}
        await refuse(scope, receive, send, 401, json.dumps(body), headers)


def error_body(
    message: str, hint: str, kind: str, code: str | None = None, param: str | None = None
) -> dict[str, object]:
    """An error as OpenAI's clients read it; message and hint are joined."""
    text = f"{message}. {hint}" if hint else message
    return {"error": {"message": text, "type": kind, "param": param, "code": code}}


def guarded(app: App, file: Path, hosts: Iterable[str] = (), max_body: int | None = None) -> App:
    """An application behind the guard against other sites and the token.

    Args:
        app: the application.
        file: of the token.
        hosts: names, besides those of this computer, under which the server may be reached.
        max_body: bytes of a request's body; None for no limit.

    Raises:
        SettingsInvalid: the token cannot be read or made.
    """
    return HttpGuard(BearerToken(app, read_token(file)), hosts, max_body=max_body)
