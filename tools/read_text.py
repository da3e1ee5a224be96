"""Reading what is written in pictures."""

from tools.base import tool
from tools.engines import ocr
from tools.values import Image, Transcript


@tool(examples=["what does the sign say?", "read the text in this picture", "copy the words off the receipt"])
def read_text(image: Image) -> Transcript:
    """Read the text in an image.

    Printed and clear handwritten lines, in Chinese, English and other Latin languages.

    Args:
        image: The picture.

    Returns:
        One segment for each line, in reading order, with its box in pixels and a score; none when there is no text.
    """
    return ocr.read(image)
