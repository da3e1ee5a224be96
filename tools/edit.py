"""Changing pictures by instruction."""

from tools.core.settings import settings
from tools.runtime.tool import tool
from tools.values import Image, Text
from tools.weights.needs import weights_of


@tool(examples=["make it look like winter", "turn the car red"], words="Edit: {prompt}", needs=weights_of("edit"))
def edit(image: Image, prompt: Text) -> Image:
    """Change an image as an instruction says.

    The role `edit` in the settings chooses the diffusion model. It works at its own size, about 512x512 for the
    usual one, so that large pictures lose detail. The same picture and words give the same result.

    Args:
        image: The picture.
        prompt: The instruction, such as "make it night"; a text from another step can be it.

    Returns:
        A new picture of the same size.

    Raises:
        ValueInvalid: when there are no words.
        ToolError: when the model's safety checker withholds the picture.
        WeightsMissing: when the chosen weights are not on this computer.
    """
    from tools.engines import diffusion

    return diffusion.edit(image, str(prompt), settings().role("edit"))
