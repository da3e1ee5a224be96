"""Spans of a request that are meant word for word: what stands in quotation marks, or after a colon."""

import re
from itertools import islice
from typing import NamedTuple

_CLOSING = {'"': '"', "“": "”", "„": "“”", "«": "»", "»": "«", "'": "'", "‘": "’"}
_OPENING = re.compile(r"(?<!\w)[\"“„«»'‘](?=\s*\S)(?!\d0s\b)")
_COLON = re.compile(r"(?<=\w): (?=\S)")
_MOST = 16
"""Most spans of a request; further ones count as other words."""
_APOSTROPHES = "'’"
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")


class Quoted(NamedTuple):
    """A quoted span.

    Attributes:
        opening: The opening mark.
        words: The words between the marks.
        closing: The closing mark.
    """

    opening: str
    words: str
    closing: str


def quoted_spans(request: str) -> list[Quoted]:
    """Return the quoted spans of a request, in their order; apostrophes are no quotation marks."""
    request = " ".join(request.split())
    found: list[Quoted] = []
    start = 0
    while len(found) < _MOST and (opening := _OPENING.search(request, start)):
        begin = opening.end()
        end = _end(request, begin, opening[0])
        start = begin if end is None else end + 1
        if end is not None and request[begin:end].strip():
            found.append(Quoted(opening[0], request[begin:end].strip(), request[end]))
    return found


def _end(request: str, begin: int, opening: str) -> int | None:
    """The place of the closing mark, or None."""
    closing = _CLOSING[opening]
    if closing not in _APOSTROPHES:
        places = [n for n in (request.find(mark, begin) for mark in closing) if n >= 0]
        return min(places, default=None)
    following = re.compile(rf"(?<!\w){opening}(?=\w)").search(request, begin)
    limit = following.start() if following else len(request)
    places = [found.start() for found in re.compile(rf"(?<!\s){closing}(?![^\W_])").finditer(request, begin, limit)]
    # "the dogs' bowl": after an s within a sentence it may be a genitive, and another one the closing mark.
    certain = [n for n in places if request[n - 1].lower() != "s" or not re.match(r" \w", request[n + 1 : n + 3])]
    return next(iter(certain or places), None)


def late_starts(spans: list[Quoted]) -> list[str]:
    """Return the beginnings, letter by letter, of the first words of later sentences, with a space before them.

    A text that began like this would lack the sentences before. Beginnings of a whole span are left out.
    """
    later = [re.split(r"\W", part, maxsplit=1)[0] for span in spans for part in _SENTENCE.split(span.words)[1:]]
    starts = dict.fromkeys(word[:length] for word in later for length in range(1, len(word) + 1))
    return [f" {start}" for start in starts if not any(span.words.startswith(start) for span in spans)]


def literal_spans(request: str) -> list[str]:
    """Return what a request gives word for word: the words of its quoted spans, and what follows each colon."""
    words = " ".join(request.split())
    tails = [words[colon.end() :].strip() for colon in islice(_COLON.finditer(words), _MOST)]
    quotes = [span.words for span in quoted_spans(request)]
    return list(dict.fromkeys([*quotes, *(tail for tail in tails if tail[:1] not in _CLOSING)]))[:_MOST]


def unfinished(written: str, spans: list[Quoted]) -> str:
    """Return what is left of a quoted span that a text has begun to copy, or "".

    Args:
        written: The text so far. It copies a span from its own first character on, or after an opening mark.
        spans: The spans of the request.
    """
    for span in spans:
        marks = [n for n in range(len(written)) if written[n] == span.opening and not written[n - 1 : n].isalnum()]
        parts = [(written, span.words), *((written[n + 1 :], span.words + span.closing) for n in marks)]
        for part, whole in parts:
            if part.strip() and whole.startswith(part) and part != whole:
                return whole[len(part) :]
    return ""
