"""Which parts of the model that sees are trained in a stage, and proof that the others are not."""

import hashlib
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from backbone.vision.model import BackboneModel

PARTS = ("core", "adapter", "rows", "eyes", "projector", "regions", "links", "decoders")
"""Parts of the model: the adapter is the core's LoRA matrices."""

TRAINED: Mapping[str, Collection[str]] = {
    "align": ("projector", "regions", "links"),
    "stage1": ("adapter", "rows", "projector", "regions"),
    "stage2": ("adapter", "rows", "projector", "regions", "links", "decoders"),
    "stage3": ("links", "decoders"),
}
"""Parts that each stage trains."""


class FrozenPartChanged(RuntimeError):
    """A part that a stage does not train has changed."""


def part_of(name: str) -> str:
    """Return the part that a parameter or buffer of the model belongs to."""
    return "adapter" if ".lora_" in name else name.partition(".")[0]


def freeze(model: BackboneModel, stage: str) -> None:
    """Let a stage train its parts alone; the eyes and untrained decoders also keep their normalisation."""
    trained = TRAINED[stage]
    for name, value in model.named_parameters():
        value.requires_grad_(part_of(name) in trained)
    model.eval()
    for part in trained:
        module = getattr(model, part, None)
        if isinstance(module, nn.Module):
            module.train()


def groups(model: BackboneModel, rates: Mapping[str, float]) -> list[dict[str, object]]:
    """Return the trained parameters for an optimiser, with the share of the learning rate of each part."""
    return [
        {"params": parameters, "share": rates[part]}
        for part in PARTS
        if (parameters := [value for _, value in _trained(model, part)])
    ]


def _trained(model: BackboneModel, part: str) -> Iterator[tuple[str, nn.Parameter]]:
    yield from ((n, value) for n, value in model.named_parameters() if value.requires_grad and part_of(n) == part)


def hashes(model: BackboneModel) -> dict[str, str]:
    """Return a hash of the parameters and buffers of each part."""
    found = {part: hashlib.sha256() for part in PARTS}
    for name, value in sorted(model.state_dict().items()):
        found[part_of(name)].update(name.encode() + _bytes(value))
    return {part: sha.hexdigest()[:16] for part, sha in found.items()}


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def prove(before: Mapping[str, str], after: Mapping[str, str], stage: str) -> None:
    """Check that a stage changed no part that it does not train.

    Args:
        before: Hashes before the stage.
        after: Hashes after some steps of it.
        stage: The stage.

    Raises:
        FrozenPartChanged: A frozen part has changed.
    """
    changed = [part for part in PARTS if part not in TRAINED[stage] and before[part] != after[part]]
    if changed:
        raise FrozenPartChanged(f"{stage} does not train {' and '.join(changed)}, but changed it")
