"""A tool that runs out of memory on many pictures at once, and on a large one whenever it comes."""

from tests.flows.finding import note
from tools import Batch, Image, Number, tool


@tool
def weigh(image: Batch[Image]) -> Batch[Number]:
    """Give the number of pixels of an image."""
    if len(image) > 2 or max(one.width for one in image) > 400:
        raise MemoryError("the tensor does not fit")
    note(" ".join(["weigh"] * len(image)))
    return [Number(one.width * one.height) for one in image]
