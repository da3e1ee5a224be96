"""Serving the page: Gradio's application behind the HTTP guards, on an address of this computer."""

import asyncio
import socket
from collections.abc import Sequence

import gradio as gr
import uvicorn
from fastapi import FastAPI

from tools.core.errors import SuperlinkError
from tools.core.http_guard import HEADERS, App, HttpGuard, Message, Receive, Scope, Send
from ui.access.visitors import Files, Visitors
from ui.theme import CSS, THEME

MAX_UPLOAD = 2 << 30
"""Maximum number of bytes of one upload."""

_POLICY = {
    "default-src": "'self'",
    # The page contains Gradio's settings and inline scripts, and its HTML component evaluates its template.
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
_CLOSING = 5  # seconds that answers in hand have when the server is stopped


def application(
    page: gr.Blocks,
    files: Files,
    auth: tuple[str, str] | None = None,
    hosts: Sequence[str] = (),
    max_upload: int = MAX_UPLOAD,
) -> App:
    """Put a page behind the guards.

    Args:
        page: With its queue configured.
        files: Who owns which files.
        auth: User name and password that visitors give.
        hosts: Names, besides those of this computer, under which the page may be reached.
        max_upload: Bytes of the files that are uploaded at once.
    """
    served = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        auth=auth,
        ssr_mode=False,
        mcp_server=False,
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        show_error=False,
        footer_links=[],
        max_file_size=max_upload,
        theme=THEME,
        css=CSS,
    )
    headers = {**HEADERS, "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items())}
    # A form has a little around its files.
    return HttpGuard(Visitors(served, files), hosts, headers, max_body=max_upload + (1 << 20))


def serve(app: App, host: str, port: int) -> None:
    """Serve until stopped; prints the address once the server answers.

    Raises:
        SuperlinkError: when the address is in use, or is not an address of this computer.
    """
    try:
        # Bound here, because uvicorn ends the process when it cannot.
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = places[0]
        bound = socket.create_server(place[:2], family=family)
    except OSError as error:
        raise SuperlinkError(
            f"the page cannot be served on {host}, port {port}, which is taken or not this computer's",
            "Choose another with --port or --host",
        ) from error
    name = f"[{host}]" if ":" in host else host
    with bound:
        _Server(app, f"http://{name}:{bound.getsockname()[1]}/").run(sockets=[bound])


class _Server(uvicorn.Server):
    """A server that prints its address once it answers, and closes the connections of open pages when stopped."""

    def __init__(self, app: App, address: str) -> None:
        super().__init__(
            uvicorn.Config(
                self._until_stopped,
                interface="asgi3",
                ws="none",
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=_CLOSING,
            )
        )
        self._app, self._address = app, address
        self._stopped = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, and print the address."""
        await super().startup(sockets)
        print(f"superlink is at {self._address} (Ctrl+C stops it)", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; a page keeps a connection open while it is shown."""
        self._stopped.set()
        await super().shutdown(sockets)

    async def _until_stopped(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receiving() -> Message:
            message, stopped = asyncio.ensure_future(receive()), asyncio.ensure_future(self._stopped.wait())
            try:
                await asyncio.wait((message, stopped), return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                message.cancel()
                stopped.cancel()

        await self._app(scope, receiving if scope["type"] == "http" else receive, send)
