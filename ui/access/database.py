"""The database of the page: `page.sqlite` in the page's folder."""

import os
from contextlib import suppress
from pathlib import Path

from tools.core.settings import settings
from tools.storage.database import Database, connect

NAME = "page.sqlite"


def page_folder() -> Path:
    """Return the folder of everything that the page keeps: uploads, results, samples, its database."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or settings().home / "page")


def open_database(folder: Path) -> Database:
    """Open the database of a page's folder; both are made when missing, readable by their owner only.

    Every statement is a transaction of its own unless it stands between BEGIN and COMMIT.

    Raises:
        SuperlinkError: when it cannot be opened; later, when it cannot be read or written.
    """
    file = folder / NAME
    database = connect(file, "The database of the page", f"superlink repair {folder}")
    # It holds hashes of passwords. SQLite gives the files beside it, if it makes them, the same permissions.
    for beside in (file, *folder.glob(f"{NAME}-*")):
        with suppress(FileNotFoundError):
            beside.chmod(0o600)
    return database
