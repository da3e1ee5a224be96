"""What the tests share: folders of their own, and where optional material lies."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# The files that take longest, which begin first where several processes share the files: none is left alone at the end.
LONGEST = ["flows/test_prefect.py", "test_wheel.py", "flows/test_exports.py", "flows/test_ray.py", "ui/test_page.py"]

# Threads cost small models more than they save, and more still where several processes of tests share the cores.
# Libraries read this when they are imported; the processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test sees, or adds to, the examples of whoever runs it.
os.environ["SUPERLINK_EXAMPLES"] = "off"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first, unless the order is to be random."""
    if config.pluginmanager.has_plugin("randomly"):
        return
    order = {str(ROOT / "tests" / name): place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(str(item.path), len(order)))


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of later collections of garbage, which would take seconds each."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let libraries end as they do elsewhere."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of optional material beside the project; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("the optional material beside the project is not there")
    return SHARED


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A SUPERLINK_HOME of the test's own."""
    from tools.core.settings import settings

    monkeypatch.setenv("SUPERLINK_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()
