"""Following boxes from frame to frame, without any network."""

import numpy as np
import pytest

from tools.values import Detections

pytest.importorskip("trackers")
from tools.engines.byte_track import Tracks

FPS = 10
LEFT, RIGHT = (10.0, 10.0, 50.0, 50.0), (200.0, 20.0, 250.0, 60.0)


def frame(*things: tuple[tuple[float, ...], float]) -> Detections:
    boxes = np.array([box for box, _ in things], np.float32).reshape(-1, 4)
    return Detections(boxes, ("x",) * len(things), np.array([score for _, score in things], np.float32), (100, 300))


@pytest.fixture
def tracks() -> Tracks:
    return Tracks(score=0.5, low_score=0.2, fps=FPS)


def ids(tracked: Detections) -> list[int]:
    assert tracked.ids is not None
    found: list[int] = tracked.ids.tolist()
    return found


def test_the_first_frame_counts_at_once(tracks: Tracks) -> None:
    """Whoever hides what is followed must not show it in the first frame."""
    first = tracks.update(frame((LEFT, 0.9), (RIGHT, 0.8)))
    second = tracks.update(frame((RIGHT, 0.9), (LEFT, 0.9)))
    assert len(set(ids(first))) == 2 and set(ids(second)) == set(ids(first))
    boxes = {number: box.tolist() for number, box in zip(ids(first), first.xyxy, strict=True)}
    assert all(boxes[number] == box.tolist() for number, box in zip(ids(second), second.xyxy, strict=True))


def test_later_a_thing_counts_from_its_second_find(tracks: Tracks) -> None:
    assert ids(tracks.update(frame())) == []
    assert ids(tracks.update(frame((LEFT, 0.9)))) == []
    [number] = ids(tracks.update(frame((LEFT, 0.9), (RIGHT, 0.9))))
    assert ids(tracks.update(frame((LEFT, 0.9)))) == [number]  # what flickered on the right never counts


def test_weak_finds_continue_what_is_followed_and_begin_nothing(tracks: Tracks) -> None:
    [number] = ids(tracks.update(frame((LEFT, 0.9), (RIGHT, 0.3))))
    assert ids(tracks.update(frame((LEFT, 0.3), (RIGHT, 0.3)))) == [number]
    assert ids(tracks.update(frame((LEFT, 0.1), (RIGHT, 0.3)))) == []
    assert ids(tracks.update(frame((LEFT, 0.9)))) == [number]


@pytest.mark.parametrize(("gone", "same"), [(FPS // 2, True), (3 * FPS, False)])
def test_out_of_sight_for_more_than_a_second_is_another_thing(tracks: Tracks, gone: int, same: bool) -> None:
    [number] = ids(tracks.update(frame((LEFT, 0.9))))
    tracks.update(frame((LEFT, 0.9)))
    for _ in range(gone):
        assert ids(tracks.update(frame())) == []
    back = [*ids(tracks.update(frame((LEFT, 0.9)))), *ids(tracks.update(frame((LEFT, 0.9))))]
    assert back and (back[0] == number) == same
