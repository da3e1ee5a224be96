"""What all tabs of the page share."""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.examples.use import Examples, open_examples
from agents.plan.types import AnyTool
from agents.planners.base import Planner
from agents.session.memory import Saver
from tools.storage.store import Store
from ui.access.owners import Files
from ui.access.users import LOCAL


@dataclass
class Context:
    """What all tabs of the page share.

    Attributes:
        tools: Tools by name, with those that a person adds in the Tools tab. A change puts another mapping in place of
            this one, so that whoever goes through it in another thread is not disturbed; so do not keep it.
        planner: The planner.
        store: The store of values.
        saver: The database of threads.
        folder: Folder of everything that the page keeps: uploads, results, samples, its database.
        files: Owners of files.
    """

    tools: Mapping[str, AnyTool]
    planner: Planner
    store: Store
    saver: Saver
    folder: Path
    files: Files

    @property
    def results(self) -> Path:
        """Folder with a folder for each session and turn."""
        return self.folder / "results"


def examples_of(owner: str) -> Examples | None:
    """Return the examples of a user, which other users' planners do not see; None where they are switched off."""
    return open_examples(getpass.getuser()) if owner == LOCAL else open_examples(owner, owner)
