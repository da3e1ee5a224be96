"""Detection, segmentation and poses by YOLO models of any classes, through ultralytics (AGPL-3.0).

Other files get the library from `library`, which keeps it from making network requests.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import SettingsInvalid, SuperlinkError, ToolError
from tools.core.progress import counted
from tools.core.settings import settings
from tools.engines.scores import usual_score
from tools.runtime.model_cache import device, resident
from tools.values import Detections, Poses
from tools.values.libraries import UltralyticsResult
from tools.weights import weights

USUAL_SCORE = 0.25
"""The lowest score that is kept where neither the caller nor the catalogue gives one; the default of ultralytics."""

Picture = NDArray[np.uint8]

BOXES = ("detect", "segment", "pose")
"""Tasks of ultralytics whose results have boxes."""

TAKES_PEOPLE = False
"""Whether `poses` looks at the people that it is given."""

_EXPORTED = (".onnx", ".torchscript")
_AT_ONCE = 16
# Up to this size masks are computed at the picture's own resolution, which is more exact, but takes 4 bytes for each
# pixel of every mask.
_FINE_MASK_PIXELS = 2_000_000


class Model(Protocol):
    """What is used of an `ultralytics` model (`YOLO`, `YOLOE`, `YOLOWorld`, `SAM`).

    Attributes:
        task: "detect", "segment" or "pose".
        names: Class names by number.
        overrides: Settings from the checkpoint, such as "imgsz".
        model: The network.
        predictor: The network prepared for prediction, or None.
    """

    task: str
    names: Mapping[int, str]
    overrides: Mapping[str, Any]
    model: Any
    predictor: Any

    def predict(
        self, source: NDArray[np.uint8] | list[NDArray[np.uint8]], **options: object
    ) -> list[UltralyticsResult]:
        """Return the result for each picture (H, W, 3) in BGR."""


def library() -> ModuleType:
    """Import ultralytics so that it makes no network requests, installs no packages and does not change the process.

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
        with restore_threads():  # it also sets OMP_NUM_THREADS to 1, which torch, imported before it, does not see
            import ultralytics
    except ModuleNotFoundError as error:
        raise ToolError(f"The package {error.name} is not installed", "Run: pip install 'superlink[yolo]'") from error
    if threads is None:
        os.environ.pop("OMP_NUM_THREADS", None)
    module: ModuleType = ultralytics
    return module


@contextmanager
def restore_threads() -> Iterator[None]:
    """Restore the number of threads, which the library changes for the whole process at import and for each model."""
    import cv2
    import torch

    before = cv2.getNumThreads(), torch.get_num_threads()
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def class_names(role: str, masks: bool = False) -> dict[int, str]:
    """Return the class names of the role's weights by number; empty for weights that are prompted with labels.

    Args:
        role: The role, as in the settings.
        masks: Whether the weights must make masks.

    Raises:
        WeightsMissing: when they are not on this computer.
        SettingsInvalid: when they are for another task.
    """
    with load.lease(weights.use(settings().role(role))) as model:
        check_task(model, role, ("segment",) if masks else BOXES)
        return {} if promptable(model) else {int(number): str(name) for number, name in model.names.items()}


def find(
    pictures: Sequence[Picture], role: str, labels: Mapping[int, str], min_score: float, masks: bool = False
) -> list[Detections]:
    """Find things of the weights' classes; see `dispatch.NamedThings.find`. Masks need weights for "segment"."""
    with load.lease(weights.use(settings().role(role))) as model:
        check_task(model, role, ("segment",) if masks else BOXES)
        results = predict(model, pictures, min_score, list(labels), masks)
    return [detections(result, picture, labels, masks) for result, picture in zip(results, pictures, strict=True)]


def poses(
    pictures: Sequence[Picture],
    role: str,
    min_score: float | None = None,
    people: Sequence[Detections] | None = None,
) -> list[Poses]:
    """Find people with COCO's 17 keypoints.

    Args:
        pictures: RGB pixels (H, W, 3) each.
        role: The role, as in the settings.
        min_score: The lowest score that is kept; by default the catalogue's, or `USUAL_SCORE`.
        people: Not used: these weights find the people themselves.
    """
    with load.lease(weights.use(settings().role(role))) as model:
        check_task(model, role, ("pose",))
        network = model.predictor.model if is_exported(model) else model.model
        shape = tuple(network.kpt_shape)
        if shape != (17, 3):
            raise SettingsInvalid(
                f"The weights {settings().role(role)} have keypoints of the shape {shape}, not "
                "COCO's 17 with x, y and visibility",
                f"Choose others for the role {role}",
            )
        results = predict(model, pictures, usual_score(role, USUAL_SCORE) if min_score is None else min_score)
    return [
        Poses.empty(_size(picture)) if result is None else Poses.from_ultralytics(result)
        for result, picture in zip(results, pictures, strict=True)
    ]


@resident(bytes=300_000_000)
def load(path: Path) -> Model:
    """Load a model as an `ultralytics.YOLO`, `YOLOE` or `YOLOWorld`. It has state, so lease it.

    Args:
        path: A `.pt` checkpoint, or an export of ultralytics under the name that it gives: `.onnx`, `.torchscript`, a
            folder `*_openvino_model`.
    """
    ultralytics = library()
    try:
        if path.suffix in _EXPORTED or path.is_dir():
            return _load_export(ultralytics, path)
        from ultralytics.nn.tasks import torch_safe_load

        torch_safe_load(path, safe_only=True)  # where the library was imported earlier, `library` came too late
        model: Model = ultralytics.YOLO(path).to(device())
        return model
    except SuperlinkError:
        raise
    except ModuleNotFoundError as error:
        raise ToolError(
            f"{path} cannot be loaded: the package {error.name} is not installed", f"Run: pip install {error.name}"
        ) from error
    except Exception as error:  # the library has no error of its own for files that it cannot read
        raise ToolError(
            f"{path} cannot be loaded by ultralytics: {error}",
            "Use a .pt file that ultralytics saved, or an export of it under its own name (.onnx, .torchscript, "
            "*_openvino_model); superlink models verify checks it",
        ) from error


def _load_export(ultralytics: ModuleType, path: Path) -> Model:
    """Load an exported model, whose metadata name its task; the library itself would guess it from the file's name."""
    import torch
    from ultralytics.nn.autobackend import AutoBackend

    with restore_threads():
        network = AutoBackend(str(path), device=torch.device(device()), fuse=False, verbose=False)
        task = getattr(network, "task", None)
        if task not in BOXES:
            raise ValueError(f"its metadata name the task {task}, not one of {', '.join(BOXES)}")
        model: Model = ultralytics.YOLO(path, task=task)
        model.predict(np.zeros((32, 32, 3), np.uint8), device=device(), verbose=False, save=False)
    return model


def is_exported(model: Model) -> bool:
    """Return whether a model is an export, which runs in a library of its own and takes one picture at a time."""
    return isinstance(model.model, (str, Path))


def check_task(model: Model, role: str, tasks: Collection[str]) -> None:
    """Check that a role's weights are for one of the tasks.

    Raises:
        SettingsInvalid: when they are not.
    """
    if model.task not in tasks:
        raise SettingsInvalid(
            f"The weights {settings().role(role)} are for the task {model.task}, but the role {role} "
            f"needs {' or '.join(tasks)}",
            f"Choose other weights for {role} in settings.toml",
        )


def promptable(model: Model) -> bool:
    """Return whether a model takes labels as its prompt, as YOLOE and YOLO-World do."""
    if is_exported(model):
        return False
    family, head = type(model.model).__name__, model.model.model[-1]
    return family == "WorldModel" or (family.startswith("YOLOE") and not hasattr(head, "lrpc") and not head.is_fused)


def predict(
    model: Model,
    pictures: Sequence[Picture],
    min_score: float,
    classes: Sequence[int] | None = None,
    masks: bool = False,
) -> list[UltralyticsResult | None]:
    """Run a leased model; return the result for each picture, or None for a picture too narrow for the network.

    Only pictures of one size share a batch: in a mixed batch the padding of a picture, and so its boxes, would depend
    on the others.
    """
    length = model.overrides.get("imgsz", 640)
    together: dict[tuple[int, ...], list[int]] = {}
    for number, picture in enumerate(pictures):
        if round(min(picture.shape[:2]) / max(picture.shape[:2]) * length) >= 1:
            together.setdefault(picture.shape, []).append(number)
    results: list[UltralyticsResult | None] = [None] * len(pictures)
    at_once = 1 if is_exported(model) else _AT_ONCE
    parts = [
        (shape, numbers[start : start + at_once])
        for shape, numbers in together.items()
        for start in range(0, len(numbers), at_once)
    ]
    with counted(sum(map(len, together.values()))) as tell:
        done = 0
        for shape, part in parts:
            tell(done)
            with restore_threads():
                predicted = model.predict(
                    [np.ascontiguousarray(pictures[number][:, :, ::-1]) for number in part],  # it takes BGR
                    conf=min_score,
                    classes=None if classes is None else list(classes),
                    device=device(),
                    retina_masks=masks and shape[0] * shape[1] <= _FINE_MASK_PIXELS,
                    verbose=False,
                    save=False,
                )
            for number, result in zip(part, predicted, strict=True):
                results[number] = result
            done += len(part)
    return results


def detections(
    result: UltralyticsResult | None, picture: Picture, labels: Mapping[int, str], masks: bool
) -> Detections:
    """Return the library's result for a picture as a value, with these labels for the class numbers."""
    size = _size(picture)
    if result is None or not result.boxes:
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
