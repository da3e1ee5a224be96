"""Prefixes of prompts that were read before: a new one is read from where it differs from them."""

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise

from backbone.planner.engine import Engine
from backbone.planner.tensors import Array

KEPT_TOKENS = 3072
"""Tokens whose keys and values are kept: about four times the cards that a planner reads, with some examples each. One
token takes 46 kB in a core of 135 million weights."""


class Prefixes:
    """Keys and values of the parts of prefixes, each behind the parts before it.

    Keys and values depend on all tokens before, so a part is found again only behind the same parts. The least
    recently used part that no other stands behind is dropped first.

    Args:
        engine: reads the prefixes.

    Attributes:
        context: the one context that all prefixes are read into.
    """

    def __init__(self, engine: Engine) -> None:
        self.context = engine.new_context()
        self._read: list[int] = []  # what the context holds, whatever its length
        self._kept: dict[tuple[int, ...], Array] = {}  # of the last part of a prefix, by the whole of it

    def begin(self, parts: Sequence[Sequence[int]]) -> None:
        """Have the context hold as much of a prefix as was read before; the rest is left to be read.

        Args:
            parts: the prefix in the parts that others may share.
        """
        prefix = list(chain.from_iterable(parts))
        self.context.length = common_length(self._read, prefix)
        for start, end in _spans(parts):
            if end <= self.context.length:
                continue
            found = self._kept.get(tuple(prefix[:end]))
            if found is None:
                break
            self.context.append(found[..., self.context.length - start :, :])
        self._read = prefix[: self.context.length]

    def keep(self, parts: Sequence[Sequence[int]]) -> None:
        """Keep the parts of a prefix that the context has read, and drop what has gone unused the longest."""
        prefix = list(chain.from_iterable(parts))
        self._read = prefix
        for start, end in reversed(_spans(parts)):  # so that a part is dropped before those that it stands behind
            key = tuple(prefix[:end])
            found = self._kept.pop(key, None)
            self._kept[key] = self.context.keys_and_values(start, end) if found is None else found
        while sum(part.shape[-2] for part in self._kept.values()) > KEPT_TOKENS:
            del self._kept[next(iter(self._kept))]


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Number of tokens with which both begin."""
    pairs = zip(first, second, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def _spans(parts: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Where each part begins and ends in the prefix."""
    return list(pairwise(accumulate(map(len, parts), initial=0)))
