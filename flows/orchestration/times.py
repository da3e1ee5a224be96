"""The times of a schedule, in words and as dates; without Prefect, which is slow to import."""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from tools.core.errors import SuperlinkError


class ScheduleError(SuperlinkError):
    """A schedule cannot be made, or is not there."""


def describe(cron: str) -> str:
    """A cron expression in words, such as "At 02:00 on Monday".

    Raises:
        ScheduleError: it cannot be read.
    """
    from cronsim import CronSim, CronSimError

    try:
        return str(CronSim(cron, datetime(2000, 1, 1)).explain())
    except CronSimError as error:
        raise _unreadable(cron, "", error) from error


def next_times(cron: str, timezone: str, count: int = 3, after: datetime | None = None) -> Sequence[datetime]:
    """The next times of a schedule.

    Args:
        cron: five fields: minute, hour, day of month, month, day of week.
        timezone: IANA name, such as "Europe/Rome".
        count: number of times.
        after: after which they come; by default now.

    Raises:
        ScheduleError: one of them cannot be read.
    """
    from cronsim import CronSim, CronSimError

    try:
        zone = ZoneInfo(timezone)
        return list(islice(CronSim(cron, (after or datetime.now(zone)).astimezone(zone)), count))
    except (CronSimError, KeyError, ValueError, OSError) as error:
        raise _unreadable(cron, timezone, error) from error


def _unreadable(cron: str, timezone: str, error: Exception) -> ScheduleError:
    zone = f" in {timezone!r}" if timezone else ""
    return ScheduleError(
        f"{cron!r}{zone} is no schedule: {str(error).strip(chr(39))}",
        'Write minute, hour, day, month and weekday, as in "0 2 * * *", and a zone like Europe/Rome',
    )
