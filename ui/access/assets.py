"""Gradio's scripts and styles, sent from memory.

Gradio reads and compresses each of the hundred files of the page anew for every visitor.
"""

import gzip
from pathlib import Path

from gradio.route_utils import BUILD_PATH_LIB

from tools.core.http_guard import App, Receive, Scope, Send, header

_KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
_LEVEL = 1  # of 9; half the time of level 6, for files that are larger by a sixth


class Assets:
    """ASGI middleware that answers requests for scripts and styles.

    Args:
        app: Gradio's application, which answers everything else.
        folder: Folder of the scripts and styles.
    """

    def __init__(self, app: App, folder: Path = Path(BUILD_PATH_LIB)) -> None:
        self._app = app
        self._files = {f"/assets/{file.name}": file for file in folder.iterdir() if file.suffix in _KINDS}
        self._kept: dict[tuple[Path, bool], bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        file = self._files.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if file is None:
            await self._app(scope, receive, send)
            return
        compressed = "gzip" in (header(scope, "accept-encoding") or "")
        body = self._body(file, compressed)
        headers = {"content-type": _KINDS[file.suffix], "content-length": str(len(body)), "vary": "Accept-Encoding"}
        headers |= {"content-encoding": "gzip"} if compressed else {}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    def _body(self, file: Path, compressed: bool) -> bytes:
        key = file, compressed
        if key not in self._kept:
            body = file.read_bytes()
            self._kept[key] = gzip.compress(body, _LEVEL) if compressed else body
        return self._kept[key]
