"""Users of the page, their logins and their tokens for programs."""

import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tools.core.errors import SettingsInvalid
from tools.storage.database import Database

LOCAL = "local"
"""Owner of everything where the page has no users."""
SINGLE = "superlink"
"""Name of the user whose password is given when the page starts."""
SHORTEST = 8
"""Minimum number of characters of a user's password."""
LONGEST = 1024
"""Maximum number of characters of a password."""
LOGIN_SECONDS = 30 * 86400
"""How long a login lasts."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    hash TEXT NOT NULL,
    single INTEGER NOT NULL DEFAULT 0,
    made REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS logins (
    token BLOB PRIMARY KEY,
    user TEXT NOT NULL COLLATE NOCASE,
    expires REAL
);
CREATE INDEX IF NOT EXISTS logins_by_user ON logins (user);
"""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def may_administer(owner: str) -> bool:
    """Whether a user may load tools and change weights: who runs the page, on this computer or by its one password."""
    return owner.lower() in (LOCAL, SINGLE)


@dataclass(frozen=True)
class User:
    """A user: name, time of creation, number of valid logins and of tokens for programs.

    `single` is true for the user whose password is given when the page starts.
    """

    name: str
    made: datetime
    logins: int
    tokens: int
    single: bool


class Users:
    """The users in a database. All methods may be called from several threads.

    Args:
        database: Of the page.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock
        self._lock = Lock()
        self._hasher = PasswordHasher()
        database.executescript(_SCHEMA)

    def add(self, name: str, password: str) -> None:
        """Add a user.

        Raises:
            SettingsInvalid: when the name is taken or cannot be a name, or the password is too short.
        """
        self.check_new(name)
        made = self._database.execute(
            "INSERT INTO users (name, hash, made) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (name, self._hasher.hash(_checked(password)), self._clock()),
        )
        if not made.rowcount:
            self.check_new(name)

    def check_new(self, name: str) -> None:
        """Raise SettingsInvalid when a user of this name cannot be added."""
        if not _NAME.fullmatch(name) or name.lower() == LOCAL:
            raise SettingsInvalid(
                f"{name!r} cannot be the name of a user",
                "Take at most 64 letters, digits and . _ @ + - and begin with a letter or a digit",
            )
        if row := self._row(name):
            raise SettingsInvalid(f"there is a user {row[0]} already", "Give another name, or change the password")

    def set_password(self, name: str, password: str) -> None:
        """Change a password; the user's logins and tokens end.

        Raises:
            SettingsInvalid: when there is no such user, or the password is too short.
        """
        name = self.stored(name)
        hashed = self._hasher.hash(_checked(password))
        with self._transaction():
            self._database.execute("UPDATE users SET hash = ?, single = 0 WHERE name = ?", (hashed, name))
            self._database.execute("DELETE FROM logins WHERE user = ?", (name,))

    def set_single(self, password: str | None) -> None:
        """Make the user "superlink" with the password that was given at the start, or remove this user without one.

        Logins stay valid as long as the password is the same.

        Raises:
            SettingsInvalid: when "superlink" was added as a user with a password of its own.
        """
        row = self._database.execute("SELECT hash, single FROM users WHERE name = ?", (SINGLE,)).fetchone()
        if row and not row[1]:
            if password is None:
                return
            raise SettingsInvalid(
                f"the user {SINGLE} has a password of its own",
                f"Leave the password out, or give: superlink ui user remove {SINGLE}",
            )
        if password is not None and row and self._matches(row[0], password):
            return
        hashed = None if password is None else self._hasher.hash(_normal(password))
        with self._transaction():
            self._database.execute("DELETE FROM users WHERE name = ?", (SINGLE,))
            self._database.execute("DELETE FROM logins WHERE user = ?", (SINGLE,))
            if hashed is not None:
                self._database.execute(
                    "INSERT INTO users (name, hash, single, made) VALUES (?, ?, 1, ?)", (SINGLE, hashed, self._clock())
                )

    def remove(self, name: str) -> None:
        """Remove a user; the user's logins and tokens end, sessions and files stay.

        Raises:
            SettingsInvalid: when there is no such user.
        """
        name = self.stored(name)
        with self._transaction():
            self._database.execute("DELETE FROM users WHERE name = ?", (name,))
            self._database.execute("DELETE FROM logins WHERE user = ?", (name,))

    def all(self) -> list[User]:
        """Return all users, by name."""
        rows = self._database.execute(
            "SELECT name, made, single, "
            "(SELECT count(*) FROM logins WHERE user = name AND expires > ?), "
            "(SELECT count(*) FROM logins WHERE user = name AND expires IS NULL) FROM users ORDER BY name",
            (self._clock(),),
        )
        return [
            User(name, datetime.fromtimestamp(made), logins, tokens, bool(single))
            for name, made, single, logins, tokens in rows
        ]

    def exist(self) -> bool:
        """Return whether there is any user."""
        return self._database.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None

    def log_in(self, name: str, password: str) -> str | None:
        """Check a password and begin a login. Takes about 0.2 s and 64 MB, by design.

        Returns:
            The token of the login; None when name or password are wrong.
        """
        row, unknown = self._row(name), self._unknown
        # As slow for an unknown name, so that the time does not show which names exist.
        if not self._matches(row[1] if row else unknown, password) or row is None:
            return None
        return self._enter(*row, self._clock() + LOGIN_SECONDS)

    def make_token(self, name: str) -> str:
        """Return a new token with which a program is this user, until the password changes or `log_out_all`.

        Raises:
            SettingsInvalid: when there is no such user.
        """
        row = self._row(self.stored(name))
        token = self._enter(*row, None) if row else None
        if token is None:
            raise SettingsInvalid(f"{name} was changed meanwhile", "Give the command again")
        return token

    def user_of(self, token: str) -> str | None:
        """Return the user of a login or of a program's token; None when it is not valid."""
        row = self._database.execute(
            "SELECT users.name FROM logins JOIN users ON users.name = logins.user "
            "WHERE token = ? AND (expires IS NULL OR expires > ?)",
            (_hashed(token), self._clock()),
        ).fetchone()
        return None if row is None else str(row[0])

    def log_out(self, token: str) -> None:
        """End a login."""
        self._database.execute("DELETE FROM logins WHERE token = ?", (_hashed(token),))

    def log_out_all(self, name: str) -> None:
        """End all logins and tokens of a user.

        Raises:
            SettingsInvalid: when there is no such user.
        """
        self._database.execute("DELETE FROM logins WHERE user = ?", (self.stored(name),))

    def _enter(self, name: str, hashed: str, expires: float | None) -> str | None:
        """Enter a new token, unless the password was changed since its hash was read."""
        token = secrets.token_urlsafe(32)
        self._database.execute("DELETE FROM logins WHERE expires <= ?", (self._clock(),))
        made = self._database.execute(
            "INSERT INTO logins (token, user, expires) SELECT ?, name, ? FROM users WHERE name = ? AND hash = ?",
            (_hashed(token), expires, name, hashed),
        )
        return token if made.rowcount else None

    @cached_property
    def _unknown(self) -> str:
        """Hash that no password has; made at the first login, not whenever the users are opened."""
        return self._hasher.hash(secrets.token_urlsafe())

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return len(password) <= LONGEST and self._hasher.verify(hashed, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    def _row(self, name: str) -> tuple[str, str] | None:
        """Return a user's name as it was added and the hash of the password."""
        if not _NAME.fullmatch(name):
            return None
        row: tuple[str, str] | None = self._database.execute(
            "SELECT name, hash FROM users WHERE name = ?", (name,)
        ).fetchone()
        return row

    def stored(self, name: str) -> str:
        """Return a user's name as it was added; upper and lower case are the same.

        Raises:
            SettingsInvalid: when there is no such user.
        """
        row = self._row(name)
        if row is None:
            names = ", ".join(user.name for user in self.all())
            raise SettingsInvalid(
                f"there is no user {name!r}",
                f"Users are {names}" if names else "There are none: superlink ui user add NAME",
            )
        return row[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._database.transaction():
            yield


def _checked(password: str) -> bytes:
    if not SHORTEST <= len(password) <= LONGEST:
        raise SettingsInvalid(
            f"the password has {len(password)} characters",
            f"Take {SHORTEST} to {LONGEST} characters, better 15 or more",
        )
    return _normal(password)


def _normal(password: str) -> bytes:
    # Keyboards of different systems write the same letter in different ways.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _hashed(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
