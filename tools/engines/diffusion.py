"""Pictures made, edited and filled in by diffusion pipelines, read from folders in the format of diffusers."""

import hashlib
import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError, ValueInvalid
from tools.engines.folders import half_only, model_bytes, offline
from tools.runtime.model_cache import Resident, device, resident
from tools.values import Image
from tools.weights import weights

Task = Literal["generate", "edit", "inpaint"]

STEPS = 30
"""Denoising steps; fewer where the pipeline's own default is lower."""

TURBO_STEPS = 4
"""Denoising steps of models that were distilled to need only a few."""

# Without words, models that were trained to fill holes by description like to put another thing into them.
_BEHIND = "empty background, continuing the surroundings"
_NOT_BEHIND = "object, person, animal, text, frame"

# Pipelines that follow an instruction; others that take a picture and words make a variation from a description.
_EDITORS = ("InstructPix2Pix", "Kontext", "Edit")
_NEEDS = {
    "generate": "makes pictures from words",
    "edit": "edits pictures by instruction",
    "inpaint": "fills in parts of pictures",
}


def generate(prompt: str, weights_id: str) -> Image:
    """Make a picture, a square of the size that the model was trained for.

    The same words give the same picture.

    Raises:
        ValueInvalid: when there are no words.
        ToolError: when the weights are for something else, or their safety checker withholds the picture.
        WeightsMissing: when the weights are not on this computer.
    """
    _check_words(prompt)
    with _pipeline("generate", weights_id) as pipe:
        side = _own_side(pipe)
        made = _run(pipe, weights_id, _seed(prompt), prompt=prompt, width=side, height=side)
    return Image.from_numpy(made)


def edit(image: Image, prompt: str, weights_id: str) -> Image:
    """Change a picture as an instruction says.

    The model works at the size that it was trained for; the result is brought back to the size of the picture. The
    same picture and words give the same result.

    Raises:
        ValueInvalid: when there are no words.
        ToolError: when the weights are for something else, or their safety checker withholds the picture.
        WeightsMissing: when the weights are not on this computer.
    """
    _check_words(prompt)
    with _pipeline("edit", weights_id) as pipe:
        made = _run_at_own_size(pipe, weights_id, _seed(prompt, image.pixels), image.pixels, prompt=prompt)
    return Image.from_numpy(made)


def inpaint(image: Image, mask: NDArray[np.bool_], weights_id: str) -> Image:
    """Fill in part of a picture so that it continues the surroundings.

    Large pictures are filled in window by window, so that the model sees each hole closely.

    Args:
        image: The picture.
        mask: (H, W), True where pixels are to be replaced; all others stay exactly as they are.
        weights_id: Of an inpainting pipeline, or of a text-to-image one that diffusers can inpaint with.

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
                pipe, weights_id, seed, pixels[window], hole, prompt=_BEHIND, negative_prompt=_NOT_BEHIND
            )
            pixels[window][hole] = filled[hole]
            left[window] = False
    return Image.from_numpy(pixels)


def _check_words(prompt: str) -> None:
    if not prompt.strip():
        raise ValueInvalid("The prompt is empty", "Say in a few words what the picture should show")


def _seed(prompt: str, *arrays: NDArray[Any]) -> int:
    digest = hashlib.sha256(prompt.encode())
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return int.from_bytes(digest.digest()[:8], "little") >> 1  # torch takes signed 64 bits


def _run_at_own_size(
    pipe: Any,
    weights_id: str,
    seed: int,
    pixels: NDArray[np.uint8],
    hole: NDArray[np.bool_] | None = None,
    **words: str,
) -> NDArray[np.uint8]:
    """Run over pixels (H, W, 3) and perhaps a hole (H, W) at a size that suits the model; return (H, W, 3)."""
    import cv2
    from PIL import Image as Pil

    height, width = pixels.shape[:2]
    inner = _work_size(width, height, _own_side(pipe), _multiple(pipe))
    given: dict[str, Any] = {
        "image": Pil.fromarray(pixels).resize(inner, Pil.Resampling.LANCZOS),
        "width": inner[0],
        "height": inner[1],
        **words,
    }
    if hole is not None:
        # Every inner pixel that the hole touches, or its rim would show the old content at the edges.
        covered = cv2.resize(hole.astype(np.float32), inner, interpolation=cv2.INTER_AREA) > 0
        given["mask_image"] = Pil.fromarray(covered.astype(np.uint8) * 255)
    made = Pil.fromarray(_run(pipe, weights_id, seed, **given))
    return np.asarray(made.resize((width, height), Pil.Resampling.LANCZOS))


def _run(pipe: Any, weights_id: str, seed: int, **given: Any) -> NDArray[np.uint8]:
    """Run a pipeline with those of the arguments that it takes; return pixels (H, W, 3)."""
    import torch

    known = inspect.signature(type(pipe).__call__).parameters
    settings: dict[str, Any] = {name: value for name, value in given.items() if name in known}
    own_steps = known["num_inference_steps"].default
    settings["num_inference_steps"] = min(STEPS, own_steps) if isinstance(own_steps, int) else STEPS
    if _is_turbo(pipe.scheduler):
        settings |= {"num_inference_steps": TURBO_STEPS, "guidance_scale": 0.0}
    generator = torch.Generator("cpu").manual_seed(seed)  # the same noise on every device
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        output = pipe(**settings, generator=generator, output_type="np")
    if any(getattr(output, "nsfw_content_detected", None) or ()):
        raise ToolError(
            f"The safety checker of {weights_id} withheld the picture as not safe for work",
            "Use other words or another picture; it sometimes errs",
        )
    made: NDArray[np.floating[Any]] = output.images[0]
    if not np.isfinite(made).all():
        raise ToolError(
            f"{weights_id} made no picture: its numbers overflowed",
            "Set device to cpu in settings.toml, or choose other weights",
        )
    return (made * 255).round().astype(np.uint8)


def _is_turbo(scheduler: Any) -> bool:
    """Whether a scheduler is set up as that of SD-Turbo and SDXL-Turbo; nothing else in their folders tells them."""
    euler = type(scheduler).__name__ in ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")
    config = scheduler.config
    return euler and config.timestep_spacing == "trailing" and not config.get("rescale_betas_zero_snr")


def _denoiser(pipe: Any) -> Any:
    return getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)


def _own_side(pipe: Any) -> int:
    """Return the side in pixels of the square pictures that the model was trained on."""
    cells = getattr(pipe, "default_sample_size", None) or getattr(_denoiser(pipe).config, "sample_size", None)
    return cells * int(pipe.vae_scale_factor) if isinstance(cells, int) else 1024


def _multiple(pipe: Any) -> int:
    """Return what the sides of pictures must be a multiple of, for whole cells at every level of the model."""
    config = _denoiser(pipe).config
    levels = getattr(config, "block_out_channels", None)
    return int(pipe.vae_scale_factor) * (2 ** (len(levels) - 1) if levels else 2)


def _work_size(width: int, height: int, side: int, multiple: int) -> tuple[int, int]:
    """Return (width, height) of about side x side pixels and nearly the same shape, in whole multiples.

    Very long pictures are squeezed to at most twice the side, which models can still make sense of.
    """
    scale = side / math.sqrt(width * height)
    longest = max(2 * side // multiple, 1)
    inner = [min(max(round(length * scale / multiple), 1), longest) * multiple for length in (width, height)]
    return inner[0], inner[1]


def _window(left: NDArray[np.bool_], side: int) -> tuple[slice, slice]:
    """Return rows and columns around the largest connected hole, with as much again of its surroundings."""
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(left.astype(np.uint8))
    hole = stats[1:][np.argmax(stats[1:, cv2.CC_STAT_AREA])]
    starts = hole[cv2.CC_STAT_TOP], hole[cv2.CC_STAT_LEFT]
    lengths = hole[cv2.CC_STAT_HEIGHT], hole[cv2.CC_STAT_WIDTH]
    slices = []
    for start, length, total in zip(starts, lengths, left.shape, strict=True):
        wanted = min(max(2 * int(length), side), total)
        first = min(max(int(start) + int(length) // 2 - wanted // 2, 0), total - wanted)
        slices.append(slice(first, first + wanted))
    return slices[0], slices[1]


def _pipeline(task: Task, weights_id: str) -> Any:
    """Lease the pipeline that does the task with these weights."""
    folder = weights.use(weights_id)
    index = _index(folder, weights_id)
    # Made for each folder, because a loader declares its size; models are kept by _load and its arguments.
    loader: Resident[[Path, Task, str], Any] = resident(
        bytes=model_bytes(_components(folder, index), 2 if device() == "cuda" else 4)
    )(_load)
    return loader.lease(folder, task, weights_id)


def _load(folder: Path, task: Task, weights_id: str) -> Any:
    """Load a pipeline from its folder, for the device that the settings choose."""
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
    options: dict[str, Any] = {"dtype": half if place == "cuda" else torch.float32}
    if half_only(_components(folder, index)):
        options["variant"] = "fp16"
    if "safety_checker" in index and not (folder / "safety_checker").is_dir():
        options |= {"safety_checker": None, "requires_safety_checker": False}
    try:
        pipe = _pipeline_class(diffusers, index["_class_name"], task).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise ToolError(
            f"The weights {weights_id} in {folder} cannot be loaded as a pipeline that {_NEEDS[task]}: {error}",
            "Choose other weights for the role in settings.toml",
        ) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(place)


def _index(folder: Path, weights_id: str) -> dict[str, Any]:
    """Return a pipeline's table of contents, model_index.json."""
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


def _components(folder: Path, index: Mapping[str, Any]) -> list[Path]:
    """Return the folders of the models that a pipeline consists of."""
    return [folder / name for name in index if not name.startswith("_") and (folder / name).is_dir()]


def _pipeline_class(diffusers: Any, name: str, task: Task) -> Any:
    """Return the class named in the folder if it does the task, or diffusers' relative of it that does.

    Raises:
        AttributeError: when diffusers does not know the class.
        ValueError: when neither does the task.
    """
    named = getattr(diffusers, name)
    takes = inspect.signature(named.__call__).parameters
    if task == "edit":
        if "image" in takes and "mask_image" not in takes and any(word in name for word in _EDITORS):
            return named
        raise ValueError(f"it is a {name}")
    if task == "inpaint":
        return named if "mask_image" in takes else diffusers.AutoPipelineForInpainting
    return named if "prompt" in takes and "image" not in takes else diffusers.AutoPipelineForText2Image
