"""The desk: values of the source where they lie, values just used in memory, a store behind both."""

import errno
import os
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.batch.shard_store import Desk
from flows.items.source import Item
from tools import Audio, Image, Store, Text, Video
from tools.core.errors import MediaError, StoreError, StoreUnusable


def item(path: Path | str) -> Item:
    return Item(Path(path).name, str(path), -1, "")


def picture(path: Path, level: int = 5) -> Path:
    path.write_bytes(Image.from_numpy(np.full((4, 6, 3), level, np.uint8)).to_bytes())
    return path


def stored(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("??/*") if file.is_file()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "store")


def test_a_file_of_the_source_is_read_where_it_lies(desk: Desk, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    ref = desk.open(item(file), "Image")
    assert ref == Store(tmp_path / "other").put(Image.open(file))  # the same reference as if it were stored
    assert (
        desk.path(ref) == file and ref in desk and desk.sound(ref) and stored(tmp_path) == [*stored(tmp_path / "other")]
    )
    for kept in (True, False):
        if not kept:
            desk.clear()
            desk.lay(ref["sha256"], file)
        found = desk.get(ref)
        assert isinstance(found, Image) and found.size == (4, 6) and int(found.pixels[0, 0, 0]) == 5


def test_a_file_that_is_changed_or_gone_during_the_run_is_told(desk: Desk, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    ref = desk.open(item(file), "Image")
    desk.clear()
    desk.lay(ref["sha256"], file)
    picture(file, 6)
    with pytest.raises(StoreError, match=r"a\.png was changed during the run"):
        desk.get(ref)
    file.unlink()
    assert ref not in desk and not desk.sound(ref)
    with pytest.raises(StoreError, match=r"a\.png cannot be read any more: No such file"):
        desk.get(ref)


def test_what_was_opened_or_made_is_not_read_again(desk: Desk, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    lying, put = desk.open(item(file), "Image"), desk.put(Text("hello"))
    file.unlink()
    [made] = stored(tmp_path / "store")
    made.unlink()
    assert isinstance(desk.get(lying), Image) and desk.get(put) == Text("hello")
    desk.clear()
    for ref in (lying, put):
        with pytest.raises(StoreError, match="is not in the store"):
            desk.get(ref)


def test_a_value_is_kept_for_its_kind_alone(desk: Desk) -> None:
    ref = desk.put(Text("7"))
    with pytest.raises(StoreError):
        desk.get({**ref, "kind": "Image"})


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "store", room=Text("a").held_bytes * 2)
    refs = [desk.put(Text(letter * 100)) for letter in "ab"]
    desk.get(refs[0])
    refs.append(desk.put(Text("c" * 100)))
    large = desk.put(Image.from_numpy(np.zeros((64, 64, 3), np.uint8)))  # has no room at all, and takes none
    for file in stored(tmp_path):
        file.unlink()
    assert desk.get(refs[0]) == Text("a" * 100) and desk.get(refs[2]) == Text("c" * 100)
    for gone in (refs[1], large):
        with pytest.raises(StoreError):
            desk.get(gone)
    desk.clear()
    again = [desk.put(Text(letter * 100)) for letter in "ef"]
    for file in stored(tmp_path):
        file.unlink()
    assert [desk.get(ref) for ref in again] == [Text("e" * 100), Text("f" * 100)]  # the room is free again


def test_an_incomplete_value_is_not_there(desk: Desk, tmp_path: Path) -> None:
    ref = desk.put(Text("hello"))
    assert ref in desk and desk.sound(ref)
    [file] = stored(tmp_path)
    file.write_bytes(b"hullo")
    assert ref in desk and not desk.sound(ref)
    file.write_bytes(b"hel")  # as a power cut leaves it
    assert ref not in desk
    file.unlink()
    assert ref not in desk and not desk.sound(ref)


def test_files_from_elsewhere_are_stored(desk: Desk, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    ref = desk.open(item(f"file://{file}"), "Image")
    [copy] = stored(tmp_path / "store")
    assert desk.path(ref) == copy and copy.read_bytes() == file.read_bytes()
    for address in (f"file://{tmp_path}/no-such.png", "nothing://a.png"):
        with pytest.raises(MediaError, match=f"{address} cannot be read"):
            desk.open(item(address), "Image")


def test_a_video_from_elsewhere_is_read_from_the_store(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(Video.from_frames([np.zeros((16, 16, 3), np.uint8)] * 3, 5).to_bytes())
    found = desk.get(desk.open(item(f"file://{file}"), "Video"))
    assert isinstance(found, Video) and found.source.parent.parent == tmp_path / "store"  # the copy it came by is gone


def test_a_sound_lies_where_it_is_and_the_sound_of_a_video_is_stored(desk: Desk, tmp_path: Path) -> None:
    plain = tmp_path / "a.wav"
    with wave.open(str(plain), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    ref = desk.open(item(plain), "Audio")
    assert desk.path(ref) == plain and not stored(tmp_path / "store")
    movie = tmp_path / "a.mp4"
    sound = Audio(np.zeros((8000, 1), np.float32), 8000)
    movie.write_bytes(Video.from_frames([np.zeros((16, 16, 3), np.uint8)] * 5, 5, audio=sound).to_bytes())
    taken = desk.open(item(movie), "Audio")
    assert taken["kind"] == "Audio" and desk.path(taken) == stored(tmp_path / "store")[0] and taken in desk


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: os.mkfifo(path), "no file but a device or a pipe"),
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.write_bytes(b"text"), "not a picture"),
    ],
)
def test_what_is_no_file_of_its_kind_is_refused(desk: Desk, tmp_path: Path, make: Any, said: str) -> None:
    make(tmp_path / "a.png")
    with pytest.raises(MediaError, match=said):
        desk.open(item(tmp_path / "a.png"), "Image")


# The disk.


def test_everything_that_was_put_is_flushed_with_its_names(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    names: list[Path] = []
    monkeypatch.setattr("flows.batch.shard_store.os.fsync", lambda file: flushed.append(os.fstat(file).st_size))
    monkeypatch.setattr("flows.batch.shard_store.flush", names.append)
    desk.put(Text("a"))
    desk.put(Text("bb"))
    desk.flushed()
    assert sorted(flushed) == [1, 2] and set(names) == {file.parent for file in stored(tmp_path)}
    names.clear()
    desk.flushed()
    assert names == []  # each once


def test_what_the_disk_does_not_take_counts_as_never_made(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        if os.fstat(file).st_size == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("flows.batch.shard_store.os.fsync", full)
    kept, lost = desk.put(Text("a")), desk.put(Text("bb"))
    with pytest.raises(StoreUnusable, match="disk is full"):
        desk.flushed()
    assert kept in desk and lost not in desk and not list(tmp_path.rglob(".drafts/*"))
    desk.flushed()


def test_names_that_the_disk_does_not_take_are_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("flows.batch.shard_store.flush", broken)
    desk.put(Text("a"))
    with pytest.raises(StoreUnusable):
        desk.flushed()


def test_files_that_wait_to_be_flushed_are_closed(desk: Desk) -> None:
    open_before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for number in range(200):  # more than may be open at once
        desk.put(Text(f"{number}"))
    desk.flushed()
    if open_before:
        assert len(os.listdir("/proc/self/fd")) <= open_before
