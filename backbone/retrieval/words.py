"""Words of requests and cards, as the retriever compares them."""

import re
from functools import lru_cache

from common.card import Card, ParameterSchema

FIELDS = ("name", "doc", "arguments", "examples")
"""The fields of a card, in the order of their rows in the weights."""

MOST_WORDS = 64
"""Words of a request, or of a field of a card, that are read; further ones are left out."""

NUMBER = "#"
"""Stands for every number."""

_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CLITIC = re.compile(r"'(?:s|t|m|d|re|ve|ll)\b")
_SUFFIXES = ("ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "ly", "s", "e")


def split(text: str, most: int = MOST_WORDS) -> list[str]:
    """Return the words of a text in lower case. Names are split at underscores and at capitals."""
    plain = _CLITIC.sub(" ", _CAMEL.sub(" ", text).lower().replace("’", "'"))
    return [NUMBER if word.isdecimal() else word for word in _WORD.findall(plain)[:most]]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return a word without its English ending: "rotated", "rotating" and "rotate" have one stem."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] in "yi" else word


def texts(card: Card) -> tuple[str, ...]:
    """Return the text of each of `FIELDS` of a card."""
    arguments = " ".join(f"{name} {_choices(schema)}" for name, schema in card["params"].items())
    return card["name"], card["doc"], arguments, " ".join(card["examples"])


@lru_cache(maxsize=4096)
def fields(texts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the words of the texts of a card. The name is never without words."""
    name, *others = (tuple(split(text)) for text in texts)
    return (name or (texts[0].lower(),), *others)


def _choices(schema: ParameterSchema) -> str:
    """Return the choices of a parameter as text."""
    plain = [schema, schema.get("items", {}), *schema.get("anyOf", ())]
    return " ".join(str(choice) for one in plain for choice in one.get("enum", ()) if choice is not None)
