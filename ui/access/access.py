"""Everything about who may do what on the page, opened together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tools.storage.database import Database
from ui.access.attempts import Attempts
from ui.access.database import NAME, open_database
from ui.access.owners import Files
from ui.access.users import Users


@dataclass(frozen=True)
class Access:
    """Users, wrong passwords and owners of files of one page, which its folder keeps.

    Attributes:
        folder: Folder of everything that the page keeps.
        users: Users and their logins.
        attempts: Wrong passwords.
        files: Owners of files.
    """

    folder: Path
    users: Users
    attempts: Attempts
    files: Files
    _database: Database

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the database of a page's folder; both are made when missing.

        Raises:
            SuperlinkError: when it cannot be opened.
        """
        database = open_database(folder)
        return cls(folder, Users(database), Attempts(database), Files(folder, database), database)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def has_users(folder: Path) -> bool:
    """Return whether a page has users, without making its folder."""
    if not (folder / NAME).exists():
        return False
    access = Access.open(folder)
    try:
        return access.users.exist()
    finally:
        access.close()
