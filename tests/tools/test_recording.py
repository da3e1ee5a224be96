"""When sound is heard and when frames are shown; channels that cancel each other."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tools import Audio, MediaError, Video, open_file
from tools.values.recording import BLOCK, mix_down, resample

RATE = 8_000


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, int(seconds * RATE)).astype(np.float32)


def _heard(samples: np.ndarray, rate: int = RATE) -> list[int]:
    """Seconds in which there is sound."""
    return [
        second
        for second in range(-(-len(samples) // rate))
        if np.abs(samples[second * rate : (second + 1) * rate]).max() > 0.1
    ]


def _written(
    path: Path, pieces: list[tuple[float, float]], codec: str = "pcm_s16le", frames: list[float] | None = None
) -> Path:
    """A container with pieces of sound (start, seconds), and pictures shown at these times."""
    with av.open(str(path), "w") as container:
        if frames is not None:
            video = container.add_stream("libx264", rate=Fraction(30))
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream(codec, rate=RATE, layout="mono")
        if frames is not None:
            for number, time in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number % 250, np.uint8), format="rgb24")
                picture.pts, picture.time_base = round(time * 1000), Fraction(1, 1000)
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        for start, seconds in pieces:
            frame = av.AudioFrame.from_ndarray((_noise(seconds) * 32767).astype(np.int16)[None], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, round(start * RATE), Fraction(1, RATE)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def test_sound_that_begins_after_the_picture(tmp_path: Path) -> None:
    video = open_file(_written(tmp_path / "a.mkv", [(3, 2)], frames=[n / 10 for n in range(50)]))
    assert isinstance(video, Video)
    assert _heard(video.audio().mono(RATE)) == [3, 4]
    assert _heard(Audio.from_bytes(video.audio().to_bytes()).samples) == [3, 4]  # as stored, too
    assert video.audio().seconds == pytest.approx(5, abs=0.01)


def test_a_container_that_begins_late_as_a_whole(tmp_path: Path) -> None:
    video = open_file(_written(tmp_path / "a.mkv", [(7, 2)], frames=[5 + n / 10 for n in range(50)]))
    assert isinstance(video, Video)
    assert video.times[0] == 0 and [time for _, time, _ in video.frames()] == pytest.approx(list(video.times))
    assert _heard(video.audio().mono(RATE)) == [2, 3]
    assert not {"start", "variable"} & video.summary().keys()
    assert video.fps == pytest.approx(10)  # though the header says 30


def test_pictures_that_begin_after_the_sound(tmp_path: Path) -> None:
    video = open_file(_written(tmp_path / "a.mkv", [(0, 4)], frames=[2 + n / 10 for n in range(20)]))
    assert isinstance(video, Video)
    assert video.times[0] == 2 and video.summary()["start"] == 2 and "variable" not in video.summary()


def test_missing_packets_are_silence(tmp_path: Path) -> None:
    audio = open_file(_written(tmp_path / "a.mka", [(0, 2), (5, 1), (10, 1)]))
    assert isinstance(audio, Audio)
    assert audio.seconds == pytest.approx(11, abs=0.01)
    assert _heard(audio.mono(RATE)) == _heard(audio.samples[:, 0]) == [0, 1, 5, 10]


def test_jitter_of_time_stamps_puts_no_silence_into_the_sound(tmp_path: Path) -> None:
    audio = open_file(_written(tmp_path / "a.mka", [(0.0, 0.5), (0.53, 0.5), (1.06, 0.5)]))
    assert isinstance(audio, Audio)
    assert audio.seconds == 1.5


def test_time_stamps_that_begin_again_lose_nothing(tmp_path: Path) -> None:
    part = _written(tmp_path / "a.ts", [(0, 2)], "aac").read_bytes()
    assert Audio.open(part).seconds == pytest.approx(2, abs=0.3)
    assert Audio.open(part + part).seconds >= 3.9


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_frames_have_the_times_of_their_stamps(tmp_path: Path, ending: str) -> None:
    shown = [*(n / 30 for n in range(12)), 1.0, 2.0, 2.5, 2.6]
    video = open_file(_written(tmp_path / f"a.{ending}", [(0, 1)], "aac" if ending == "mp4" else "pcm_s16le", shown))
    assert isinstance(video, Video)
    assert video.times == pytest.approx(shown, abs=0.002)
    assert [time for _, time, _ in video.frames()] == pytest.approx(shown, abs=0.002)
    assert video.frame_count == len(video.times) == 16
    assert video.summary()["variable"] and "start" not in video.summary()
    assert not video.times.flags.writeable


def test_frames_that_an_edit_list_leaves_out_are_not_counted(tmp_path: Path) -> None:
    data = bytearray(Video.from_frames([np.full((48, 64, 3), 20 * n, np.uint8) for n in range(10)], 10).to_bytes())
    place = data.index(b"elst") + 12  # duration, then the time at which the film begins
    scale = int.from_bytes(data[data.index(b"mdhd") + 16 : data.index(b"mdhd") + 20], "big")
    data[place + 4 : place + 8] = (int.from_bytes(data[place + 4 : place + 8], "big") + scale * 3 // 10).to_bytes(
        4, "big"
    )
    video = Video.open(bytes(data))
    assert video.frame_count == len(list(video.frames())) == 7
    assert list(video.times) == pytest.approx([time for _, time, _ in video.frames()])


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_that_cancel_are_not_silenced(channels: int) -> None:
    voice = _noise(2)
    signs = np.array([1, -1, -1, 1, 1, -1][:channels])
    mono = Audio(voice[:, None] * signs, RATE).mono(RATE)
    assert np.corrcoef(mono, voice)[0, 1] > 0.999
    assert np.sqrt((mono**2).mean()) == pytest.approx(np.sqrt((voice**2).mean()), rel=0.01)


def test_channels_that_cancel_only_for_a_while(tmp_path: Path) -> None:
    voice = _noise(6)
    other = np.concatenate([voice[: 2 * RATE], -voice[2 * RATE : 4 * RATE], voice[4 * RATE :]])
    soundfile.write(tmp_path / "a.wav", np.stack([voice, other], axis=1), RATE)
    mono = open_file(tmp_path / "a.wav").mono(RATE)
    powers = [np.sqrt((mono[start : start + RATE] ** 2).mean()) for start in range(0, 6 * RATE, RATE)]
    assert powers == pytest.approx([np.sqrt((voice**2).mean())] * 6, rel=0.1)


def test_a_weaker_copy_out_of_phase_and_a_silent_channel() -> None:
    voice = _noise(2)
    for other in (-0.6 * voice, 0 * voice, -voice + 0.3 * _noise(2, 1)):
        mono = Audio(np.stack([voice, other], axis=1), RATE).mono(RATE)
        assert np.sqrt((mono**2).mean()) > 0.45 * np.sqrt((voice**2).mean())


def test_channels_in_phase_and_unlike_channels_are_their_mean() -> None:
    for pair in (np.stack([_noise(2), 0.5 * _noise(2)], axis=1), np.stack([_noise(2), _noise(2, 1)], axis=1)):
        assert np.allclose(Audio(pair, RATE).mono(RATE), pair.mean(axis=1), atol=1e-6)


def test_pieces_make_the_same_sound_as_the_whole() -> None:
    import soxr

    whole = _noise(3 * BLOCK / RATE)
    blocks = [whole[start : start + 5000, None] for start in range(0, len(whole), 5000)]
    streamed = np.concatenate(list(resample(mix_down(blocks, RATE), RATE, 16_000)))
    assert np.abs(streamed - np.clip(soxr.resample(whole, RATE, 16_000), -1, 1)).max() < 1e-4


def test_a_recording_is_read_again_when_it_is_used(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", _noise(1), RATE)
    audio = Audio.open(tmp_path / "a.flac")
    assert audio.memory_bytes == 0 and audio.to_bytes() == (tmp_path / "a.flac").read_bytes()
    assert audio.samples is audio.samples and audio.memory_bytes == 4 * RATE
    again = Audio.open(tmp_path / "a.flac")
    (tmp_path / "a.flac").unlink()
    with pytest.raises(MediaError, match=r"a\.flac.*No such file|a\.flac is damaged"):
        again.mono(RATE)


def test_files_that_become_others_between_opening_and_use(tmp_path: Path) -> None:
    film = _written(tmp_path / "a.mkv", [(0, 1)], frames=[0, 0.1])
    mute = Video.from_frames([np.zeros((48, 64, 3), np.uint8)] * 2, 5).to_bytes()
    audio, video = Audio.open(film), Video.open(film)
    film.write_bytes(mute)
    with pytest.raises(MediaError, match=r"a\.mkv has no sound"):
        audio.mono(RATE)
    _written(tmp_path / "b.mka", [(0, 1)]).rename(film)
    with pytest.raises(MediaError, match=r"a\.mkv has no moving pictures"):
        list(video.frames())
    for name, channels in (("c.wav", 1), ("c.wav", 2)):
        soundfile.write(tmp_path / name, np.zeros((800, channels)), RATE)
        audio = audio if channels == 2 else Audio.open(tmp_path / name)
    with pytest.raises(MediaError, match=r"c\.wav was changed"):
        audio.mono(RATE)


def test_more_channels_in_the_middle_of_a_stream_are_mixed_as_at_its_start(tmp_path: Path) -> None:
    for name, layout in (("one", "mono"), ("two", "stereo")):
        with av.open(str(tmp_path / f"{name}.aac"), "w", format="adts") as container:
            stream = container.add_stream("aac", rate=RATE, layout=layout)
            channels = 1 if layout == "mono" else 2
            frame = av.AudioFrame.from_ndarray(np.repeat(_noise(1)[None], channels, axis=0), "fltp", layout)
            frame.sample_rate = RATE
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    joined = tmp_path / "joined.aac"
    joined.write_bytes((tmp_path / "one.aac").read_bytes() + (tmp_path / "two.aac").read_bytes())
    audio = Audio.open(joined)
    assert audio.channels == 1 and _heard(audio.mono(RATE)) == [0, 1, 2][: len(_heard(audio.mono(RATE)))]
    assert audio.seconds > 1.9
