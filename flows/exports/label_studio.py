"""Label Studio: tasks with predictions, and the labelling interface that shows them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from flows.exports.files import outline, save, write_array
from flows.exports.reading import Reading, Row
from tools.values import Detections, Poses, Transcript
from tools.values.poses import COCO17

KINDS = ("Detections", "Poses", "Transcript")


def write(reading: Reading, folder: Path, name: str) -> dict[str, Any]:
    """Write `tasks.json` and `config.xml`. Files are named as Label Studio's local storage serves them."""
    labels = reading.labels()
    media = next((row.ref["kind"].lower() for row in reading.rows()), "image")
    with (folder / "tasks.json").open("w", encoding="utf-8", newline="\n") as file:
        tasks = write_array(file, _tasks(reading))
        file.write("\n")
    save(folder / "config.xml", _config(labels, media))
    return {"tasks": tasks, "labels": len(labels)}


def _tasks(reading: Reading) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(reading.rows(), 1):
        results: list[dict[str, Any]] = []
        for _, found in reading.marks(row):
            results += list(_regions(found, row) if isinstance(found, Detections) else _points(found, row))
        for _, _, ref in reading.refs(row, ("Transcript",)):
            value = reading.store.get(ref)
            if isinstance(value, Transcript):
                results += list(_said(value, row))
        for place, result in enumerate(results):
            result.setdefault("id", f"r{number}-{place}")
        scores = [result["score"] for result in results if "score" in result]
        mean = round(sum(scores) / len(scores), 6) if scores else 0.0
        kind = row.ref["kind"].lower()
        yield {
            "id": number,
            "data": {kind: f"/data/local-files/?d={quote(row.name)}", "sha256": row.ref["sha256"]},
            "predictions": [{"model_version": f"superlink-{reading.plan.hash[:12]}", "score": mean, "result": results}],
        }


def _regions(found: Detections, row: Row) -> Iterator[dict[str, Any]]:
    height, width = row.size
    if found.frames is not None:
        return
    for place, one in enumerate(found):
        facts = {"original_width": width, "original_height": height, "image_rotation": 0, "score": round(one.score, 6),
                 "to_name": "image"}  # fmt: skip
        points: Any = outline(found.mask_array(place)) if found.masks is not None else []
        if len(points) >= 3:
            percent = [[round(float(x) / width * 100, 4), round(float(y) / height * 100, 4)] for x, y in points]
            yield {**facts, "type": "polygonlabels", "from_name": "outline",
                   "value": {"points": percent, "closed": True, "polygonlabels": [one.label]}}  # fmt: skip
            continue
        x0, y0, x1, y1 = one.box
        yield {**facts, "type": "rectanglelabels", "from_name": "box",
               "value": {**_percent(x0, y0, x1, y1, width, height), "rotation": 0, "rectanglelabels": [one.label]}}  # fmt: skip


def _points(found: Poses, row: Row) -> Iterator[dict[str, Any]]:
    height, width = row.size
    for person, points in enumerate(found.keypoints):
        for name, (x, y, sure) in zip(COCO17, points, strict=True):
            if sure >= 0.3:
                yield {"original_width": width, "original_height": height, "image_rotation": 0, "to_name": "image",
                       "from_name": "joint", "type": "keypointlabels", "score": round(float(sure), 6),
                       "meta": {"text": [f"person {person + 1}"]},
                       "value": {"x": round(float(x) / width * 100, 4), "y": round(float(y) / height * 100, 4),
                                 "width": 0.5, "keypointlabels": [name]}}  # fmt: skip


def _said(value: Transcript, row: Row) -> Iterator[dict[str, Any]]:
    height, width = row.size
    for number, said in enumerate(value.segments):
        own = {"id": f"t{number}", "type": "textarea", "from_name": "text", "to_name": row.ref["kind"].lower()}
        if said.start is not None:
            yield {**own, "value": {"start": said.start, "end": said.end, "text": [said.text]}}
        elif said.box is not None:
            yield {**own, "original_width": width, "original_height": height,
                   "value": {**_percent(*said.box, width, height), "rotation": 0, "text": [said.text]}}  # fmt: skip


def _percent(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> dict[str, float]:
    return {"x": round(x0 / width * 100, 4), "y": round(y0 / height * 100, 4),
            "width": round((x1 - x0) / width * 100, 4), "height": round((y1 - y0) / height * 100, 4)}  # fmt: skip


def _config(labels: list[str], media: str) -> str:
    values = "".join(f"<Label value={quoteattr(label)}/>" for label in labels)
    joints = "".join(f'<Label value="{name}"/>' for name in COCO17)
    if media != "image":
        return (f'<View><{media.capitalize()} name="{media}" value="${media}"/>'
                f'<TextArea name="text" toName="{media}" perRegion="true"/></View>\n')  # fmt: skip
    return (f'<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image">{values}'
            f'</RectangleLabels><PolygonLabels name="outline" toName="image">{values}</PolygonLabels>'
            f'<KeyPointLabels name="joint" toName="image">{joints}</KeyPointLabels>'
            '<TextArea name="text" toName="image" perRegion="true"/></View>\n')  # fmt: skip
