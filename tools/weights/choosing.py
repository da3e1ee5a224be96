"""Choosing weights for a role in a person's settings."""

from pathlib import Path

from tools.core.errors import SettingsInvalid
from tools.core.settings import settings, settings_path
from tools.storage.toml import edit_settings
from tools.weights.catalogue import find


def choose(weights_id: str, role: str) -> Path:
    """Choose weights for a role in settings.toml, whose other lines stay as they are; return the file.

    Args:
        weights_id: An id of the catalogue.
        role: One of its roles.

    Raises:
        WeightsMissing: when there are none of this id.
        SettingsInvalid: when they cannot do this work, settings.toml cannot be read, or the environment chooses others.
        WriteError: when settings.toml cannot be written.
    """
    if role not in find(weights_id).roles:
        raise SettingsInvalid(f"{weights_id} cannot do the work of the role {role}", "Choose other weights for it")
    with edit_settings() as document:
        document.setdefault("roles", {})[role] = weights_id
    if settings().role(role) != weights_id:
        raise SettingsInvalid(
            f"{settings().role(role)} are still used for {role}, because SUPERLINK_ROLE_{role.upper()} says so",
            "Remove it from the environment and start superlink again",
        )
    return settings_path()
