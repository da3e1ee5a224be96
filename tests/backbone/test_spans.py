"""Spans of a request that are meant word for word."""

import pytest

from backbone.planner.spans import late_starts, literal_spans, quoted_spans, unfinished


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("say 'the ferry leaves at dawn' and make five voices", ["the ferry leaves at dawn"]),
        ('cards of "Welcome. Sit\n down. Phones off." please', ["Welcome. Sit down. Phones off."]),
        ("titles “Hello. World”, « Bon jour. Oui » and „Ja. Nein“", ["Hello. World", "Bon jour. Oui", "Ja. Nein"]),
        ("‘It’s fine. Go.’ aloud", ["It’s fine. Go."]),
        ("say 'it's late. The dogs' bowl is empty.' now", ["it's late. The dogs' bowl is empty."]),
        ("say 'hello' to the dogs' owner", ["hello"]),
        ("label it 'two dogs' and say 'don't go'", ["two dogs", "don't go"]),
        ("don't blur the dogs' faces, it's the '90s look of James' car", []),
        ('a 24" tv, an empty "" and one that "never ends', []),
    ],
)
def test_quoted_spans(request_: str, words: list[str]) -> None:
    assert [span.words for span in quoted_spans(request_)] == words


def test_what_follows_a_colon_is_literal_too() -> None:
    assert literal_spans('say: at 8:30 it closes. Come "soon"') == ["soon", 'at 8:30 it closes. Come "soon"']
    assert literal_spans('say: "Go. Now."') == ["Go. Now."]
    assert literal_spans("find the dog") == []


def test_where_a_copy_must_not_start() -> None:
    spans = quoted_spans("say 'Who is it? Me. Will you open?'")
    assert late_starts(spans) == [" M", " Me", " Wi", " Wil", " Will"]
    assert late_starts(quoted_spans("say 'Go. Go'")) == []


def test_what_is_left_of_a_span_that_was_begun() -> None:
    spans = quoted_spans("a sign that says 'OPEN. Come in' and \"It's late. Go.\"")
    assert unfinished("OPEN.", spans) == " Come in"
    assert unfinished("It", spans) == "'s late. Go."
    assert unfinished("a sign that says 'OPEN.", spans) == " Come in'"
    for done in ("", "OPEN. Come in", "OPEN the door", "a sign that says 'OPEN. Come in'", "don't O"):
        assert unfinished(done, spans) == ""
