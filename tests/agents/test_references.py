"""Labels of searches by engines that take any words: what the request says of a thing, not its name alone."""

from typing import Any

import pytest

from agents.planners.references import with_references
from tools.core.settings import settings


@pytest.fixture(autouse=True)
def linked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_ROLE_DETECT", "backbone")
    settings.cache_clear()


def labels(request: str, *named: str, tool: str = "detect") -> list[str]:
    calls: list[dict[str, Any]] = [{"tool": tool, "args": {"labels": list(named)}}, {"tool": "count", "args": {}}]
    changed = with_references(request, calls)
    assert changed[1] == calls[1]
    found: list[str] = changed[0]["args"]["labels"]
    return found


@pytest.mark.parametrize(
    ("request_", "named", "asked"),
    [
        ("find the dog left of the red car", "dog", "the dog left of the red car"),
        ("Box the  red car to the right of the tree, then blur it", "red car", "the red car to the right of the tree"),
        ("count the people below the kite and read the sign", "person", "the people below the kite"),
        ("mark every dog next to a bench", "dog", "dog next to a bench"),
        (
            "box whatever the tallest person is standing next to",
            "person",
            "whatever the tallest person is standing next to",
        ),
        ("crop the cat sitting on top of the table.", "cat", "the cat sitting on top of the table"),
        ("find the dog", "dog", "dog"),
        ("find the dog and the car left of the tree", "dog", "dog"),
        ("find what is left", "thing", "thing"),
    ],
)
def test_a_name_becomes_what_the_request_says_of_it(request_: str, named: str, asked: str) -> None:
    assert labels(request_, named) == [asked]


def test_each_name_has_its_own_expression() -> None:
    request = "find the dog left of the car and the cat below the kite"
    assert labels(request, "dog", "cat", "bird") == ["the dog left of the car", "the cat below the kite", "bird"]
    # What another thing is told by is not what is looked for.
    assert labels(request, "car") == ["car"]


def test_engines_that_know_names_get_names(monkeypatch: pytest.MonkeyPatch) -> None:
    request = "outline the dog left of the red car"
    assert labels(request, "dog", tool="segment") == ["dog"]
    monkeypatch.setenv("SUPERLINK_ROLE_DETECT", "nanodet")
    settings.cache_clear()
    assert labels(request, "dog") == ["dog"]
    monkeypatch.setenv("SUPERLINK_ROLE_DETECT", "no-such-weights")
    settings.cache_clear()
    assert labels(request, "dog") == ["dog"]
