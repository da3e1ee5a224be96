"""Describing pictures."""

from tools.core.settings import settings
from tools.runtime.tool import tool
from tools.values import Image, Text
from tools.weights.needs import weights_of

_LONGEST = 96  # tokens


@tool(
    examples=["describe this picture", "what is in the photo?"], words="Describe {image}", needs=weights_of("caption")
)
def caption(image: Image) -> Text:
    """Describe an image in a sentence.

    The role `caption` in the settings chooses the vision-language model. It can be wrong; the usual one is small.

    Args:
        image: The picture.

    Returns:
        The description, in English for the usual model.

    Raises:
        WeightsMissing: when the chosen weights are not on this computer.
    """
    from tools.engines import dispatch

    return dispatch.words("caption").describe(image, settings().role("caption"), longest=_LONGEST)
