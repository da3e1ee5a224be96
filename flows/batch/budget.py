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
    """Limits of a run; None is no limit.

    Attributes:
        seconds: since `began`.
        bytes: written to the store.
        failures: share of the items that failed, between 0 and 1; it counts from 20 items on.
        began: value of `time.monotonic` when the budget was made.
    """

    seconds: float | None = None
    bytes: int | None = None
    failures: float | None = None
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def parse(cls, limits: Sequence[str]) -> "Budget":
        """Parse limits as people write them: "2h", "45m", "10GB", "5%".

        Raises:
            SettingsInvalid: one of them cannot be read.
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
        """The limit that is reached, in words; "" when none is.

        Args:
            written: bytes so far.
            done: number of done items.
            failed: number of failed items.
            ahead: estimated seconds of the next shard.
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
