"""A model that sees, and an adapter of a core, both small enough for a test."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from backbone.training.assemble import assemble
from backbone.training.core import load_core
from backbone.training.pack import pack
from backbone.training.stages import seeing
from backbone.vision.config import BackboneConfig

CORE = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SEEING = {
    "image_size": 64,
    "eyes_stem": 8,
    "eyes_stages": [[3, 2, 2, 8, 1], [3, 2, 2, 8, 1], [3, 2, 2, 12, 1], [3, 2, 2, 16, 1]],
    "neck_width": 16,
    "link_width": 16,
    "prototypes": 4,
}


def tiny_config(vocabulary: int = 257, rank: int = 4) -> BackboneConfig:
    """Two layers of core, an encoder of four blocks, pictures of 64 pixels."""
    core = {**CORE, "num_key_value_heads": 2, "vocab_size": vocabulary}
    return BackboneConfig(core=core, adapter_rank=rank, **SEEING)


def write_random_adapter(core: Path, folder: Path) -> None:
    """Write an adapter of a core 64 wide, all of whose matrices and rows are random."""
    torch.manual_seed(2)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")
    get_peft_model(load_core(core, torch.float32), config).save_pretrained(folder)
    file = folder / "adapter_model.safetensors"
    save_file({name: 0.1 * torch.randn_like(matrix) for name, matrix in load_file(file).items()}, file)
    save_file({"rows": torch.randn(23, 64, dtype=torch.bfloat16)}, folder / "rows.safetensors")


def write_seeing(core: Path, folder: Path) -> Path:
    """Write the weights of a random model that sees as its training writes them, and packed; return the packed ones."""
    write_random_adapter(core, folder)
    model = assemble(core, folder, **SEEING)
    with torch.no_grad():
        model.rows.normal_(std=0.1)
    save_file(seeing(model), folder / "seeing.safetensors")
    packed = folder / "packed"
    pack(folder / "seeing.safetensors", packed, 24, 8, **SEEING)
    return packed
