"""Open-vocabulary detection by YOLOE and YOLO-World, prompted with embeddings of the labels."""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import SettingsInvalid
from tools.core.settings import settings
from tools.engines import yolo
from tools.runtime.model_cache import device, resident
from tools.values import Detections
from tools.weights import weights

# Weights of the text encoder that each family of models was trained with, by ultralytics' name for it.
_ENCODERS = {
    "mobileclip:blt": "mobileclip-blt",
    "mobileclip2:b": "mobileclip2-b",
    "clip:ViT-B/32": "clip-vit-base-patch32",
}
_VOCABULARY = "clip-bpe"
_PROMPT = "superlink_prompt"  # attribute of a model: the embeddings that it is prompted with
_CONTEXT = 77  # tokens; longer descriptions are cut
_MERGES = 49152 - 256 - 2  # lines of the vocabulary that CLIP uses

Embeddings = NDArray[np.float32]


def embed(labels: Sequence[str], role: str) -> Embeddings:
    """Return embeddings (N, D) of labels for the role's weights.

    Raises:
        WeightsMissing: when the weights, their text encoder or its vocabulary are not on this computer.
        SettingsInvalid: when the role's weights cannot be prompted with words.
    """
    chosen = settings().role(role)
    with yolo.load.lease(weights.use(chosen)) as model:
        encoder = _encoder_of(model, chosen, role, labels)
    place = weights.use(encoder)
    tokens = tokenise(labels, weights.use(_VOCABULARY))
    with _text_encoder.lease(place) as encode:
        return encode(tokens)


def find(
    pictures: Sequence[yolo.Picture],
    role: str,
    labels: Sequence[str],
    embeddings: Embeddings,
    min_score: float,
    masks: bool = False,
) -> list[Detections]:
    """Detect what the labels describe.

    Args:
        pictures: RGB pixels (H, W, 3) each, of any sizes.
        role: The role, as in the settings.
        labels: Labels of the detections.
        embeddings: (N, D) of the labels, from `embed`.
        min_score: The lowest score that is kept, between 0 and 1.
        masks: Whether to return masks.
    """
    with yolo.load.lease(weights.use(settings().role(role))) as model:
        yolo.check_task(model, role, ("segment",) if masks else ("detect", "segment"))
        _prompt(model, embeddings)
        results = yolo.predict(model, pictures, min_score, masks=masks)
    names = dict(enumerate(labels))
    return [yolo.detections(result, picture, names, masks) for result, picture in zip(results, pictures, strict=True)]


def _encoder_of(model: yolo.Model, weights_id: str, role: str, labels: Sequence[str]) -> str:
    if not yolo.promptable(model):
        known = ", ".join(str(name) for name in model.names.values())
        raise SettingsInvalid(
            f"{labels[0]!r} cannot be looked for: the weights {weights_id} know only {known}",
            f"Ask for one of these, or choose a YOLOE or YOLO-World for the role {role} in settings.toml",
        )
    world = type(model.model).__name__ == "WorldModel"
    variant = "clip:ViT-B/32" if world else getattr(model.model, "text_model", "mobileclip:blt")
    if variant not in _ENCODERS:
        raise SettingsInvalid(
            f"The weights {weights_id} need the text encoder {variant}, which is not known here",
            f"Choose others for the role {role} in settings.toml",
        )
    return _ENCODERS[variant]


def _prompt(model: yolo.Model, embeddings: Embeddings) -> None:
    """Set the classes of a leased model; nothing is done where they are the same as before."""
    import torch

    before = getattr(model, _PROMPT, None)
    if model.predictor is not None and before is not None and np.array_equal(before, embeddings):
        return
    network = model.model
    parameter = next(network.parameters())
    words = torch.from_numpy(embeddings)[None].to(parameter.device, parameter.dtype)
    names = [str(number) for number in range(len(embeddings))]
    if type(network).__name__ == "WorldModel":
        network.txt_feats = words
        network.model[-1].nc = len(names)
        network.names = dict(enumerate(names))
    else:
        with torch.no_grad():
            network.set_classes(names, network.model[-1].get_tpe(words))
    model.predictor = None
    setattr(model, _PROMPT, embeddings)


def tokenise(labels: Sequence[str], vocabulary: Path) -> NDArray[np.int32]:
    """Return CLIP's token ids (N, 77), padded with zeros; `vocabulary` is CLIP's file of merges."""
    tokenizer = _tokenizer(vocabulary)
    ids = np.zeros((len(labels), _CONTEXT), np.int32)
    for row, label in zip(ids, labels, strict=True):
        tokens = tokenizer(label, truncation=True, max_length=_CONTEXT)["input_ids"]
        row[: len(tokens)] = tokens
    return ids


@resident(bytes=20_000_000, device="cpu")
def _tokenizer(path: Path) -> Any:
    """Build CLIP's tokenizer from its list of merges, which is published without a vocabulary."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    with gzip.open(path, "rt", encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file.read().split("\n")[1 : _MERGES + 1]]
    letters = list(bytes_to_unicode().values())
    words = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *("".join(pair) for pair in merges),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=merges)


@resident(bytes=350_000_000)
def _text_encoder(path: Path) -> Callable[[NDArray[np.int32]], Embeddings]:
    """Load a text encoder: a TorchScript file (MobileCLIP) or a folder as transformers saves it (CLIP)."""
    import torch

    place = device()
    if path.is_dir():
        from transformers import CLIPTextModelWithProjection

        clip = CLIPTextModelWithProjection.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        clip = clip.to(place).eval()

        def run(tokens: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(clip(input_ids=tokens.long()).text_embeds, dim=-1)
    else:
        run = torch.jit.load(str(path), map_location=place).eval()  # type: ignore[no-untyped-call]

    def encode(tokens: NDArray[np.int32]) -> Embeddings:
        with torch.inference_mode():
            made: Embeddings = run(torch.from_numpy(tokens).to(place)).float().cpu().numpy()
        return made

    return encode
