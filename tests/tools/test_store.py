"""The store: content-addressed, crash-proof, and distrustful."""

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from tools import Image, Store, Text, Video
from tools.core.errors import StoreError, StoreUnusable
from tools.storage.atomic import lock
from tools.storage.store import Provenance, Ref


@pytest.mark.parametrize("remote", [False, True])
def test_values_come_back(tmp_path: Path, remote: bool) -> None:
    store = Store(f"memory://{tmp_path.name}" if remote else tmp_path / "deep" / "store")
    ref = store.put(Text("hello"))
    assert ref == {
        "kind": "Text",
        "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "media_type": "text/plain",
        "bytes": 5,
        "summary": {"characters": 5, "start": "hello"},
    }
    assert ref in store and store.get(ref) == Text("hello")
    assert (store.path(ref) is None) == remote


def test_equal_bytes_are_stored_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(Text("a"))
    written = next(tmp_path.rglob("*/*")).stat().st_mtime_ns
    store.put(Text("a"))
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 1 and files[0].stat().st_mtime_ns == written


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("damage", [b"hullo", b""])
def test_damage_is_noticed_and_mended(tmp_path: Path, remote: bool, damage: bytes) -> None:
    store = Store(f"memory://{tmp_path.name}" if remote else tmp_path)
    ref = store.put(Text("hello"))
    assert store.sound(ref)
    store._files.pipe_file(store._place(ref["sha256"]), damage)
    assert not store.sound(ref) and ref in store
    with pytest.raises(StoreError, match=f"/{ref['sha256']} is damaged: it was the Text .* makes it again"):
        store.get(ref)
    assert store.put(Text("hello")) == ref and store.sound(ref) and store.get(ref) == Text("hello")


def test_missing_values_are_explained(tmp_path: Path) -> None:
    ref = Store(tmp_path / "one").put(Text("hello"))
    for url in (tmp_path / "two", "memory://two"):
        with pytest.raises(StoreError, match="not in the store"):
            Store(url).get(ref)
        assert ref not in Store(url)


@pytest.mark.parametrize("change", [{"sha256": "../../etc/passwd"}, {"sha256": ""}, {"kind": "Secret"}, {"kind": None}])
def test_made_up_references_are_refused(tmp_path: Path, change: dict[str, str | None]) -> None:
    store = Store(tmp_path)
    ref: Ref = {**store.put(Text("hello")), **change}  # type: ignore[typeddict-item]
    with pytest.raises(StoreError, match="no sha256|unknown kind|no kind"):
        store.get(ref)


def test_a_reference_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ref: Ref = {**store.put(Text("hello")), "kind": "Image"}
    with pytest.raises(StoreError, match="cannot be read"):
        store.get(ref)


def test_an_unwritable_store_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="store.*cannot be written: a folder of its path is a file"):
        Store(tmp_path / "file" / "store").put(Text("hello"))
    with pytest.raises(StoreError, match="cannot be opened"):
        Store("nothing://here")


def test_a_store_is_found_unusable_before_a_value_is_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path / "new" / "store").check()
    Store(f"memory://{tmp_path.name}").check()

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", read_only)
    with pytest.raises(StoreUnusable, match=r"store.*cannot be written: the disk is read-only.*SUPERLINK_STORE"):
        Store(tmp_path / "new" / "store").check()


def test_what_is_wrong_with_one_value_is_not_the_stores_fault(tmp_path: Path) -> None:
    class Gone(Text):
        def stream(self) -> BinaryIO:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    with pytest.raises(StoreError, match="its file is still there") as raised:
        Store(tmp_path).put(Gone("hello"))
    assert not isinstance(raised.value, StoreUnusable)


def test_a_store_of_another_layout_is_refused(tmp_path: Path) -> None:
    ref = Store(tmp_path).put(Text("hello"))
    Store(tmp_path).check()  # a store of before has no mark, and gets one
    mark = tmp_path / ".superlink-store"
    assert mark.read_text() == "1\n" and Store(tmp_path).get(ref) == Text("hello")
    mark.write_bytes(b"\0\xff")  # damaged
    assert Store(tmp_path).get(ref) == Text("hello")
    mark.write_text("2\n")
    for use in (Store(tmp_path).check, lambda: Store(tmp_path).put(Text("a")), lambda: Store(tmp_path).get(ref)):
        with pytest.raises(StoreUnusable, match="layout 2; this one knows 1.*Update superlink"):
            use()


def test_no_draft_is_left_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StoreError, match="disk full"):
        Store(tmp_path).put(Text("hello"))
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


KILLED = """
import os, signal, sys
from tools import Store, Text
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
Store(sys.argv[1]).put(Text("hello"))
"""


def test_the_draft_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(root)}, check=False
    )
    [draft] = [file for file in tmp_path.rglob("*") if file.is_file()]
    Store(tmp_path).put(Text("young"))
    assert draft.exists()  # its process might be about to lock it
    os.utime(draft, (0, 0))
    with draft.open() as held:
        lock(held.fileno())
        Store(tmp_path).put(Text("held"))
        assert draft.exists()
    Store(tmp_path).put(Text("new"))
    assert not draft.exists()


def test_a_file_that_grows_while_it_is_stored_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(Video.from_frames([np.zeros((16, 16, 3), np.uint8)] * 3, 5).to_bytes())
    video = Video.open(source)
    for url in (tmp_path / "store", f"memory://{tmp_path.name}"):
        store = Store(url)

        def place(sha256: str, find: Callable[[str], str] = store._place) -> str:
            with source.open("ab") as file:  # between the first pass over the bytes and the second
                file.write(b"more")
            return find(sha256)

        monkeypatch.setattr(store, "_place", place)
        with pytest.raises(StoreError, match="changed while it was being stored"):
            store.put(video)
        assert not [name for name in store._files.find(store._root) if not name.endswith("/")]


def test_a_file_that_is_gone_is_explained(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(Video.from_frames([np.zeros((16, 16, 3), np.uint8)] * 3, 5).to_bytes())
    video = Video.open(source)
    source.unlink()
    with pytest.raises(StoreError, match=r"Video.*a\.mp4.*its file is still there"):
        Store(tmp_path / "store").put(video)


def test_videos_stay_on_disk(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(Video.from_frames([np.zeros((16, 16, 3), np.uint8)] * 3, 5).to_bytes())
    store = Store(tmp_path / "store")
    ref = store.put(Video.open(source))
    video = store.get(ref)
    assert isinstance(video, Video) and video.source == store.path(ref)
    assert video.to_bytes() == source.read_bytes()


def test_an_opened_jpeg_is_not_encoded_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.from_numpy(np.zeros((8, 8, 3), np.uint8)).pil.save(path)
    store = Store(tmp_path / "store")
    ref = store.put(Image.open(path))
    stored = store.path(ref)
    assert stored is not None and stored.read_bytes() == path.read_bytes()
    assert ref["media_type"] == "image/jpeg"


def test_whether_its_folder_is_there(tmp_path: Path) -> None:
    assert not Store(tmp_path / "new").exists() and Store(f"memory://{tmp_path.name}").exists()
    Store(tmp_path / "new").check()
    assert Store(tmp_path / "new").exists()


def test_a_check_leaves_a_mark_as_it_is_and_nothing_else(tmp_path: Path) -> None:
    Store(tmp_path).check()
    mark = tmp_path / ".superlink-store"
    mark.write_text("1 and more")
    Store(tmp_path).check()
    assert mark.read_text() == "1 and more" and [file for file in tmp_path.rglob("*") if file.is_file()] == [mark]


def test_a_store_elsewhere_that_takes_nothing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Denied(Exception):
        """As clients of buckets have."""

    def deny(*_: object, **__: object) -> None:
        raise Denied("403 Forbidden")

    store = Store(f"memory://{tmp_path.name}")
    monkeypatch.setattr(store._files, "pipe_file", deny)
    with pytest.raises(
        StoreUnusable, match=f"^The store memory://{tmp_path.name} cannot be written: 403 Forbidden"
    ) as raised:
        store.check()
    assert raised.value.hint and isinstance(raised.value.__cause__, Denied)


def test_what_cannot_be_written_is_reported_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ETIMEDOUT, "Connection timed out")  # of a folder that another computer has

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StoreUnusable, match=f"^The store {tmp_path} cannot be written: Connection timed out") as raised:
        Store(tmp_path).put(Text("hello"))
    assert raised.value.hint.startswith(f"Check {tmp_path} ")


def test_what_cannot_be_read_is_reported_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = Store(tmp_path).put(Text("hello"))
    for wrong in (
        {**ref, "kind": None, "media_type": 3},
        {**ref, "kind": "Secret"},
        {**ref, "kind": "Image"},
        {**ref, "sha256": "ab" * 32},
    ):
        with pytest.raises(StoreError) as raised:
            Store(tmp_path).get(wrong)  # type: ignore[arg-type]
        assert raised.value.hint
    with pytest.raises(StoreError, match="no kind and no media_type"):
        Store(tmp_path).get({**ref, "kind": None, "media_type": 3})  # type: ignore[typeddict-item]

    def fail(self: Store, place: str) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Store, "_hash", fail)
    with pytest.raises(
        StoreError, match=f"^The store {tmp_path} cannot be read: .*{ref['sha256']}: Input/output error"
    ) as raised:
        Store(tmp_path).get(ref)
    assert raised.value.hint and not Store(tmp_path).sound(ref)


def test_provenance_goes_with_the_reference(tmp_path: Path) -> None:
    provenance: Provenance = {
        "step": "s1",
        "tool": "say",
        "version": "1",
        "weights": [],
        "args": {},
        "inputs": [],
        "seconds": 1.0,
        "time": "",
    }
    ref = Store(tmp_path).put(Text("hello"), provenance)
    assert ref["provenance"] == provenance and "provenance" not in Store(tmp_path).put(Text("hello"))
    assert Store(tmp_path).get(ref) == Text("hello")


def test_values_of_several_pieces_are_hashed_and_copied_whole(tmp_path: Path) -> None:
    text = "0123456789abcdef" * (1 << 16) + "the end"  # more than is copied at once
    for url in (tmp_path / "store", f"memory://{tmp_path.name}"):
        store = Store(url)
        ref = store.put(Text(text))
        assert (ref["sha256"], ref["bytes"]) == (hashlib.sha256(text.encode()).hexdigest(), len(text))
        assert store.get(ref) == Text(text) and store.sound(ref) and not store.sound({**ref, "bytes": 5})


def test_what_was_flushed_before_a_value_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(
        "os.fsync", lambda file: done.append(f"{os.fstat(file).st_size} of {len(list(tmp_path.glob('??/*')))}")
    )
    monkeypatch.setattr("tools.storage.store.flush", lambda folder: done.append(folder.name))
    ref = Store(tmp_path).put(Text("hello"))
    assert done == ["5 of 0", ref["sha256"][:2]] and not list((tmp_path / ".drafts").iterdir())
