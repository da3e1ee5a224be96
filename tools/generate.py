"""Making pictures from words."""

from tools.core.settings import settings
from tools.runtime.tool import tool
from tools.values import Image, Text
from tools.weights.needs import weights_of


@tool(
    examples=["draw a red bicycle leaning on a wall", "make a picture of a castle by the sea"],
    words="Make a picture: {prompt}",
    needs=weights_of("generate"),
)
def generate(prompt: Text) -> Image:
    """Make a picture from a description in words.

    The role `generate` in the settings chooses the diffusion model and with it the size, 512x512 for the usual one.
    The same words give the same picture.

    Args:
        prompt: What the picture shows, in words; a text from another step can say it.

    Returns:
        A new picture.

    Raises:
        ValueInvalid: when there are no words.
        ToolError: when the model's safety checker withholds the picture.
        WeightsMissing: when the chosen weights are not on this computer.
    """
    from tools.engines import diffusion

    return diffusion.generate(str(prompt), settings().role("generate"))
