"""What the walks need: weights, pictures that differ, a video, many pictures, axe-core."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import av
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "ui" / "assets" / "samples"
AXE = "axe-core@4.14.1"
_WEIGHTS = ("weights", "planner", "weights.lock.toml", "settings.toml")


def prepare_home(given: Path | None, folder: Path) -> Path:
    """Return a home with the starter set of weights; they are pulled where `given` is None and they are not there.

    Args:
        given: A SUPERLINK_HOME whose weights are used; nothing else of it is, and nothing is written there.
        folder: Of the suite, which keeps what was pulled.
    """
    home = folder / "home"
    source = given or folder / "pulled"
    if given is None and not (source / "weights.lock.toml").exists():
        environment = {**os.environ, "SUPERLINK_HOME": str(source), "PYTHONPATH": str(ROOT)}
        pulled = subprocess.run([sys.executable, "-m", "superlink", "models", "pull", "starter"], env=environment)
        if pulled.returncode:
            sys.exit("The starter set of weights cannot be pulled; --home FOLDER takes those of another home.")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for name in _WEIGHTS:
        if (source / name).is_dir():
            shutil.copytree(source / name, home / name, copy_function=_link)
        elif (source / name).exists():
            shutil.copy2(source / name, home / name)
    return home


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
    return target


def sample(name: str) -> Path:
    """Return a photograph or recording that comes with the page."""
    return SAMPLES / name


def photographs(folder: Path, count: int) -> list[Path]:
    """Write pictures of which no two have the same bytes: the page's photographs, each cut a little differently."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("astronaut.jpg", "cat.jpg", "photographer.jpg", "admiral.jpg")
    found = []
    for number in range(count):
        place = folder / f"{Path(names[number % 4]).stem}_{number}.jpg"
        with Image.open(SAMPLES / names[number % 4]) as picture:
            left = number // 4
            picture.convert("RGB").crop((left, 0, picture.width, picture.height)).save(place, quality=90)
        found.append(place)
    return found


def video(place: Path, seconds: int, size: tuple[int, int] = (320, 240), rate: int = 10) -> Path:
    """Write a video that moves over a photograph."""
    with Image.open(SAMPLES / "astronaut.jpg") as picture, av.open(str(place), "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        large = picture.convert("RGB").resize((2 * size[0], 2 * size[1]))
        for number in range(seconds * rate):
            left, top = number % size[0], (number // 2) % size[1]
            part = large.crop((left, top, left + size[0], top + size[1]))
            out.mux(stream.encode(av.VideoFrame.from_image(part)))
        out.mux(stream.encode(None))
    return place


def many(folder: Path, count: int) -> Path:
    """Write small pictures of which no two are the same."""
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(SAMPLES / "astronaut.jpg") as picture:
        small = picture.convert("RGB").resize((96, 96))
    for number in range(count):
        small.putpixel((number % 96, number // 96 % 96), (number % 256, number // 256, 255))
        place = folder / f"{number:05}.png"
        if not place.exists():
            small.save(place, compress_level=1)
    return folder


TOOLS = '''"""Finds a hundred regions in every picture."""

from superlink import Detections, Image, tool


@tool
def grid(image: Image) -> Detections:
    """Find a hundred regions, each with a score of its own."""
    height, width = image.size[1], image.size[0]
    wide, high = width / 10, height / 10
    boxes = [[x * wide, y * high, (x + 1) * wide, (y + 1) * high] for y in range(10) for x in range(10)]
    return Detections(boxes, ["region"] * 100, [0.25 + n / 500 for n in range(100)], (height, width))
'''
"""A file of tools that fills a queue of review quickly."""


def axe(folder: Path) -> str:
    """Return the script of axe-core, fetched by npm at first use."""
    place = folder / "axe" / "package" / "axe.min.js"
    if not place.exists():
        place.parents[1].mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["npm", "pack", AXE, "--silent"], cwd=place.parents[1], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"npm cannot fetch {AXE}: {done.stderr.strip()[-300:]}")
        with tarfile.open(place.parents[1] / done.stdout.split()[-1]) as packed:
            packed.extractall(place.parents[1], filter="data")
    return place.read_text(encoding="utf-8")
