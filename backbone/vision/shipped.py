"""The shipped weights of the model that sees: all but the core, whose GGUF file is part of the starter set.

A folder holds ``config.json``; ``senses.safetensors`` with eyes, projector, region encoder, links and decoders; and the
core's adapter in the files of `ADAPTER_FILES`, whose rows are those of all added tokens.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from backbone.planner.adapter import ADAPTER_FILES, read_rows
from backbone.planner.tensors import DamagedFile
from backbone.vision.familiar import Familiar
from backbone.vision.senses import SensesAlone
from backbone.vision.sizes import OwnCore, OwnSizes

SEEING = Path(__file__).resolve().parents[1] / "weights" / "seeing"
"""The folder that is shipped, once there has been a training."""

CONFIG, SENSES = "config.json", "senses.safetensors"
FILES = (CONFIG, SENSES, *ADAPTER_FILES)
"""The files of a folder."""

SIZES = ("image_size", "eyes_stem", "eyes_stages", "neck_width", "link_width", "queries", "prototypes", "joints")
"""The sizes that ``config.json`` names."""

FAMILIAR = "familiar."
"""What the names of the tensors of `Familiar` begin with."""


def read_config(folder: Path) -> dict[str, Any]:
    """Return ``config.json``: sizes under "sizes", and names of what the pictures of the training show, "categories".

    Raises:
        DamagedFile: It is incomplete.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if set(config["sizes"]) != set(SIZES) or not all(isinstance(name, str) for name in config["categories"]):
            raise ValueError("it names other sizes")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"{folder / CONFIG} cannot be read: {error}") from error
    return dict(config)


def read_senses(folder: Path, vocabulary: int) -> tuple[SensesAlone, OwnSizes]:
    """Return all parts but the core, in evaluation mode, and their sizes.

    Args:
        folder: The folder.
        vocabulary: Rows of the core's embedding.

    Raises:
        DamagedFile: A file is incomplete, or of another model.
    """
    import torch

    tensors, rows = _tensors(folder), torch.from_numpy(read_rows(folder))
    sizes = OwnSizes(core=OwnCore(rows.shape[1], vocabulary), **read_config(folder)["sizes"])
    senses = SensesAlone(sizes)  # on the device "meta", torch would import its compiler
    state = {name: value for name, value in tensors.items() if not name.startswith(FAMILIAR)}
    try:
        senses.load_state_dict({**state, "rows": rows}, assign=True)
    except RuntimeError as error:
        raise DamagedFile(f"{folder / SENSES} is of another model: {error}") from error
    return senses.requires_grad_(False).eval(), sizes


def read_familiar(folder: Path) -> Familiar:
    """Return what the eyes' features of familiar pictures are like.

    Raises:
        DamagedFile: The file is incomplete.
    """
    tensors = _tensors(folder)
    try:
        return Familiar(**{name: tensors[FAMILIAR + name] for name in Familiar._fields})
    except KeyError as error:
        raise DamagedFile(f"{folder / SENSES} is incomplete: {error} is missing") from error


def write_core(gguf: Path, folder: Path, file: Path) -> None:
    """Write the core with the folder's adapter merged in, in 8 bits.

    Args:
        gguf: The core.
        folder: The folder.
        file: As `read_quantized` takes it.

    Raises:
        OSError: It cannot be written.
        ValueError: The core is another one than that of the adapter.
    """
    from backbone.planner.core import Core
    from backbone.planner.quantize import write_quantized

    write_quantized(Core(gguf, folder), file)


def _tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / SENSES)
    except (OSError, SafetensorError) as error:
        raise DamagedFile(f"{folder / SENSES} cannot be read: {error}") from error
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
