"""What several engine tests share: weights of their own, pictures of noise, and sizes of small transformers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tools.core.errors import WeightsMissing
from tools.core.settings import settings
from tools.values import Image
from tools.weights import weights

TINY = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
"""Sizes of a transformer in the configurations of `transformers`."""


def add_weights(
    monkeypatch: pytest.MonkeyPatch, weights_id: str, path: Path, *roles: str, trust: bool = False, engine: str = ""
) -> str:
    """Add a file or folder as weights, choose them for the roles, and return their id."""
    weights.add(weights_id, path, roles[0], "CC0-1.0", engine=engine, trust=trust)
    for role in roles:
        monkeypatch.setenv(f"SUPERLINK_ROLE_{role.upper()}", weights_id)
    settings.cache_clear()
    return weights_id


@contextmanager
def starter_set(monkeypatch: pytest.MonkeyPatch, *roles: str) -> Iterator[None]:
    """Choose the starter set of weights; skip the test if those of a role are not on this computer."""
    monkeypatch.setenv("SUPERLINK_WEIGHTS", "starter")
    settings.cache_clear()
    try:
        for role in roles:
            weights.locate(settings().role(role))
        yield
    except WeightsMissing as error:
        pytest.skip(f"{error} (or: superlink models pull starter)")
    finally:
        settings.cache_clear()


def noise(width: int, height: int, seed: int = 0) -> Image:
    """A picture of random pixels."""
    return Image.from_numpy(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
