"""Train the specialists: ultralytics' nano models for masks, boxes, colours and poses, on the rendered world.

    python -m backbone.train_specialists --out FOLDER [--tasks segment detect colours pose] [--pictures 8000] [--epochs N]

Runs ultralytics' own trainer on scenes of the split ``train``; stop it at any time and give the same command to go on from
the last whole epoch. ``segment`` begins from nothing, the others from what it learnt, so it goes first. Writes ``FOLDER/<task>/``, and what
``backbone/weights/specialists`` ships: the averaged weights of the last epoch, ``world-<task>.pt``, and the curve, ``<task>.csv``.
"""

import argparse
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from backbone.world.io.loader import pictures
from backbone.world.io.yolo import DATASETS, export

SIZE = 256


class Specialist(NamedTuple):
    """A data set of ``yolo.DATASETS``, an ultralytics model, how often it sees each picture, its highest learning rate, and further settings."""

    kind: str
    model: str
    epochs: int
    rate: float
    more: Mapping[str, float] = {}


SPECIALISTS = {
    "segment": Specialist("things", "yolo11n-seg.yaml", 8, 1.5e-3),
    "detect": Specialist("things", "yolo11n.yaml", 3, 6e-4),
    "colours": Specialist(
        "colours", "yolo11n.yaml", 3, 1e-3, {"hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0}
    ),  # a paler red is pink
    "pose": Specialist("people", "yolo11n-pose.yaml", 3, 1e-3),
}
# Scenes are already drawn at all sizes and places, so that no mosaics of several are wanted.
_RECIPE: dict[str, Any] = {
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


def data(folder: Path, count: int, held: int = 300) -> Path:
    """Render the pictures of training and validation, unless they are there."""
    ready = folder / "ready.txt"
    what = f"{count} {held} {' '.join(DATASETS)}\n"
    if not ready.exists() or ready.read_text() != what:
        shutil.rmtree(folder, ignore_errors=True)
        export(pictures(range(count), "train", SIZE, workers=os.cpu_count() or 1), folder, "train")
        export(pictures(range(held), "val", SIZE, workers=os.cpu_count() or 1), folder, "val")
        ready.write_text(what)
    return folder


def train(task: str, out: Path, folder: Path, epochs: int | None = None, workers: int = 0) -> Path:
    """Train one specialist, or go on with it.

    Args:
        task: one of ``SPECIALISTS``.
        out: where it is written.
        folder: of the data sets, as of ``data``.
        epochs: over its data set; its own number by default.
        workers: processes that load pictures.

    Returns:
        The weights as they are shipped.
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
        more = dict(own.more)
        if task != "segment":
            model.load(out / "world-segment.pt")
            more["warmup_bias_lr"] = 0.0  # the library's own would undo what the biases have learnt
        model.train(
            data=str((folder / own.kind / "data.yaml").absolute()),
            epochs=epochs or own.epochs,
            project=str(out.absolute()),
            name=task,
            workers=workers,
            lr0=own.rate,
            **{**_RECIPE, **more},
        )
    _ship(last, shipped)
    shutil.copy(out / task / "results.csv", out / f"{task}.csv")
    return shipped


def _ship(last: Path, file: Path) -> None:
    """Keep the weights in half precision and what is needed to use them: no paths, no dates."""
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
    parser.add_argument("--out", type=Path, required=True, help="where data, checkpoints, curves and weights go")
    parser.add_argument("--tasks", nargs="+", default=list(SPECIALISTS), choices=SPECIALISTS)
    parser.add_argument("--pictures", type=int, default=8000, help="to train on")
    parser.add_argument("--epochs", type=int, help="instead of each specialist's own number")
    parser.add_argument("--workers", type=int, default=0, help="processes that load pictures")
    given = parser.parse_args()
    folder = data(given.out / "data", given.pictures)
    for task in given.tasks:
        print(train(task, given.out, folder, given.epochs, given.workers), flush=True)


if __name__ == "__main__":
    main()
