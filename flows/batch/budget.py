"""Limits that stop a run cleanly: time, disk, share of failures."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.core.errors import SettingsInvalid

_TIME = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SIZE = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_FEW = 20  # a share of fewer items says nothing


@dataclass
class Budget:
    """What a run may take; a limit that is None does not hold.

    Attributes:
        seconds: of time.
        bytes: written to the store.
        failures: share of the items, between 0 and 1, from 20 items on.
    """

    seconds: float | None = None
    bytes: int | None = None
    failures: float | None = None
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def parse(cls, limits: Sequence[str]) -> "Budget":
        """Read limits as people write them: "2h", "45m", "10GB", "5%".

        Raises:
            SettingsInvalid: for anything else.
        """
        budget = cls()
        for limit in limits:
            match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z%]+)", limit.strip().lower())
            number, unit = (float(match[1]), match[2]) if match else (0.0, "")
            if unit in _TIME:
                budget.seconds = number * _TIME[unit]
            elif unit in _SIZE:
                budget.bytes = int(number * _SIZE[unit])
            elif unit == "%":
                budget.failures = number / 100
            else:
                raise SettingsInvalid(
                    f"{limit!r} is no budget", "Write a time (2h, 45m), a size (10GB) or a share (5%)"
                )
        return budget

    def spent(self, written: int, done: int, failed: int, ahead: float = 0.0) -> str:
        """Which limit is reached, in words; "" when none is.

        Args:
            written: bytes so far.
            done: items that are done.
            failed: items that failed.
            ahead: seconds that the next shard will take, about.
        """
        passed = time.monotonic() - self.began
        if self.seconds is not None and passed + ahead > self.seconds:
            return f"the budget of {self.seconds:g} s is used up"
        if self.bytes is not None and written >= self.bytes:
            return f"the budget of {self.bytes / 1e6:g} MB on disk is used up"
        count = done + failed
        if self.failures is not None and count >= _FEW and failed / count > self.failures:
            return f"{failed} of {count} items failed, more than {self.failures:.0%}"
        return ""
