"""The sixteen tools of the benchmark of chains do what their cards say."""

import numpy as np
import pytest

from benchmarks import chain_tools as own
from tools import Audio, Detections, Image, Number, Poses, Segment, Text, ToolError, Transcript, Video

GREY = Image.from_numpy(np.full((40, 60, 3), 128, np.uint8))


def clip(frames: int = 6) -> Video:
    """A white bar that goes 10 pixels to the right with each frame."""
    pictures = np.zeros((frames, 32, 64, 3), np.uint8)
    for number, picture in enumerate(pictures):
        picture[:, 10 * number : 10 * number + 10] = 255
    return Video.from_frames(pictures, 10)


def tone(hertz: float, seconds: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(8000 * seconds)) / 8000)


def test_quilt_has_the_asked_number_of_patches_and_seams() -> None:
    plain, sewn = own.quilt_pattern(GREY, patches=6), own.quilt_pattern(GREY, patches=6, seams=True)
    assert plain.size == sewn.size == (640, 960)
    assert len(np.unique(plain.pixels)) == 1 and (sewn.pixels[0] == 235).all() and (sewn.pixels[80, 80] == 128).all()


def test_memory_game_shows_each_picture_twice() -> None:
    assert own.memory_game([GREY] * 3, columns=4).size == (400, 800)
    with pytest.raises(ToolError, match="no pictures"):
        own.memory_game([])


@pytest.mark.parametrize(("latitude", "month", "height"), [(0, "March", 88), (52, "June", 61), (52, "December", 15)])
def test_noon_sun(latitude: float, month: own.Month, height: float) -> None:
    assert own.noon_sun(latitude, month).value == pytest.approx(height, abs=1.5)


def test_label_hangs_under_the_picture() -> None:
    hung = own.exhibit_label(GREY, Text("Oil on canvas"), title="Dusk", wall="oak")
    assert hung.height > GREY.height and tuple(hung.pixels[0, 0]) == (150, 110, 70)
    assert (hung.pixels[20:60, 20:80] == 128).all()


def test_calls_and_the_longest_pause_between_them() -> None:
    sound = np.concatenate([tone(200, 0.5), tone(2500, 0.5), tone(200, 1), tone(2500, 0.5), tone(200, 0.5)])
    calls = own.call_times(Audio(sound, 8000), above_hz=1000)
    assert [(s.start, s.end) for s in calls.segments] == [pytest.approx((0.5, 1)), pytest.approx((2, 2.5))]
    assert own.longest_pause(calls).value == pytest.approx(1)
    assert own.longest_pause(Transcript((Segment("one", 0, 1),))).value == 0


def test_melody_lasts_a_beat_for_each_note_at_its_pitch() -> None:
    melody = own.play_notes(["A", "A5", "Bb"], tempo=60, voice="flute")
    assert melody.seconds == pytest.approx(3)
    assert np.abs(np.fft.rfft(melody.samples[: melody.rate, 0])).argmax() == 440
    with pytest.raises(ToolError, match="'H' is no note"):
        own.play_notes(["H"])


def test_voices_of_a_canon_come_in_later() -> None:
    canon = own.sing_in_canon(Audio(np.ones(100), 100), voices=2, delay=0.5)
    assert canon.samples[:, 0].tolist() == [0.5] * 50 + [1] * 50 + [0.5] * 50


def test_photo_finish_has_a_column_for_each_frame() -> None:
    finish = own.photo_finish(clip(), line=0.4)  # column 25: the bar is there in the third frame
    assert finish.size == (32, 6) and finish.pixels[16, :, 0].argmax() == 2


@pytest.mark.parametrize(("direction", "expected"), [("to the right", 1), ("to the left", 1), ("either way", 2)])
def test_crossings(direction: str, expected: int) -> None:
    starts, ends = [0, 80, 0], [80, 0, 20]
    boxes = [[x, 0, x + 10, 10] for x in starts + ends]
    found = Detections(boxes, ("car",) * 6, [1] * 6, (50, 100), ids=[1, 2, 3] * 2, frames=[0] * 3 + [5] * 3)
    assert own.crossings(found, direction=direction).value == expected


def test_crossings_need_things_that_were_followed() -> None:
    with pytest.raises(ToolError, match="not followed"):
        own.crossings(Detections.empty((50, 100)))


def test_raised_hands() -> None:
    joints = np.ones((3, 17, 3), np.float32) * 50
    joints[:, :, 2] = 1
    joints[0, 9, 1] = joints[1, 9:11, 1] = 10
    poses = Poses(joints, np.ones(3), np.tile([0, 0, 90, 90], (3, 1)), (100, 100))
    assert (own.raised_hands(poses).value, own.raised_hands(poses, both=True).value) == (2, 1)


def test_pins_are_put_on_what_was_found() -> None:
    found = Detections([[0, 0, 20, 20]], ("tree",), [1], GREY.size)
    pinned = own.pin_numbers(GREY, found, first=7, colour="blue").pixels
    assert tuple(pinned[16, 10]) == (30, 60, 200) and (pinned[:, 40:] == 128).all()


def test_cue_cards_hold_so_many_sentences() -> None:
    cards = own.cue_cards(Text("One. Two! Three? Four."), sentences=3)
    assert [card.text for card in cards] == ["One. Two! Three?", "Four."]


def test_tally_marks() -> None:
    few, many = (own.tally_marks(Number(n), surface="blackboard").pixels for n in (3, 7))
    assert many.shape[1] > few.shape[1]
    assert [(row == 244).all(axis=1).any() for row in (few[50], few[5])] == [True, False]
    with pytest.raises(ToolError, match="tally marks"):
        own.tally_marks(Number(-1))


def test_ghost_trail_stays_behind_what_moves() -> None:
    video = own.ghost_trail(clip(), frames=3)
    last = video.frame(5)[16, :, 0].astype(int)
    assert video.frame_count == 6 and last[55] > last[45] > 20 > last[5]


def test_allergens() -> None:
    menu = Text("Walnut cake\nSoup, may contain nuts\nPlain rice\nNut roll")
    assert own.spot_allergens(menu, ["nuts"]).text == "nuts: Nut roll"
    assert len(own.spot_allergens(menu, ["nuts"], traces=True).text.splitlines()) == 2
    assert "Nothing" in own.spot_allergens(menu, ["fish"]).text
