"""Serves applications within the process of the tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from tools.core.http_guard import App
from tools.core.listening import listen


@contextmanager
def in_thread(app: App) -> Iterator[str]:
    """An application on a free port of this computer; its address."""
    config = uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1, proxy_headers=False)
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
