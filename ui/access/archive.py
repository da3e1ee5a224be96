"""All files of a turn as one zip file, which is made while it is sent."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from ui.access.login import USER
from ui.access.owners import Files

ADDRESS = re.compile(r"/results/(?P<thread>[0-9a-f]{32})/(?P<turn>turn_[1-9][0-9]{0,5})\.zip", re.ASCII)
"""Address of the files of a turn as one."""
_CHUNK = 1 << 18


def archive_url(thread: str, number: int) -> str:
    """Return the address of the files of a turn as one."""
    return f"/results/{thread}/turn_{number}.zip"


def archives(folder: Path, files: Files) -> APIRouter:
    """Return the route of archives, for the owners of sessions.

    Args:
        folder: The page's folder.
        files: Owners of files.
    """
    router = APIRouter()

    @router.get("/results/{thread}/{name}")
    def send(request: Request) -> Response:
        found = ADDRESS.fullmatch(request.url.path)
        place = folder / "results" / found["thread"] / found["turn"] if found else folder
        if not found or not files.may_read(place / "record.json", request.scope[USER]) or not place.is_dir():
            return PlainTextResponse("These files belong to another user, or are gone.", 404)
        listed = sorted(file for file in place.iterdir() if file.is_file() and not file.name.startswith("."))
        return StreamingResponse(
            archive(listed),
            media_type="application/zip",
            headers={
                "content-disposition": f'attachment; filename="superlink_{found["turn"]}.zip"',
                "cache-control": "no-store",
            },
        )

    return router


def archive(files: list[Path]) -> Iterator[bytes]:
    """Yield a zip file piece by piece, without keeping it in memory or on disk.

    Args:
        files: Files of different names; those that are gone are left out. Nothing is compressed, as media are already.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as whole:
        for file in files:
            try:
                entry = zipfile.ZipInfo.from_file(file, file.name, strict_timestamps=False)
                source = file.open("rb")
            except FileNotFoundError:
                continue
            with source, whole.open(entry, "w", force_zip64=entry.file_size > 1 << 31) as target:
                while piece := source.read(_CHUNK):
                    target.write(piece)
                    yield sink.take()
    yield sink.take()


class _Sink:
    """A file that can only be written; what was written is taken out."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to close."""

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken
