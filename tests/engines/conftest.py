"""Engines in a home of their own, and small models trained on drawn pictures."""

import gzip
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines.helpers import add_weights
from tools.core.settings import settings
from tools.engines import open_vocabulary
from tools.runtime.model_cache import evict_idle
from tools.storage.store import Store
from tools.weights import weights

_VOCABULARY = [
    "p e",
    "pe r",
    "per s",
    "pers o",
    "perso n</w>",
    "c a",
    "ca r</w>",
    "s t",
    "st i",
    "sti c",
    "stic k</w>",
    "f i",
    "fi g",
    "fig u",
    "figu r",
    "figur e</w>",
    "b o",
    "bo x</w>",
]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost small models far more than they save."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    evict_idle()


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home / "store")


@pytest.fixture
def offline_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store, on the CPU and without a network: libraries may swallow a failed look-up, so each is counted."""
    look_ups: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **others: look_ups.append(host) or [])
    monkeypatch.setenv("SUPERLINK_DEVICE", "cpu")
    settings.cache_clear()
    yield Store(home / "store")
    assert not look_ups


@pytest.fixture
def choose(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], str]:
    """Register a file as weights and give it a role; returns its id."""

    def register(role: str, file: Path) -> str:
        return add_weights(monkeypatch, f"drawn-{role.replace('_', '-')}", file, role, trust=True)

    return register


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a trained model's file by its name."""
    from tests.engines import training

    folder = tmp_path_factory.mktemp("drawn")

    def get(name: str) -> Path:
        file = folder / f"{name}.pt"
        return file if file.exists() else training.write(name, file)

    return get


@pytest.fixture
def text_encoder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small text encoder in MobileCLIP's format and a small vocabulary in CLIP's, in place of the downloads."""
    from tests.engines import training

    training.save_text_encoder(tmp_path / "encoder.ts")
    weights.add("drawn-encoder", tmp_path / "encoder.ts", "detect_open", "CC0-1.0", trust=True)
    weights.add("drawn-vocabulary", write_vocabulary(tmp_path), "detect_open", "CC0-1.0")
    monkeypatch.setitem(open_vocabulary._ENCODERS, "mobileclip2:b", "drawn-encoder")
    monkeypatch.setattr(open_vocabulary, "_VOCABULARY", "drawn-vocabulary")


def write_vocabulary(folder: Path) -> Path:
    """Write a few of CLIP's merges as its makers ship them."""
    file = folder / "bpe_simple_vocab_16e6.txt.gz"
    file.write_bytes(gzip.compress("\n".join(["#version: 0.2", *_VOCABULARY]).encode()))
    return file
