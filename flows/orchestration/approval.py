"""What a scheduled run may do: parameters that `superlink schedule` signed on this computer, and no others.

A Prefect server, and whoever can write to it, may start a run with any parameters. So they carry an HMAC over all of
them and over the tools files that they name. The key is in a file on this computer; no server sees it.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.orchestration.secret import secret
from tools.core.errors import SuperlinkError
from tools.core.settings import settings

SIGNED = "approved"
"""Name of the parameter that holds the signature."""

_PURPOSE = "superlink schedule 1"
_HINT = "Schedule it again on this computer with superlink schedule, which asks and signs"


class NotApproved(SuperlinkError):
    """A run has parameters, or a tools file, that nobody approved on this computer."""


def sign(parameters: Mapping[str, Any]) -> str:
    """Sign the parameters of a run and the content of its tools files.

    Args:
        parameters: all of them by name, as plain JSON; the signature itself is left out.

    Returns:
        The HMAC-SHA256, followed by the sha256 of each tools file, in hexadecimal and joined by dots.

    Raises:
        NotApproved: a tools file cannot be read.
        SettingsInvalid: there is no key.
    """
    files = [_sha256(file) for file in parameters["tools"] or ()]
    return ".".join([_mac(parameters, files), *files])


def check(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters other than those that were signed here.

    Args:
        parameters: all of them by name, the signature among them.

    Raises:
        NotApproved: the signature is not of these parameters, or a tools file has changed.
        SettingsInvalid: there is no key.
    """
    mac, *files = str(parameters[SIGNED]).split(".")
    if not hmac.compare_digest(mac.encode("utf-8", "replace"), _mac(parameters, files).encode()):
        raise NotApproved("Nobody approved a run with these parameters on this computer", _HINT)
    for file, approved in zip(parameters["tools"] or (), files, strict=True):
        if _sha256(file) != approved:
            raise NotApproved(f"The tools file {file} has changed since it was scheduled", _HINT)


def _mac(parameters: Mapping[str, Any], files: Sequence[str]) -> str:
    bound = {name: value for name, value in parameters.items() if name != SIGNED}
    text = json.dumps([_PURPOSE, bound, list(files)], sort_keys=True)
    key = secret(settings().home / "prefect" / "signing.key")
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _sha256(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError as error:
        raise NotApproved(f"The tools file {file} cannot be read: {error.strerror}", _HINT) from error
