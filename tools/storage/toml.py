"""Changing TOML files of a person, whose comments and other lines stay as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.core.errors import SettingsInvalid
from tools.core.settings import settings, settings_path
from tools.storage.atomic import write

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


@contextmanager
def edit_toml(file: Path) -> "Iterator[TOMLDocument]":
    """Yield the document of a file, empty where it is missing, and write what the block changed.

    Raises:
        SettingsInvalid: when the file cannot be read.
        WriteError: when it cannot be written; it is then unchanged.
    """
    import tomlkit

    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        document = tomlkit.parse(text)
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"{file} cannot be read: {error}", "Mend it, and try again") from error
    yield document
    if (changed := tomlkit.dumps(document)) != text:
        write(file, changed)


@contextmanager
def edit_settings() -> "Iterator[TOMLDocument]":
    """Yield the document of settings.toml as `edit_toml` does; then the settings are those that the block left."""
    with edit_toml(settings_path()) as document:
        yield document
    settings.cache_clear()
