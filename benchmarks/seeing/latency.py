"""How long a decoder takes to find one thing, addressed in different ways."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from backbone.training.seeing_data import Phrase
from backbone.training.vision_data import normalised, targets
from backbone.vision.model import BackboneModel, Links
from backbone.vision.tokens import DECODERS, SeeingLayout
from backbone.world import Rendered
from seeing import scores
from seeing.asking import Item
from seeing.small import PredictingModel

PICTURES = 24


@torch.no_grad()
def latencies(
    models: Mapping[str, tuple[BackboneModel, SeeingLayout]],
    shown: Sequence[Rendered],
    said: Sequence[Sequence[Item]],
) -> dict[tuple[str, str], float]:
    """Return median times in milliseconds of a picture and one item, by way and kind of item.

    Args:
        models: A model of each way, with its layout.
        shown: The pictures.
        said: What each is asked for.
    """
    times: dict[tuple[str, str], list[float]] = {}
    for way, (model, layout) in models.items():
        for picture, own in zip(shown[:PICTURES], said[:PICTURES], strict=True):
            for kind in ("classes", "regions"):
                for one in [item for item in own if item.kind == kind][:1]:
                    find(way, model, layout, picture, one)  # the first call of a shape prepares kernels
                    began = time.perf_counter()
                    find(way, model, layout, picture, one)
                    times.setdefault((way, kind), []).append(1000 * (time.perf_counter() - began))
    return {key: float(np.median(taken)) for key, taken in times.items()}


def find(way: str, model: BackboneModel, layout: SeeingLayout, picture: Rendered, one: Item) -> None:
    """See a picture and decode one item in it."""
    phrase = one.phrase
    if way == "message" and phrase.region is not None:
        phrase = Phrase(phrase.meant, scores.told(model, layout, picture, phrase.region))
    pixels = normalised(targets([picture], [[phrase.meant]]).pixels)
    features, decoder = model.eyes(pixels), DECODERS[one.tool]
    segment = layout.segment(one.tool, phrase.words)
    if way == "message":
        links = model.read(torch.tensor([segment])).links[decoder]._replace(pictures=torch.tensor([0]))
    else:
        regions = None if phrase.region is None else torch.from_numpy(phrase.region)[None]
        owners = None if regions is None else torch.tensor([0])
        asked = [*layout.picture(), *segment]
        if isinstance(model, PredictingModel):
            ids = torch.tensor([asked[: -len(layout.queries[decoder])]])
            read = model.read(
                ids,
                pixel_values=pixels,
                features=features,
                region_masks=regions,
                region_pictures=owners,
                use_cache=True,
            )
            links = Links(model.spell(decoder, read), torch.tensor([0]))
        else:
            read = model.read(
                torch.tensor([asked]),
                pixel_values=pixels,
                features=features,
                region_masks=regions,
                region_pictures=owners,
            )
            links = read.links[decoder]
    model.decode(decoder, features, links)
