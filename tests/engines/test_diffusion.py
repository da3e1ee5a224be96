"""The diffusion engine and its tools, run with small random pipelines in the format of diffusers."""

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

diffusers = pytest.importorskip("diffusers")
import torch  # noqa: E402
from tokenizers.pre_tokenizers import ByteLevel  # noqa: E402
from transformers import (  # noqa: E402
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
)

from tests.engines.helpers import TINY, add_weights, noise  # noqa: E402
from tools.core.errors import ToolError, ValueInvalid, WeightsMissing  # noqa: E402
from tools.core.settings import settings  # noqa: E402
from tools.edit import edit  # noqa: E402
from tools.engines import diffusion  # noqa: E402
from tools.generate import generate  # noqa: E402
from tools.remove import remove  # noqa: E402
from tools.runtime.execute import call  # noqa: E402
from tools.runtime.model_cache import evict_idle, loaded  # noqa: E402
from tools.storage.store import Store  # noqa: E402
from tools.values import Detections, Image  # noqa: E402
from tools.weights import weights  # noqa: E402

SIDE = 64  # of the pictures that the small models "were trained on"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def store(offline_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store, few steps, and no network."""
    monkeypatch.setattr(diffusion, "STEPS", 2)
    return offline_store


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One saved pipeline for each task."""
    made = {}
    for role, kind, channels in (
        ("generate", "StableDiffusionPipeline", 4),
        ("edit", "StableDiffusionInstructPix2PixPipeline", 8),
        ("remove", "StableDiffusionInpaintPipeline", 9),
    ):
        made[role] = tmp_path_factory.mktemp("weights") / role
        pipeline(kind, channels).save_pretrained(made[role])
    return made


def tokenizer() -> CLIPTokenizer:
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=24)


def pipeline(kind: str, channels: int, **others: Any) -> Any:
    torch.manual_seed(0)
    words = tokenizer()
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            **TINY,
            max_position_embeddings=24,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )
    unet = diffusers.UNet2DConditionModel(
        sample_size=SIDE // 4,
        in_channels=channels,
        out_channels=4,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 16),
        norm_num_groups=4,
        latent_channels=4,
        sample_size=SIDE,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
    )
    scheduler = diffusers.DDIMScheduler(
        beta_schedule="scaled_linear", steps_offset=1, clip_sample=False, set_alpha_to_one=False
    )
    parts = {
        "vae": vae,
        "text_encoder": text,
        "tokenizer": words,
        "unet": unet,
        "scheduler": scheduler,
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
        **others,
    }
    return getattr(diffusers, kind)(**parts)


def take(monkeypatch: pytest.MonkeyPatch, role: str, folder: Path, name: str | None = None, trust: bool = False) -> str:
    """Add weights and give them the role."""
    return add_weights(monkeypatch, name or f"tiny-{role}", folder, role, trust=trust)


def test_the_tools_have_the_declared_parameters() -> None:
    assert list(inspect.signature(generate.fn).parameters) == ["prompt"]
    assert list(inspect.signature(edit.fn).parameters) == ["image", "prompt"]
    assert not generate.read_only and not edit.read_only
    assert generate.returns.kind == edit.returns.kind == "Image"


def test_generate_makes_a_picture_of_the_models_size(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, "generate", folders["generate"])
    ref: Any = call(generate, {"prompt": "a red car"}, store, "s1")
    assert ref["summary"] == {"width": SIDE, "height": SIDE}
    made = store.get(ref)
    assert isinstance(made, Image) and np.ptp(made.pixels) > 0
    used = ref["provenance"]["weights"]
    assert used == [{"id": "tiny-generate", "sha256": weights.verify("tiny-generate"), "licence": "CC0-1.0"}]
    assert ref["provenance"]["args"] == {"prompt": "a red car"}


def test_the_same_words_give_the_same_bytes_and_others_other_ones(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, "generate", folders["generate"])
    first: Any = call(generate, {"prompt": "a red car"}, store)
    again: Any = call(generate, {"prompt": "a red car"}, store)
    evict_idle()
    anew: Any = call(generate, {"prompt": "a red car"}, store)
    other: Any = call(generate, {"prompt": "a blue car"}, store)
    assert first["sha256"] == again["sha256"] == anew["sha256"] != other["sha256"]
    assert anew["provenance"]["weights"] == first["provenance"]["weights"]


def test_a_model_is_loaded_once_and_counted_with_its_size(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    evict_idle()
    take(monkeypatch, "generate", folders["generate"])
    for prompt in ("one", "two"):
        call(generate, {"prompt": prompt}, store)
    (model,) = loaded()
    parts = pipeline("StableDiffusionPipeline", 4)
    numbers = sum(p.numel() for part in (parts.unet, parts.vae, parts.text_encoder) for p in part.parameters())
    assert model.bytes == pytest.approx(4 * numbers, rel=0.01) and not model.in_use


@pytest.mark.parametrize(("width", "height"), [(1, 1), (37, 91), (500, 3), (1200, 900)])
def test_edit_keeps_the_pictures_size(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    name = take(monkeypatch, "edit", folders["edit"])
    given = store.put(noise(width, height))
    ref: Any = call(edit, {"image": given, "prompt": "make it night"}, store, "s2")
    assert (ref["summary"]["width"], ref["summary"]["height"]) == (width, height)
    assert ref["provenance"]["inputs"] == [given["sha256"]]
    assert [one["id"] for one in ref["provenance"]["weights"]] == [name]
    again: Any = call(edit, {"image": given, "prompt": "make it night"}, store)
    assert again["sha256"] == ref["sha256"]


def test_edit_looks_at_the_picture_and_at_the_words(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, "edit", folders["edit"])
    made = {
        call(edit, {"image": store.put(noise(64, 64, seed)), "prompt": prompt}, store)["sha256"]  # type: ignore[call-overload]
        for seed in (0, 1)
        for prompt in ("make it night", "make it day")
    }
    assert len(made) == 4


def test_edit_over_a_list_maps(store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    take(monkeypatch, "edit", folders["edit"])
    given = [store.put(noise(40, 30, seed)) for seed in (0, 1)]
    refs = call(edit, {"image": given, "prompt": "make it night"}, store)
    assert isinstance(refs, list) and [ref["summary"]["width"] for ref in refs] == [40, 40]


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_no_words_are_refused_before_a_model_is_loaded(store: Store, prompt: str) -> None:
    with pytest.raises(ToolError, match="prompt is empty"):
        call(generate, {"prompt": prompt}, store)
    with pytest.raises(ToolError, match="prompt is empty"):
        call(edit, {"image": store.put(noise(8, 8)), "prompt": prompt}, store)


def test_missing_weights_name_the_command(store: Store) -> None:
    with pytest.raises(WeightsMissing, match=f"superlink models pull {settings().role('generate')}"):
        generate("a red car")
    with pytest.raises(ToolError, match=r"edit \(step s1\).*superlink models pull instruct-pix2pix"):
        call(edit, {"image": store.put(noise(8, 8)), "prompt": "make it night"}, store, "s1")


@pytest.mark.parametrize(("width", "height"), [(37, 91), (64, 64), (400, 300)])
@pytest.mark.parametrize("base", ["remove", "generate"])
def test_inpaint_changes_the_masked_pixels_only(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, base: str, width: int, height: int
) -> None:
    name = take(monkeypatch, "remove", folders[base])
    given = noise(width, height)
    mask = np.zeros((height, width), bool)
    mask[5:20, 3:17] = True
    mask[-4:, -9:] = True
    mask[0, 0] = True
    made = diffusion.inpaint(given, mask, name)
    assert made.size == given.size
    assert (made.pixels[~mask] == given.pixels[~mask]).all()
    assert (made.pixels[mask] != given.pixels[mask]).mean() > 0.5
    assert made == diffusion.inpaint(given, mask, name)


def test_inpaint_of_nothing_is_the_picture_itself_and_a_wrong_mask_is_refused(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = take(monkeypatch, "remove", folders["remove"])
    given = noise(20, 10)
    assert diffusion.inpaint(given, np.zeros((10, 20), bool), name) is given
    with pytest.raises(ValueInvalid, match=r"\(10, 20\)"):
        diffusion.inpaint(given, np.ones((20, 10), bool), name)
    with pytest.raises(ValueInvalid, match="uint8"):
        diffusion.inpaint(given, np.ones((10, 20), np.uint8), name)  # type: ignore[arg-type]


def test_remove_fills_regions_with_the_weights_of_its_role(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, "remove", folders["remove"])
    given = noise(90, 70)
    regions = Detections([[10, 10, 30, 40]], ("person",), [0.9], given.size)
    ref: Any = call(remove, {"image": store.put(given), "regions": store.put(regions)}, store)
    made = store.get(ref)
    assert isinstance(made, Image) and (made.pixels[10:40, 10:30] != given.pixels[10:40, 10:30]).mean() > 0.5
    assert (made.pixels[50:] == given.pixels[50:]).all()
    assert [one["id"] for one in ref["provenance"]["weights"]] == ["tiny-remove"]


def test_windows_cover_every_hole_closely() -> None:
    left = np.zeros((1000, 2000), bool)
    left[100:150, 100:220] = left[110:120, 230:240] = left[900:1000, 1990:] = True
    windows = []
    while left.any():
        windows.append(diffusion._window(left, 128))
        left[windows[-1]] = False
    assert windows == [(slice(61, 189), slice(40, 280)), (slice(800, 1000), slice(1872, 2000))]


@pytest.mark.parametrize("size", [(1, 1), (3, 5000), (512, 512), (4000, 3000), (640, 480), (12000, 10)])
def test_work_sizes_are_whole_multiples_near_the_models_own(size: tuple[int, int]) -> None:
    width, height = diffusion._work_size(*size, side=512, multiple=64)
    assert width % 64 == height % 64 == 0
    assert min(width, height) >= 64 and max(width, height) <= 1024
    if max(size) <= 2 * min(size):
        assert width * height == pytest.approx(512**2, rel=0.15)
        assert width / height == pytest.approx(size[0] / size[1], rel=0.15)


@pytest.mark.parametrize(
    ("role", "held", "what"),
    [
        ("edit", "generate", "edits pictures"),
        ("generate", "edit", "makes pictures"),
        ("edit", "remove", "edits pictures"),
    ],
)
def test_weights_for_another_task_are_refused(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, role: str, held: str, what: str
) -> None:
    name = take(monkeypatch, role, folders[held])
    with pytest.raises(ToolError, match=f"{name}.*{what}"):
        if role == "edit":
            diffusion.edit(noise(8, 8), "make it night", name)
        else:
            diffusion.generate("a red car", name)


def test_folders_that_are_no_pipeline_or_bring_code_are_refused(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = take(monkeypatch, "generate", folders["generate"] / "unet", "part")
    with pytest.raises(ToolError, match="part.*no diffusers pipeline"):
        diffusion.generate("a red car", name)
    own = shutil.copytree(folders["generate"], tmp_path / "own")
    index = json.loads((own / "model_index.json").read_text())
    (own / "model_index.json").write_text(json.dumps({**index, "_class_name": ["pipeline", "Mine"]}))
    (own / "pipeline.py").write_text("raise SystemExit('this ran')")
    with pytest.raises(ToolError, match="own pipeline code"):
        diffusion.generate("a red car", take(monkeypatch, "generate", own, "own", trust=True))


def test_a_folder_without_its_safety_checker_is_used_without(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bare = shutil.copytree(folders["generate"], tmp_path / "bare")
    index = json.loads((bare / "model_index.json").read_text())
    index |= {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "requires_safety_checker": True}
    (bare / "model_index.json").write_text(json.dumps(index))
    made = diffusion.generate("a red car", take(monkeypatch, "generate", bare, "bare"))
    assert made == diffusion.generate("a red car", take(monkeypatch, "generate", folders["generate"], "whole"))


def test_a_picture_that_the_safety_checker_withholds_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
    }
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=8))
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(-2)  # below any cosine, so that everything is withheld
    features = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    pipeline(
        "StableDiffusionPipeline", 4, safety_checker=checker, feature_extractor=features, requires_safety_checker=True
    ).save_pretrained(tmp_path / "strict")
    take(monkeypatch, "generate", tmp_path / "strict", "strict")
    with pytest.raises(ToolError, match="generate: The safety checker of strict withheld"):
        call(generate, {"prompt": "a red car"}, store)


def test_half_precision_files_are_found(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # dtype is what is in the files; they are loaded as what the device computes in
    pipeline("StableDiffusionPipeline", 4).to(dtype=torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    assert list((tmp_path / "half" / "unet").glob("*.fp16.safetensors"))
    made = diffusion.generate("a red car", take(monkeypatch, "generate", tmp_path / "half", "half"))
    whole = diffusion.generate("a red car", take(monkeypatch, "generate", folders["generate"], "whole"))
    assert np.abs(made.pixels.astype(int) - whole.pixels).mean() < 3


def test_turbo_models_take_few_steps_and_no_guidance(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(diffusion, "STEPS", 30)
    turbo = diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="trailing", steps_offset=1)
    pipeline("StableDiffusionPipeline", 4, scheduler=turbo).save_pretrained(tmp_path / "turbo")
    name = take(monkeypatch, "generate", tmp_path / "turbo", "turbo")
    diffusion.generate("a red car", name)
    with diffusion._pipeline("generate", name) as pipe:
        assert pipe.num_timesteps == diffusion.TURBO_STEPS and pipe.guidance_scale == 0.0
        pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config, timestep_spacing="leading")
        assert not diffusion._is_turbo(pipe.scheduler)
    evict_idle()


def test_overflowed_numbers_are_an_error(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = pipeline("StableDiffusionPipeline", 4)
    with torch.no_grad():
        broken.vae.decoder.conv_out.bias.fill_(float("nan"))
    broken.save_pretrained(tmp_path / "broken")
    with pytest.raises(ToolError, match="overflowed"):
        diffusion.generate("a red car", take(monkeypatch, "generate", tmp_path / "broken", "broken"))


def test_changed_weights_are_not_loaded(
    store: Store, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = shutil.copytree(folders["generate"], tmp_path / "copy")
    take(monkeypatch, "generate", copy, "copy")
    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ToolError, match="copy.*pinned"):
        call(generate, {"prompt": "a red car"}, store)
