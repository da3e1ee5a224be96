"""The Prefect server: the configured one, or one of our own on this computer for as long as a block lasts.

Our own asks for a password, and answers only its own pages. Prefect reads its settings when it is imported, so
`configure_prefect` must be called before.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from filelock import FileLock, Timeout

from flows.orchestration.secret import secret
from tools.core.errors import SuperlinkError
from tools.core.settings import settings

HOST = "127.0.0.1"
_START_SECONDS = 300  # the first start makes the database
_ANSWER_SECONDS = 30  # on a busy computer


class ServerError(SuperlinkError):
    """There is no Prefect server to work with."""


def configured() -> bool:
    """Whether a server is configured: PREFECT_API_URL is set."""
    return bool(os.environ.get("PREFECT_API_URL"))


def home() -> Path:
    """Folder of our own server's database."""
    return settings().home / "prefect"


def password_file() -> Path:
    """The file that holds the password of our own server; only its owner can read it."""
    return home() / "password"


def configure_prefect() -> None:
    """Set Prefect's settings for this process and its children, unless they are set; none sends telemetry."""
    for name, value in {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        **(
            {} if configured() else {"PREFECT_HOME": str(home())}
        ),  # with a server of one's own there may be a Prefect profile
        # Seconds; Prefect's least. A run that misses three has crashed (`flows.orchestration.setup`).
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        # Without the address of a server, Prefect would start one that answers everybody.
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        # In files, so that slots are freed also after a restart of the server.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }.items():
        os.environ.setdefault(name, value)
    home().mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        import prefect  # noqa: F401
    except ImportError as error:
        raise ServerError(
            "Prefect is not installed", "pip install 'superlink[prefect]', or unset PREFECT_API_URL"
        ) from error


@contextmanager
def server(port: int = 0) -> Iterator[str]:
    """Yield the address of a server's API; Prefect uses it inside the block.

    The server is the configured one, or one that another superlink process started here, or a child of this process,
    which ends with the block or when this process ends.

    Args:
        port: of a server that is started; 0 for any free one.

    Raises:
        ServerError: it does not answer, does not start, or asks for another password.
    """
    configure_prefect()
    if configured():
        yield _check_password(_check_health(os.environ["PREFECT_API_URL"]))
        return
    note = home() / "server.json"
    try:
        with FileLock(home() / "server.lock").acquire(timeout=0):
            note.unlink(missing_ok=True)  # of a process that was killed
            with _start(port) as address:
                note.write_text(json.dumps({"api": address}))
                try:
                    with _use(address):
                        yield address
                finally:
                    note.unlink(missing_ok=True)
    except Timeout:
        with _use(_check_health(_read_address(note))) as address:
            yield address


@contextmanager
def _use(address: str) -> Iterator[str]:
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    # In the environment, because command lines are readable by all users.
    variables = {"PREFECT_API_URL": address, "PREFECT_API_AUTH_STRING": secret(password_file())}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        with temporary_settings(
            {PREFECT_API_URL: address, PREFECT_API_AUTH_STRING: variables["PREFECT_API_AUTH_STRING"]}
        ):
            yield address
    finally:
        # The last lines of the log are sent while there is a server: without one, Prefect tries for more than a minute.
        APILogWorker.drain_all(timeout=_ANSWER_SECONDS)
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _start(port: int) -> Iterator[str]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServerError(
                f"Port {port} cannot be used: {error.strerror}", "Give another one with --port"
            ) from error
        port = probe.getsockname()[1]
    address = f"http://{HOST}:{port}/api"
    log = home() / "server.log"
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "flows.orchestration.server", str(port)],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            cwd=Path(__file__).resolve().parents[2],  # not a folder with a flows.py of somebody else's
            start_new_session=True,  # Ctrl-C ends our run first, which still reports to the server
            env={
                **os.environ,
                "PREFECT_SERVER_UI_API_URL": address,  # else the page asks port 4200
                "PREFECT_SERVER_API_AUTH_STRING": secret(password_file()),
                "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(_origins(port)),
            },
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _healthy(address):
            if child.poll() is not None or time.monotonic() > deadline:
                raise ServerError("The Prefect server does not start", f"See {log}")
            time.sleep(0.2)
        yield address
    finally:
        child.terminate()
        try:
            child.wait(_ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _origins(port: int) -> list[str]:
    """The origins of our own pages."""
    return [f"http://{name}:{port}" for name in (HOST, "localhost")]


def _read_address(note: Path) -> str:
    """The address that another process writes to a file once its server answers."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            return str(json.loads(note.read_text())["api"])
        except (OSError, ValueError):
            time.sleep(0.2)
    raise ServerError(
        f"The server of another superlink process does not start: there is no {note}", f"See {home()}/server.log"
    )


def _check_health(address: str) -> str:
    if not _healthy(address):
        raise ServerError(f"No Prefect server answers at {address}", "Start it, or unset PREFECT_API_URL")
    return address


def _check_password(address: str) -> str:
    from prefect import get_client
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        with get_client(sync_client=True) as client:
            client.api_version()
    except PrefectHTTPStatusError as error:
        if error.response.status_code in (401, 403):
            raise ServerError(
                f"The Prefect server at {address} asks for another password",
                "Set PREFECT_API_AUTH_STRING; superlink serve-flows prints the one of its own server",
            ) from error
    return address


def _healthy(address: str) -> bool:
    try:
        with urlopen(f"{address.rstrip('/')}/health", timeout=_ANSWER_SECONDS) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False


def _serve(port: int) -> None:
    """Run the server until the parent process ends, which closes the pipe on standard input."""
    import signal

    import uvicorn
    from prefect.server.api.server import create_app

    from tools.core.http_guard import HEADERS, HttpGuard

    def end() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_ANSWER_SECONDS)
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
    # The dashboard's own pages would send telemetry to another computer.
    own = " ".join(one for origin in _origins(port) for one in (origin, origin.replace("http", "ws", 1)))
    policy = (
        f"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src {own} data: blob:; "
        "frame-ancestors 'none'"
    )
    # As `prefect server start` does, which offers no check of hosts and origins.
    app = HttpGuard(create_app(final=True), headers={**HEADERS, "Content-Security-Policy": policy})
    uvicorn.run(app, host=HOST, port=port, log_level="warning")


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
