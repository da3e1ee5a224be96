"""YOLO models of any classes, through ultralytics (AGPL-3.0): boxes, masks, poses.

Other files that need the library get it from `library`, which keeps it from the network.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import SettingsInvalid, SuperlinkError, ToolError
from tools.core.settings import settings
from tools.runtime.model_cache import device, resident
from tools.values import Detections, Poses
from tools.weights import weights

USUAL_SCORE = 0.25
"""Finds from this score on are kept where neither a request nor the weights say another; what the library's users know."""

Picture = NDArray[np.uint8]

BOXES = ("detect", "segment", "pose")
"""Tasks of weights that find boxes, in the library's words."""

_AT_ONCE = 16
# Up to here masks are computed at the picture's own size, which is more exact, but takes 4 bytes for each pixel of
# each mask at once.
_FINE_MASK_PIXELS = 2_000_000


def library() -> ModuleType:
    """Import ultralytics without letting it look anything up, install packages, or change the process.

    Raises:
        ToolError: when it is not installed.
    """
    os.environ |= {
        "YOLO_OFFLINE": "true",  # no look-ups, no usage reports
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "ULTRALYTICS_SAFE_LOAD": "1",  # builds only layers it knows from a checkpoint, runs no code of it
    }
    os.environ.setdefault("YOLO_CONFIG_DIR", str(settings().home / "ultralytics"))
    Path(os.environ["YOLO_CONFIG_DIR"]).mkdir(parents=True, exist_ok=True)
    threads = os.environ.get("OMP_NUM_THREADS")
    try:
        with threads_kept():  # it also sets OMP_NUM_THREADS to 1, which torch, imported before it, does not see
            import ultralytics
    except ModuleNotFoundError as error:
        raise ToolError(f"The package {error.name} is not installed", "Run: pip install 'superlink[yolo]'") from error
    if threads is None:
        os.environ.pop("OMP_NUM_THREADS", None)
    module: ModuleType = ultralytics
    return module


@contextmanager
def threads_kept() -> Iterator[None]:
    """Undo what the library does to the number of threads of the whole process, at import and for each new model."""
    import cv2
    import torch

    before = cv2.getNumThreads(), torch.get_num_threads()
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def class_names(role: str, tasks: Collection[str] = BOXES) -> dict[int, str]:
    """Return the names that the role's weights know, by class number; none for those that are prompted with words.

    Args:
        role: The role, as in the settings.
        tasks: What the weights must have been trained for, in the library's words.

    Raises:
        WeightsMissing: when they are not on this computer.
        SettingsInvalid: when they are for another task.
    """
    with load.lease(weights.use(settings().role(role))) as model:
        check_task(model, role, tasks)
        return {} if promptable(model) else {int(number): str(name) for number, name in model.names.items()}


def usual_score(role: str) -> float:
    """Return the score from which on finds of the role's weights are kept where nobody chose one."""
    own = weights.find(settings().role(role)).score
    return USUAL_SCORE if own is None else own


def find(
    pictures: Sequence[Picture], role: str, labels: Mapping[int, str], min_score: float, masks: bool = False
) -> list[Detections]:
    """Find things of the classes that the role's weights know.

    Args:
        pictures: RGB pixels (H, W, 3) each, of any sizes.
        role: The role, as in the settings.
        labels: What to call finds of each class number; other classes are not looked for.
        min_score: Finds with at least this score are kept, between 0 and 1.
        masks: Whether to return masks, too; the weights must be for the task "segment".
    """
    with load.lease(weights.use(settings().role(role))) as model:
        check_task(model, role, ("segment",) if masks else BOXES)
        results = predict(model, pictures, min_score, list(labels), masks)
    return [detections(result, picture, labels, masks) for result, picture in zip(results, pictures, strict=True)]


def poses(pictures: Sequence[Picture], role: str, min_score: float | None = None) -> list[Poses]:
    """Find people with COCO's 17 keypoints.

    Args:
        pictures: RGB pixels (H, W, 3) each.
        role: The role, as in the settings.
        min_score: People with at least this score are kept; by default as `usual_score` says.
    """
    with load.lease(weights.use(settings().role(role))) as model:
        check_task(model, role, ("pose",))
        shape = tuple(model.model.kpt_shape)
        if shape != (17, 3):
            raise SettingsInvalid(
                f"The weights {settings().role(role)} have keypoints of the shape {shape}, not "
                "COCO's 17 with x, y and visibility",
                f"Choose others for the role {role}",
            )
        results = predict(model, pictures, usual_score(role) if min_score is None else min_score)
    return [
        Poses.empty(_size(picture)) if result is None else Poses.from_ultralytics(result)
        for result, picture in zip(results, pictures, strict=True)
    ]


@resident(bytes=300_000_000)
def load(path: Path) -> Any:
    """Load a checkpoint as an `ultralytics.YOLO` (or its kin `YOLOE`, `YOLOWorld`); lease it, it has state."""
    ultralytics = library()
    try:
        from ultralytics.nn.tasks import torch_safe_load

        torch_safe_load(path, safe_only=True)  # where the library was imported earlier, `library` came too late
        return ultralytics.YOLO(path).to(device())
    except SuperlinkError:
        raise
    except Exception as error:  # the library has no error of its own for files that it cannot read
        raise ToolError(
            f"{path} cannot be loaded by ultralytics: {error}",
            "Use a .pt file that ultralytics saved; superlink models verify checks it",
        ) from error


def check_task(model: Any, role: str, tasks: Collection[str]) -> None:
    """Make sure that a role's weights are for one of the tasks.

    Raises:
        SettingsInvalid: when they are not.
    """
    if model.task not in tasks:
        raise SettingsInvalid(
            f"The weights {settings().role(role)} are for the task {model.task}, but the role {role} "
            f"needs {' or '.join(tasks)}",
            f"Choose other weights for {role} in settings.toml",
        )


def promptable(model: Any) -> bool:
    """Whether a leased model looks for whatever words it is given, as YOLOE and YOLO-World do."""
    family, head = type(model.model).__name__, model.model.model[-1]
    return family == "WorldModel" or (family.startswith("YOLOE") and not hasattr(head, "lrpc") and not head.is_fused)


def predict(
    model: Any, pictures: Sequence[Picture], min_score: float, classes: Sequence[int] | None = None, masks: bool = False
) -> list[Any]:
    """Run a leased model; return the library's result for each picture, or None for one too narrow to hold anything.

    Pictures of one size run together. Different sizes do not: then each would be padded in the company it happens
    to be in, and its boxes would depend on that.
    """
    length = model.overrides.get("imgsz", 640)
    together: dict[tuple[int, ...], list[int]] = {}
    for number, picture in enumerate(pictures):
        if round(min(picture.shape[:2]) / max(picture.shape[:2]) * length) >= 1:
            together.setdefault(picture.shape, []).append(number)
    results: list[Any] = [None] * len(pictures)
    for shape, numbers in together.items():
        for start in range(0, len(numbers), _AT_ONCE):
            part = numbers[start : start + _AT_ONCE]
            with threads_kept():
                made = model.predict(
                    [np.ascontiguousarray(pictures[number][:, :, ::-1]) for number in part],  # it takes BGR
                    conf=min_score,
                    classes=None if classes is None else list(classes),
                    device=device(),
                    retina_masks=masks and shape[0] * shape[1] <= _FINE_MASK_PIXELS,
                    verbose=False,
                    save=False,
                )
            for number, result in zip(part, made, strict=True):
                results[number] = result
    return results


def detections(result: Any | None, picture: Picture, labels: Mapping[int, str], masks: bool) -> Detections:
    """Turn the library's result for a picture into a value, with the caller's labels for the class numbers."""
    size = _size(picture)
    if result is None or len(result.boxes) == 0:
        return replace(Detections.empty(size), masks=()) if masks else Detections.empty(size)
    result.names = dict(labels)
    if not masks:
        result.masks = None
        return Detections.from_ultralytics(result)
    # One by one, so that only one mask at a time has the size of the picture.
    found = Detections.concat([Detections.from_ultralytics(result[i]) for i in range(len(result))])
    return found if len(found) else replace(found, masks=())


def _size(picture: Picture) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]
