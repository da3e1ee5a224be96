"""What the tests share: folders of their own, and where optional material lies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of optional material beside the project; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("the optional material beside the project is not there")
    return SHARED


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A SUPERLINK_HOME of the test's own."""
    from tools.settings import settings

    monkeypatch.setenv("SUPERLINK_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()
