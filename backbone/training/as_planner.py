"""Write the adapter of the model that sees as one of the planner.

    python -m backbone.training.as_planner backbone/weights/seeing --out FOLDER

With words alone the model that sees is the planner, so its adapter can be measured as the planner's
(``benchmarks/planner.py --adapter FOLDER``) or replace it. Rows of the tokens for pictures and answers are left out.
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from backbone.planner.adapter import ADAPTER_FILES, read_rows
from backbone.planner.layout import BUILTIN_TOOLS, CONTROL


def as_planner(seeing: Path, out: Path) -> Path:
    """Write the adapter with the rows of the planner's tokens alone.

    Args:
        seeing: Folder of packed weights, as written by ``backbone.training.pack``.
        out: Folder to write.

    Returns:
        The folder.

    Raises:
        ValueError: The folder holds fewer rows than the planner has tokens.
    """
    rows, count = torch.from_numpy(read_rows(seeing)), len(BUILTIN_TOOLS) + len(CONTROL)
    if len(rows) < count:
        raise ValueError(f"{seeing} holds {len(rows)} rows, the planner has {count} tokens; give weights of pack")
    config, matrices, file = ADAPTER_FILES
    out.mkdir(parents=True, exist_ok=True)
    for name in (config, matrices):
        shutil.copyfile(seeing / name, out / name)
    save_file({"rows": rows[:count].half().contiguous()}, out / file)
    return out


def main() -> None:
    """Read the command line and write the adapter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeing", type=Path, help="folder of packed weights")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    given = parser.parse_args()
    as_planner(given.seeing, given.out)


if __name__ == "__main__":
    main()
