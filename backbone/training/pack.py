"""Write the weights of the model that sees as they are shipped: all but the core, in half precision.

    python -m backbone.training.pack stage3/seeing.safetensors [--out backbone/weights/seeing] [--cache PICTURES]

Also looks at pictures of the world with the trained eyes, so that the model can tell pictures of another kind, such as
photographs (``familiar.py``).
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from backbone.planner.adapter import ADAPTER_FILES
from backbone.training.assemble import assemble
from backbone.training.freezing import part_of
from backbone.vision.config import BackboneConfig
from backbone.vision.eyes import Eyes
from backbone.vision.familiar import Familiar, fitted, pooled
from backbone.vision.model import ADAPTED, BackboneModel
from backbone.vision.pictures import pixel_values
from backbone.vision.shipped import CONFIG, FAMILIAR, SEEING, SENSES, SIZES, read_config
from backbone.world.io.loader import pictures
from backbone.world.paint.categories import CATEGORIES

AT_ONCE = 16
"""Pictures that the eyes see at once."""


def pack(
    seeing: Path, out: Path, shown: int = 512, held_out: int = 256, cache: Path | None = None, **settings: Any
) -> int:
    """Write the shipped weights, and return their bytes.

    Args:
        seeing: ``seeing.safetensors`` of a stage.
        out: The folder.
        shown: Pictures of the split ``train`` that familiar features are fitted to.
        held_out: Pictures of the split ``val`` that the limit of what is familiar is fitted to.
        cache: Folder of rendered pictures.
        settings: Fields of `BackboneConfig` that are not the default ones.

    Raises:
        ValueError: The file is of another model.
    """
    state = load_file(seeing)
    config = BackboneConfig(**settings)
    lora = {name: value for name, value in state.items() if part_of(name) == "adapter"}
    senses = {name: value for name, value in state.items() if name not in lora and name != "rows"}
    if not lora or "rows" not in state or any(part_of(name) == "core" for name in senses):
        raise ValueError(f"{seeing} holds no weights of the model that sees; give seeing.safetensors of a stage")
    familiar = _familiar(senses, config, shown, held_out, cache)
    out.mkdir(parents=True, exist_ok=True)
    adapter, matrices, rows = (out / name for name in ADAPTER_FILES)
    rank = next(len(value) for name, value in lora.items() if ".lora_A." in name)
    _write_json(
        adapter,
        {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ADAPTED, "bias": "none"},
    )
    save_file({_as_peft(name): value for name, value in half(lora).items()}, matrices)
    save_file({"rows": state["rows"].half()}, rows)
    kept = {FAMILIAR + name: value.contiguous() for name, value in familiar._asdict().items()}
    save_file({**half(senses), **kept}, out / SENSES)
    sizes = config.to_dict()
    _write_json(
        out / CONFIG,
        {"sizes": {name: sizes[name] for name in SIZES}, "categories": [k.name for k in CATEGORIES.values()]},
    )
    return sum((out / name).stat().st_size for name in (CONFIG, SENSES, *ADAPTER_FILES))


def half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return matrices and kernels in half precision, and all other tensors as they are: those are small."""
    return {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value).contiguous()
        for name, value in state.items()
    }


def unpack(folder: Path, core: Path, dtype: torch.dtype = torch.float32) -> BackboneModel:
    """Return the whole model of shipped weights, as it is trained, in evaluation mode.

    Args:
        folder: As written by `pack`.
        core: GGUF file of the core.
        dtype: Type of the core's weights.
    """
    model = assemble(core, folder, dtype=dtype, **read_config(folder)["sizes"])
    state = {n: v.float() if v.is_floating_point() else v for n, v in load_file(folder / SENSES).items()}
    state = {name: value for name, value in state.items() if not name.startswith(FAMILIAR)}
    given = model.load_state_dict(state, strict=False)
    missing = [name for name in given.missing_keys if part_of(name) not in ("core", "adapter", "rows")]
    if missing or given.unexpected_keys:
        raise ValueError(f"{folder} is of another model: {', '.join([*missing, *given.unexpected_keys][:3])}")
    model.eval()
    return model


@torch.inference_mode()
def _familiar(
    senses: Mapping[str, Tensor], config: BackboneConfig, shown: int, held_out: int, cache: Path | None
) -> Familiar:
    eyes = Eyes(config)
    eyes.load_state_dict({n.removeprefix("eyes."): value for n, value in senses.items() if n.startswith("eyes.")})
    eyes.eval()

    def vectors(split: str, count: int) -> Iterator[Tensor]:
        run = (one.pixels for one in pictures(range(count), split, config.image_size, workers=0, cache=cache))
        while batch := list(islice(run, AT_ONCE)):
            yield pooled(eyes(pixel_values(batch, config.image_size)))

    return fitted(torch.cat(list(vectors("train", shown))), torch.cat(list(vectors("val", held_out))))


def _as_peft(name: str) -> str:
    return f"base_model.model.model.{name.removeprefix('core.')}".replace(".default.", ".")


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeing", type=Path, help="seeing.safetensors of the last stage")
    parser.add_argument("--out", type=Path, default=SEEING, help="folder of the shipped weights")
    parser.add_argument("--pictures", type=int, default=512, help="pictures that familiar features are fitted to")
    parser.add_argument("--cache", type=Path, help="folder of rendered pictures")
    given = parser.parse_args()
    size = pack(given.seeing, given.out, given.pictures, max(1, given.pictures // 2), given.cache)
    print(f"wrote {given.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
