"""Write the adapter of the model that sees as one of the planner.

    python -m backbone.training.as_planner --seeing seeing.safetensors --out FOLDER

With words alone the model that sees is the planner, so its matrices and embedding rows can be measured
(``benchmarks/planner.py --adapter FOLDER``) and shipped as the planner's. The rows of the tokens for pictures and
answers are left out.
"""

import argparse
import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from backbone.planner.adapter import ADAPTER, ADAPTER_FILES
from backbone.planner.layout import BUILTIN_TOOLS, CONTROL


def as_planner(seeing: Path, out: Path, like: Path = ADAPTER) -> Path:
    """Write the adapter in the planner's format, in bfloat16.

    Args:
        seeing: What a stage wrote.
        out: Folder to write.
        like: Folder of an adapter whose configuration is taken over.

    Returns:
        The folder.

    Raises:
        ValueError: The file holds no adapter of the model that sees.
    """
    try:
        given = load_file(seeing)
    except SafetensorError as error:
        raise ValueError(f"{seeing} is no safetensors file: {error}") from error
    matrices = {
        f"base_model.model.model.{module.removeprefix('core.')}.lora_{letter}.weight": value.bfloat16().contiguous()
        for name, value in given.items()
        for module, found, rest in [name.partition(".lora_")]
        for letter in rest[:1]
        if found
    }
    count = len(BUILTIN_TOOLS) + len(CONTROL)
    if not matrices or "rows" not in given or len(given["rows"]) < count:
        raise ValueError(f"{seeing} holds no adapter and rows; give seeing.safetensors of a stage")
    rank = min(next(iter(matrices.values())).shape)
    config = json.loads((like / ADAPTER_FILES[0]).read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    (out / ADAPTER_FILES[0]).write_text(json.dumps({**config, "r": rank, "lora_alpha": 2 * rank}, indent=2))
    save_file(matrices, out / ADAPTER_FILES[1], metadata={"format": "pt"})
    save_file({"rows": given["rows"][:count].bfloat16().contiguous()}, out / ADAPTER_FILES[2])
    return out


def main() -> None:
    """Read the command line and write the adapter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeing", type=Path, required=True, help="seeing.safetensors of a stage")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    given = parser.parse_args()
    as_planner(given.seeing, given.out)


if __name__ == "__main__":
    main()
