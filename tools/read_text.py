"""Reading text in pictures."""

from tools.runtime.tool import tool
from tools.values import Image, Transcript
from tools.weights.needs import weights_of


@tool(
    examples=["read the text", "what does the sign say?"],
    words="Read the text in {image}",
    needs=weights_of("read_text"),
)
def read_text(image: Image) -> Transcript:
    """Read the text in an image.

    Finds lines of printed or clearly written text, in Latin letters and Chinese, also upside down or turned by a
    quarter. Very large pictures are made smaller to find the lines, which are then read in full size.

    Args:
        image: The picture.

    Returns:
        One segment for each line with its box in pixels and a score, rows from the top, each from the left;
        no segments when there is no text.

    Raises:
        WeightsMissing: when the chosen weights are not on this computer.
    """
    from tools.engines import ocr

    return ocr.read(image)
