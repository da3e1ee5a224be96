"""Public names that are loaded when they are first used."""

import json
import sys
from pathlib import Path

import pytest

SOURCE = """
from typing import TYPE_CHECKING
from common.lazy import lazy_names
if TYPE_CHECKING:
    from json import dumps as dumps
    from json import loads as read_json
__all__, __getattr__, __dir__ = lazy_names(__name__, __file__)
"""


def test_names_are_those_of_the_imports_for_type_checkers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazily.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    lazily = __import__("lazily")
    monkeypatch.delitem(sys.modules, "lazily")
    monkeypatch.setitem(sys.modules, "lazily", lazily)
    assert lazily.__all__ == ["dumps", "read_json"] and "read_json" not in vars(lazily)
    assert lazily.read_json is json.loads and vars(lazily)["read_json"] is json.loads
    assert "dumps" in dir(lazily)
    with pytest.raises(AttributeError, match="'lazily' has no attribute 'loads'"):
        lazily.loads  # noqa: B018
