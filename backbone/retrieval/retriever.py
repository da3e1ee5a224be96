"""The retriever: how well each tool fits a request, by static word vectors and late interaction.

A word has a unit vector and two weights, one for requests and one for cards. They were distilled from a sentence
encoder and trained on requests for synthetic tools (``backbone/training/retrieval.py``); the model is a table, so a
request takes a few milliseconds and no core has to be loaded. `Retriever.features` lists what is compared.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from backbone.retrieval.words import FIELDS, fields, split, stem, texts
from common.card import Card
from common.reach import fits, needs, reachable_kinds

Array = NDArray[np.float32]

WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / "retrieval" / "retriever.safetensors"
"""The weights that are shipped."""

FEATURES = ("words", "window", *(f"{field} covered" for field in FIELDS), *(f"{field} alike" for field in FIELDS))
FEATURES = (*FEATURES, "card alike", "stems", "reachable")
"""What is compared, in the order of the columns of `Retriever.features`."""

STEM_WEIGHTS = (1.0, 0.8, 0.5, 0.8)
"""What a common stem counts in each of `FIELDS`."""

WINDOW, STRIDE = 8, 4
"""Words of a window of a request, and words from one window to the next. The whole request is a window, too."""

NEEDED = (3.1, -5.5)
"""Slope and bias of the log odds that a tool is needed, as a function of how far its score is above the mean."""

KEPT_CATALOGUES = 8
"""Sets of cards that are kept ready; the least recently used one is dropped."""


class Words:
    """The table of words.

    Args:
        words: the words, each once.
        vectors: (N, D) their vectors; made unit vectors here.
        weights: (N, 2) their weights in requests and in cards.

    Attributes:
        size: D.
    """

    def __init__(self, words: Sequence[str], vectors: Array, weights: Array) -> None:
        self._rows = {word: row for row, word in enumerate(words)}
        self._vectors, self._weights = vectors, weights
        self.size = int(vectors.shape[1])
        self._usual = weights.mean(0)
        self._of = lru_cache(maxsize=65536)(self._find)

    def vectors(self, words: Sequence[str]) -> tuple[Array, Array]:
        """Return unit vectors (T, D) and weights (T, 2) of words."""
        found = [self._of(word) for word in words]
        if not found:
            return np.zeros((0, self.size), np.float32), np.zeros((0, 2), np.float32)
        return np.stack([vector for vector, _ in found]), np.stack([weight for _, weight in found])

    def _find(self, word: str) -> tuple[Array, Array]:
        row = known(word, self._rows)
        if row is not None:
            vector = self._vectors[row].astype(np.float32)
            return vector / np.float32(np.linalg.norm(vector) + 1e-6), self._weights[row]
        return unknown(word, self.size), self._usual


def known(word: str, rows: dict[str, int]) -> int | None:
    """Return the row of a word, of another word of its stem, or of its longest beginning; None for strange words."""
    if word in rows:
        return rows[word]
    base = stem(word)
    beginnings = (word[:size] for size in range(len(word) - 1, max(3, 2 * len(word) // 3), -1))
    return next((rows[like] for like in (base, f"{base}e", f"{base}y", *beginnings) if like in rows), None)


def unknown(word: str, size: int) -> Array:
    """Return the vector of a strange word: drawn by its stem, so that it is like itself and like nothing else."""
    seed = int.from_bytes(hashlib.sha256(stem(word).encode()).digest()[:8], "big")
    drawn = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    return drawn / np.float32(np.linalg.norm(drawn))


@dataclass(frozen=True)
class Catalogue:
    """A set of C cards, ready to be compared with requests. Their W words are in one sequence, card by card.

    Attributes:
        vectors: (W, D) vectors of the words, scaled by field.
        weights: (W,) their weights.
        starts: (C,) where each card's words begin; every card has a name, so none is empty.
        segments: (S,) where the words of each field that has words begin.
        owner: (S, 2) card and field of each segment.
        pooled: (F + 1, C, D) unit vectors of the fields and of the whole card; zero where a field has no words.
        stems: stem to the cards that have it and what it counts in each.
    """

    vectors: Array
    weights: Array
    starts: NDArray[np.intp]
    segments: NDArray[np.intp]
    owner: NDArray[np.intp]
    pooled: Array
    stems: dict[str, tuple[NDArray[np.intp], Array]]


class Retriever:
    """Scores tools for a request. Safe to call from several threads.

    Args:
        words: the table of words.
        scale: (F,) factor of likeness for the words of each field.
        mix: (K,) weight of each of `FEATURES` in the score.
    """

    def __init__(self, words: Words, scale: Array, mix: Array) -> None:
        self.words, self._scale, self._mix = words, scale, mix
        self._catalogues: dict[tuple[tuple[str, ...], ...], Catalogue] = {}
        self._lock = Lock()

    @classmethod
    def read(cls, file: Path = WEIGHTS) -> "Retriever":
        """Read a file of weights.

        Args:
            file: as written by the training.
        """
        tensors = load_file(file)
        words = tensors["words"].tobytes().decode().split("\n")
        table = Words(words, tensors["vectors"], tensors["weights"].astype(np.float32))
        return cls(table, tensors["scale"].astype(np.float32), tensors["mix"].astype(np.float32))

    def embed(self, requests: Sequence[str]) -> Array:
        """Return a vector for each request, by which requests can be compared.

        Args:
            requests: in words.

        Returns:
            (N, D) weighted means of the vectors of their words, scaled to length 1; zero where there are no words.
        """
        found = np.zeros((len(requests), self.words.size), np.float32)
        for row, request in zip(found, requests, strict=True):
            vectors, weights = self.words.vectors(split(request))
            row += weights[:, 0] @ vectors
        return _unit(found)

    def scores(self, request: str, have: Sequence[str], cards: Sequence[Card], offered: Sequence[Card] = ()) -> Array:
        """Score tools for a request.

        Args:
            request: in words.
            have: kinds of value at hand.
            cards: the tools to score.
            offered: tools that are offered in any case; what they make can be given to the others.

        Returns:
            (C,) scores, higher for tools that fit better; comparable within one request only.
        """
        if not cards:
            return np.zeros(0, np.float32)
        return np.asarray(self.features(request, have, cards, offered) @ self._mix, np.float32)

    def needed(
        self, request: str, have: Sequence[str], cards: Sequence[Card], reference: Sequence[Card]
    ) -> dict[str, float]:
        """Tell how likely it is that a request needs each tool.

        Scores are comparable within one request only. Above the mean of the tools and of those for reference, they say
        as much of one card as of many.

        Args:
            request: in words.
            have: kinds of value at hand.
            cards: the tools.
            reference: the built-in tools, whether or not they are offered.

        Returns:
            Log odds by name of `cards`, fitted by ``backbone.training.retrieval.fitted_needed``.
        """
        scores = self.scores(request, have, [*cards, *reference])
        slope, bias = NEEDED
        odds = slope * (scores - scores.mean()) + bias if cards else scores
        return {card["name"]: float(x) for card, x in zip(cards, odds, strict=False)}

    def features(self, request: str, have: Sequence[str], cards: Sequence[Card], offered: Sequence[Card]) -> Array:
        """Compare a request with cards.

        Returns:
            (C, K): the likeness of each word of the request to the card's likest word, weighted, over the whole request
            and over its best window; how much of each field is in the request; cosines of the best window and each
            field, and the whole card; common stems, rare ones counting more; whether the tool's inputs can be had.
        """
        catalogue = self._catalogue(tuple(texts(card) for card in cards))
        asked = split(request)
        vectors, weights = self.words.vectors(asked)
        windows = np.asarray(windows_of(len(asked)) * weights[:, 0], np.float32)
        found = np.zeros((len(cards), len(FEATURES)), np.float32)
        if asked:
            like = np.maximum(vectors @ catalogue.vectors.T, 0)
            best = np.maximum.reduceat(like, catalogue.starts, axis=1)
            by_window = windows @ best / (windows.sum(1, keepdims=True) + 1)
            found[:, 0], found[:, 1] = by_window[0], by_window.max(0)
            cards_of, fields_of = catalogue.owner.T
            covered = np.add.reduceat(like.max(0) * catalogue.weights, catalogue.segments)
            found[cards_of, 2 + fields_of] = covered / (np.add.reduceat(catalogue.weights, catalogue.segments) + 0.5)
            pooled = _unit(np.asarray(windows @ vectors, np.float32))
            likest = np.einsum("wd,fcd->fcw", pooled, catalogue.pooled).max(-1)
            found[:, 2 + len(FIELDS) : 3 + 2 * len(FIELDS)] = likest.T
        for common in {stem(word) for word in asked} & catalogue.stems.keys():
            holders, counts = catalogue.stems[common]
            found[holders, -2] += counts
        kinds = reachable_kinds(have, [*offered, *cards])
        found[:, -1] = [fits(needs(card), kinds) for card in cards]
        return found

    def _catalogue(self, key: tuple[tuple[str, ...], ...]) -> Catalogue:
        """Return the words of cards, ready to be compared."""
        with self._lock:
            catalogue = self._catalogues.pop(key, None) or self._prepare([fields(card) for card in key])
            self._catalogues[key] = catalogue
            while len(self._catalogues) > KEPT_CATALOGUES:
                self._catalogues.pop(next(iter(self._catalogues)))
        return catalogue

    def _prepare(self, cards: Sequence[Sequence[Sequence[str]]]) -> Catalogue:
        flat = [
            (number, field, word)
            for number, card in enumerate(cards)
            for field, said in enumerate(card)
            for word in said
        ]
        owner = np.array([(number, field) for number, field, _ in flat], np.intp)
        vectors, weights = self.words.vectors([word for _, _, word in flat])
        weight = weights[:, 1]
        starts = np.flatnonzero(np.diff(owner[:, 0], prepend=-1))
        segments = np.flatnonzero(np.diff(owner @ (len(FIELDS), 1), prepend=-1))
        scaled = vectors * self._scale[owner[:, 1], None]
        pooled = np.zeros((len(FIELDS) + 1, len(cards), vectors.shape[1]), np.float32)
        for row, card, field in zip(vectors * weight[:, None], *owner.T, strict=True):
            pooled[field, card] += row
        pooled[-1] = pooled.sum(0)
        return Catalogue(scaled, weight, starts, segments, owner[segments], _unit(pooled), stem_table(cards))


def stem_table(cards: Sequence[Sequence[Sequence[str]]]) -> dict[str, tuple[NDArray[np.intp], Array]]:
    """Return each stem with the cards that have it, and what it counts in each: more if it is rare among the cards."""
    holders: dict[str, dict[int, float]] = {}
    for number, card in enumerate(cards):
        for said, weight in zip(card, STEM_WEIGHTS, strict=True):
            for word in said:
                counts = holders.setdefault(stem(word), {})
                counts[number] = max(counts.get(number, 0.0), weight)
    size = math.log(1 + len(cards))
    return {
        word: (np.array([*counts], np.intp), _counted(counts.values(), math.log(1 + len(cards) / len(counts)) / size))
        for word, counts in holders.items()
    }


def _counted(counts: Iterable[float], rarity: float) -> Array:
    return np.array([count * rarity for count in counts], np.float32)


def windows_of(size: int) -> Array:
    """Return the windows of a request of so many words, (W, T) of ones and zeros; the first is the whole request."""
    places = np.arange(size)
    parts = [(places >= start) & (places < start + WINDOW) for start in range(0, max(size - STRIDE, 1), STRIDE)]
    return np.stack([np.ones(size, bool), *parts]).astype(np.float32)


def _unit(vectors: Array) -> Array:
    """Return vectors scaled to length 1; zero stays zero."""
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-6), np.float32)
