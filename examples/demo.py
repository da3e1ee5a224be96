"""A page of what superlink does with photographs and speech: requests in words, their plans, pictures, sound, licences.

    python examples/demo.py [FOLDER]

The starter set of weights is fetched first (`superlink models pull starter`). Every request goes through the planner as
it does in ``superlink run``. The photographs are those that installed packages carry (scikit-image, matplotlib, and
ultralytics where the extra yolo is installed). Results go to FOLDER (default: demo), the page is FOLDER/index.html.
"""

import base64
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from superlink import Image, Plan, Store, SuperlinkError, settings
from superlink.cli import main as superlink
from tools.storage.store import as_list

if TYPE_CHECKING:
    from agents.session.events import Record, StepRecord
    from tools.storage.store import Refs

    class WrittenRecord(Record):
        """A record as ``superlink run`` writes it: with the files of each output."""

        files: dict[str, list[str]]


SENTENCES = """Good morning. The number five bus leaves the old market at half past seven.
It stops at the library, and then it goes on to the harbour.
"""
_SIDE = 900  # pixels of a picture's longer side in the page
_NO_PLAN = "No plan: see what the command said."
_PHOTOGRAPHS = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "camera": ("skimage", "data/camera.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "page": ("skimage", "data/page.png"),
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "bus": ("ultralytics", "assets/bus.jpg"),
    "zidane": ("ultralytics", "assets/zidane.jpg"),
}
_OPTIONAL = ("ultralytics",)  # packages whose photographs are left out where they are not installed


@dataclass(frozen=True)
class Scene:
    """One request of the demo.

    Attributes:
        name: Name of the folder of its results.
        title: Its heading.
        request: What is asked.
        files: Gives the files, from the folder of the demo.
        annotated: Whether the files are worked as a folder, by ``superlink annotate``.
    """

    name: str
    title: str
    request: str
    files: Callable[[Path], list[Path]]
    annotated: bool = False


def photographs(*names: str) -> Callable[[Path], list[Path]]:
    """Return what gives the photographs of these names, of packages that are installed."""

    def find(_demo: Path) -> list[Path]:
        found = []
        for name in names:
            package, path = _PHOTOGRAPHS[name]
            spec = find_spec(package)
            if spec is not None and spec.origin is not None:
                found.append(Path(spec.origin).parent / path)
            elif package not in _OPTIONAL:
                raise SystemExit(f"the package {package} is not installed: run make setup")
        return found

    return find


def sentences(demo: Path) -> list[Path]:
    """Write the sentences that are to be spoken, and return the file."""
    file = demo / "sentences.txt"
    file.write_text(SENTENCES, encoding="utf-8")
    return [file]


def spoken(demo: Path) -> list[Path]:
    """Return the sound that the scene before made."""
    return sorted((demo / "speak").glob("*_speak.*"))


SCENES = (
    Scene(
        "found",
        "People and vehicles, boxed and counted",
        "find every person, bus and motorcycle",
        photographs("motorcycle", "astronaut", "camera", "hopper"),
    ),
    Scene(
        "unsure",
        "Those found with less certainty, too",
        "find every person and bus with at least 30% confidence",
        photographs("bus", "astronaut"),
    ),
    Scene("joints", "Joints of people", "find the joints of every person", photographs("camera", "astronaut")),
    Scene(
        "outlines",
        "People outlined",
        "find the people and trace their exact outlines",
        photographs("astronaut", "hopper"),
    ),
    Scene(
        "cut",
        "People cut out",
        "find every person with at least 30% confidence and cut them out",
        photographs("bus", "camera"),
    ),
    Scene("blurred", "Faces blurred", "blur every face", photographs("astronaut", "hopper", "bus", "zidane")),
    Scene("read", "Signs and pages read", "read the text", photographs("bus", "page")),
    Scene("speak", "A text spoken by a neural voice", "say this out loud", sentences),
    Scene("hear", "The recording written down, with subtitles", "write down what is said", spoken),
    Scene(
        "folder",
        "A folder of photographs, with one plan",
        "find every person, bus and motorcycle",
        photographs("astronaut", "camera", "hopper", "motorcycle"),
        annotated=True,
    ),
)


@dataclass(frozen=True)
class Embedded:
    """A picture or a sound in the page: its name, its content as a data: address, and its file beside the page."""

    name: str
    address: str
    href: str = ""


class Link(NamedTuple):
    """A file beside the page."""

    name: str
    href: str


class WeightsRow(NamedTuple):
    """Weights behind a tool."""

    tool: str
    id: str
    licence: str
    sha256: str


@dataclass(frozen=True)
class Item:
    """What came of a request on one of its files."""

    name: str
    answer: str
    failed: bool
    steps: "Sequence[StepRecord]"
    pictures: list[Embedded] = field(default_factory=list)
    sounds: list[Embedded] = field(default_factory=list)
    subtitles: str = ""
    files: list[Link] = field(default_factory=list)


@dataclass(frozen=True)
class Shown:
    """A scene that was run, as the page shows it.

    Attributes:
        scene: The scene.
        tree: The plan as a tree; what went wrong where there is none.
        items: One for each file.
        weights: Behind all of its steps.
        seconds: From request to results.
        failed: Whether anything of it failed.
    """

    scene: Scene
    tree: str
    items: list[Item]
    weights: list[WeightsRow]
    seconds: float
    failed: bool


def run_scene(scene: Scene, demo: Path) -> Shown:
    """Run a request as ``superlink run`` does, and collect what it wrote."""
    out = demo / scene.name
    files = scene.files(demo)
    began = time.perf_counter()
    status = superlink(["run", scene.request, *map(str, files), "--yes", "--fresh", "--out", str(out)])
    seconds = time.perf_counter() - began
    if status == 130:
        raise KeyboardInterrupt
    found = [(file.parent, json.loads(file.read_text("utf-8"))) for file in sorted(out.glob("**/record.json"))]
    plan = next((record["plan"] for _, record in found if record["plan"]), None)
    tree = Plan.load(plan).tree().partition("\n")[2] if plan else _NO_PLAN
    alone = files[0].stem if files else scene.name
    items = [_item(alone if folder == out else folder.name, folder, record, demo) for folder, record in found]
    rows = {row for _, record in found for step in record["steps"] for row in _weights(step)}
    return Shown(scene, tree, items, sorted(rows), seconds, status != 0)


def annotate_scene(scene: Scene, demo: Path) -> Shown:
    """Run a request as ``superlink annotate`` does, over a folder of copies of the files, and link its exports."""
    from flows.ledger.ledger import Ledger

    out, photos = demo / scene.name, demo / "photographs"
    photos.mkdir(exist_ok=True)
    for file in scene.files(demo):
        shutil.copy(file, photos)
    formats = ["--format", "coco", "--format", "report"]
    began = time.perf_counter()
    status = superlink(["annotate", scene.request, str(photos), "--out", str(out), "--yes", *formats])
    seconds = time.perf_counter() - began
    if status == 130:
        raise KeyboardInterrupt
    try:
        ledger = Ledger.open_existing(out)
    except SuperlinkError as error:
        return Shown(scene, f"{_NO_PLAN} {error}", [], [], seconds, True)
    counts, tree = ledger.counts(), ledger.plan.tree().partition("\n")[2]
    ledger.close()
    exports = [out / "report" / "report.html", out / "coco" / "annotations.json"]
    files = [_link(file, demo) for file in exports if file.exists()]
    answer = f"{counts.get('done', 0)} pictures done, {counts.get('failed', 0)} failed."
    return Shown(scene, tree, [Item(photos.name, answer, status != 0, [], files=files)], [], seconds, status != 0)


def write_page(demo: Path, scenes: Sequence[Shown], fetched: int, fetch_seconds: float) -> Path:
    """Write the page.

    Args:
        demo: The folder of the demo.
        scenes: What was run.
        fetched: Bytes of the packages that the weights were taken from; 0 if they were here.
        fetch_seconds: How long that took.
    """
    from flows.report.rendering import environment
    from tools.weights.catalogue import find

    template = environment(Path(__file__).resolve().parent).get_template("demo.html.j2")
    ids = {row.id for shown in scenes for row in shown.weights}
    page = template.render(
        scenes=scenes,
        seconds=sum(shown.seconds for shown in scenes),
        fetched=fetched,
        fetch_seconds=fetch_seconds,
        size=sum(find(name).size or 0 for name in ids),
    )
    file = demo / "index.html"
    file.write_text(page, encoding="utf-8")
    return file


def _item(name: str, folder: Path, record: "WrittenRecord", demo: Path) -> Item:
    files = [folder / each for names in record["files"].values() for each in names]
    before = record["given"].get("image")
    pictures = [_picture("before", _load(before))] if before else []
    for file in files:
        if file.suffix == ".png":
            pictures.append(_picture(file.stem, Image.from_bytes(file.read_bytes()), _link(file, demo).href))
    return Item(
        name,
        record["answer"],
        record["result"] != "done",
        record["steps"],
        pictures,
        [_embedded(file.name, file.read_bytes(), "audio/flac") for file in files if file.suffix == ".flac"],
        "\n".join(file.read_text("utf-8") for file in files if file.suffix == ".srt"),
        [_link(file, demo) for file in [*files, folder / "record.json"] if file.suffix != ".png"],
    )


def _load(ref: "Refs") -> Image:
    value = Store(settings().store_url).get(as_list(ref)[0])
    assert isinstance(value, Image)
    return value


def _link(file: Path, demo: Path) -> Link:
    return Link(file.name, quote(file.relative_to(demo).as_posix()))


def _picture(name: str, image: Image, href: str = "") -> Embedded:
    small = image.pil.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=88)
    return _embedded(name, buffer.getvalue(), "image/jpeg", href)


def _embedded(name: str, content: bytes, media_type: str, href: str = "") -> Embedded:
    return Embedded(name, f"data:{media_type};base64,{base64.b64encode(content).decode()}", href)


def _weights(step: "StepRecord") -> Iterator[WeightsRow]:
    for ref in as_list(step.get("refs", [])):
        for used in ref.get("provenance", {}).get("weights", ()):
            yield WeightsRow(step["tool"], used["id"], used["licence"], used["sha256"])


def fetch_starter() -> tuple[int, float]:
    """Fetch the starter set; return the bytes of the packages that were fetched for it, and the seconds."""
    from tools.weights import starter

    size = starter.bytes_to_fetch(starter.choices())
    began = time.perf_counter()
    if superlink(["models", "pull", "starter", "--yes"]):
        raise SystemExit("the starter set was not fetched, so there is nothing to show")
    os.environ["SUPERLINK_WEIGHTS"] = starter.NAME  # also where the environment names others
    settings.cache_clear()
    return size, time.perf_counter() - began


def main(demo: Path) -> int:
    """Fetch the weights, run every scene, write the page; return the exit status."""
    fetched, fetch_seconds = fetch_starter()
    shown = []
    for number, scene in enumerate(SCENES, 1):
        print(f"\n[{number}/{len(SCENES)}] {scene.title}: “{scene.request}”", flush=True)
        shutil.rmtree(demo / scene.name, ignore_errors=True)
        (demo / scene.name).mkdir(parents=True)
        shown.append(annotate_scene(scene, demo) if scene.annotated else run_scene(scene, demo))
    page = write_page(demo, shown, fetched, fetch_seconds)
    print(f"\nWeights: {fetched / 1e6:.0f} MB fetched in {fetch_seconds:.1f} s")
    for one in shown:
        print(f"{'failed' if one.failed else 'done':7} {one.seconds:6.1f} s  {one.scene.title}")
    print(f"All of it took {fetch_seconds + sum(one.seconds for one in shown):.0f} s. See {page.resolve().as_uri()}")
    return 1 if any(one.failed for one in shown) else 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")))
    except KeyboardInterrupt:
        sys.exit(130)
