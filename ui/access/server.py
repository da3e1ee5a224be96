"""Serving the page: Gradio's application behind the HTTP guards, on an address of this computer."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import gradio as gr
from fastapi import APIRouter, FastAPI, Request
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tools.core.errors import SuperlinkError
from tools.core.http_guard import HEADERS, App, HttpGuard, Message, Receive, Scope, Send
from tools.core.serving import Server
from tools.core.settings import settings
from ui.access.access import Access
from ui.access.archive import archives
from ui.access.assets import Assets
from ui.access.login import USER, Login
from ui.access.owners import Files
from ui.access.streams import Streams
from ui.access.visitors import Visitors
from ui.theme import CSS, HEAD, THEME

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_log = logging.getLogger("superlink.ui")
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
_SWEEPING = 600  # seconds between two looks for uploads that nobody uses
# Gradio builds addresses from them, whoever sent them.
_FORWARDED = re.compile(rb"x-forwarded-.*|x-gradio-server|forwarded")


def application(
    page: gr.Blocks,
    access: Access,
    hosts: Sequence[str] = (),
    *,
    is_open: bool = True,
    proxy: str = "",
    max_upload: int | None = None,
    endpoints: Collection[str] = (),
    routes: Iterable[APIRouter] = (),
) -> App:
    """Put a page behind the guards.

    Args:
        page: With its queue configured.
        access: Users and owners of files.
        hosts: Names, besides those of this computer, under which the page may be reached.
        is_open: Whether the page is for everybody who reaches it as long as there are no users.
        proxy: Address of the proxy through which the page is reached by https; "" for none.
        max_upload: Bytes of the files that are uploaded at once; None for the setting `ui_upload_bytes`.
        endpoints: Names of the calls that programs may find; all others are private.
        routes: Further routes of the page, whose addresses `Visitors` knows.
    """
    most = max_upload or settings().ui_upload_bytes
    for call in page.fns.values():
        if call.api_name not in endpoints:
            call.api_visibility = "private"
    own = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_sweeping(access.files))
    for router in (archives(access.folder, access.files), *routes):
        own.include_router(router)
    served = gr.mount_gradio_app(
        own,
        page,
        path="/",
        auth_dependency=_user,
        ssr_mode=False,
        mcp_server=False,
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        show_error=False,
        footer_links=[],
        max_file_size=most,
        theme=THEME,
        css=CSS,
        head=HEAD,
    )
    headers = {**HEADERS, "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items())}
    streams = Streams(Assets(served), lambda session: bool(page._queue.pending_event_ids_session.get(session)))
    guarded = Visitors(streams, access.files)
    login = Login(
        guarded, access.users, access.attempts, str(access.folder), is_open=is_open and not proxy, is_secure=bool(proxy)
    )
    # A form has a little around its files.
    app: App = HttpGuard(_without_forwarded(login), hosts, headers, max_body=most + (1 << 20))
    return app if not proxy else ProxyHeadersMiddleware(app, proxy)  # type: ignore[arg-type,return-value]


def _user(request: Request) -> str | None:
    """Return the user of a request, for Gradio."""
    user: str | None = request.scope.get(USER)
    return user


def _without_forwarded(app: App) -> App:
    """Remove headers that only a proxy may set; those of a trusted one are read by then."""

    async def removing(scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" in scope:
            kept = [pair for pair in scope["headers"] if not _FORWARDED.fullmatch(pair[0].lower())]
            scope = {**scope, "headers": kept}
        await app(scope, receive, send)

    return removing


def _sweeping(files: Files) -> Lifespan:
    """Return a lifespan in which unused uploads are deleted now and then."""

    async def sweep() -> None:
        while True:
            try:
                await asyncio.to_thread(files.sweep)
            except SuperlinkError as error:
                _log.warning("unused uploads could not be deleted: %s", error)
            await asyncio.sleep(_SWEEPING)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(sweep())
        try:
            yield
        finally:
            task.cancel()

    return lifespan


def serve(app: App, host: str, port: int) -> None:
    """Serve until stopped; prints the address once the server answers.

    Raises:
        SuperlinkError: when the address is in use, or is not an address of this computer.
    """
    _PageServer(app).serve_on(host, port)


class _PageServer(Server):
    """A server that closes the connections of open pages when stopped."""

    def __init__(self, app: App) -> None:
        # `application` reads the headers of a proxy that was named.
        super().__init__(self._until_stopped, _say_started, _CLOSING, proxy_headers=False)
        self._app = app
        self._stopped = asyncio.Event()

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


def _say_started(address: str) -> None:
    print(f"superlink is at {address}/ (Ctrl+C stops it)", flush=True)
