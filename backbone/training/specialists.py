"""Train the specialists: ultralytics' nano models for masks, boxes, colours and poses, on the rendered world.

    python -m backbone.training.specialists --out FOLDER [--tasks TASK ...] [--pictures 8000] [--epochs N]

Runs ultralytics' own trainer on scenes of the split ``train``. A training that was stopped continues from its last
whole epoch when the same command is given again. ``segment`` begins with random weights, the others with those of
``segment``, so it comes first. Writes ``FOLDER/<task>/``, and what ``backbone/weights/specialists`` ships: the
averaged weights of the last epoch, ``world-<task>.pt``, and the curve, ``<task>.csv``.
"""

import argparse
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from backbone.world.io.loader import pictures
from backbone.world.io.yolo import DATASETS, export

SIZE = 256
_DATA_FORMAT = 2  # raised when labels change, so that data rendered before are rendered again


class Specialist(NamedTuple):
    """Settings of one specialist.

    Attributes:
        dataset: One of ``yolo.DATASETS``.
        model: Configuration of the ultralytics model.
        epochs: Passes over the pictures.
        rate: Peak learning rate.
        overrides: Further settings of ultralytics' trainer.
    """

    dataset: str
    model: str
    epochs: int
    rate: float
    overrides: Mapping[str, float] = {}


SPECIALISTS = {
    "segment": Specialist("things", "yolo11n-seg.yaml", 8, 1.5e-3),
    "detect": Specialist("things", "yolo11n.yaml", 3, 6e-4),
    "colours": Specialist(
        # No changes of colour: a paler red is pink.
        "colours",
        "yolo11n.yaml",
        3,
        1e-3,
        {"hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0},
    ),
    "pose": Specialist("people", "yolo11n-pose.yaml", 3, 1e-3),
}
# No mosaics of several pictures: scenes are already drawn at all sizes and places.
_RECIPE: dict[str, int | float | str | bool] = {
    "imgsz": SIZE,
    "batch": 16,
    "nbs": 16,
    "optimizer": "AdamW",
    "lrf": 0.02,
    "cos_lr": True,
    "warmup_epochs": 0.5,
    "mosaic": 0.0,
    "scale": 0.25,
    "translate": 0.1,
    "fliplr": 0.5,
    "hsv_h": 0.01,
    "hsv_s": 0.2,
    "hsv_v": 0.2,
    "erasing": 0.0,
    "amp": False,
    "plots": False,
    "patience": 0,
    "seed": 7,
    "exist_ok": True,
    "verbose": False,
}


def data(folder: Path, count: int, validation: int = 300) -> Path:
    """Render the given numbers of pictures for training and validation into a folder, unless they are there already."""
    ready = folder / "ready.txt"
    contents = f"format {_DATA_FORMAT}: {count} {validation} {' '.join(DATASETS)}\n"
    if not ready.exists() or ready.read_text() != contents:
        shutil.rmtree(folder, ignore_errors=True)
        export(pictures(range(count), "train", SIZE, workers=os.cpu_count() or 1), folder, "train")
        export(pictures(range(validation), "val", SIZE, workers=os.cpu_count() or 1), folder, "val")
        ready.write_text(contents)
    return folder


def train(task: str, out: Path, folder: Path, epochs: int | None = None, workers: int = 0) -> Path:
    """Train one specialist, or continue its training.

    Args:
        task: One of ``SPECIALISTS``.
        out: Folder of the checkpoints and results.
        folder: Folder of the data sets that ``data`` rendered.
        epochs: Passes over the data set; by default those of ``SPECIALISTS``.
        workers: Processes that load pictures.

    Returns:
        Path of the weights as they are shipped.
    """
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    os.environ.setdefault("YOLO_CONFIG_DIR", str(out.absolute()))
    from ultralytics import YOLO

    own = SPECIALISTS[task]
    last, shipped = out / task / "weights" / "last.pt", out / f"world-{task}.pt"
    if shipped.exists():
        return shipped
    if last.exists():
        YOLO(last).train(resume=True, workers=workers)
    else:
        model = YOLO(own.model)
        overrides = dict(own.overrides)
        if task != "segment":
            if not (out / "world-segment.pt").exists():
                raise SystemExit(
                    f"{task} begins with the weights of segment, which are not in {out}. Train segment first."
                )
            model.load(out / "world-segment.pt")
            overrides["warmup_bias_lr"] = 0.0  # the library's own would overwrite the trained biases
        model.train(
            data=str((folder / own.dataset / "data.yaml").absolute()),
            epochs=epochs or own.epochs,
            project=str(out.absolute()),
            name=task,
            workers=workers,
            lr0=own.rate,
            **{**_RECIPE, **overrides},
        )
    _ship(last, shipped)
    shutil.copy(out / task / "results.csv", out / f"{task}.csv")
    return shipped


def _ship(last: Path, file: Path) -> None:
    """Write the weights in half precision, without optimiser state, paths and dates."""
    import torch

    state = torch.load(last, map_location="cpu", weights_only=False)  # written by the training just above
    model = (state.get("ema") or state["model"]).half().eval()
    model.args = {"imgsz": SIZE, "task": state["train_args"]["task"]}
    model.criterion = None
    for parameter in model.parameters():
        parameter.requires_grad = False
    torch.save({"model": model, "ema": None, "optimizer": None, "epoch": -1, "train_args": dict(model.args)}, file)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of data, checkpoints, curves and weights")
    parser.add_argument("--tasks", nargs="+", default=list(SPECIALISTS), choices=SPECIALISTS)
    parser.add_argument("--pictures", type=int, default=8000, help="pictures for training")
    parser.add_argument("--validation", type=int, default=300, help="pictures for validation")
    parser.add_argument("--epochs", type=int, help="passes over the pictures; by default each specialist's own number")
    parser.add_argument("--workers", type=int, default=0, help="processes that load pictures")
    given = parser.parse_args()
    folder = data(given.out / "data", given.pictures, given.validation)
    for task in given.tasks:
        print(train(task, given.out, folder, given.epochs, given.workers), flush=True)


if __name__ == "__main__":
    main()
