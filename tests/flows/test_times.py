"""The times of a schedule, in words and as dates."""

from datetime import UTC, datetime

import pytest

from flows.orchestration.times import ScheduleError, describe, next_times


def test_words_and_next_times() -> None:
    assert describe("0 2 * * 1") == "At 02:00 on Monday"
    found = next_times("30 2 * * *", "Europe/Rome", 2, datetime(2026, 3, 28, 12, tzinfo=UTC))
    # On 29 March 2026 there is no 02:30 in Rome.
    assert [f"{time:%d %H:%M %z}" for time in found] == ["29 03:00 +0200", "30 02:30 +0200"]


@pytest.mark.parametrize(
    ("cron", "zone"),
    [("61 2 * * *", "UTC"), ("0 2", "UTC"), ("0 2 * * *", "Mars"), ("0 2 * * *", ""), ("0 2 * * *", "/etc/passwd")],
)
def test_what_cannot_be_read_is_said(cron: str, zone: str) -> None:
    with pytest.raises(ScheduleError, match="is no schedule"):
        next_times(cron, zone)
    if zone == "UTC":
        with pytest.raises(ScheduleError, match="is no schedule"):
            describe(cron)
