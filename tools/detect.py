"""Finding things in pictures."""

from typing import Annotated

from pydantic import Field

from tools.base import Batch, tool
from tools.engines import routing
from tools.values import Detections, Image


@tool(examples=["find every dog", "where are the people and the bicycles", "look for faces", "detect license plates"])
def detect(image: Batch[Image], labels: list[str],
           min_score: Annotated[float | None, Field(ge=0, le=1)] = None) -> Batch[Detections]:
    """Find things in an image by what they are called.

    Each label goes to the engine that knows it, and what is found keeps the label as it was asked for:
    "face" and "faces" to CenterFace; names that the weights of the role detect know (COCO's 80 by default, with
    plurals and synonyms such as people, bike, sofa) to YOLO; every other label to the open-vocabulary weights
    of the role detect_open. Things that two labels of one engine mean are found once, under the first.

    Args:
        image: The pictures.
        labels: What to look for, such as ["dog", "traffic light"].
        min_score: Keep finds with at least this score; by default what the weights' catalogue says, mostly 0.25, for faces 0.4.

    Returns:
        What was found in each picture.

    Raises:
        ValueInvalid: when there is no label.
        WeightsMissing: when the weights for a label are not here; names the label and the command that fetches them.
    """
    return routing.find([each.pixels for each in image], routing.finders(labels, "detect", "detect_open", faces=True),
                        min_score)
