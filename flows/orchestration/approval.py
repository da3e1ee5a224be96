"""What a scheduled run may do: a specification that `superlink schedule` signed on this computer, and no other.

Everyone who can write to a Prefect server may start a run with any parameters. So the whole specification, and the
tools files that it names, carry an HMAC. The key is in a file on this computer; no server sees it.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from flows.orchestration.secret import secret
from tools.core.errors import SuperlinkError
from tools.core.settings import settings

_PURPOSE = "superlink schedule 2"
_HINT = "Schedule it again on this computer with superlink schedule, which asks and signs"


class NotApproved(SuperlinkError):
    """A run has parameters, or a tools file, that were not approved on this computer."""


def sign(spec: Mapping[str, JsonValue]) -> str:
    """Sign a specification and the content of its tools files.

    Args:
        spec: all of it; see `flows.batch.spec.RunSpec.to_json`.

    Returns:
        The HMAC-SHA256, followed by the sha256 of each tools file, in hexadecimal and joined by dots.

    Raises:
        NotApproved: a tools file cannot be read.
        SettingsInvalid: there is no key.
    """
    files = [_sha256(file) for file in _tools(spec)]
    return ".".join([_mac(spec, files), *files])


def check(spec: Mapping[str, JsonValue], signature: str) -> None:
    """Refuse a specification other than the one that was signed here.

    Args:
        spec: all of it, as it came from the server.
        signature: see `sign`.

    Raises:
        NotApproved: the signature is not of this specification, or a tools file has changed.
        SettingsInvalid: there is no key.
    """
    mac, *files = signature.split(".")
    if not hmac.compare_digest(mac.encode("utf-8", "replace"), _mac(spec, files).encode()):
        raise NotApproved("Nobody approved a run with these parameters on this computer", _HINT)
    for file, approved in zip(_tools(spec), files, strict=True):
        if _sha256(file) != approved:
            raise NotApproved(f"The tools file {file} has changed since it was scheduled", _HINT)


def _tools(spec: Mapping[str, JsonValue]) -> list[str]:
    files = spec.get("tools")
    return [str(file) for file in files] if isinstance(files, list) else []


def _mac(spec: Mapping[str, JsonValue], files: Sequence[str]) -> str:
    text = json.dumps([_PURPOSE, dict(spec), list(files)], sort_keys=True)
    key = secret(settings().home / "prefect" / "signing.key")
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _sha256(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError as error:
        raise NotApproved(f"The tools file {file} cannot be read: {error.strerror}", _HINT) from error
