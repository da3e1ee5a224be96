"""Homes for servers under test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.core.settings import settings

USUAL_HOME = os.environ.get("SUPERLINK_HOME", "")


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A SUPERLINK_HOME for the tests of a file."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERLINK_HOME", str(folder))
        settings.cache_clear()
        yield folder
    settings.cache_clear()


@pytest.fixture
def planner_home(tmp_path: Path) -> Path:
    """A home with the planner's weights alone; skips where they have not been pulled."""
    from agents.planners.backbone import model_file
    from tools.core.errors import WeightsMissing

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERLINK_HOME", USUAL_HOME)  # "" stands for the default
        settings.cache_clear()
        try:
            model_file()
        except WeightsMissing as error:
            pytest.skip(str(error))
        finally:
            usual = settings().home
    settings.cache_clear()
    folder = tmp_path / "planner-home"
    folder.mkdir()
    for name in ("planner", "weights", "weights.lock.toml"):
        if (usual / name).exists():
            (folder / name).symlink_to(usual / name)
    return folder
