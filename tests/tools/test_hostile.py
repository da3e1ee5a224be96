"""Files of strangers: nothing they hold ends in a traceback, a hang, or all of the memory."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from agents.plan.plan import Plan, PlanInvalid
from tests.tools import hostile
from tests.waiting import WAIT
from tools import Audio, Image, MediaError, SuperlinkError, Video, open_file
from tools.core.errors import SettingsInvalid
from tools.core.settings import settings
from tools.values.files import read_source
from tools.values.image import _PixelCache

# Opens and uses each file, in a process whose memory can be measured.
_USE = r"""
import json, re, sys, traceback
from pathlib import Path
from tools import Audio, Image, SuperlinkError, Video, open_file
from tools.values import VALUE_TYPES

def use(value):
    value.summary()
    if isinstance(value, Image):
        value.pixels
    elif isinstance(value, Audio):
        value.mono(16_000)
    elif isinstance(value, Video):
        list(value.frames())

def used(file, kind):
    try:
        use(open_file(file, kind))
        return "opened"
    except SuperlinkError as error:
        return str(error)
    except Exception:
        return traceback.format_exc()

outcomes = {kind: {} for kind in ("", "Image", "Audio", "Video", "Text")}
for name in sys.stdin.read().split("\0"):
    for kind in outcomes:
        print(kind, name, file=sys.stderr)
        outcomes[kind][name] = used(name, kind or None)
# Of this program alone: what getrusage says may be that of the process that started it.
peak = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
print(json.dumps({"outcomes": outcomes, "bytes": int(peak[1]) * 1024}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("of_a_stranger")
    hostile.write_all(made)
    return made


def test_hostile_files_are_opened_or_refused_by_name_in_little_memory(folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.iterdir())
    assert len(files) >= 100
    done = subprocess.run(
        [sys.executable, "-c", _USE],
        input="\0".join(map(str, files)),
        capture_output=True,
        text=True,
        timeout=WAIT,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "SUPERLINK_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    for kind, outcomes in seen["outcomes"].items():
        for name, words in outcomes.items():
            assert "Traceback" not in words, f"{name} as {kind or 'anything'}: {words}"
            assert words == "opened" or name in words, f"{name} as {kind or 'anything'}: {words}"
    refused = {Path(name).name for name, words in seen["outcomes"][""].items() if words != "opened"}
    assert {
        "huge.png",
        "claims.flac",
        "short.flac",
        "pipe.jpg",
        "zero.png",
        "vast.jpg",
        "text_bomb.png",
        "slow.wav",
        "gap.mkv",
        "folder.mp4",
        "dangling.jpg",
        "socket.wav",
        "vast.txt",
        "huge.webp",
        "unknown_codec.wav",
        "unknown_codec.mkv",
        "unknown_codec.mp4",
    } <= refused
    assert not {"deep.png", "silence.flac", "open_end.flac", "sound.jpg"} & refused
    assert seen["bytes"] < 1_500_000_000


def test_the_command_names_each_file_and_goes_on(folder: Path, tmp_path: Path) -> None:
    names = ["pipe.jpg", "zero.png", "claims.flac", "vast.txt", "huge.png", "folder.mp4", "gap.mkv", "no\nline.png"]
    done = subprocess.run(
        [sys.executable, "-m", "superlink", "run", "read the text", *(str(folder / name) for name in names)],
        capture_output=True,
        text=True,
        timeout=WAIT,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "SUPERLINK_HOME": str(tmp_path / "home")},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in said
    assert all(name.partition("\n")[0] in said for name in names)


def test_plans_and_settings_that_are_no_files_or_too_deep(folder: Path, home: Path) -> None:
    for name in (
        "pipe.txt",
        "zero.png",
        "folder.mp4",
        "vast.txt",
        "dangling.jpg",
        "empty.txt",
        "deep.json",
        "noise.txt",
    ):
        with pytest.raises(PlanInvalid, match=name.replace(".", r"\.")):
            Plan.load(folder / name)
        with pytest.raises(SuperlinkError):
            open_file(folder / name, "Detections")
    home.mkdir()
    os.mkfifo(home / "settings.toml")
    settings.cache_clear()
    with pytest.raises(SettingsInvalid, match="not a file"):
        settings()
    (home / "settings.toml").unlink()
    (home / "settings.toml").write_text("tools = " + "[" * 20_000)
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        settings()


def test_a_file_that_grows_while_it_is_read_is_read_up_to_the_limit(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERLINK_MAX_TEXT_BYTES", "2000000")
    settings.cache_clear()
    file = tmp_path / "growing.log"
    file.write_bytes(b"x" * 1000)
    before = file.stat()

    def grown(descriptor: int) -> os.stat_result:
        os.truncate(file, 3_000_000)
        return before

    monkeypatch.setattr("tools.values.files.os.fstat", grown)
    with pytest.raises(MediaError, match=r"growing\.log is too large.*above the limit of 2\.0 MB.*max_text_bytes"):
        read_source(file, "growing.log", "max_text_bytes")


def test_sound_is_decoded_piece_by_piece() -> None:
    data = hostile.flac(120)
    tracemalloc.start()
    try:
        audio = Audio.open(data)
        assert audio.summary() == {"seconds": 120.0, "rate": 48_000, "channels": 2, "silent": True}
        assert audio.mono(16_000).nbytes == 120 * 16_000 * 4
        assert sum(chunk.shape[0] for chunk in audio.blocks()) == 120 * 48_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000  # all samples would be 46 MB


def test_deep_pictures_are_converted_in_bands() -> None:
    data = hostile.png(3_000, 4_000, 16, 0, pixels=bytes(3_000 * 4_000 * 2 + 4_000))
    image = Image.from_bytes(data)
    tracemalloc.start()
    try:
        assert image.pixels.shape == (4_000, 3_000, 3)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 36_000_000 + 40_000_000  # the pixels, and a band of a million in floating point


def test_many_opened_pictures_do_not_keep_all_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.values.image._DECODED", _PixelCache(100_000))
    images = [Image.open(hostile.png(100, 100, pixels=bytes([0, *[shade] * 300]) * 100)) for shade in range(10)]
    assert [image._pixels is not None for image in images] == [False] * 7 + [True] * 3
    assert [int(image.pixels[0, 0, 0]) for image in images] == list(range(10))
    large = Image.open(hostile.png(300, 300, pixels=bytes(901 * 300)))
    assert large.pixels is large.pixels  # not decoded for each look at it
    assert all(image._pixels is None for image in images)


@pytest.mark.parametrize(
    ("name", "setting", "limit", "words"),
    [
        (
            "a.png",
            "MAX_IMAGE_BYTES",
            400,
            r"working on 8x8 pixels takes 1\.0 kB of memory, above the limit of 400 bytes",
        ),
        ("a.wav", "MAX_AUDIO_BYTES", 1000, r"samples are 1\.6 kB when decoded, above the limit of 1\.0 kB"),
        ("a.mkv", "MAX_AUDIO_BYTES", 6000, r"samples are .* kB when decoded, above the limit of 6\.0 kB"),
        ("a.mp4", "MAX_VIDEO_BYTES", 9999, r"its 4 frames are 36\.9 kB of pixels, above the limit of 10\.0 kB"),
        ("a.mp4", "MAX_IMAGE_BYTES", 9999, r"frames of 64x48 pixels takes 92\.2 kB of memory"),
        ("a.txt", "MAX_TEXT_BYTES", 4, r"it has 5 bytes, above the limit of 4 bytes"),
    ],
)
def test_errors_name_file_size_limit_and_setting(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, setting: str, limit: int, words: str
) -> None:
    whole = {
        ".png": hostile.png(8, 8, pixels=bytes(200)),
        ".wav": hostile.wav(),
        ".mkv": hostile.matroska(3),
        ".txt": b"words",
        ".mp4": Video.from_frames([np.zeros((48, 64, 3), np.uint8)] * 4, 5).to_bytes(),
    }
    (tmp_path / name).write_bytes(whole[Path(name).suffix])
    assert open_file(tmp_path / name)
    monkeypatch.setenv(f"SUPERLINK_{setting}", str(limit))
    settings.cache_clear()
    with pytest.raises(
        MediaError, match=rf"{name[0]}\{name[1:]} is too large: .*{words}.*raise {setting.lower()} in settings\.toml"
    ):
        open_file(tmp_path / name)
