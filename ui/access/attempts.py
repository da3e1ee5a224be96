"""Wrong passwords are counted by user name and by address; after some there is a pause, which grows."""

import ipaddress
import time
from collections.abc import Callable

from tools.storage.database import Database

FREE = 5
"""Number of wrong passwords before the first pause."""
FIRST, LONGEST = 30, 900
"""Seconds of the first pause, which doubles with each further wrong password, and of the longest."""
FORGOTTEN = 3600
"""Seconds without a wrong password after which the count begins anew."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS attempts (key TEXT PRIMARY KEY, wrong INTEGER, last REAL, until REAL)"


class Attempts:
    """The wrong passwords in a database. Not for several threads at once.

    Args:
        database: Of the page.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock
        database.execute(_SCHEMA)

    def pause(self, name: str, address: str) -> float:
        """Return the seconds until a password may be tried for this name from this address; 0 for now."""
        until = self._database.execute("SELECT max(until) FROM attempts WHERE key IN (?, ?)", _keys(name, address))
        return max(0.0, (until.fetchone()[0] or 0) - self._clock())

    def note_wrong(self, name: str, address: str) -> None:
        """Count a wrong password."""
        now = self._clock()
        self._database.execute("DELETE FROM attempts WHERE last < ?", (now - FORGOTTEN,))
        for key in _keys(name, address):
            row = self._database.execute("SELECT wrong FROM attempts WHERE key = ?", (key,)).fetchone()
            wrong = (row[0] if row else 0) + 1
            pause = 0 if wrong < FREE else min(FIRST * 2 ** min(wrong - FREE, 10), LONGEST)
            self._database.execute("REPLACE INTO attempts VALUES (?, ?, ?, ?)", (key, wrong, now, now + pause))

    def note_right(self, name: str) -> None:
        """Forget the wrong passwords for a name. Those of an address stay: it may have guessed other names."""
        self._database.execute("DELETE FROM attempts WHERE key = ?", _keys(name, "")[:1])


def _keys(name: str, address: str) -> tuple[str, str]:
    return f"name {name.strip().casefold()[:64]}", f"address {_network(address)}"


def _network(address: str) -> str:
    """Return the address, or for IPv6 its network of 64 bits, within which one visitor can have any address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
