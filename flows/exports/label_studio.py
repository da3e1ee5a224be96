"""Label Studio: tasks with predictions, and the labelling interface that shows them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as Xml

import numpy as np
from numpy.typing import NDArray

from common.masks import outline
from common.skeleton import KEYPOINTS
from flows.batch.reading import DoneItem, Reading
from flows.exports.coco import MIN_KEYPOINT_SCORE
from flows.exports.files import Counts, round_all, write_array, write_file, xml_text
from tools.storage.store import Ref
from tools.values import Detections, Poses, Transcript, Video
from tools.values.detections import Detection

VALUE_KINDS = ("Detections", "Poses", "Transcript")
_SPEECH = "Speech"
_MANUAL = {"origin": "manual"}
"""Label Studio's mark of a region that a person drew."""
Region = dict[str, Any]
"""One result of a prediction, as Label Studio's JSON."""


def write(reading: Reading, folder: Path, name: str) -> Counts:
    """Write `tasks.json` and `config.xml`. Files have the addresses of Label Studio's local storage.

    A video has one region for each track.
    """
    labels = reading.labels()
    first = next(reading.rows(), None)
    with (folder / "tasks.json").open("w", encoding="utf-8", newline="\n") as file:
        tasks = write_array(file, _tasks(reading))
        file.write("\n")
    write_file(folder / "config.xml", _config(labels, None if first is None else first.ref))
    return {"tasks": tasks, "labels": len(labels)}


def _tasks(reading: Reading) -> Iterator[Region]:
    for number, row in enumerate(reading.rows(), 1):
        results: list[Region] = []
        for _, found, human in reading.locations(row):
            if isinstance(found, Poses):
                results += _points(found, row)
            elif found.frames is None:
                results += [
                    {**region, **_MANUAL} if by_person else region
                    for region, by_person in zip(_regions(found, row), human, strict=True)
                ]
            else:
                results += _tracks(found, row, _times(reading, row))
        for step, _, ref in reading.refs(row, ("Transcript",)):
            value = reading.value(row, step, ref)
            if isinstance(value, Transcript):
                results += list(_segments(value, row))
        for place, result in enumerate(results):
            result.setdefault("id", f"r{number}-{place}")
        scores = [result["score"] for result in results if "score" in result]
        mean = round(sum(scores) / len(scores), 6) if scores else 0.0
        kind = row.ref["kind"].lower()
        rate = {"fps": row.ref["summary"]["fps"]} if kind == "video" else {}  # one interface shows files of any rate
        yield {
            "id": number,
            "data": {kind: f"/data/local-files/?d={quote(row.name)}", "sha256": row.ref["sha256"], **rate},
            "predictions": [{"model_version": f"superlink-{reading.plan.hash[:12]}", "score": mean, "result": results}],
        }


def _regions(found: Detections, row: DoneItem) -> Iterator[Region]:
    height, width = row.size
    for place, one in enumerate(found):
        facts = {
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": round(one.score, 6),
            "to_name": "image",
        }
        points: Any = outline(found.mask_array(place)) if found.masks is not None else []
        if len(points):
            percent = [[round(float(x) / width * 100, 6), round(float(y) / height * 100, 6)] for x, y in points]
            yield {
                **facts,
                "type": "polygonlabels",
                "from_name": "outline",
                "value": {"points": percent, "closed": True, "polygonlabels": [xml_text(one.label)]},
            }
            continue
        x0, y0, x1, y1 = one.box
        yield {
            **facts,
            "type": "rectanglelabels",
            "from_name": "box",
            "value": {
                **_percent(x0, y0, x1, y1, width, height),
                "rotation": 0,
                "rectanglelabels": [xml_text(one.label)],
            },
        }


def _times(reading: Reading, row: DoneItem) -> NDArray[np.float64]:
    """Seconds at which each frame of a video is shown."""
    summary = row.ref["summary"]
    if not summary.get("variable"):
        times: NDArray[np.float64] = summary.get("start", 0.0) + np.arange(summary["frames"]) / summary["fps"]
        return times
    with reading.open_source(row) as file:
        path = getattr(file, "name", None)
        return Video.open(Path(path) if isinstance(path, str) else file.read(), row.name).times


def _tracks(found: Detections, row: DoneItem, times: NDArray[np.float64]) -> Iterator[Region]:
    """One region for each track; a detection without a track is a region of its own."""
    height, width = row.size
    summary = row.ref["summary"]
    tracks: dict[tuple[str, int], list[Detection]] = {}
    for place, one in enumerate(found):
        tracks.setdefault((one.label, -place - 1 if one.id is None else one.id), []).append(one)
    for (label, _), seen in tracks.items():
        seen.sort(key=lambda one: one.frame or 0)
        frames = [one.frame or 0 for one in seen]
        # Between two places Label Studio moves the box along, unless the first says that the thing is gone after it.
        sequence = [
            {
                "frame": frame + 1,
                "enabled": after == frame + 1,
                "rotation": 0,
                "time": round(float(times[frame]), 4),
                **_percent(*one.box, width, height),
            }
            for one, frame, after in zip(seen, frames, [*frames[1:], None], strict=True)
        ]
        yield {
            "type": "videorectangle",
            "from_name": "track",
            "to_name": "video",
            "score": round(sum(one.score for one in seen) / len(seen), 6),
            "value": {
                "framesCount": summary["frames"],
                "duration": summary["seconds"],
                "sequence": sequence,
                "labels": [xml_text(label)],
            },
        }


def _points(found: Poses, row: DoneItem) -> Iterator[Region]:
    height, width = row.size
    for person, points in enumerate(found.keypoints):
        for name, (x, y, sure) in zip(KEYPOINTS, points, strict=True):
            if sure >= MIN_KEYPOINT_SCORE and 0 <= x <= width and 0 <= y <= height:
                yield {
                    "original_width": width,
                    "original_height": height,
                    "image_rotation": 0,
                    "to_name": "image",
                    "from_name": "joint",
                    "type": "keypointlabels",
                    "score": round(float(sure), 6),
                    "meta": {"text": [f"person {person + 1}"]},
                    "value": {
                        "x": round(float(x) / width * 100, 6),
                        "y": round(float(y) / height * 100, 6),
                        "width": 0.5,
                        "keypointlabels": [name],
                    },
                }


def _segments(value: Transcript, row: DoneItem) -> Iterator[Region]:
    """A region for each segment of speech or text, and its words under the same id."""
    height, width = row.size
    kind = row.ref["kind"]
    for number, segment in enumerate(value.segments):
        facts = {"id": f"t{number}", "to_name": kind.lower()} | (
            {} if segment.score is None else {"score": round(segment.score, 6)}
        )
        place: dict[str, object]
        if segment.start is not None and kind == "Audio":
            place = {"start": segment.start, "end": segment.end, "channel": 0}
            yield {**facts, "type": "labels", "from_name": "speech", "value": {**place, "labels": [_SPEECH]}}
        elif segment.box is not None and kind == "Image":
            facts |= {"original_width": width, "original_height": height, "image_rotation": 0}
            x0, y0, x1, y1 = np.clip(segment.box, 0, (width, height, width, height)).tolist()
            place = {**_percent(x0, y0, x1, y1, width, height), "rotation": 0}
            yield {**facts, "type": "rectangle", "from_name": "place", "value": place}
        else:
            continue
        yield {**facts, "type": "textarea", "from_name": "text", "value": {**place, "text": [segment.text]}}


def _percent(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> dict[str, float]:
    left, top, right, bottom = round_all((x0 / width * 100, y0 / height * 100, x1 / width * 100, y1 / height * 100), 6)
    # The sides are those of the rounded corners, so that no box leaves its picture.
    return {"x": left, "y": top, "width": round(right - left, 6), "height": round(bottom - top, 6)}


def _config(labels: list[str], item: Ref | None) -> str:
    """Return the labelling interface for items of this item's kind; for pictures if there is no item."""
    kind = "Image" if item is None else item["kind"]
    view = Xml.Element("View")
    medium = Xml.SubElement(view, kind, {"name": kind.lower(), "value": f"${kind.lower()}"})
    if kind == "Audio":
        _labels(view, "Labels", "speech", kind, [_SPEECH])
    elif kind == "Video":
        medium.set("frameRate", "$fps")
        _labels(view, "Labels", "label", kind, labels)
        _region(view, "VideoRectangle", "track", kind)
    else:
        _labels(view, "RectangleLabels", "box", kind, labels)
        _labels(view, "PolygonLabels", "outline", kind, labels)
        _labels(view, "KeyPointLabels", "joint", kind, KEYPOINTS)
        _region(view, "Rectangle", "place", kind)
    if kind != "Video":
        text = _region(view, "TextArea", "text", kind)
        text.attrib |= {"perRegion": "true", "editable": "true", "displayMode": "region-list"}
    Xml.indent(view)
    return Xml.tostring(view, encoding="unicode") + "\n"


def _region(view: Xml.Element, tag: str, name: str, kind: str) -> Xml.Element:
    return Xml.SubElement(view, tag, {"name": name, "toName": kind.lower()})


def _labels(view: Xml.Element, tag: str, name: str, kind: str, labels: Sequence[str]) -> None:
    parent = _region(view, tag, name, kind)
    for label in labels:
        Xml.SubElement(parent, "Label", {"value": xml_text(label)})
