"""Work that is left behind when it is stopped or takes too long."""

import threading
from contextvars import ContextVar

import pytest

from tests.waiting import WAIT
from tools.core import abandon
from tools.core.abandon import Stopped, TimeUp, abandonable

FROM = ContextVar("FROM", default="nowhere")


def test_work_is_done_in_the_context_of_its_caller() -> None:
    FROM.set("here")
    assert abandonable(FROM.get, threading.Event()) == "here"
    with pytest.raises(ZeroDivisionError):
        abandonable(lambda: 1 // 0, threading.Event())


def test_work_is_left_when_it_is_stopped_or_its_time_is_up() -> None:
    before, free, stop = abandon.count_abandoned(), threading.Event(), threading.Event()
    others = set(abandon._abandoned)  # of tests before this one, which may take long to end

    def work() -> None:
        stop.set()
        free.wait()

    with pytest.raises(TimeUp, match="longer than 0.1 s"):
        abandonable(free.wait, threading.Event(), 0.1)
    with pytest.raises(Stopped):
        abandonable(work, stop)
    with pytest.raises(Stopped):
        abandonable(lambda: pytest.fail("begun although it was stopped"), stop)
    assert abandon.count_abandoned() == before + 2
    free.set()
    ours = set(abandon._abandoned) - others
    for thread in ours:
        thread.join(WAIT)
    assert len(ours) == 2 and not any(thread.is_alive() for thread in ours) and abandon.count_abandoned() <= before
