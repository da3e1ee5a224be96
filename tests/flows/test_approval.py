"""What a signature covers, and the secrets behind it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flows.orchestration.approval import NotApproved, check, sign
from flows.orchestration.secret import secret
from tools.core.errors import SettingsInvalid


@pytest.fixture
def signed(home: Path, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "own.py").write_text("first")
    given = {
        "source": "/photos",
        "out": "/out",
        "plan": {"steps": [{"id": "s1"}]},
        "tools": [str(tmp_path / "own.py")],
        "limit": None,
        "routing": {"audit": 0.5, "bands": {}},
    }
    return {**given, "signature": sign(given)}


def check_signed(signed: dict[str, Any]) -> None:
    spec = dict(signed)
    check(spec, spec.pop("signature"))


def test_what_was_signed_here_passes(signed: dict[str, Any]) -> None:
    check_signed(signed)
    check_signed(dict(reversed(signed.items())))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "/etc"),
        ("out", "/out/"),
        ("plan", {"steps": [{"id": "s2"}]}),
        ("tools", []),
        ("tools", None),
        ("limit", 1),
        ("routing", {"audit": 1.0, "bands": {}}),
        ("another", None),
        ("signature", ""),
        ("signature", "ä.\udc80"),
    ],
)
def test_nothing_can_be_changed(signed: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises(NotApproved, match="Nobody approved a run with these parameters on this computer"):
        check_signed({**signed, name: value})


def test_a_tools_file_cannot_be_changed_or_passed_off_as_approved(signed: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("second")
    with pytest.raises(NotApproved, match=r"own\.py has changed since it was scheduled"):
        check_signed(signed)
    new = sign(signed).split(".")[1]
    with pytest.raises(NotApproved, match="Nobody approved"):
        check_signed({**signed, "signature": f"{signed['signature'].split('.')[0]}.{new}"})
    (tmp_path / "own.py").unlink()
    with pytest.raises(NotApproved, match=r"own\.py cannot be read: No such file"):
        check_signed(signed)


def test_the_key_is_of_this_computer(signed: dict[str, Any], home: Path) -> None:
    key = home / "prefect" / "signing.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    with pytest.raises(NotApproved):
        check_signed(signed)
    key.write_text("")
    with pytest.raises(SettingsInvalid, match=r"signing\.key holds no secret"):
        check_signed(signed)


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(secret, [tmp_path / "a" / "secret"] * 8))
    assert len(found) == 1 and len(found.pop()) > 40
    assert {file.name for file in (tmp_path / "a").iterdir()} == {"secret", ".secret.lock"}


def test_a_secret_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(SettingsInvalid, match="cannot be read or made"):
        secret(tmp_path / "a" / "secret")
