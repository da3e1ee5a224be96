"""The desk: values of the source where they lie, values just used in memory, a store behind both."""

import errno
import os
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.batch.shard_store import ShardStore
from flows.items.source import SourceItem
from tools import Audio, Image, Store, Text, Video
from tools.core.errors import MediaError, StoreError, StoreUnusable


def item(path: Path | str) -> SourceItem:
    return SourceItem(Path(path).name, str(path), -1, "")


def picture(path: Path, level: int = 5) -> Path:
    path.write_bytes(Image.from_numpy(np.full((4, 6, 3), level, np.uint8)).to_bytes())
    return path


def stored(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("??/*") if file.is_file()]


@pytest.fixture
def shard_store(tmp_path: Path) -> ShardStore:
    return ShardStore(tmp_path / "store")


def test_a_file_of_the_source_is_read_where_it_lies(shard_store: ShardStore, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    ref = shard_store.open(item(file), "Image")
    assert ref == Store(tmp_path / "other").put(Image.open(file))  # the same reference as if it were stored
    assert (
        shard_store.path(ref) == file
        and ref in shard_store
        and shard_store.sound(ref)
        and stored(tmp_path) == [*stored(tmp_path / "other")]
    )
    for kept in (True, False):
        if not kept:
            shard_store.clear()
            shard_store.register_file(ref["sha256"], file)
        found = shard_store.get(ref)
        assert isinstance(found, Image) and found.size == (4, 6) and int(found.pixels[0, 0, 0]) == 5


def test_a_file_that_is_changed_or_gone_during_the_run_is_reported(shard_store: ShardStore, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    ref = shard_store.open(item(file), "Image")
    shard_store.clear()
    shard_store.register_file(ref["sha256"], file)
    picture(file, 6)
    with pytest.raises(StoreError, match=r"a\.png was changed during the run"):
        shard_store.get(ref)
    file.unlink()
    assert ref not in shard_store and not shard_store.sound(ref)
    with pytest.raises(StoreError, match=r"a\.png cannot be read any more: No such file"):
        shard_store.get(ref)


def test_what_was_opened_or_made_is_not_read_again(shard_store: ShardStore, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    lying, put = shard_store.open(item(file), "Image"), shard_store.put(Text("hello"))
    file.unlink()
    [made] = stored(tmp_path / "store")
    made.unlink()
    assert isinstance(shard_store.get(lying), Image) and shard_store.get(put) == Text("hello")
    shard_store.clear()
    for ref in (lying, put):
        with pytest.raises(StoreError, match="is not in the store"):
            shard_store.get(ref)


def test_a_value_is_kept_for_its_kind_alone(shard_store: ShardStore) -> None:
    ref = shard_store.put(Text("7"))
    with pytest.raises(StoreError):
        shard_store.get({**ref, "kind": "Image"})


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    shard_store = ShardStore(tmp_path / "store", cache_bytes=Text("a").memory_bytes * 2)
    refs = [shard_store.put(Text(letter * 100)) for letter in "ab"]
    shard_store.get(refs[0])
    refs.append(shard_store.put(Text("c" * 100)))
    large = shard_store.put(Image.from_numpy(np.zeros((64, 64, 3), np.uint8)))  # has no room at all, and takes none
    for file in stored(tmp_path):
        file.unlink()
    assert shard_store.get(refs[0]) == Text("a" * 100) and shard_store.get(refs[2]) == Text("c" * 100)
    for gone in (refs[1], large):
        with pytest.raises(StoreError):
            shard_store.get(gone)
    shard_store.clear()
    again = [shard_store.put(Text(letter * 100)) for letter in "ef"]
    for file in stored(tmp_path):
        file.unlink()
    assert [shard_store.get(ref) for ref in again] == [Text("e" * 100), Text("f" * 100)]  # the room is free again


def test_an_incomplete_value_is_not_there(shard_store: ShardStore, tmp_path: Path) -> None:
    ref = shard_store.put(Text("hello"))
    assert ref in shard_store and shard_store.sound(ref)
    [file] = stored(tmp_path)
    file.write_bytes(b"hullo")
    assert ref in shard_store and not shard_store.sound(ref)
    file.write_bytes(b"hel")  # as a power cut leaves it
    assert ref not in shard_store
    file.unlink()
    assert ref not in shard_store and not shard_store.sound(ref)


def test_files_from_elsewhere_are_stored(shard_store: ShardStore, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    ref = shard_store.open(item(f"file://{file}"), "Image")
    [copy] = stored(tmp_path / "store")
    assert shard_store.path(ref) == copy and copy.read_bytes() == file.read_bytes()
    for address in (f"file://{tmp_path}/no-such.png", "nothing://a.png"):
        with pytest.raises(MediaError, match=f"{address} cannot be read"):
            shard_store.open(item(address), "Image")


def test_a_video_from_elsewhere_is_read_from_the_store(shard_store: ShardStore, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(Video.from_frames([np.zeros((16, 16, 3), np.uint8)] * 3, 5).to_bytes())
    found = shard_store.get(shard_store.open(item(f"file://{file}"), "Video"))
    assert isinstance(found, Video) and found.source.parent.parent == tmp_path / "store"  # the copy it came by is gone


def test_a_sound_lies_where_it_is_and_the_sound_of_a_video_is_stored(shard_store: ShardStore, tmp_path: Path) -> None:
    plain = tmp_path / "a.wav"
    with wave.open(str(plain), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    ref = shard_store.open(item(plain), "Audio")
    assert shard_store.path(ref) == plain and not stored(tmp_path / "store")
    movie = tmp_path / "a.mp4"
    sound = Audio(np.zeros((8000, 1), np.float32), 8000)
    movie.write_bytes(Video.from_frames([np.zeros((16, 16, 3), np.uint8)] * 5, 5, audio=sound).to_bytes())
    taken = shard_store.open(item(movie), "Audio")
    assert (
        taken["kind"] == "Audio" and shard_store.path(taken) == stored(tmp_path / "store")[0] and taken in shard_store
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: os.mkfifo(path), "no file but a device or a pipe"),
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.write_bytes(b"text"), "not a picture"),
    ],
)
def test_what_is_no_file_of_its_kind_is_refused(shard_store: ShardStore, tmp_path: Path, make: Any, said: str) -> None:
    make(tmp_path / "a.png")
    with pytest.raises(MediaError, match=said):
        shard_store.open(item(tmp_path / "a.png"), "Image")


# The disk.


def test_everything_that_was_put_is_flushed_with_its_names(
    shard_store: ShardStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    names: list[Path] = []
    monkeypatch.setattr("flows.batch.shard_store.os.fsync", lambda file: flushed.append(os.fstat(file).st_size))
    monkeypatch.setattr("flows.batch.shard_store.flush", names.append)
    shard_store.put(Text("a"))
    shard_store.put(Text("bb"))
    shard_store.flush_all()
    assert sorted(flushed) == [1, 2] and set(names) == {file.parent for file in stored(tmp_path)}
    names.clear()
    shard_store.flush_all()
    assert names == []  # each once


def test_what_the_disk_does_not_take_counts_as_never_made(
    shard_store: ShardStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        if os.fstat(file).st_size == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("flows.batch.shard_store.os.fsync", full)
    kept, lost = shard_store.put(Text("a")), shard_store.put(Text("bb"))
    with pytest.raises(StoreUnusable, match="disk is full"):
        shard_store.flush_all()
    assert kept in shard_store and lost not in shard_store and not list(tmp_path.rglob(".drafts/*"))
    shard_store.flush_all()


def test_names_that_the_disk_does_not_take_are_reported(
    shard_store: ShardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("flows.batch.shard_store.flush", broken)
    shard_store.put(Text("a"))
    with pytest.raises(StoreUnusable):
        shard_store.flush_all()


def test_files_that_wait_to_be_flushed_are_closed(shard_store: ShardStore) -> None:
    open_before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for number in range(200):  # more than may be open at once
        shard_store.put(Text(f"{number}"))
    shard_store.flush_all()
    if open_before:
        assert len(os.listdir("/proc/self/fd")) <= open_before
