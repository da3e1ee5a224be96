"""Measure the starter set on photographs and speech: NanoDet, MoveNet, Whisper tiny.en, Kokoro.

    superlink models pull starter
    python benchmarks/photographs.py PHOTOS SPEECH --detector YOLO --poser YOLO-POSE [--out DIR]

PHOTOS holds photographs. YOLO and YOLO-POSE are models of ultralytics that know COCO's classes and keypoints, as
`.pt` or as exported: what they find is the reference, since the photographs have no labels. SPEECH holds recordings
and ``transcripts.json``, as for benchmarks/speech.py. With ``--out`` the photographs are drawn there, to be looked
at.

Recall is the share of the reference's finds with a score of 0.5 or more that have a find of the same class and an IoU
of 0.5 or more. Agreement is the share of finds that have such a find of the reference, of any score from 0.25 on. A
person's joints are right at an object keypoint similarity (OKS) of 0.5 or more. Times are mean CPU times on one
thread. Ends with 1 if a bar is missed.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["SUPERLINK_WEIGHTS"] = "starter"
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from numpy.typing import NDArray
from speech import recordings, word_errors

from tools.core.settings import settings
from tools.engines import dispatch, movenet, nanodet, yolo
from tools.imaging.drawing import contact_sheet, draw
from tools.speak import speak
from tools.transcribe import transcribe
from tools.values import Audio, Detections, Image, Poses, Text

T = TypeVar("T")
Boxes = NDArray[np.float32]

THRESHOLDS = (0.30, 0.35, 0.40)
LEAST_RECALL, LEAST_JOINTS, MOST_MISHEARD, MOST_MISSPOKEN = 0.85, 0.60, 0.08, 0.05
_COUNTS, _KNOWN, _SAME = 0.5, 0.25, 0.5
_PERSON, _JOINT = 0.4, 0.5
# COCO's constants: how exactly people mark each joint, and the share of a box that a person fills.
_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
_FILLED = 0.53
_SENTENCES = (
    "The quick brown fox jumps over the lazy dog near the river bank.",
    "Please close the window before you leave, because it might rain tonight.",
    "Our meeting starts at nine thirty on Wednesday, and everyone is welcome!",
)


@dataclass
class Timer:
    """CPU seconds of calls; the first, which loads the model, does not count for the mean."""

    seconds: list[float]

    def run(self, call: Callable[[], T]) -> T:
        """Call, and return the result."""
        began = time.process_time()
        result = call()
        self.seconds.append(time.process_time() - began)
        return result

    def __str__(self) -> str:
        """Return the mean."""
        return f"{1000 * float(np.mean(self.seconds[1:] or self.seconds)):.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--detector", type=Path, required=True, help="an ultralytics model of COCO's classes")
    parser.add_argument("--poser", type=Path, required=True, help="an ultralytics model of COCO's keypoints")
    parser.add_argument("--out", type=Path, help="a folder for drawn photographs")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    files = sorted(f for f in given.photos.iterdir() if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
    photos = [Image.open(file) for file in files]
    met = [
        measure_boxes(photos, given.detector),
        measure_joints(photos, given.poser),
        measure_hearing(given.speech),
        measure_speaking(),
    ]
    if given.out:
        draw_all(files, photos, given.out)
    sys.exit(0 if all(met) else 1)


def reference(photos: Sequence[Image], path: Path) -> tuple[list[Detections], list[Poses | None], Timer]:
    """Return what a model of ultralytics finds in each photograph, and poses where it makes them."""
    found: list[Detections] = []
    poses: list[Poses | None] = []
    timer = Timer([])
    with yolo.load.lease(path.absolute()) as model:
        for photo in photos:
            [result] = timer.run(lambda pixels=photo.pixels: yolo.predict(model, [pixels], _KNOWN))  # type: ignore[misc]
            assert result is not None
            found.append(Detections.from_ultralytics(result))
            poses.append(Poses.from_ultralytics(result) if model.task == "pose" else None)
    return found, poses, timer


def iou(one: Boxes, many: Boxes) -> NDArray[np.float64]:
    """Return the IoU of a box (4,) with each of others (N, 4)."""
    sides = np.minimum(one[2:], many[:, 2:]) - np.maximum(one[:2], many[:, :2])
    shared = sides.clip(min=0).prod(axis=1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (one, many)]
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, 1e-9), np.float64)


def has_match(box: Boxes, label: str, among: Detections) -> bool:
    same = np.array([other == label for other in among.labels], bool)
    return bool((iou(box, among.xyxy[same]) >= _SAME).any())


def measure_boxes(photos: Sequence[Image], detector: Path) -> bool:
    known, _, reference_timer = reference(photos, detector)
    timer, labels = Timer([]), dict(enumerate(nanodet.CLASSES))
    lowest = min(THRESHOLDS)
    found = [
        timer.run(lambda pixels=photo.pixels: nanodet.find([pixels], "detect", labels, lowest)[0])  # type: ignore[misc]
        for photo in photos
    ]
    chosen = dispatch.usual_score("detect")
    things = sum(int((one.scores >= _COUNTS).sum()) for one in known)
    print(f"boxes: {len(photos)} photographs, {things} things of the reference")
    print(f"{'from score':<14}{'recall':>8}{'people':>8}{'agreement':>11}{'finds':>7}")
    recall_at = {}
    for threshold in THRESHOLDS:
        kept = [one.select(one.scores >= threshold) for one in found]
        hits, people, agreed = [], [], []
        for mine, theirs in zip(kept, known, strict=True):
            for number in np.flatnonzero(theirs.scores >= _COUNTS):
                hits.append(has_match(theirs.xyxy[number], theirs.labels[number], mine))
                people += [hits[-1]] if theirs.labels[number] == "person" else []
            agreed += [has_match(box, label, theirs) for box, label in zip(mine.xyxy, mine.labels, strict=True)]
        recall_at[threshold] = float(np.mean(hits))
        mark = " chosen" if threshold == chosen else ""
        print(
            f"{f'{threshold:.2f}{mark}':<14}{np.mean(hits):>8.0%}{np.mean(people):>8.0%}{np.mean(agreed):>11.0%}"
            f"{len(agreed):>7}"
        )
    print(f"CPU time for a photograph: NanoDet {timer}, reference {reference_timer}")
    return passed("recall at the chosen score", recall_at.get(chosen, 0.0), LEAST_RECALL, at_least=True)


def similarity(mine: NDArray[np.float32], theirs: NDArray[np.float32], area: float) -> float:
    """Return the OKS of keypoints (17, 3) with those of a reference, over the joints that it sees."""
    seen = theirs[:, 2] > _JOINT
    apart = ((mine[:, :2] - theirs[:, :2]) ** 2).sum(axis=1)
    near = np.exp(-apart / (2 * (2 * _SIGMAS) ** 2 * max(area, 1.0)))
    return float(near[seen].mean()) if seen.any() else 0.0


def measure_joints(photos: Sequence[Image], poser: Path) -> bool:
    _, known, reference_timer = reference(photos, poser)
    timer, right, overlapping, count = Timer([]), 0, 0, 0
    for photo, theirs in zip(photos, known, strict=True):
        assert theirs is not None
        [mine] = timer.run(lambda pixels=photo.pixels: movenet.poses([pixels], "pose"))  # type: ignore[misc]
        free = list(range(len(mine)))
        for person in np.flatnonzero(theirs.scores >= _PERSON):
            count += 1
            box = theirs.xyxy[person]
            area = float((box[2:] - box[:2]).prod()) * _FILLED
            overlaps = iou(box, mine.xyxy)
            alike = {n: similarity(mine.keypoints[n], theirs.keypoints[person], area) for n in free}
            best = max(free, key=lambda n: max(alike[n], overlaps[n]), default=None)
            if best is not None and max(alike[best], overlaps[best]) > 0:
                right += alike[best] >= _SAME
                overlapping += overlaps[best] >= _SAME
                if max(alike[best], overlaps[best]) >= _SAME:
                    free.remove(best)
    print(f"\njoints: {count} people of the reference; box found {overlapping / count:.0%}")
    print(f"CPU time for a photograph: NanoDet and MoveNet {timer}, reference {reference_timer}")
    return passed("people whose joints are right", right / count, LEAST_JOINTS, at_least=True)


def measure_hearing(folder: Path) -> bool:
    timer, errors, words = Timer([]), 0, 0
    print()
    for name, (audio, said) in recordings(folder).items():
        heard = timer.run(lambda audio=audio: transcribe(audio).text)  # type: ignore[misc]
        wrong, count = word_errors(said, heard)
        errors, words = errors + wrong, words + count
        print(f"{name:<20}{wrong:>3} of {count:>3} words wrong: {heard}")
    print(f"CPU time for a recording: {settings().role('transcribe')} {timer}")
    return passed("words that Whisper writes wrong", errors / words, MOST_MISHEARD, at_least=False)


def measure_speaking() -> bool:
    errors, words, cpu, seconds = 0, 0, 0.0, 0.0
    for sentence in _SENTENCES:
        timer = Timer([])
        audio: Audio = timer.run(lambda sentence=sentence: speak(Text(sentence)))  # type: ignore[misc]
        cpu, seconds = cpu + timer.seconds[0], seconds + audio.seconds
        wrong, count = word_errors(sentence, transcribe(audio).text)
        errors, words = errors + wrong, words + count
    print(f"\nKokoro ({settings().role('voice')}): {cpu / seconds:.2f} CPU seconds for a second of speech")
    return passed("words of Kokoro that Whisper mishears", errors / words, MOST_MISSPOKEN, at_least=False)


def passed(what: str, value: float, bar: float, *, at_least: bool) -> bool:
    met = value >= bar if at_least else value <= bar
    print(
        f"{what}: {value:.1%}, {'at least' if at_least else 'at most'} {bar:.0%} wanted: {'met' if met else 'MISSED'}"
    )
    return met


def draw_all(files: Sequence[Path], photos: Sequence[Image], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = dict(enumerate(nanodet.CLASSES))
    drawn = []
    for file, photo in zip(files, photos, strict=True):
        [found] = nanodet.find([photo.pixels], "detect", labels, dispatch.usual_score("detect"))
        [people] = movenet.poses([photo.pixels], "pose")
        picture = draw(photo, found, people)
        (folder / f"{file.stem}.png").write_bytes(picture.to_bytes())
        drawn.append(picture)
    (folder / "sheet.png").write_bytes(contact_sheet(drawn, [file.stem for file in files]).to_bytes())


if __name__ == "__main__":
    main()
