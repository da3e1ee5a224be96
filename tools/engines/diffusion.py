"""Pictures made, edited and filled in by diffusion pipelines, read from folders in the format of diffusers."""

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError, ValueInvalid
from tools.core.progress import report
from tools.engines.folders import half_only, model_bytes, offline
from tools.runtime.model_cache import Resident, device, resident
from tools.values import Image
from tools.weights import weights

if TYPE_CHECKING:
    import torch

Task = Literal["generate", "edit", "inpaint"]

STEPS = 30
"""Denoising steps; fewer where the pipeline's own default is lower."""

TURBO_STEPS = 4
"""Denoising steps of models that were distilled to need only a few."""

# With an empty prompt, inpainting models often draw another object into the hole.
_INPAINT_PROMPT = "empty background, continuing the surroundings"
_INPAINT_NEGATIVE = "object, person, animal, text, frame"

# Pipelines that follow an instruction; others that take a picture and words make a variation from a description.
_EDITORS = ("InstructPix2Pix", "Kontext", "Edit")
_ABILITIES = {
    "generate": "makes pictures from words",
    "edit": "edits pictures by instruction",
    "inpaint": "fills in parts of pictures",
}


class _Output(Protocol):
    images: NDArray[np.floating]
    nsfw_content_detected: Iterable[bool] | None


class _Pipeline(Protocol):
    """What is used of a `diffusers.DiffusionPipeline`."""

    scheduler: Any
    vae_scale_factor: int

    def __call__(self, *, generator: "torch.Generator", output_type: str, **settings: object) -> _Output: ...
    def set_progress_bar_config(self, *, disable: bool) -> None: ...
    def to(self, device: str) -> "_Pipeline": ...


class _PipelineClass(Protocol):
    __call__: Callable[..., object]

    def from_pretrained(self, folder: Path, **options: object) -> _Pipeline: ...


def generate(prompt: str, weights_id: str) -> Image:
    """Make a square picture at the size that the model was trained for; the same prompt gives the same picture.

    Raises:
        ValueInvalid: when there are no words.
        ToolError: when the weights are for something else, or their safety checker withholds the picture.
        WeightsMissing: when the weights are not on this computer.
    """
    _check_words(prompt)
    with _pipeline("generate", weights_id) as pipe:
        side = _own_side(pipe)
        pixels = _run(pipe, weights_id, _seed(prompt), prompt=prompt, width=side, height=side)
    return Image.from_numpy(pixels)


def edit(image: Image, prompt: str, weights_id: str) -> Image:
    """Edit a picture by an instruction; the same picture and prompt give the same result.

    The model works at the size that it was trained for; the result is resized to the size of the picture.

    Raises:
        ValueInvalid, ToolError, WeightsMissing: see `generate`.
    """
    _check_words(prompt)
    with _pipeline("edit", weights_id) as pipe:
        pixels = _run_at_own_size(pipe, weights_id, _seed(prompt, image.pixels), image.pixels, prompt=prompt)
    return Image.from_numpy(pixels)


def inpaint(image: Image, mask: NDArray[np.bool_], weights_id: str) -> Image:
    """Fill in part of a picture so that it continues the surroundings.

    Large pictures are filled window by window, so that the model sees each hole at its own resolution.

    Args:
        image: The picture.
        mask: (H, W), True where pixels are replaced; all others are unchanged.
        weights_id: Id of an inpainting pipeline, or of a text-to-image pipeline that diffusers can inpaint with.

    Raises:
        ValueInvalid: when the mask is not of the picture's size.
        ToolError: when the weights are for something else, or their safety checker withholds the picture.
        WeightsMissing: when the weights are not on this computer.
    """
    if mask.dtype != bool or mask.shape != image.size:
        raise ValueInvalid(f"The mask must be bool of the shape {image.size}, not {mask.dtype} of {mask.shape}")
    if not mask.any():
        return image
    pixels = np.array(image.pixels)
    left = mask.copy()
    seed = _seed("", image.pixels, mask)
    with _pipeline("inpaint", weights_id) as pipe:
        while left.any():
            window = _window(left, _own_side(pipe))
            hole = left[window]
            filled = _run_at_own_size(
                pipe, weights_id, seed, pixels[window], hole, prompt=_INPAINT_PROMPT, negative_prompt=_INPAINT_NEGATIVE
            )
            pixels[window][hole] = filled[hole]
            left[window] = False
    return Image.from_numpy(pixels)


def _check_words(prompt: str) -> None:
    if not prompt.strip():
        raise ValueInvalid("The prompt is empty", "Say in a few words what the picture should show")


def _seed(prompt: str, *arrays: NDArray[np.uint8 | np.bool_]) -> int:
    """Return a seed of 63 bits that depends on the inputs alone."""
    digest = hashlib.sha256(prompt.encode())
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return int.from_bytes(digest.digest()[:8], "little") >> 1  # torch takes signed 64 bits


def _run_at_own_size(
    pipe: _Pipeline,
    weights_id: str,
    seed: int,
    pixels: NDArray[np.uint8],
    hole: NDArray[np.bool_] | None = None,
    **words: str,
) -> NDArray[np.uint8]:
    """Run a pipeline on pixels (H, W, 3) resized for the model, and return pixels (H, W, 3).

    Args:
        pipe: The pipeline.
        weights_id: Id of its weights, for messages.
        seed: Seed of the noise.
        pixels: RGB pixels (H, W, 3).
        hole: (H, W), True where an inpainting pipeline fills.
        words: Prompts.
    """
    import cv2
    from PIL import Image as Pil

    height, width = pixels.shape[:2]
    inner = _work_size(width, height, _own_side(pipe), _multiple(pipe))
    given: dict[str, object] = {
        "image": Pil.fromarray(pixels).resize(inner, Pil.Resampling.LANCZOS),
        "width": inner[0],
        "height": inner[1],
        **words,
    }
    if hole is not None:
        # Every inner pixel that the hole touches, or its rim would show the old content at the edges.
        covered = cv2.resize(hole.astype(np.float32), inner, interpolation=cv2.INTER_AREA) > 0
        given["mask_image"] = Pil.fromarray(covered.astype(np.uint8) * 255)
    picture = Pil.fromarray(_run(pipe, weights_id, seed, **given))
    return np.asarray(picture.resize((width, height), Pil.Resampling.LANCZOS))


def _run(pipe: _Pipeline, weights_id: str, seed: int, **given: object) -> NDArray[np.uint8]:
    """Run a pipeline with those of the arguments that it accepts, and return pixels (H, W, 3)."""
    import torch

    accepted = inspect.signature(type(pipe).__call__).parameters
    settings: dict[str, object] = {name: value for name, value in given.items() if name in accepted}
    own_steps = accepted["num_inference_steps"].default
    steps = min(STEPS, own_steps) if isinstance(own_steps, int) else STEPS
    if _is_turbo(pipe.scheduler):
        steps = TURBO_STEPS
        settings["guidance_scale"] = 0.0
    settings["num_inference_steps"] = steps
    if "callback_on_step_end" in accepted:
        settings["callback_on_step_end"] = partial(_report_step, steps)
    generator = torch.Generator("cpu").manual_seed(seed)  # the same noise on every device
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        output = pipe(**settings, generator=generator, output_type="np")
    if any(getattr(output, "nsfw_content_detected", None) or ()):
        raise ToolError(
            f"The safety checker of {weights_id} withheld the picture as not safe for work",
            "Use other words or another picture; it sometimes errs",
        )
    pixels: NDArray[np.floating] = output.images[0]
    if not np.isfinite(pixels).all():
        raise ToolError(
            f"{weights_id} made no picture: its numbers overflowed",
            "Set device to cpu in settings.toml, or choose other weights",
        )
    return (pixels * 255).round().astype(np.uint8)


def _report_step(steps: int, pipe: object, step: int, time: object, tensors: dict[str, object]) -> dict[str, object]:
    """Report a finished step, as diffusers' `callback_on_step_end`."""
    report(step + 1, steps)
    return tensors


def _is_turbo(scheduler: Any) -> bool:
    """Return whether a scheduler is set up as in SD-Turbo and SDXL-Turbo; nothing else in their folders marks them."""
    euler = type(scheduler).__name__ in ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")
    config = scheduler.config
    return euler and config.timestep_spacing == "trailing" and not config.get("rescale_betas_zero_snr")


def _denoiser_config(pipe: _Pipeline) -> object:
    return (getattr(pipe, "unet", None) or getattr(pipe, "transformer")).config  # noqa: B009  # not in the protocol


def _own_side(pipe: _Pipeline) -> int:
    """Return the side in pixels of the square pictures that the model was trained on."""
    cells = getattr(pipe, "default_sample_size", None) or getattr(_denoiser_config(pipe), "sample_size", None)
    return cells * int(pipe.vae_scale_factor) if isinstance(cells, int) else 1024


def _multiple(pipe: _Pipeline) -> int:
    """Return the number of pixels of which picture sides must be a multiple, for whole cells at every level."""
    levels = getattr(_denoiser_config(pipe), "block_out_channels", None)
    return int(pipe.vae_scale_factor) * (2 ** (len(levels) - 1) if levels else 2)


def _work_size(width: int, height: int, side: int, multiple: int) -> tuple[int, int]:
    """Return (width, height) of about `side`² pixels and nearly the same aspect ratio, in whole multiples.

    The longer side is at most twice `side`, which distorts very long pictures.
    """
    scale = side / math.sqrt(width * height)
    longest = max(2 * side // multiple, 1)
    inner = [min(max(round(length * scale / multiple), 1), longest) * multiple for length in (width, height)]
    return inner[0], inner[1]


def _window(left: NDArray[np.bool_], side: int) -> tuple[slice, slice]:
    """Return rows and columns of a window of twice the size of the largest connected hole, around it."""
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(left.astype(np.uint8))
    hole = stats[1:][np.argmax(stats[1:, cv2.CC_STAT_AREA])]
    starts = hole[cv2.CC_STAT_TOP], hole[cv2.CC_STAT_LEFT]
    lengths = hole[cv2.CC_STAT_HEIGHT], hole[cv2.CC_STAT_WIDTH]
    slices = []
    for start, length, total in zip(starts, lengths, left.shape, strict=True):
        window = min(max(2 * int(length), side), total)
        first = min(max(int(start) + int(length) // 2 - window // 2, 0), total - window)
        slices.append(slice(first, first + window))
    return slices[0], slices[1]


def _pipeline(task: Task, weights_id: str) -> AbstractContextManager[_Pipeline]:
    """Lease the pipeline for a task with these weights."""
    folder = weights.use(weights_id)
    index = _index(folder, weights_id)
    # A loader declares its size, so each folder has its own; the cache's key is _load and its arguments.
    loader: Resident[[Path, Task, str], _Pipeline] = resident(
        bytes=model_bytes(_components(folder, index), 2 if device() == "cuda" else 4)
    )(_load)
    return loader.lease(folder, task, weights_id)


def _load(folder: Path, task: Task, weights_id: str) -> _Pipeline:
    """Load a pipeline from its folder to the device of the settings."""
    offline()
    try:
        import diffusers
        from diffusers.utils import logging
    except ImportError as error:
        raise ToolError(
            f"Diffusion needs the package diffusers: {error}", "Run: pip install 'superlink[diffusion]'"
        ) from error
    import torch

    logging.disable_progress_bar()
    index = _index(folder, weights_id)
    place = device()
    # Half precision is what accelerators are for; transformers need the range of bfloat16.
    half = torch.bfloat16 if "transformer" in index else torch.float16
    options: dict[str, object] = {"dtype": half if place == "cuda" else torch.float32}
    if half_only(_components(folder, index)):
        options["variant"] = "fp16"
    if "safety_checker" in index and not (folder / "safety_checker").is_dir():
        options |= {"safety_checker": None, "requires_safety_checker": False}
    try:
        pipe = _pipeline_class(diffusers, str(index["_class_name"]), task).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise ToolError(
            f"The weights {weights_id} in {folder} cannot be loaded as a pipeline that {_ABILITIES[task]}: {error}",
            "Choose other weights for the role in settings.toml",
        ) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(place)


def _index(folder: Path, weights_id: str) -> dict[str, object]:
    """Return the content of a pipeline's model_index.json.

    Raises:
        ToolError: when the folder is no pipeline, or one with code of its own.
    """
    try:
        index = json.loads((folder / "model_index.json").read_bytes())
        if not isinstance(index["_class_name"], str):
            raise ValueError("it brings its own pipeline code, which is not run")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(
            f"The weights {weights_id} in {folder} are no diffusers pipeline: {error}",
            "Choose other weights for the role in settings.toml",
        ) from error
    return dict(index)


def _components(folder: Path, index: Mapping[str, object]) -> list[Path]:
    """Return the folders of the models that a pipeline consists of."""
    return [folder / name for name in index if not name.startswith("_") and (folder / name).is_dir()]


def _pipeline_class(diffusers: ModuleType, name: str, task: Task) -> _PipelineClass:
    """Return the class named in the folder if it is for the task, else diffusers' automatic class for the task.

    Raises:
        AttributeError: when diffusers does not know the class.
        ValueError: when neither is for the task.
    """
    named: _PipelineClass = getattr(diffusers, name)
    accepted = inspect.signature(named.__call__).parameters
    if task == "edit":
        if "image" in accepted and "mask_image" not in accepted and any(word in name for word in _EDITORS):
            return named
        raise ValueError(f"it is a {name}")
    if task == "inpaint":
        automatic: _PipelineClass = diffusers.AutoPipelineForInpainting
        return named if "mask_image" in accepted else automatic
    automatic = diffusers.AutoPipelineForText2Image
    return named if "prompt" in accepted and "image" not in accepted else automatic
