"""Which examples have something to tell about a request: by the words that they teach, not by how they are worded."""

import numpy as np
import pytest

from agents.plan.types import planner_cards
from backbone.lever.features import compared
from backbone.lever.index import ExampleIndex
from backbone.lever.score import Example
from backbone.retrieval.retriever import Retriever
from tools.runtime.registry import load

WORDS = Retriever.read().words
CARDS = planner_cards(load(entry_points=False))
MOST, LEAST = 0.5, 0.3


def example(request: str, *calls: tuple[str, dict[str, object]]) -> Example:
    return Example(["Image"], request, [{"tool": tool, "args": args} for tool, args in calls])


GALLERY = example(
    "please find out how many of the gallery there are", ("detect", {"labels": ["person", "chair"]}), ("count", {})
)
SPLASH = example("splash the microphone, thanks", ("detect", {"labels": ["microphone"]}), ("crop", {}))
POSTCARD = example("postcard look", ("edit", {"prompt": "like a postcard, with the look of the sixties"}))
BLUR = example("go on, blur the gavel", ("detect", {"labels": ["gavel"]}), ("redact", {"how": "blur"}))
EXAMPLES = [GALLERY, SPLASH, POSTCARD, BLUR]
INDEX = ExampleIndex(EXAMPLES, CARDS, WORDS)


@pytest.mark.parametrize(
    ("request_", "relevant"),
    [
        ("count the gallery", [GALLERY]),
        ("please find out how many kites there are", []),  # the same words but for the one that matters
        ("is that the splash again? splashing the kettle", [SPLASH]),
        ("make the microphone go away, thanks", []),  # its plan repeats the microphone
        ("this one with the postcard look, please", [POSTCARD]),
        ("can you blur the gavel", [BLUR]),
        ("please find the kites", []),  # finding is in the card of the tool, which is known without an example
        ("tag it", []),
        ("", []),
    ],
)
def test_an_example_matters_by_the_words_that_it_teaches(request_: str, relevant: list[Example]) -> None:
    scores = INDEX.relevance(request_)
    assert scores.shape == (4,) and scores.min() >= 0 and scores.max() <= 1.001
    for one, score in zip(EXAMPLES, scores, strict=True):
        assert score > MOST if one in relevant else score < LEAST, (one.request, score)


def test_each_example_is_compared_by_itself() -> None:
    for row, one in enumerate(EXAMPLES):
        for request in ("count the gallery", "postcard look"):
            alone = ExampleIndex([one], CARDS, WORDS)
            np.testing.assert_allclose(alone.relevance(request), INDEX.relevance(request)[row : row + 1], atol=1e-6)


def test_without_words_or_examples_nothing_is_relevant() -> None:
    assert ExampleIndex([], CARDS, WORDS).relevance("count the gallery").shape == (0,)
    speechless = ExampleIndex([example("!?", ("caption", {})), GALLERY], CARDS, WORDS)
    assert speechless.relevance("count the gallery").tolist() == [0, pytest.approx(0.8, abs=0.1)]


def test_words_are_found_as_lever_lm_finds_them() -> None:
    found = INDEX.found("splash the gallery")
    assert found.shape == (4, 3) and found[1, 0] == pytest.approx(1) and found[0, 2] == pytest.approx(1)
    asked = INDEX.ask(["Image"], "splash the gallery")
    np.testing.assert_allclose(compared(asked, [])[:, 3], found.mean(1), atol=1e-6)
