"""Engines that lie above the tools, and are handed down to them: a model of superlink's own, for example.

Nothing is imported for it, so that a program that needs no such engine starts as fast as before.
"""

from collections.abc import Callable
from typing import Any

from tools.core.errors import SettingsInvalid

BACKBONE = "backbone"
"""The engine of superlink's own model."""

_loaders: dict[str, Callable[..., Any]] = {}


def provide(engine: str, load: Callable[..., Any]) -> None:
    """Hand down the loader of an engine's models.

    Args:
        engine: Name of the engine, as in the catalogue of weights.
        load: Returns a model; the engine in `tools.engines` says what it is given, and what the model has to do.
    """
    _loaders[engine] = load


def provided(engine: str) -> Callable[..., Any]:
    """Return the loader of an engine's models.

    Raises:
        SettingsInvalid: Nobody handed one down.
    """
    if engine not in _loaders:
        raise SettingsInvalid(
            f"The engine {engine} is not loaded in this program",
            "Run the tool in a session or in a run of superlink; or import agents first",
        )
    return _loaders[engine]
