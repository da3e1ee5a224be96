"""Pascal VOC: one XML file for each picture."""

import math
from pathlib import Path
from xml.etree import ElementTree as Xml

from flows.batch.reading import DoneItem, Reading
from flows.exports.files import HUMAN, Counts, FileNames, round_all, write_file, xml_text
from tools.values import Detections

VALUE_KINDS = ("Detections",)
ITEM_KINDS = ("Image",)


def write(reading: Reading, folder: Path, name: str) -> Counts:
    """Write the files. As in VOC, pixels count from 1, and a box ends with its last pixel; fractions are kept.

    Objects that a person changed or added have <source>human</source>.
    """
    names = FileNames()
    files = things = 0
    for row in reading.rows():
        found = [(value, human) for _, value, human in reading.locations(row) if isinstance(value, Detections)]
        root = _annotation(row, found)
        Xml.indent(root)
        text = Xml.tostring(root, encoding="unicode")
        write_file(folder / "Annotations" / names.unique_path(row.name, ".xml"), text + "\n")
        files += 1
        things += sum(len(value) for value, _ in found)
    return {"files": files, "things": things}


def _annotation(row: DoneItem, values: list[tuple[Detections, tuple[bool, ...]]]) -> Xml.Element:
    height, width = row.size
    root = Xml.Element("annotation")
    path = Path(row.name)
    _add(root, "folder", path.parent.name)
    _add(root, "filename", path.name)
    _add(root, "path", row.name)
    size = Xml.SubElement(root, "size")
    for key, value in (("width", width), ("height", height), ("depth", 3)):
        _add(size, key, value)
    _add(root, "segmented", 0)
    for found, human in values:
        for one, by_person in zip(found, human, strict=True):
            thing = Xml.SubElement(root, "object")
            for key, text in (
                ("name", one.label),
                ("pose", "Unspecified"),
                ("truncated", 0),
                ("difficult", 0),
                ("score", f"{one.score:.6f}"),
            ):
                _add(thing, key, text)
            if by_person:
                _add(thing, "source", HUMAN)
            x0, y0, x1, y1 = round_all(one.box)
            if x1 - x0 < 1:  # thinner than a pixel: a first pixel after the last would be read as another box
                x0, x1 = float(math.floor(x0)), float(math.ceil(x1))
            if y1 - y0 < 1:
                y0, y1 = float(math.floor(y0)), float(math.ceil(y1))
            box = Xml.SubElement(thing, "bndbox")
            for key, side in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
                _add(box, key, f"{side:.2f}".rstrip("0").rstrip("."))
    return root


def _add(parent: Xml.Element, name: str, text: object) -> None:
    Xml.SubElement(parent, name).text = xml_text(str(text))
