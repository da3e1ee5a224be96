"""Cutting things out of a picture."""

from tools.imaging.regions import check_regions, window
from tools.runtime.tool import tool
from tools.values import Detections, Image


@tool(examples=["crop every face", "cut out the dog"], words="Cut out {regions}")
def crop(image: Image, regions: Detections) -> list[Image]:
    """Cut each thing found out of an image as a picture of its own.

    A cut-out holds every pixel that the box touches; masks are not used.

    Args:
        image: The picture.
        regions: What to cut out; boxes without area are left out.

    Returns:
        One picture for each region, in their order; none when nothing was found.

    Raises:
        ValueInvalid: when the regions belong to another picture.
    """
    check_regions(image, regions)
    windows = [window(box, image.size) for box in regions.xyxy]
    return [Image.from_numpy(image.pixels[inside]) for inside in windows if inside is not None]
