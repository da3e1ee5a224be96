"""Settings: defaults, overridden by $SUPERLINK_HOME/settings.toml, overridden by the environment."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from tools.core.errors import SettingsInvalid

Device = Literal["auto", "cpu", "cuda"]

DEFAULT_ROLES = {
    "detect": "yolo26n",
    "detect_open": "yoloe-26s",
    "face": "centerface",
    "segment": "yolo26n-seg",
    "segment_open": "yoloe-26s",
    "segment_boxes": "sam2.1-b",
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
WEIGHTS: Mapping[str, Mapping[str, str]] = {"photographs": {}, "world": WORLD_ROLES}


@dataclass(frozen=True)
class Settings:
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
        weights: Which weights stand for the roles where nothing else is said: "photographs", or "world" for the rendered
            pictures of `superlink world` (SUPERLINK_WEIGHTS).
        roles: Which weights do which work; single roles through SUPERLINK_ROLE_<ROLE>.
    """

    home: Path
    store: str = ""
    models: Path | None = None
    device: Device = "auto"
    memory_bytes: int = 0
    gpu_memory_bytes: int = 0
    max_image_bytes: int = 1_000_000_000
    max_audio_bytes: int = 6_000_000_000
    max_audio_seconds: float = 4 * 3600
    max_video_bytes: int = 8_000_000_000_000
    max_text_bytes: int = 16_000_000
    step_timeout: float = 0
    tools: tuple[str, ...] = ()
    entry_points: bool = True
    weights: str = "photographs"
    roles: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_ROLES))

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


def expanded(path: str | Path) -> Path:
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


@cache
def settings() -> Settings:
    """Read the settings once; `settings.cache_clear()` reads them anew.

    Raises:
        SettingsInvalid: for unknown names and unusable values, naming where they stand.
    """
    home = expanded(os.environ.get("SUPERLINK_HOME", "~/.cache/superlink")).absolute()
    file = home / "settings.toml"
    values = _read(file)
    roles = _roles(values.pop("roles", {}), f"[roles] in {file}")
    known = {f.name for f in fields(Settings)} - {"home", "roles"}
    if unknown := sorted(set(values) - known):
        raise SettingsInvalid(
            f"{file} sets unknown names: {', '.join(unknown)}",
            f"Known names are {', '.join(sorted(known))} and the table [roles]",
        )
    chosen = {name: _convert(name, value, str(file)) for name, value in values.items()}
    for name in known:
        variable = f"SUPERLINK_{name.upper()}"
        if os.environ.get(variable):
            chosen[name] = _convert(name, os.environ[variable], variable)
    prefix = "SUPERLINK_ROLE_"
    from_environment = {k[len(prefix) :].lower(): v for k, v in os.environ.items() if k.startswith(prefix) and v}
    roles |= _roles(from_environment, f"the environment ({prefix}…)")
    chosen["memory_bytes"] = chosen.get("memory_bytes") or _half_of_main_memory()
    usual = WEIGHTS[chosen.get("weights", Settings.weights)]
    return Settings(home=home, roles={**DEFAULT_ROLES, **usual, **roles}, **chosen)


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    if not file.is_file():  # reading a pipe would wait for ever
        raise SettingsInvalid(f"{file} is not a file", "Move it away")
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise SettingsInvalid(f"{file} cannot be read: {error}", "Mend the file or move it away") from error


def _roles(table: Any, where: str) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise SettingsInvalid(f"{where} must map roles to weights ids", 'For example: detect = "yolo26s"')
    if unknown := sorted(set(table) - set(DEFAULT_ROLES)):
        raise SettingsInvalid(
            f"{where} names unknown roles: {', '.join(unknown)}", f"Roles are {', '.join(sorted(DEFAULT_ROLES))}"
        )
    return dict(table)


def _convert(name: str, value: Any, where: str) -> Any:
    try:
        match name:
            case "device":
                if value not in get_args(Device):
                    raise ValueError(f"must be one of {', '.join(get_args(Device))}")
                return value
            case "weights":
                if value not in WEIGHTS:
                    raise ValueError(f"must be one of {', '.join(WEIGHTS)}")
                return value
            case (
                "memory_bytes"
                | "gpu_memory_bytes"
                | "max_image_bytes"
                | "max_audio_bytes"
                | "max_video_bytes"
                | "max_text_bytes"
            ):
                return _positive(int(value))
            case "max_audio_seconds":
                return _positive(float(value))
            case "step_timeout":
                return 0.0 if float(value) == 0 else _positive(float(value))
            case "entry_points":
                return {"0": False, "1": True, "false": False, "true": True}[str(value).lower()]
            case "tools":
                files = value.split(os.pathsep) if isinstance(value, str) else value
                return tuple(str(expanded(file)) for file in files)
            case "models":
                return expanded(value).absolute()
            case _:
                return os.path.expanduser(str(value))
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise SettingsInvalid(f"{where}: {name} cannot be {value!r}: {error}") from error


def _positive(number: float) -> float:
    if not number > 0:
        raise ValueError("must be above 0")
    return number


def _half_of_main_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):  # not on Windows
        return 4 * 2**30
