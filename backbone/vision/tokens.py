"""Token layout of prompts with pictures and regions, and of the segments whose queries address a linked decoder.

A picture is ``[PICTURE]`` and one token for each patch. A plan follows ``[PLAN]``, an answer in words ``[SAY]``. A
segment begins with a tool's routing token, goes on with words or a region, and ends with the learned queries of the
tool's decoder; it needs no request:

    [PICTURE] patch … [REQ] image: request [PLAN] call … [END]
    [PICTURE] patch … [REQ] image: question [SAY] answer [END]
    [PICTURE] patch … [DETECT] red car query query query query

Patches, regions and queries are places whose embeddings do not come from the vocabulary; they are never predicted.
"""

from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer

from backbone.planner.layout import Layout

MARKS = ("picture", "say")
"""Tokens added to those of the planner, in the order of their embedding rows."""

PLACES = ("patch", "region")
"""Tokens whose embedding comes from a picture."""

DECODERS = {"detect": "perception", "segment": "perception", "pose": "pose"}
"""The decoder that each tool is linked to; detection and segmentation share one."""

IMAGE = ("Image",)
"""Kinds at hand in a question about one picture."""
CAPTION, LONG_CAPTION = "describe the picture", "describe the picture in detail"
"""Requests for captions."""
REGION = "what is this?"
"""The request for the name of a region."""


class SeeingLayout(Layout):
    """Ids of all added tokens, and the encoding of pictures, regions, segments and answers.

    The ids of the planner's tokens are those of `Layout`; then come ``MARKS``, ``PLACES``, and the queries.

    Args:
        tokenizer: The core's tokenizer.
        size: Rows of the core's embedding.
        queries: Number of learned queries of each decoder.
        patches: Visual tokens of a picture.

    Attributes:
        rows: Number of added tokens that have an embedding row.
        first_place: The first id that has none; this and all after it are never predicted.
        queries: Ids of the queries of each decoder.
    """

    def __init__(self, tokenizer: Tokenizer, size: int, queries: Mapping[str, int], patches: int) -> None:
        super().__init__(tokenizer, size)
        self.rows = self.added + len(MARKS)
        self.first_place = size + self.rows
        self.patches = patches
        self.picture_mark, self.say = (size + self.added + number for number in range(len(MARKS)))
        self.patch, self.region = (self.first_place + number for number in range(len(PLACES)))
        self.queries = query_ids(self.first_place, queries)

    def picture(self) -> list[int]:
        """Return the ids of one picture."""
        return [self.picture_mark, *[self.patch] * self.patches]

    def segment(self, tool: str, words: str | None) -> list[int]:
        """Return the ids of a segment: routing token, words or a region, queries.

        Args:
            tool: One of ``DECODERS``.
            words: What is meant; None for a region.
        """
        meant = [self.region] if words is None else self.text(f" {' '.join(words.split())}")
        return [self.tool_tokens[tool], *meant, *self.queries[DECODERS[tool]]]

    def answer(self, text: str) -> list[int]:
        """Return the ids of an answer in words."""
        return [self.say, *self.text(f" {text}"), self.end]

    def question(self, have: Sequence[str], question: str, region: bool = False) -> list[int]:
        """Return the ids of a question that is answered in words; a region stands before the words."""
        mark, *words, _ = self.request(have, question)
        return [mark, *[self.region] * region, *words]


def query_ids(first_place: int, queries: Mapping[str, int]) -> dict[str, range]:
    """Return the ids of the queries of each decoder."""
    ids, at = {}, first_place + len(PLACES)
    for decoder, count in queries.items():
        ids[decoder], at = range(at, at + count), at + count
    return ids
