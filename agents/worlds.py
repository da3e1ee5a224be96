"""Rendered pictures for the command line and the page: the only use of the backbone's world outside training."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tools.core.errors import ArgumentsInvalid
from tools.storage import atomic

if TYPE_CHECKING:
    from backbone.world import Rendered
    from backbone.world.scene.camera import Pixels
    from tools.values import Image

SAMPLES = (8, 12, 16, 19)
"""Seeds of pictures of the test split that show different things."""


def write_world(
    count: int, seed: int, split: str, size: int, folder: Path | None = None, sheet: Path | None = None
) -> Path | None:
    """Write rendered pictures, as a COCO data set with their annotations, on one sheet with these drawn in, or both.

    Args:
        count: number of pictures.
        seed: of the first picture; each further one has the next seed.
        split: one of ``backbone.world.scene.splits.SPLITS``.
        size: height and width in pixels.
        folder: where ``images/`` and ``annotations.json`` are written.
        sheet: a .jpg, .png or .webp file: all pictures in a grid, with masks, boxes and joints.

    Returns:
        The path of the annotations; None without a folder.

    Raises:
        ArgumentsInvalid: a number is out of range, the split is unknown, neither a folder nor a sheet is given, the
            sheet has another ending, or skia cannot be loaded.
    """
    _skia()
    from backbone.world.scene.splits import SPLITS

    problems = []
    if count < 1:
        problems.append(f"--n {count}: ask for at least one picture")
    if not 32 <= size <= 4096:
        problems.append(f"--size {size}: give 32 to 4096 pixels")
    if split not in SPLITS:
        problems.append(f"--split {split}: use one of {', '.join(SPLITS)}")
    if not folder and not sheet:
        problems.append("give --out, --sheet or both")
    if sheet and sheet.suffix.lower() not in (".jpg", ".jpeg", ".png", ".webp"):
        problems.append(f"--sheet {sheet}: name a .jpg, .png or .webp file")
    if problems:
        raise ArgumentsInvalid("world", problems)
    if sheet:
        _write_sheet(list(_drawn(range(seed, seed + count), split, size)), sheet)
    if folder:
        from backbone.world.io.coco import export

        try:
            return export(_drawn(range(seed, seed + count), split, size), folder)
        except OSError as error:
            raise atomic.write_error(error, folder) from error
    return None


def samples(folder: Path) -> list[tuple[Path, str]]:
    """Write a few rendered pictures to try requests on.

    Args:
        folder: where they are written.

    Returns:
        The file of each, with a caption.

    Raises:
        ArgumentsInvalid: skia cannot be loaded.
    """
    _skia()
    from backbone.world.words.captions import short_caption

    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for picture in _drawn(SAMPLES, "test", 640):
        file = folder / f"rendered_{picture.scene.seed}.png"
        atomic.write(file, _image(picture.pixels).to_bytes())
        found.append((file, f"Rendered sample: {short_caption(picture)}"))
    return found


def _skia() -> None:
    """Check that skia can be loaded: it needs two libraries of the system.

    Raises:
        ArgumentsInvalid: it cannot; names what to install.
    """
    try:
        import skia  # noqa: F401
    except ModuleNotFoundError as error:
        raise ArgumentsInvalid(
            "world", [f"the package {error.name} is not installed; run: pip install 'superlink[world]'"]
        ) from error
    except ImportError as error:
        raise ArgumentsInvalid(
            "world",
            [f"skia cannot be loaded ({error}); on Linux it needs libGL and libEGL: apt-get install libgl1 libegl1"],
        ) from error


def _drawn(seeds: Iterable[int], split: str, size: int) -> "Iterator[Rendered]":
    from backbone.world import compose, render

    return (render(compose(seed, split), size) for seed in seeds)


def _image(pixels: "Pixels") -> "Image":
    from PIL import Image as Pil

    from tools.values import Image

    return Image.from_pil(Pil.fromarray(pixels))


def _write_sheet(pictures: "list[Rendered]", file: Path) -> None:
    from PIL import Image as Pil

    from backbone.world.truth.overlay import draw_annotations
    from backbone.world.words.captions import short_caption
    from tools.imaging.drawing import contact_sheet

    page = contact_sheet(
        [_image(draw_annotations(p)) for p in pictures], [f"{p.scene.seed}: {short_caption(p)}" for p in pictures]
    )
    with atomic.open_new(file) as out:
        page.pil.save(out, Pil.registered_extensions()[file.suffix.lower()], quality=66)
