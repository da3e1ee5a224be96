"""Write the weighted mean of adapters of the planner.

    python -m backbone.training.average --out FOLDER ADAPTER=WEIGHT ADAPTER=WEIGHT ...

Each ADAPTER is a folder that ``backbone.training.planner`` wrote. The weights are divided by their sum; those of an
adapter that is given twice are added.
"""

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from backbone.planner.adapter import ADAPTER_FILES

FILES = ADAPTER_FILES[1:]
CONFIG = "adapter_config.json"


def average(adapters: Mapping[Path, float], out: Path) -> None:
    """Write the weighted mean, computed in float32 and stored in the type of the first adapter.

    Args:
        adapters: Folders of the adapters, and their weights.
        out: Folder to write.

    Raises:
        ValueError: The adapters do not have the same tensors, or the weights do not have a positive sum.
    """
    total = sum(adapters.values())
    if total <= 0:
        raise ValueError(f"The weights of the adapters add up to {total:g}. Give weights with a positive sum.")
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        parts = [(load_file(folder / name), weight / total) for folder, weight in adapters.items()]
        first = parts[0][0]
        for folder, (part, _) in zip(adapters, parts, strict=True):
            if {key: value.shape for key, value in part.items()} != {key: value.shape for key, value in first.items()}:
                raise ValueError(
                    f"{folder / name} has other tensors than the first adapter. Average adapters of one rank."
                )
        means: dict[str, Tensor] = {
            key: torch.stack([part[key].float() * weight for part, weight in parts]).sum(0).to(value.dtype)
            for key, value in first.items()
        }
        save_file(means, out / name, metadata={"format": "pt"})
    shutil.copy(next(iter(adapters)) / CONFIG, out / CONFIG)


def _weighted(text: str) -> tuple[Path, float]:
    folder, _, weight = text.rpartition("=")
    if not folder:
        raise argparse.ArgumentTypeError(f"{text} is not of the form ADAPTER=WEIGHT")
    return Path(folder), float(weight)


def main() -> None:
    """Read the command line and write the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("adapters", nargs="+", type=_weighted, metavar="ADAPTER=WEIGHT")
    given = parser.parse_args()
    adapters: dict[Path, float] = {}
    for folder, weight in given.adapters:
        adapters[folder] = adapters.get(folder, 0) + weight
    average(adapters, given.out)


if __name__ == "__main__":
    main()
