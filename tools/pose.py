"""How people stand, sit and move."""

import numpy as np
from numpy.typing import NDArray

from tools.engines import dispatch, people
from tools.imaging.regions import check_regions
from tools.runtime.tool import tool
from tools.values import Detections, Image, Poses

_SAME = 0.5  # a region that overlaps a person's box by this IoU is that person


@tool(
    examples=["how are the people standing", "draw the skeleton of every dancer", "find the pose of the player"],
    words=("Find the joints of {regions}", "Find the joints of all people"),
    needs=lambda _: dispatch.needs("pose"),
)
def pose(image: Image, regions: Detections | None = None) -> Poses:
    """Find the joints of the people in an image (COCO's 17 keypoints).

    YOLO looks at the whole picture, and people are kept from a score of 0.25 on. MoveNet looks at each person that the
    weights of the role detect find; regions that are labelled as people it takes as they are. Otherwise each region
    stands for the person whose box fits it best, if they overlap by an IoU of 0.5 or more; otherwise for all people
    whose box has its centre in the region; and if there are none, for the one whose box holds the region's
    centre most closely, as a face's does. Everyone else is left out.

    Args:
        image: The picture.
        regions: Which people, as found in this picture; everyone by default.

    Returns:
        The poses of these people.

    Raises:
        ValueInvalid: when the regions belong to another picture.
        WeightsMissing: when the weights of the role pose are not here; names the command that fetches them.
    """
    engine = dispatch.joints("pose")
    if regions is not None:
        check_regions(image, regions)
        if engine.TAKES_PEOPLE and people.are_people(regions):
            return engine.poses([image.pixels], "pose", people=[regions])[0]
    [found] = engine.poses([image.pixels], "pose")
    if regions is None:
        return found
    keep = sorted({person for box in regions.xyxy for person in _people_in(box, found.xyxy)})
    return Poses(found.keypoints[keep], found.scores[keep], found.xyxy[keep], found.size)


def _people_in(region: NDArray[np.float32], people: NDArray[np.float32]) -> list[int]:
    """Return the numbers of the boxes (N, 4) that a region (4,) stands for."""
    if not len(people):
        return []
    sides = np.minimum(people[:, 2:], region[2:]) - np.maximum(people[:, :2], region[:2])
    shared = sides.clip(min=0).prod(axis=1)
    areas = (people[:, 2:] - people[:, :2]).prod(axis=1)
    overlap = shared / np.maximum(areas + (region[2:] - region[:2]).prod() - shared, 1e-6)
    if overlap.max() >= _SAME:
        return [int(overlap.argmax())]
    centres = (people[:, :2] + people[:, 2:]) / 2
    inside = np.flatnonzero(((centres >= region[:2]) & (centres <= region[2:])).all(axis=1))
    if len(inside):
        return [int(number) for number in inside]
    centre = (region[:2] + region[2:]) / 2
    around = ((people[:, :2] <= centre) & (centre <= people[:, 2:])).all(axis=1)
    return [int(np.where(around, areas, np.inf).argmin())] if around.any() else []
