"""Planning a request, checking the plan, having it approved, running it, and answering."""

from pathlib import Path
from typing import TYPE_CHECKING

from tools.core.provided import BACKBONE, provide

if TYPE_CHECKING:
    from agents.seeing import Sight


def _load_sight(folder: Path, core: str) -> "Sight":
    from agents.seeing import Sight  # which imports the backbone

    return Sight.load(folder, core)


provide(BACKBONE, _load_sight)
