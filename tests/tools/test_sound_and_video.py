"""Recordings and videos: real files of every troublesome sort."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tools import Audio, Image, MediaError, Text, ValueInvalid, Video, open_file
from tools.core.settings import settings


def _tone(rate: int, seconds: float = 0.5, channels: int = 1) -> np.ndarray:
    times = np.arange(int(rate * seconds)) / rate
    return np.repeat(0.5 * np.sin(2 * np.pi * 440 * times)[:, None], channels, axis=1).astype(np.float32)


def _frames(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    return [np.full((height, width, 3), 20 * i, np.uint8) for i in range(count)]


def _encoded(path: Path, codec: str, rate: int = 44_100) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(_tone(rate).T.copy(), "fltp", "mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_sound_files(tmp_path: Path, rate: int, channels: int, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, _tone(rate, channels=channels), rate)
    audio = open_file(path)
    assert isinstance(audio, Audio)
    assert (audio.rate, audio.channels) == (rate, channels)
    assert audio.to_bytes() == path.read_bytes()
    mono = audio.mono(16_000)
    assert mono.shape == (8_000,) and mono.dtype == np.float32
    peak = np.abs(np.fft.rfft(mono)).argmax() * 2  # half a second: two hertz a bin
    assert peak == 440


@pytest.mark.parametrize(("ending", "codec"), [("m4a", "aac"), ("mp3", "libmp3lame"), ("mkv", "libopus")])
def test_compressed_sound(tmp_path: Path, ending: str, codec: str) -> None:
    audio = open_file(_encoded(tmp_path / f"a.{ending}", codec, 48_000))
    assert isinstance(audio, Audio)
    assert audio.seconds == pytest.approx(0.5, abs=0.1)
    assert Audio.from_bytes(audio.to_bytes(), audio.media_type) == audio


def test_silence_is_fine() -> None:
    audio = Audio(np.zeros(800, np.float32), 8_000)
    assert audio.summary() == {"seconds": 0.1, "rate": 8000, "channels": 1, "silent": True}
    assert Audio.from_bytes(audio.to_bytes()).samples.shape == (800, 1)


def test_many_channels_are_stored_as_wav() -> None:
    audio = Audio(np.zeros((100, 12), np.float32), 8_000)
    assert audio.suffix == ".wav"
    assert Audio.from_bytes(audio.to_bytes(), audio.media_type).channels == 12


def test_integers_are_scaled_and_overshoot_is_clipped() -> None:
    assert Audio(np.array([-32768, 0], np.int16), 8_000).samples[:, 0].tolist() == [-1, 0]
    assert Audio(np.array([1.2, -1.5], np.float32), 8_000).samples[:, 0].tolist() == [1, -1]


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros(0, np.float32), 8_000),
        (np.array([np.nan], np.float32), 8_000),
        (np.array([12000.0]), 8_000),
        (np.zeros((2, 2, 2), np.float32), 8_000),
        (np.zeros(4, np.float32), 0),
        (np.zeros(4, np.float32), 8000.5),
        (np.zeros(4, bool), 8_000),
    ],
)
def test_wrong_samples_are_refused(samples: np.ndarray, rate: int) -> None:
    with pytest.raises(ValueInvalid):
        Audio(samples, rate)


def test_empty_and_broken_recordings_are_named(tmp_path: Path) -> None:
    (tmp_path / "zero.wav").write_bytes(b"")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1), np.float32), 8_000)
    (tmp_path / "text.wav").write_text("this is no sound")
    for name in ("zero.wav", "none.wav", "text.wav", "missing.wav"):
        with pytest.raises(MediaError, match=name.replace(".", r"\.")):
            Audio.open(tmp_path / name)


def test_truncated_recordings_are_refused_or_shorter(tmp_path: Path) -> None:
    whole, cut = tmp_path / "a.flac", tmp_path / "cut.flac"
    soundfile.write(whole, np.random.default_rng(0).uniform(-1, 1, 16_000).astype(np.float32), 16_000)
    cut.write_bytes(whole.read_bytes()[:9_000])
    with pytest.raises(MediaError, match=r"cut\.flac is damaged or cut short"):
        Audio.open(cut)


def test_long_recordings_are_refused_before_decoding(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERLINK_MAX_AUDIO_SECONDS", "0.2")
    settings.cache_clear()
    soundfile.write(tmp_path / "long.wav", _tone(8_000), 8_000)
    with pytest.raises(MediaError, match=r"long\.wav is too long"):
        Audio.open(tmp_path / "long.wav")
    with pytest.raises(MediaError, match=r"long\.m4a is too long"):
        Audio.open(_encoded(tmp_path / "long.m4a", "aac"))


def test_video_facts_frames_and_sound(tmp_path: Path) -> None:
    video = Video.from_frames(_frames(10), 10.0, Audio(_tone(16_000, 1.0), 16_000))
    assert video.summary() == {"width": 64, "height": 48, "seconds": 1.0, "fps": 10.0, "frames": 10}
    path = tmp_path / "a.bin"
    path.write_bytes(video.to_bytes())
    opened = open_file(path)
    assert isinstance(opened, Video)
    assert opened == video and hash(opened) == hash(video)
    assert opened.media_type == "video/mp4"
    seen = list(opened.frames(stride=3))
    assert [index for index, _, _ in seen] == [0, 3, 6, 9]
    assert [time for _, time, _ in seen] == pytest.approx([0, 0.3, 0.6, 0.9])
    assert all(abs(pixels.mean() - 20 * index) < 4 for index, _, pixels in seen)
    assert opened.audio().seconds == pytest.approx(1.0, abs=0.15)
    assert opened.audio().media_type == "audio/flac"


def test_one_frame_is_the_same_as_among_all(tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), 3 * number, np.uint8) for number in range(70)]
    video = Video.from_frames(frames, 10)
    (tmp_path / "a.mp4").write_bytes(video.to_bytes())
    for one in (video, Video.open(tmp_path / "a.mp4")):
        whole = [pixels for _, _, pixels in one.frames()]
        for number in (0, 1, 33, 69):
            assert np.array_equal(one.frame(number), whole[number])
        for number in (-1, 70):
            with pytest.raises(ValueInvalid, match="Its frames are 0 to 69"):
                one.frame(number)


def test_a_frame_that_the_file_promises_and_lacks_is_damage() -> None:
    video = Video.from_frames(_frames(3), 5)
    promised = replace(video, frame_count=4, times=np.append(video.times, video.times[-1] + 0.2))
    with pytest.raises(MediaError, match="damaged or cut short: frame 3 cannot be decoded"):
        promised.frame(3)


def test_odd_sides_are_padded() -> None:
    assert Video.from_frames(_frames(2, 47, 65), 5).size == (48, 66)


def test_video_without_sound(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has no sound"):
        Video.from_frames(_frames(2), 5).audio()


def test_sound_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no moving pictures"):
        Video.open(_encoded(tmp_path / "a.m4a", "aac"))


def test_video_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "none.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(MediaError, match=r"none\.mkv"):
        Video.open(path)


def test_truncated_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(Video.from_frames(_frames(10), 10).to_bytes()[:700])
    with pytest.raises(MediaError, match=r"cut\.mp4"):
        Video.open(path)


def test_a_video_filmed_sideways_stands_upright(tmp_path: Path) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :32] = 255  # the left half is white
    path = tmp_path / "turned.mp4"
    source = tmp_path / "flat.mp4"
    source.write_bytes(Video.from_frames([frame] * 3, 10).to_bytes())
    data = bytearray(source.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # the track header's matrix: nine numbers in 16.16 fixed point
    matrix = [0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30]
    data[place : place + 36] = b"".join(n.to_bytes(4, "big", signed=True) for n in matrix)
    path.write_bytes(data)
    video = Video.open(path)
    assert video.size == (64, 48)
    _, _, pixels = next(video.frames())
    assert pixels.shape == (64, 48, 3)
    assert pixels[5, 24, 0] > 200 and pixels[60, 24, 0] < 50  # turned clockwise: white is on top


def test_wrong_frames_are_refused() -> None:
    with pytest.raises(ValueInvalid, match="at least one frame"):
        Video.from_frames([], 10)
    with pytest.raises(ValueInvalid, match="fps"):
        Video.from_frames(_frames(1), 0)
    with pytest.raises(ValueInvalid, match="Frames must be"):
        Video.from_frames([*_frames(1), *_frames(1, 20, 20)], 10)


def test_play_lists_do_not_open_other_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(Video.from_frames(_frames(2), 5).to_bytes())
    lists = {
        "hls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile {secret}\n",
    }
    for name, content in lists.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(MediaError):
            open_file(tmp_path / name)


def test_open_file_finds_text_and_refuses_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("grüße", encoding="utf-8")
    assert open_file(tmp_path / "a.txt") == Text("grüße")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "c.bin").write_bytes(b"\x01\x02\x03")
    (tmp_path / "d.jpg").write_bytes(b"")
    for name in ("b.txt", "c.bin", "d.jpg", "e.jpg"):
        with pytest.raises(MediaError, match=name.replace(".", r"\.")):
            open_file(tmp_path / name)
    with pytest.raises(ValueInvalid, match="Kinds are"):
        open_file(tmp_path / "a.txt", "Picture")


def test_damaged_files_are_refused_as_what_their_name_says(tmp_path: Path) -> None:
    page = b"<html><body>404 Not Found</body></html>"
    for name, words in (
        ("a.jpg", "not a picture"),
        ("a.mp3", "not a sound or video"),
        ("a.mp4", "not a sound or video"),
        ("a.xyz", "no picture, sound, video or text"),
    ):
        (tmp_path / name).write_bytes(page)
        with pytest.raises(MediaError, match=rf"{name[:1]}\{name[1:]}.*{words}"):
            open_file(tmp_path / name)


def test_phone_pictures_are_not_taken_for_videos(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    with pytest.raises(MediaError, match="not a picture that can be read.*Use JPEG"):
        open_file(tmp_path / "IMG_1.HEIC")


def test_missing_files_are_named_for_every_kind(tmp_path: Path) -> None:
    for kind in ("Image", "Audio", "Video", "Text", "Detections"):
        with pytest.raises(MediaError, match=r"gone\.x.*No such file"):
            open_file(tmp_path / "gone.x", kind)


def test_animations_are_pictures_unless_a_video_is_asked_for(tmp_path: Path) -> None:
    frames = [Image.from_numpy(frame).pil for frame in _frames(4)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100)
    assert isinstance(open_file(tmp_path / "a.gif"), Image)
    video = open_file(tmp_path / "a.gif", "Video")
    assert isinstance(video, Video) and video.frame_count == 4 and video.size == (48, 64)


def test_names_that_ffmpeg_takes_for_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Video.from_frames(_frames(3), 5).to_bytes()
    monkeypatch.chdir(tmp_path)
    Path("concat:a|b.mp4").write_bytes(data)
    video = Video.open("concat:a|b.mp4")
    assert video.frame_count == 3 and len(list(video.frames())) == 3


def test_stereo_in_a_container_keeps_its_length_and_its_sides(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    sound = _tone(48_000, 1.0, channels=2)
    sound[:, 1] = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16).reshape(1, -1), "s16", "stereo")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    audio = Audio.open(path)
    assert audio.samples.shape == (48_000, 2)
    assert audio.samples[:, 0].max() > 0.4 and not audio.samples[:, 1].any()


def test_a_kind_can_be_insisted_on(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(Video.from_frames(_frames(5), 5, Audio(_tone(16_000), 16_000)).to_bytes())
    assert isinstance(open_file(path, "Audio"), Audio)
    with pytest.raises(MediaError, match="not a picture"):
        open_file(path, "Image")
    assert isinstance(open_file(path), Video) and not isinstance(open_file(path), Image)
