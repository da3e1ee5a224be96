"""Makes the model that sees of the core, the planner's adapter, and eyes with decoders from stage 0."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from backbone.planner.adapter import read_lora, read_rows
from backbone.training.core import load_core
from backbone.vision.config import BackboneConfig
from backbone.vision.model import BackboneModel


def assemble(
    core: Path, adapter: Path, eyes: Path | None = None, dtype: torch.dtype = torch.float32, **settings: Any
) -> BackboneModel:
    """Return the model; with words alone it is the planner.

    Args:
        core: GGUF file of the core.
        adapter: Folder of the planner's adapter.
        eyes: ``eyes.safetensors`` of ``backbone.training.eyes``; random eyes and decoders by default.
        dtype: Type of the core's frozen weights.
        settings: Fields of `BackboneConfig`.

    Raises:
        ValueError: Adapter or eyes are of another model.
    """
    llama = load_core(core, dtype)
    lora, scale = read_lora(adapter)
    rank = len(next(iter(lora.values()))[0])
    if scale != 2:
        raise ValueError(f"{adapter} has matrices that are scaled by {scale:g}; this model scales them by 2")
    config = llama.config.to_dict() | {"tie_word_embeddings": True}
    model = BackboneModel(BackboneConfig(core=config, adapter_rank=rank, **settings))
    model.core.embed_tokens.to(dtype)
    plain = {name.removeprefix("model."): value for name, value in llama.state_dict().items()}
    with torch.no_grad():
        for name, value in model.core.named_parameters():
            module, _, kind = name.partition(".lora_")
            if kind:
                given = torch.tensor(lora[module][kind.startswith("B")])
                _same_shape(name, value, given, adapter)
                value.copy_(given)
            else:
                value.data = plain[name.replace(".base_layer", "")]
                value.requires_grad_(False)
        rows = torch.tensor(read_rows(adapter))
        model.rows[: len(rows)] = rows
        model.rows[len(rows) :] = rows.mean(0)
    if eyes is not None:
        load_eyes(model, eyes)
    return model


def load_eyes(model: BackboneModel, file: Path) -> dict[str, torch.Tensor]:
    """Take over eyes and decoders from stage 0; the projector begins with the embeddings of a decoder.

    Returns:
        The vectors that it has learned in place of the link, for each decoder: (Q, E), those of ``PHRASES`` and of
        people.

    Raises:
        ValueError: The file is of another model.
    """
    given = load_file(file)
    parts = {"eyes": model.eyes, **model.decoders, "perception.embed": model.projector.embed}
    for part, module in parts.items():
        own = {name: value for name, value in given.items() if name.startswith(f"{part}.")}
        state = {name.removeprefix(f"{part}."): value for name, value in own.items()}
        if state.keys() != module.state_dict().keys():
            raise ValueError(f"{file} holds no {part} of this model; train them with backbone.training.eyes")
        for name, value in module.state_dict().items():
            _same_shape(f"{part}.{name}", value, state[name], file)
        module.load_state_dict(state)
    return {"perception": given["phrases"], "pose": given["people"]}


def _same_shape(name: str, value: torch.Tensor, given: torch.Tensor, file: Path) -> None:
    if value.shape != given.shape:
        raise ValueError(f"{file} is of another model: {name} is {tuple(given.shape)}, not {tuple(value.shape)}")
