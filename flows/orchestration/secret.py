"""Random secrets of this computer, each in a file that only its owner can read."""

from pathlib import Path
from secrets import token_urlsafe

from filelock import FileLock

from tools.core.errors import SettingsInvalid
from tools.storage import atomic

_BYTES = 32


def secret(file: Path) -> str:
    """The secret in a file; the file is made at the first call, with mode 0600.

    Raises:
        SettingsInvalid: the file cannot be read or written, or holds no secret.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(file.with_name(f".{file.name}.lock")):
            if not file.exists():
                atomic.write(file, token_urlsafe(_BYTES), mode=0o600)
            text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(
            f"The secret in {file} cannot be read or made: {error}", "Check its permissions"
        ) from error
    if len(text) < _BYTES:  # cut short or emptied, so that it could be guessed
        raise SettingsInvalid(
            f"{file} holds no secret of {_BYTES} characters or more", "Delete it, so that a new one is made"
        )
    return text
