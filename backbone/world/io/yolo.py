"""Rendered pictures and their labels as ultralytics data sets."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from backbone.world.paint.categories import IDS
from backbone.world.paint.palette import COLOURS
from backbone.world.truth.render import Instance, Rendered
from common import yolo
from common.masks import outline

DATASETS = ("things", "colours", "people")
"""Folders of the data sets that `export` writes."""
_CATEGORY_LABELS = {category: number - 1 for category, number in IDS.items()}
_COLOUR_LABELS = {colour: number for number, colour in enumerate(COLOURS)}


def export(pictures: Iterable[Rendered], folder: Path, part: str) -> None:
    """Write three data sets, whose image files are hard links to the same content.

    ``things``: outlines of all categories. ``colours``: outlines labelled with the colour ("red thing"), without
    people and pizzas, as their colour is that of the clothes or of the plate. ``people``: boxes and keypoints of
    people.

    Args:
        pictures: Rendered pictures.
        folder: The folder of the data sets.
        part: "train" or "val".
    """
    for dataset in DATASETS:
        for content in ("images", "labels"):
            (folder / dataset / content / part).mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        name = f"{picture.scene.split}_{picture.scene.seed:08d}"
        file = folder / DATASETS[0] / "images" / part / f"{name}.jpg"
        Image.fromarray(picture.pixels).save(file, quality=95)
        for dataset in DATASETS[1:]:
            link = folder / dataset / "images" / part / file.name
            link.unlink(missing_ok=True)
            link.hardlink_to(file)
        visible = picture.instances
        labels = {
            "things": [_outline_label(one, _CATEGORY_LABELS[one.thing.category]) for one in visible],
            "colours": [
                _outline_label(one, _COLOUR_LABELS[one.thing.colour]) for one in visible if has_own_colour(one)
            ],
            "people": [_pose_label(one) for one in visible if one.keypoints],
        }
        for dataset, lines in labels.items():
            text = "".join(f"{line}\n" for line in lines)
            (folder / dataset / "labels" / part / f"{name}.txt").write_text(text)
    (folder / "things" / "data.yaml").write_text(yolo.data_yaml(list(IDS)))
    (folder / "colours" / "data.yaml").write_text(yolo.data_yaml([f"{colour} thing" for colour in COLOURS]))
    (folder / "people" / "data.yaml").write_text(yolo.data_yaml(["person"], pose=True))


def has_own_colour(one: Instance) -> bool:
    """Return whether the colour is that of the thing, not of a person's clothes or the plate under a pizza."""
    return one.thing.category not in ("person", "pizza")


def _outline_label(one: Instance, label: int) -> str:
    height, width = one.mask.shape
    return yolo.line(label, yolo.polygon(outline(one.mask), (height, width)))


def _pose_label(one: Instance) -> str:
    height, width = one.mask.shape
    size = (height, width)
    return yolo.line(0, [*yolo.box(one.box, size), *yolo.keypoints(one.keypoints, size)])
