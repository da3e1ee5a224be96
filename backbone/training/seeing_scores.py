"""What a training of the model that sees is judged by: answers that are right, and finds through the link."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from backbone.training.dense_scores import LEAST, average_precisions
from backbone.training.planner import attention_mask
from backbone.training.seeing_data import PictureRow, everything
from backbone.training.vision_data import meant_by_phrases, normalised, targets
from backbone.vision.finds import Find, finds
from backbone.vision.model import BackboneModel
from backbone.vision.tokens import SeeingLayout
from backbone.world import Rendered

REGION = "region"
"""Kind of the questions about regions, which are counted on their own."""


class Exact:
    """Counts answers, and those whose every token is the likeliest one: greedy decoding writes these."""

    def __init__(self) -> None:
        self.asked, self.right = Counter[str](), Counter[str]()

    def add(self, model: BackboneModel, made: Sequence[PictureRow], ids: Tensor, states: Tensor) -> None:
        """Count the answers of a batch.

        Args:
            model: The model.
            made: B rows with questions.
            ids: (B, T), their tokens, without padding that all rows have.
            states: (B, T, D), the core's last states.
        """
        length = ids.shape[1]
        target = torch.tensor([one.row.target[:length] for one in made], device=ids.device)[:, 1:]
        likeliest = model.logits(states[:, :-1][target]).argmax(-1)
        wrong = torch.zeros_like(target)
        wrong[target] = likeliest != ids[:, 1:][target]
        for one, asked, missed in zip(made, target.tolist(), wrong.tolist(), strict=True):
            blocks = one.row.block[1:length]
            of, failed = ({n for n, hit in zip(blocks, hits, strict=True) if hit} for hits in (asked, missed))
            kinds = [(one.kinds[block - 1], block not in failed) for block in of]
            self.asked.update(kind for kind, _ in kinds if kind)
            self.right.update(kind for kind, right in kinds if kind and right)

    def shares(self) -> dict[str, float]:
        """Return the share of right answers to all questions about pictures, then that of each kind."""
        kinds = sorted(self.asked)
        found = {f"exact_{kind}": self.right[kind] / self.asked[kind] for kind in kinds}
        whole = [kind for kind in kinds if kind != REGION]
        if not whole:
            return found
        return {"exact": sum(self.right[kind] for kind in whole) / sum(self.asked[kind] for kind in whole), **found}


def linked_precisions(
    model: BackboneModel, layout: SeeingLayout, shown: Sequence[Rendered], rows: int, reduced: bool = False
) -> dict[str, float]:
    """Return AP50 of boxes, masks and joints of what the core addresses by the phrases of stage 0.

    Args:
        model: The model, in evaluation mode.
        layout: Its token layout.
        shown: Pictures of the model's size.
        rows: Pictures in a batch.
        reduced: Whether the core computes in bfloat16.
    """
    row = everything(layout).row
    device, size = model.rows.device, model.config.image_size

    def find(batch: Sequence[Rendered]) -> list[tuple[list[Find], list[Find]]]:
        pixels = normalised(targets(batch).pixels.to(device)).to(memory_format=torch.channels_last)
        ids, block, position = (
            torch.tensor([given] * len(batch), device=device) for given in (row.ids, row.block, row.position)
        )
        features = model.eyes(pixels)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=reduced):
            links = model.read(ids, attention_mask(block), position, features=features).links
        things, people = (model.decode(name, features, links[name])[0] for name in ("perception", "pose"))
        return [(list(finds(things, n, LEAST, size)), list(finds(people, n, LEAST, size))) for n in range(len(batch))]

    batches = [shown[at : at + rows] for at in range(0, len(shown), rows)]
    return average_precisions(batches, find, meant_by_phrases)
