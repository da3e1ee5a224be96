"""Files made to do harm, sent to a real server."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("gradio")

from tests.ui.served import API, Visitor, served
from tests.waiting import WAIT
from tools.core.settings import settings
from ui.access.links import file_url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacked")


@pytest.fixture(scope="module")
def visitor(folder: Path) -> Iterator[Visitor]:
    with served(folder) as address, httpx.Client(base_url=address, timeout=WAIT) as client:
        yield Visitor(client)


def _send(visitor: Visitor, name: str, data: bytes) -> httpx.Response:
    return visitor.client.post(f"{API}/upload", files={"files": (name, data)})


def _kept(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and path.parent not in (folder, folder / "page")}


def _png(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(visitor: Visitor, folder: Path) -> None:
    before = _kept(folder)
    for width, height in ((40_000, 40_000), (10_000, 7_000), (2**31 - 1, 2**31 - 1)):
        given = _send(visitor, "huge.png", _png(width, height))
        assert given.status_code == 413 and given.text.startswith("huge.png"), given.text
        assert str(folder) not in given.text
    mixed = [("files", ("good.txt", b"words")), ("files", ("huge.png", _png(40_000, 40_000)))]
    assert visitor.client.post(f"{API}/upload", files=mixed).status_code == 413
    assert _kept(folder) == before


def test_a_bomb_is_a_file_like_any_other_and_is_never_unpacked(visitor: Visitor, folder: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(20 << 20))
        archive.writestr("../../planted", b"planted")
    size = sum(path.stat().st_size for path in _kept(folder))
    file = _send(visitor, "photos.zip", packed.getvalue()).json()[0]
    assert sum(path.stat().st_size for path in _kept(folder)) == size + len(packed.getvalue())
    assert visitor.client.get(f"{API}/file={file}").headers["content-disposition"].startswith("attachment")
    assert _send(visitor, "photos.png", packed.getvalue()).status_code == 413  # no picture


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.xml", "a.js", "a.xhtml", "a"])
def test_what_could_run_a_script_is_handed_over_as_a_download(visitor: Visitor, name: str) -> None:
    page = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    file = _send(visitor, name, page).json()[0]
    given = visitor.client.get(f"{API}/file={file}")
    assert given.content == page and given.headers["content-disposition"].startswith("attachment")
    assert given.headers["content-type"] == "application/octet-stream"
    assert given.headers["x-content-type-options"] == "nosniff"
    policy = given.headers["content-security-policy"]
    assert "sandbox" in policy and "default-src 'none'" in policy and "script" not in policy


def test_a_picture_is_shown_and_can_do_nothing_else(visitor: Visitor) -> None:
    page = b"GIF89a<script>alert(1)</script>"
    given = visitor.client.get(f"{API}/file={_send(visitor, 'a.txt', page).json()[0]}")
    assert "sandbox" in given.headers["content-security-policy"]
    assert _send(visitor, "a.gif", page).status_code == 413  # no picture


@pytest.mark.parametrize(
    "name",
    [
        "../../planted.txt",
        "..\\..\\planted.txt",
        "/tmp/planted.txt",
        "<img src=x onerror=alert(1)>.txt",
        "a\r\nSet-Cookie: b=c.txt",
        "x" * 300 + ".txt",
        "..",
        "page.sqlite",
        "\u202egnp.txt",
    ],
)
def test_a_name_is_a_name(visitor: Visitor, folder: Path, name: str) -> None:
    before = _kept(folder)
    given = _send(visitor, name, name.encode())
    new = _kept(folder) - before
    if given.status_code == 200:
        (place,) = map(Path, given.json())
        assert new == {place} and place.parent.parent == folder / "page"
        assert not set("<>\r\n/\\") & set(place.name)
        shown = visitor.client.get(file_url(place))
        assert shown.status_code == 200 and "set-cookie" not in shown.headers
    else:
        assert given.status_code in (400, 413), given.text
        assert not new


def test_a_full_share_of_the_disk_is_said(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_UI_DISK_BYTES", "1")
    settings.cache_clear()
    given = _send(visitor, "a.txt", b"more")
    assert given.status_code == 413 and "Delete sessions that you do not need" in given.text
    monkeypatch.undo()
    settings.cache_clear()
    assert _send(visitor, "a.txt", b"more").status_code == 200
