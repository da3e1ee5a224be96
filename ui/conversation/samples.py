"""Photographs, a recording and rendered scenes for a first try, with requests that work on this computer."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from PIL import Image

from agents.plan.types import AnyTool
from agents.worlds import samples as rendered
from common.kinds import input_of
from tools.core.errors import SuperlinkError
from tools.core.settings import settings
from tools.storage import atomic
from tools.weights import weights

_WORLD = "world"  # start of the ids of weights that know rendered scenes, and no photographs
_RENDERED = "Rendered by superlink"
_NASA = "Photograph: NASA, public domain"


@dataclass(frozen=True)
class Try:
    """A request and what it needs.

    Attributes:
        words: The request.
        tools: Tools that its plan uses.
        roles: Roles whose weights have to be here.
    """

    words: str
    tools: tuple[str, ...]
    roles: tuple[str, ...] = ()


_BLUR = Try("blur every face", ("detect", "redact"), ("face",))
_SHIPPED: Mapping[str, tuple[str, str, tuple[Try, ...]]] = {
    "astronaut.jpg": (
        "A woman in an orange space suit before a flag",
        _NASA,
        (_BLUR, Try("cut out the person", ("detect", "crop"), ("detect",))),
    ),
    "cat.jpg": (
        "A tabby cat, close up",
        "Photograph: Stefan van der Walt, CC0",
        (
            Try("find every cat", ("detect",), ("detect",)),
            Try("pixelate the cat", ("detect", "redact"), ("detect",)),
        ),
    ),
    "photographer.jpg": (
        "A man with a camera on a tripod",
        "Photograph: Lav Varshney, CC0",
        (
            Try("find the joints of every person", ("pose",), ("pose",)),
            Try("outline every person", ("segment",), ("segment",)),
        ),
    ),
    "admiral.jpg": (
        "A naval officer in uniform",
        "Photograph: US Navy, public domain",
        (Try("pixelate every face", ("detect", "redact"), ("face",)),),
    ),
    "notice.ogg": (
        "A short notice about a bus",
        "Spoken by superlink with the voice Kokoro-82M, Apache-2.0",
        (Try("write down what is said", ("transcribe",), ("transcribe",)),),
    ),
}
_SCENE = (Try("find every person", ("detect",), ("detect",)), Try("count the people", ("detect", "count"), ("detect",)))


@dataclass(frozen=True)
class Sample:
    """A file to try, in the page's folder.

    Attributes:
        path: The file.
        caption: What it shows.
        licence: Who made it, and its licence.
        requests: Requests that work here.
    """

    path: Path
    caption: str
    licence: str
    requests: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in the page."""
        return self.path.name

    def as_shown(self) -> dict[str, object]:
        """Return what the page's template shows."""
        kind = input_of(self.name)
        width, height = 0, 0
        if kind == "image":
            with Image.open(self.path) as picture:
                width, height = picture.size
        about = {"path": self.path, "name": self.name, "caption": self.caption, "licence": self.licence}
        return {**about, "kind": kind, "requests": self.requests, "width": width, "height": height}


def offered(tools: Mapping[str, AnyTool], folder: Path) -> list[Sample]:
    """Return the samples that something here can work on, copied into a folder at first use.

    Args:
        tools: Tools by name.
        folder: Where the copies are kept.
    """
    world = settings().role("detect").startswith(_WORLD)
    found = []
    for name, (caption, licence, tries) in _SHIPPED.items():
        requests = tuple(one.words for one in tries if _works(one, tools) and not (world and "detect" in one.roles))
        if requests:
            found.append(Sample(_copied(name, folder), caption, licence, requests))
    if world and all(_works(one, tools) for one in _SCENE):
        found += _scenes(folder)
    return found


def works_here(role: str) -> bool:
    """Return whether the weights of a role are on this computer."""
    try:
        return weights.is_here(settings().role(role))
    except SuperlinkError:
        return False


def _works(one: Try, tools: Mapping[str, AnyTool]) -> bool:
    return all(tool in tools for tool in one.tools) and all(map(works_here, one.roles))


def _copied(name: str, folder: Path) -> Path:
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write(path, (files("ui") / "assets" / "samples" / name).read_bytes())
    return path


def _scenes(folder: Path) -> list[Sample]:
    """Return two rendered scenes; none where skia is missing."""
    try:
        return [
            Sample(path, caption, _RENDERED, tuple(one.words for one in _SCENE))
            for path, caption in rendered(folder)[:2]
        ]
    except SuperlinkError:
        return []
