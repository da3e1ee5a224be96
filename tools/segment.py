"""Cutting things out of pictures, to the pixel."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from tools.core.settings import DEFAULT_ROLES, settings
from tools.engines import dispatch, routing
from tools.engines import labels as names
from tools.imaging.regions import check_regions
from tools.runtime.tool import Suggested, tool
from tools.values import Detections, Image
from tools.weights.catalogue import find
from tools.weights.needs import Need, with_needed


def _needs(args: Mapping[str, object]) -> Iterator[Need]:
    if args.get("regions") is not None:
        return _needs_in_boxes(args["regions"])
    return routing.needs(args.get("labels"), "segment", "segment_open")


def _needs_in_boxes(regions: object) -> Iterator[Need]:
    chosen = settings().role("segment_boxes")
    known = find(chosen).class_names
    boxed = [label for label in regions if isinstance(label, str)] if isinstance(regions, list) else []
    unknown = names.choose(boxed, dict(enumerate(known)))[1] if known is not None else []
    if unknown:
        yield Need(DEFAULT_ROLES["segment_boxes"], ", ".join(unknown), "segment_boxes")
    else:
        yield from with_needed(chosen)


@tool(
    examples=["outline every car", "cut out the dog exactly", "give me masks of the cups"],
    one_of=("labels", "regions"),
    words=("Outline of {regions}: {labels}", "Outline: {labels}", "Outline {regions}", "Outline everything"),
    needs=_needs,
)
def segment(
    image: Image,
    labels: Annotated[
        list[str] | None, Suggested(lambda: routing.known_labels("segment", "segment_open", masks=True))
    ] = None,
    regions: Detections | None = None,
) -> Detections:
    """Find the exact outline of things in an image, by name or within given regions.

    By labels: names that the weights of the role segment know (COCO's 80 by default, with plurals and synonyms; people
    alone for selfie segmentation) are found by these, every other label by the open-vocabulary weights of the role
    segment_open, from the score on that their catalogue says (mostly 0.25); an empty list finds everything that the
    weights of the role segment have a name for. By regions: the weights of the role segment_boxes outline the thing in
    each box (Segment Anything anything, selfie segmentation people); regions keep label and score and get a box close
    around the mask, and those in which nothing is made out are left out. With both, only the regions of these labels
    are outlined, all of them for an empty list.

    Args:
        image: The picture.
        labels: What to look for, such as ["dog", "cup"]; everything that the weights know for an empty list.
        regions: Boxes from detect or track, in this picture.

    Returns:
        What was found, with masks.

    Raises:
        ValueInvalid: when the regions belong to another picture, a label is empty, or there is none and the weights
            have no names of their own.
        WeightsMissing: when weights are not here; names the label and the command that fetches them.
    """
    if regions is None:
        chosen = routing.finders(labels or [], "segment", "segment_open", masks=True)
        return routing.find([image.pixels], chosen, None)[0]
    check_regions(image, regions)
    if labels:
        meant, _ = names.choose(names.normalize(labels), dict(enumerate(regions.labels)))
        regions = regions.select(sorted(meant))
    return dispatch.masks_in_boxes("segment_boxes").masks_in(image.pixels, regions)
