"""Serving an application on an address of this computer."""

import socket
from collections.abc import Callable

import uvicorn

from tools.core.http_guard import App
from tools.core.listening import listen

_CLOSING = 3  # seconds that answers in hand have when the server is stopped


def serve(app: App, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until stopped.

    Args:
        app: the application.
        host: address of this computer.
        port: 0 for a free one.
        started: called with the address, "http://127.0.0.1:8000", once the server answers.

    Raises:
        SuperlinkError: the address is in use, or is not of this computer.
    """
    name = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        app, interface="asgi3", ws="none", log_level="warning", server_header=False, timeout_graceful_shutdown=_CLOSING
    )
    with listen(host, port) as bound:
        _Server(config, lambda: started(f"http://{name}:{bound.getsockname()[1]}")).run(sockets=[bound])


class _Server(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer."""
        await super().startup(sockets)
        self._say_started()
