"""What the page refuses on a real socket, and that what is meant to work works beside it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("gradio")

import httpx

from tests.ui.served import API, LIMIT, USERS, Visitor, logged_in, served
from tests.waiting import WAIT
from ui.access.archive import archive_url
from ui.api import NAMES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("open")


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[str]:
    with served(folder, hosts=("pictures.lan",)) as address:
        yield address


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("users")


@pytest.fixture(scope="module")
def shared_page(shared_folder: Path) -> Iterator[str]:
    """A page with two users."""
    with served(shared_folder, USERS) as address:
        yield address


@pytest.fixture
def visitor(page: str) -> Iterator[Visitor]:
    with httpx.Client(base_url=page, timeout=WAIT) as client:
        yield Visitor(client)


def _calls(visitor: Visitor, file: str) -> list[tuple[str, str, dict[str, Any]]]:
    """All kinds of call that the page makes: method, address and content."""
    join = {
        "fn_index": visitor.calls["_ask"],
        "session_hash": visitor.session,
        "data": [{"text": "capitals", "files": []}, None, visitor.thread, None],
    }
    back = {"fn_index": visitor.calls["_new"], "session_hash": visitor.session, "data": [None]}
    asset = re.search(r'"\./(assets/[^"]+\.js)"', visitor.client.get("/").text)
    assert asset is not None
    return [
        ("GET", "/", {}),
        ("GET", "/config", {}),
        ("GET", f"/{asset[1]}", {}),
        ("GET", "/theme.css", {}),
        ("GET", f"{API}/info", {}),
        ("GET", f"{API}/file={file}", {}),
        ("HEAD", f"{API}/file={file}", {}),
        ("POST", f"{API}/upload", {"files": {"files": ("b.txt", b"planted")}}),
        ("POST", f"{API}/queue/join", {"json": join}),
        ("GET", f"{API}/queue/data?session_hash={visitor.session}", {}),
        ("POST", f"{API}/run/predict", {"json": back}),
        ("POST", f"{API}/cancel", {"json": {"session_hash": visitor.session, "fn_index": 0, "event_id": "e"}}),
        ("GET", "/login", {}),
        ("POST", "/login", {"data": {"username": "ada", "password": USERS["ada"]}}),
    ]


def test_nothing_is_answered_to_another_site(visitor: Visitor, folder: Path) -> None:
    file = visitor.upload().json()[0]
    host = visitor.client.base_url.netloc.decode()
    for method, address, content in _calls(visitor, file):
        for foreign in (
            {"Host": "attacker.example"},
            {"Host": f"attacker.example:{host.partition(':')[2]}"},
            {"Origin": "http://attacker.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        ):
            answer = visitor.client.request(method, address, headers=foreign, **content)
            assert answer.status_code == 403, (method, address, foreign)
            assert "access-control-allow-origin" not in answer.headers
    asked = {"Origin": "http://attacker.example", "Access-Control-Request-Method": "POST"}
    assert visitor.client.options(f"{API}/queue/join", headers=asked).status_code == 403
    assert not [path for path in (folder / "page").rglob("*") if path.name == "b.txt"]
    for method, address, content in _calls(visitor, file):
        own = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        with visitor.client.stream(method, address, headers=own, **content) as allowed:
            assert allowed.status_code not in (403, 404), (method, address)
    assert [path for path in (folder / "page").rglob("*") if path.name == "b.txt"]


def test_a_visitor_is_served_from_upload_to_result(visitor: Visitor) -> None:
    file = visitor.upload().json()[0]
    assert visitor.client.get(f"{API}/file={file}").content == b"hello"
    assert visitor.ask("in capitals", file).status_code == 200
    assert "HELLO" in visitor.follow()
    assert visitor.join("_open", [None, None, None]).status_code == 200  # as the page does when they change
    shown = set(re.findall(rf'({API}/file=[^"\\]+/results/[^"\\]+)', visitor.read()))
    assert any(address.endswith("record.json") for address in shown)
    for address in shown:
        assert visitor.client.get(address).status_code == 200


def test_files_and_sessions_are_for_their_owner_alone(shared_page: str, shared_folder: Path) -> None:
    with logged_in(shared_page, "ada") as first, logged_in(shared_page, "bob") as second:
        ada, bob = Visitor(first), Visitor(second)
        file = ada.upload(b"private words").json()[0]
        assert bob.client.get(f"{API}/file={file}").status_code == 403
        ada.ask("in capitals", file)
        ada.follow()
        folder = shared_folder / "page"
        results = [str(path) for path in (folder / "results").rglob("*") if path.is_file()]
        assert results
        database = str(folder / "page.sqlite")
        link = folder / "results" / "link"
        link.symlink_to(database)
        for path in (file, *results, database, f"{database}-wal", str(link)):
            for way in (path, f"{folder}/samples/../{Path(path).relative_to(folder)}", quote(f"{path}/.", safe="")):
                assert bob.client.get(f"{API}/file={way}").status_code == 403
                assert httpx.get(f"{shared_page}{API}/file={way}").status_code == 401
            assert bob.ask("in capitals", path).status_code == 403
        assert ada.client.get(f"{API}/file={database}").status_code == 403
        assert bob.ask("in capitals", "http://attacker.example/a.png").status_code == 403
        assert bob.ask("x", session=ada.session).status_code == 403
        assert bob.client.get(f"{API}/queue/data", params={"session_hash": ada.session}).status_code == 403
        own_too = f"{API}/queue/data?session_hash={bob.session}&session_hash={ada.session}"
        assert bob.client.get(own_too).status_code == 403
        assert bob.client.get(f"{API}/heartbeat/{ada.session}").status_code == 403
        cancel = {"session_hash": ada.session, "fn_index": 0, "event_id": "e"}
        assert bob.client.post(f"{API}/cancel", json=cancel).status_code == 403
        assert ada.client.get(f"{API}/file={results[0]}").status_code == 200
        whole = archive_url(Path(results[0]).relative_to(folder).parts[1], 1)
        assert ada.client.get(whole).content.startswith(b"PK")
        version = f"/sessions/{ada.thread}/version"
        assert ada.client.get(version).json()["version"] > 0
        assert bob.client.get(version).status_code == 404 and httpx.get(f"{shared_page}{version}").status_code == 401
        assert bob.client.get(whole).status_code == 404 and httpx.get(f"{shared_page}{whole}").status_code == 401
        # Who uploads the same file has it, too.
        assert bob.upload(b"private words").json()[0] == file
        assert bob.client.get(f"{API}/file={file}").content == b"private words"
        assert ada.client.get(f"{API}/file={file}").content == b"private words"


def test_only_what_the_page_needs_is_there(visitor: Visitor) -> None:
    client = visitor.client
    assert set(client.get(f"{API}/info").json()["named_endpoints"]) == {f"/{name}" for name in NAMES}
    visible = {
        call["api_name"] for call in client.get("/config").json()["dependencies"] if call["api_visibility"] == "public"
    }
    assert visible == set(NAMES)
    for address in (
        "/openapi.json",
        "/docs",
        "/monitoring",
        "/monitoring/summary",
        f"{API}/openapi.json",
        f"{API}/runs",
        f"{API}/deep_link?session_hash={visitor.session}",
        f"{API}/file/etc/passwd",
        f"{API}/proxy=https://example.org/",
        f"{API}/queue/status",
        f"{API}/dev/reload",
        f"{API}/vibe-code",
        "/gradio_api//info",
        f"{API}/token",
    ):
        assert client.get(address).status_code == 404, address
    for address in (
        "call/_ask",
        "call/v2/_ask",
        "run/_ask",
        "api/_ask",
        "component_server",
        "process_recording",
        "vibe-edit",
    ):
        assert client.post(f"{API}/{address}", json={"data": [None, None]}).status_code == 404, address
    for path in ("/etc/passwd", "/proc/self/environ", "", "\0", "http://127.0.0.1/", "a" * 5000, str(Path(__file__))):
        assert client.get(f"{API}/file={quote(path)}").status_code in (403, 404), path


def test_a_session_of_an_ended_server_is_told_so(visitor: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    assert '"session_not_found":true' in visitor.read()
    assert not caplog.records


def test_uploads_over_the_limit_leave_nothing(visitor: Visitor, folder: Path) -> None:
    def kept() -> set[Path]:
        return {path for path in (folder / "page").rglob("*") if path.is_file()}

    before = kept()
    assert visitor.upload(bytes(LIMIT + 1)).status_code == 413  # seen by Gradio
    assert visitor.upload(bytes(3 * LIMIT)).status_code == 413  # seen by its length
    chunks = iter([b"--x\r\n"] * 3)
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert visitor.client.post(f"{API}/upload", content=chunks, headers=form).status_code == 411
    assert kept() == before
    assert visitor.upload(bytes(LIMIT)).status_code == 200
    assert visitor.ask("x" * (9 << 20)).status_code == 413
    for nonsense in (b"{", b"[" * 100_000, b"\xff"):
        answer = visitor.client.post(
            f"{API}/queue/join", content=nonsense, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 403


def test_answers_forbid_frames_and_guessing(visitor: Visitor) -> None:
    answer = visitor.client.get("/")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY" and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    file = visitor.client.get(f"{API}/file={visitor.upload().json()[0]}")
    assert file.headers["cache-control"].startswith("private")
    asset = re.search(r'"\./(assets/[^"]+\.js)"', answer.text)
    assert asset is not None
    assert "immutable" in visitor.client.get(f"/{asset[1]}").headers["cache-control"]
    assert visitor.client.get("/assets/none.js").headers["cache-control"] == "no-store"


def test_the_given_host_is_answered(visitor: Visitor) -> None:
    port = visitor.client.base_url.port
    for name in (f"pictures.lan:{port}", f"localhost:{port}", "PICTURES.LAN"):
        assert visitor.upload(headers={"Host": name, "Origin": f"http://{name}"}).status_code == 200
    assert visitor.upload(headers={"Host": f"pictures.lan.attacker.example:{port}"}).status_code == 403


def test_the_page_says_who_is_logged_in(shared_page: str, visitor: Visitor) -> None:
    with logged_in(shared_page, "ada") as client:
        for who, shown in ((Visitor(client), "Logged in as ada."), (visitor, None)):
            body = {"fn_index": who.calls["account_html"], "session_hash": who.session, "data": []}
            said = who.client.post(f"{API}/run/predict", json=body).json()["data"][0]
            assert (shown in said and 'href="/logout"' in said) if shown else said == ""


def test_nothing_is_there_before_the_login(shared_page: str) -> None:
    gradio_client = pytest.importorskip("gradio_client")
    with httpx.Client(base_url=shared_page, timeout=WAIT) as client:
        for method, path in (
            ("GET", "/"),
            ("GET", "/config"),
            ("GET", "/theme.css"),
            ("GET", f"{API}/info"),
            ("GET", f"{API}/startup-events"),
            ("GET", f"{API}/heartbeat/a"),
            ("POST", f"{API}/upload"),
            ("POST", f"{API}/queue/join"),
            ("POST", f"{API}/run/predict"),
            ("POST", f"{API}/cancel"),
            ("POST", "/anything"),
        ):
            body = {"data": [], "fn_index": 0} if method == "POST" else None
            for given in ({}, {"Authorization": "Bearer guessed"}, {"Authorization": "Basic YWRhOm9wZW4="}):
                assert client.request(method, path, json=body, headers=given).status_code == 401, (path, given)
    with pytest.raises(Exception, match="[Cc]ould not log"):
        gradio_client.Client(shared_page, auth=("ada", "guessed"), verbose=False)
    program = gradio_client.Client(shared_page, auth=("ada", USERS["ada"]), verbose=False)
    try:
        with logged_in(shared_page, "bob") as client:
            own = {"cookies": program.cookies, "files": {"files": ("a.txt", b"of a program")}}
            sent = httpx.post(f"{shared_page}{API}/upload", **own).json()[0]
            assert httpx.get(f"{shared_page}{API}/file={sent}", cookies=program.cookies).content == b"of a program"
            assert client.get(f"{API}/file={sent}").status_code == 403
    finally:
        program.close()
