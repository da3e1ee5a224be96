"""Answers about a picture, by any vision-language model that transformers can load from a folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tools.core.errors import ToolError, ValueInvalid
from tools.core.progress import stoppable
from tools.engines.folders import model_bytes, offline
from tools.runtime.model_cache import Resident, device, resident
from tools.values import Image, Text
from tools.weights import weights

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as PilImage

# Models gain nothing from larger pictures, and some process every pixel; some fail on smaller ones.
_LONGEST_SIDE = 2048
_SHORTEST_SIDE = 32

_DESCRIBE = "Describe this image in one sentence."


class _Processor(Protocol):
    """What is used of a `transformers.ProcessorMixin`."""

    def __call__(self, *, images: "PilImage", text: str, return_tensors: str) -> "dict[str, torch.Tensor]": ...
    def apply_chat_template(self, turns: list[dict[str, object]], **options: object) -> "dict[str, torch.Tensor]": ...
    def decode(self, tokens: "torch.Tensor", *, skip_special_tokens: bool) -> str: ...


class _Model(Protocol):
    """What is used of a `transformers` model for images and text."""

    device: "torch.device"
    dtype: "torch.dtype"

    def generate(self, **inputs: object) -> "torch.Tensor": ...
    def register_forward_pre_hook(self, hook: Any) -> Any: ...


def answer(image: Image, question: str, weights_id: str, longest: int) -> Text:
    """Answer a question about a picture; the same picture and question give the same answer.

    Args:
        image: The picture.
        question: A question or an instruction.
        weights_id: Id of weights: a folder with a model and its processor.
        longest: Maximum number of tokens; of an answer that reaches it only whole sentences are kept.

    Raises:
        ValueInvalid: when the question is empty.
        ToolError: when the weights are for something else.
        WeightsMissing: when the weights are not on this computer.
    """
    if not question.strip():
        raise ValueInvalid("The question is empty", "Say in a few words what to find out about the picture")
    folder = weights.use(weights_id)
    # A loader declares its size, so each folder has its own; the cache's key is _load and its arguments.
    loader: Resident[[Path, str], tuple[_Processor, _Model]] = resident(
        bytes=model_bytes([folder], 2 if device() == "cuda" else 4)
    )(_load)
    with loader.lease(folder, weights_id) as (processor, model):
        return Text(_answer(processor, model, _resized(image), question.strip(), longest))


def describe(image: Image, weights_id: str, longest: int) -> Text:
    """Describe a picture in a sentence; the arguments are those of `answer`."""
    return answer(image, _DESCRIBE, weights_id, longest)


def _load(folder: Path, weights_id: str) -> tuple[_Processor, _Model]:
    """Load a processor and a model from their folder to the device of the settings."""
    offline()
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    place = device()
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=torch.bfloat16 if place == "cuda" else torch.float32,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise ToolError(
            f"The weights {weights_id} in {folder} cannot be loaded as a vision-language model: {error}",
            "Install what is missing, or choose other weights for the role in settings.toml",
        ) from error
    return processor, model.to(place).eval()


def _resized(image: Image) -> "PilImage":
    """Return a Pillow picture whose sides are within the limits of the models."""
    from PIL import Image as Pil

    scale = min(1, _LONGEST_SIDE / max(image.size))
    size = max(_SHORTEST_SIDE, round(image.width * scale)), max(_SHORTEST_SIDE, round(image.height * scale))
    return image.pil if size == (image.width, image.height) else image.pil.resize(size, Pil.Resampling.LANCZOS)


def _answer(processor: _Processor, model: _Model, picture: "PilImage", question: str, longest: int) -> str:
    import torch

    question = _without_special_tokens(processor, question)
    if getattr(processor, "chat_template", None):
        turn: dict[str, object] = {
            "role": "user",
            "content": [{"type": "image", "image": picture}, {"type": "text", "text": question}],
        }
        inputs = processor.apply_chat_template(
            [turn], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
    else:
        marker = getattr(processor, "image_token", None)
        words = f"Question: {question} Answer:"
        inputs = processor(images=picture, text=f"{marker}\n{words}" if marker else words, return_tensors="pt")
    placed = {
        name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in inputs.items()
    }
    with torch.inference_mode(), stoppable(model):
        output = model.generate(**placed, max_new_tokens=longest, do_sample=False, num_beams=1)[0]
    asked = placed["input_ids"][0]
    # Most models repeat the question before their answer; encoder-decoders do not.
    new = output[len(asked) :] if torch.equal(output[: len(asked)], asked) else output
    text = str(processor.decode(new, skip_special_tokens=True)).strip()
    return _whole_sentences(text) if len(new) >= longest else text


def _without_special_tokens(processor: _Processor, question: str) -> str:
    """Return the question without the model's special tokens, such as those for a picture or the end of a turn."""
    tokenizer: Any = getattr(processor, "tokenizer", processor)
    marks = sorted({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}, key=len, reverse=True)
    while found := next((mark for mark in marks if mark.strip() and mark in question), None):
        question = question.replace(found, "")
    return question


def _whole_sentences(text: str) -> str:
    """Return the text without an unfinished last sentence, unless that is the only one."""
    end = max(text.rfind(mark) for mark in (". ", "! ", "? ", ".\n"))
    return text if end < 0 or text.endswith((".", "!", "?")) else text[: end + 1]
