"""What Lever-LM knows of requests and examples, by the word vectors of the retriever.

Pooled features go into the model's states. Besides, the words of a request are compared with those of each example one
by one (late interaction): the words of a house are rare, and lost in a mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backbone.lever.score import Example
from backbone.planner.layout import Call, format_value
from backbone.planner.tensors import Array
from backbone.retrieval.retriever import Words
from backbone.retrieval.words import split, stem

KINDS = ("Image", "Video", "Audio", "Detections", "Text")
"""Kinds of value at hand that are told apart."""

LIKENESSES = 2
"""Ways in which the words of a request are found in an example: among all words of its request, or the unrepeated."""

COMPARED = 2 * LIKENESSES + 1
"""Number of comparisons of a request with an example; see `compared`."""


@dataclass(frozen=True)
class Known:
    """N examples, ready to be compared. Their W words are in one sequence, example by example.

    Attributes:
        features: (N, F): vectors of request, plan, and the words of the request that the plan does not repeat, D each;
            and the kinds at hand.
        vectors: (W, D) of the words of the requests. A zero vector begins each example.
        starts: (N,) where the words of each example begin.
        left: (W,) which words the plan does not repeat: those that the example explains. The others were copied.
    """

    features: Array
    vectors: Array
    starts: NDArray[np.intp]
    left: NDArray[np.bool_]


@dataclass(frozen=True)
class Asked:
    """A request of T words, compared with N examples.

    Attributes:
        features: (F,) of the request; the part of the plan is 0.
        found: (`LIKENESSES`, N, T) how well each word is found in each example, from 0 to 1.
        explained: (N,) share of the words that an example explains that are in the request.
    """

    features: Array
    found: Array
    explained: Array

    def of(self, rows: Sequence[int] | NDArray[np.intp]) -> "Asked":
        """The same request, compared with some of the examples."""
        return Asked(self.features, self.found[:, rows], self.explained[rows])


def know(examples: Sequence[Example], words: Words) -> Known:
    """Prepare examples.

    Args:
        examples: what can be chosen.
        words: the retriever's.
    """
    plans = [plan_text(example.calls) for example in examples]
    said, left, starts = list[Array](), list[bool](), list[int]()
    unrepeated: list[list[str]] = []
    for example, plan in zip(examples, plans, strict=True):
        own, repeated = split(example.request), {stem(word) for word in split(plan)}
        vectors, _ = words.vectors(own)
        keeps = [stem(word) not in repeated for word in own]
        starts.append(len(left))
        said.append(np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), vectors]))
        left += [True, *keeps]
        unrepeated.append([word for word, keep in zip(own, keeps, strict=True) if keep])
    texts = ([split(example.request) for example in examples], [split(plan) for plan in plans], unrepeated)
    features = [np.stack([pooled(text, words) for text in column]) for column in texts]
    kinds = np.array([[kind in example.have for kind in KINDS] for example in examples], np.float32)
    vectors = np.concatenate(said)
    return Known(np.concatenate([*features, kinds], 1), vectors, np.array(starts, np.intp), np.array(left))


def ask(have: Sequence[str], request: str, known: Known, words: Words) -> Asked:
    """Compare a request with examples.

    Args:
        have: kinds of value at hand.
        request: in words.
        known: the examples.
        words: the retriever's.
    """
    own = split(request)
    mean = pooled(own, words)
    kinds = np.array([kind in have for kind in KINDS], np.float32)
    features = np.concatenate([mean, np.zeros_like(mean), mean, kinds])
    vectors, _ = words.vectors(own)
    like = np.maximum(known.vectors @ vectors.T, 0)
    found = [np.maximum.reduceat(like * mask[:, None], known.starts) for mask in (np.ones_like(known.left), known.left)]
    best = (like.max(1) if own else np.zeros(len(like), np.float32)) * known.left
    counts = np.add.reduceat(known.left, known.starts, dtype=np.float32) - 1
    explained = np.add.reduceat(best, known.starts) / np.maximum(counts, 1)
    return Asked(features, np.stack(found).astype(np.float32), explained.astype(np.float32))


def compared(asked: Asked, chosen: Sequence[int]) -> Array:
    """Return the comparisons of a request with each example, (N, `COMPARED`).

    For each of `LIKENESSES`: how well the request's words are found in the example, and how much better than in those
    chosen before; and last, the share of the example's own words that are in the request.
    """
    if not asked.found.shape[2]:
        return np.zeros((len(asked.explained), COMPARED), np.float32)
    before = asked.found[:, list(chosen)].max(1, initial=0, keepdims=True)
    gained = np.maximum(asked.found - before, 0).mean(2)
    return np.concatenate([asked.found.mean(2), gained, asked.explained[None]]).T


def plan_text(calls: Sequence[Call]) -> str:
    """Return a plan as words: its tools, and the names and values of their arguments."""
    return " ".join(
        f"{call['tool']} {name} {format_value(item)}"
        for call in calls
        for name, value in (call["args"] or {"": ""}).items()
        for item in (value if isinstance(value, list) else [value])
    )


def pooled(text: Sequence[str], words: Words) -> Array:
    """Return the weighted mean of word vectors, (D,), scaled to length 1; 0 without words."""
    vectors, weights = words.vectors(text)
    mean = weights[:, 0] @ vectors
    return np.asarray(mean / (np.linalg.norm(mean) + 1e-6), np.float32)
