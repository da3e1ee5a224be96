"""The Models tab without a browser: what it lists, and fetching in the background."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.test_weights import _onnx as onnx
from tests.tools.test_weights import _sha
from tests.waiting import WAIT, until
from tools.core.errors import SettingsInvalid, WeightsMissing, WeightsUnsafe
from tools.core.settings import settings
from tools.runtime.model_cache import evict_idle, in_use, resident
from tools.weights import packages, weights
from tools.weights.choosing import choose
from tools.weights.usage import record
from ui.access.users import may_administer
from ui.catalogue.jobs import Job, Jobs, progress_in_words
from ui.catalogue.models import question_html, rows_html
from ui.catalogue.weights import WeightsRow, computer, rows, starter_set

CONTENT = onnx(b"tiny")
SAFE = f'sha256 = "{_sha(CONTENT)}"'


@pytest.fixture
def jobs(home: Path) -> Iterator[Jobs]:
    home.mkdir(exist_ok=True)
    made = Jobs(lambda name: f"{name} is ready")
    yield made
    made.close()


def declare(home: Path, *entries: str) -> None:
    (home / "weights.toml").write_text("\n".join(entries))


def entry(name: str, more: str = SAFE, licence: str = "MIT", format_: str = "onnx", needs: str = "") -> str:
    return (
        f'[{name}]\nroles = ["detect"]\nlicence = "{licence}"\nformat = "{format_}"\nfile = "{name}.onnx"\n{more}\n'
        f'needs = [{needs}]\nsources = [{{ url = "https://example.org/{name}" }}]\nnote = "For <b>tests</b>"'
    )


class Served:
    """Answers every address with CONTENT, once it is let go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.addresses: list[str] = []
        monkeypatch.setattr("urllib.request.urlopen", self._open)

    def _open(self, request: Any, **_: Any) -> io.BytesIO:
        self.addresses.append(request.full_url)
        served = self

        class Answer(io.BytesIO):
            url = request.full_url
            headers = {"Content-Length": str(len(CONTENT))}

            def read(self, size: int | None = -1, /) -> bytes:
                served.asked.set()
                served.go_on.wait(WAIT)
                return super().read(size)

        return Answer(CONTENT)


def one(name: str, jobs: Jobs) -> WeightsRow:
    return next(row for row in rows(jobs.all()) if row.id == name)


def finished(jobs: Jobs, name: str) -> Job:
    until(lambda: not jobs.all()[name].active, f"the job of {name} has ended")
    return jobs.all()[name]


def test_weights_are_fetched_in_the_background(home: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(home, entry("tiny", needs='"other"'), entry("other"))
    served = Served(monkeypatch)
    jobs.pull("tiny")
    assert served.asked.wait(WAIT) and jobs.active()
    jobs.pull("tiny")  # it runs already
    assert [jobs.all()[name].state for name in ("tiny", "other")] == ["running", "waiting"]
    row = one("tiny", jobs)
    assert row.job is not None and "asking the source" in rows_html([row]) and 'data-action="stop"' in rows_html([row])
    served.go_on.set()
    job = finished(jobs, "tiny")
    assert (job.state, job.done, job.total, job.message) == ("done", len(CONTENT), len(CONTENT), "tiny is ready")
    assert finished(jobs, "other").state == "done" and len(served.addresses) == 2
    row = one("tiny", jobs)
    assert row.here and row.pinned and row.can_remove and not row.can_pull
    jobs.verify("tiny")
    assert finished(jobs, "tiny").message.endswith("is right")


def test_a_fetch_is_stopped_also_while_it_waits(home: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(home, entry("tiny"), entry("other"))
    served = Served(monkeypatch)
    jobs.pull("tiny")
    jobs.pull("other")
    assert served.asked.wait(WAIT)
    jobs.stop("other")
    jobs.stop("tiny")
    assert finished(jobs, "tiny").state == finished(jobs, "other").state == "stopped"
    served.go_on.set()
    assert [address.rpartition("/")[2] for address in served.addresses] == ["tiny"]
    jobs.pull("tiny")  # again
    assert finished(jobs, "tiny").state == "done"


def test_what_goes_wrong_is_said(home: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(home, entry("tiny", f'sha256 = "{"0" * 64}"'))
    Served(monkeypatch).go_on.set()
    jobs.pull("tiny")
    assert finished(jobs, "tiny").state == "failed"
    assert "the pinned one is 000" in jobs.all()["tiny"].message

    def unplugged(*_: Any, **__: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", unplugged)
    jobs.pull("tiny")
    assert "Name or service not known" in finished(jobs, "tiny").message
    with pytest.raises(WeightsMissing):
        jobs.pull("nothing-like-it")


def test_licence_and_risk_are_accepted_first(home: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(home, entry("strict", licence="AGPL-3.0-only"), entry("pickled", more="", format_="pickle"))
    Served(monkeypatch).go_on.set()
    for name in ("strict", "pickled"):
        with pytest.raises(WeightsUnsafe, match=name):
            jobs.pull(name)
        assert name not in jobs.all()
    asked = question_html([row for row in rows({}) if row.id in ("strict", "pickled")], "pull")
    assert "AGPL-3.0-only</b>, which asks for more" in asked and "https://example.org/pickled" in asked
    assert asked.count("can run code") == 1
    jobs.pull("strict", accept=True)
    jobs.pull("pickled", accept=True)
    assert finished(jobs, "strict").state == finished(jobs, "pickled").state == "done"
    assert weights.verified_hash("pickled") == _sha(CONTENT)  # pinned as it was fetched


def test_the_starter_set_is_chosen_once_all_of_it_is_here(
    home: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not starter_set().chosen and starter_set().missing
    monkeypatch.setattr(packages, "_run", lambda *_, **__: (_ for _ in ()).throw(OSError("no network")))
    jobs.pull_starter(accept=True)
    until(lambda: not jobs.active(), "all have failed")
    assert settings().weights != "starter" and "no network" in jobs.all()["nanodet"].message
    monkeypatch.setattr("tools.weights.starter.is_here", lambda _: True)
    jobs.pull_starter()
    until(lambda: (home / "settings.toml").exists(), "the settings are written")
    until(lambda: starter_set().chosen, "the starter set is chosen")


def test_weights_that_are_here_can_be_chosen_for_a_role(
    home: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(home, entry("tiny"))
    Served(monkeypatch).go_on.set()
    assert one("tiny", jobs).can_use == ()
    weights.pull("tiny")
    assert one("tiny", jobs).can_use == ("detect",)
    assert 'aria-label="Use for detect: tiny"' in rows_html([one("tiny", jobs)])
    (home / "settings.toml").write_text("# mine\nui_files = 3 # few\n")
    with pytest.raises(SettingsInvalid, match="tiny cannot do the work of the role face"):
        choose("tiny", "face")
    assert choose("tiny", "detect") == home / "settings.toml"
    row = one("tiny", jobs)
    assert row.can_use == () and row.used_for == ("detect",) and settings().role("track") != "tiny"
    said = (home / "settings.toml").read_text()
    assert "# mine" in said and "ui_files = 3 # few" in said
    monkeypatch.setenv("SUPERLINK_ROLE_DETECT", "nanodet")
    with pytest.raises(SettingsInvalid, match="nanodet are still used for detect, because SUPERLINK_ROLE_DETECT"):
        choose("tiny", "detect")


def test_what_is_in_memory_is_shown(home: Path, jobs: Jobs) -> None:
    @resident(bytes=7_000_000, device="cpu")
    def load() -> object:
        record([{"id": "nanodet", "sha256": "0", "licence": "Apache-2.0"}])
        return object()

    try:
        with in_use():
            load()
            row = one("nanodet", jobs)
            assert row.busy and row.in_memory == 7_000_000 and computer().models >= 7_000_000
            assert "at work" in rows_html([row]) and 'data-action="unload"' not in rows_html([row])
        row = one("nanodet", jobs)
        assert "used just now" in rows_html([row]) and 'data-action="unload"' in rows_html([row])
    finally:
        evict_idle("nanodet")


def test_rows_are_found_by_words_and_texts_are_inert(home: Path, jobs: Jobs) -> None:
    declare(home, entry("tiny"))
    assert [row.id for row in rows({}, "DETECT mit tests")] == ["tiny"]
    assert "<b>tests" not in rows_html(rows({}, "tiny")) and "No weights fit" in rows_html(rows({}, "no such thing"))
    chosen = [bool(row.used_for) for row in rows({})]
    assert chosen == sorted(chosen, reverse=True)


def test_progress_is_told_in_words() -> None:
    job = Job("tiny", "pull", "running", 12_000_000, 48_000_000, 3_000_000.0)
    assert progress_in_words(job) == "12 MB of 48 MB, 3.0 MB/s, 12 s left"
    assert progress_in_words(Job("tiny", "pull", "running", 12_000_000)) == "12 MB"
    assert progress_in_words(Job("tiny", "pull")) == "waits for those before it"


def test_only_who_runs_the_page_changes_weights() -> None:
    assert may_administer("local") and may_administer("superlink") and not may_administer("ann")
