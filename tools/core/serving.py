"""HTTP servers of this computer: uvicorn, on a socket whose faults are clear errors."""

import socket
from collections.abc import Callable

import uvicorn

from tools.core.http_guard import App
from tools.core.listening import listen


class Server(uvicorn.Server):
    """A server that says where it is once it answers.

    Args:
        app: The application.
        started: Called with the address, such as "http://127.0.0.1:8000".
        closing: Seconds that answers in hand have when the server is stopped.
        proxy_headers: Whether uvicorn believes the X-Forwarded headers of a proxy on this computer.
    """

    def __init__(self, app: App, started: Callable[[str], None], closing: int, *, proxy_headers: bool = True) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                ws="none",
                log_level="warning",
                server_header=False,
                proxy_headers=proxy_headers,
                timeout_graceful_shutdown=closing,
            )
        )
        self.say_started = started
        self._address = ""

    def serve_on(self, host: str, port: int) -> None:
        """Serve until stopped.

        Args:
            host: Name or address of this computer.
            port: 0 for a free one.

        Raises:
            SuperlinkError: when the address is in use, or is not an address of this computer.
        """
        name = f"[{host}]" if ":" in host else host
        with listen(host, port) as bound:
            self._address = f"http://{name}:{bound.getsockname()[1]}"
            self.run(sockets=[bound])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer."""
        await super().startup(sockets)
        self.say_started(self._address)
