"""Limits, as people write them, and when they are reached."""

import pytest

from flows.batch.budget import Budget
from tools.core.errors import SettingsInvalid


def test_limits_are_read_as_people_write_them() -> None:
    assert Budget.parse(["2h"]).seconds == 7200 and Budget.parse(["1.5 min"]).seconds == 90
    assert Budget.parse(["10GB"]).bytes == 10**10 and Budget.parse(["5%"]).failures == 0.05
    for wrong in ("", "5", "%", "2 weeks", "-1h", "1e3s"):
        with pytest.raises(SettingsInvalid, match="is no budget"):
            Budget.parse([wrong])


def test_a_share_of_few_items_says_nothing() -> None:
    budget = Budget.parse(["10%"])
    assert not budget.spent(0, 0, 1) and not budget.spent(0, 0, 19) and not budget.spent(0, 10, 9)
    assert budget.spent(0, 0, 20) == "20 of 20 items failed, more than 10%"
    assert budget.spent(0, 17, 3) == "3 of 20 items failed, more than 10%"
    assert not budget.spent(0, 18, 2)


def test_bytes_and_time() -> None:
    assert not Budget.parse(["1kB"]).spent(999, 1, 0) and "on disk" in Budget.parse(["1kB"]).spent(1000, 1, 0)
    budget = Budget.parse(["1h"])
    assert not budget.spent(0, 1, 0, ahead=3000) and "3600 s" in budget.spent(0, 1, 0, ahead=3601)
    budget.began -= 3601
    assert "3600 s" in budget.spent(0, 1, 0)
    assert not Budget().spent(10**15, 0, 10**6)
