"""Answering questions about pictures."""

from tools.core.settings import settings
from tools.runtime.tool import tool
from tools.values import Image, Text
from tools.weights.needs import weights_of

_LONGEST = 256  # tokens


@tool(examples=["what colour is the car?", "is the door open?"], words="Answer: {question}", needs=weights_of("ask"))
def ask(image: Image, question: Text) -> Text:
    """Answer a question about an image.

    The role `ask` in the settings chooses the vision-language model. It can be wrong; the usual one is small.

    Args:
        image: The picture.
        question: What to find out, in words; a text from another step can be the question.

    Returns:
        The answer, in English for the usual model.

    Raises:
        ValueInvalid: when the question is empty.
        WeightsMissing: when the chosen weights are not on this computer.
    """
    from tools.engines import dispatch

    return dispatch.words("ask").answer(image, str(question), settings().role("ask"), longest=_LONGEST)
