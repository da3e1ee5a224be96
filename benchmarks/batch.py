"""The batch flow against a bare Python loop over the same tools on the same pictures, in one run.

    python benchmarks/batch.py [--items N] [--photos FOLDER] [--rounds N]

The loop opens each picture, finds faces, hides them and writes the picture as a file: nothing is noted or resumable. The
flow does the same work with ledger, provenance and exports. Both run with their models loaded, in turns. Also: a rerun with
everything cached, and a ledger of 100,000 items that is scanned and resumed.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image as Pil

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "media" / "photos"
PLAN = {
    "request": "blur every face", "outputs": ["$s2"],
    "steps": [
        {"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": ["face"]}},
        {"id": "s2", "tool": "redact", "args": {"image": "$image", "regions": "$s1"}},
    ],
}  # fmt: skip


def make(photos: Path, folder: Path, count: int) -> None:
    """So many different pictures: photographs cropped, flipped and scaled."""
    files = sorted(photos.glob("*.jpg"))
    folder.mkdir(parents=True)
    for number in range(count):
        with Pil.open(files[number % len(files)]) as photo:
            photo = photo.convert("RGB")
            cut = number // len(files)
            photo = photo.crop((cut % 7 * 5, cut % 5 * 5, photo.width - cut % 3 * 9, photo.height - cut % 11 * 4))
            if number % 2:
                photo = photo.transpose(Pil.Transpose.FLIP_LEFT_RIGHT)
            photo.thumbnail((640 - cut % 4 * 20, 640))
            photo.save(folder / f"{number:05}.jpg", quality=92)


def loop(source: Path, out: Path) -> float:
    from tools.detect import detect
    from tools.redact import redact
    from tools.values import Image

    out.mkdir()
    began = time.perf_counter()
    files = sorted(source.iterdir())
    for at in range(0, len(files), 16):
        images = [Image.open(file) for file in files[at:at + 16]]  # fmt: skip
        for file, image, faces in zip(files[at:at + 16], images, detect(images, ["face"]), strict=True):  # fmt: skip
            (out / f"{file.stem}.png").write_bytes(redact(image, faces).to_bytes())
    return time.perf_counter() - began


def flow(source: Path, out: Path, store: Path) -> float:
    from agents.plan import Plan
    from flows.annotate import annotate

    began = time.perf_counter()
    summary = annotate("", str(source), out, plan=Plan.load(PLAN), pilot=0, store=str(store), formats=["mirror"])
    assert not summary.failed, summary.failures
    return time.perf_counter() - began


def ledger(folder: Path, count: int) -> tuple[float, float]:
    """Seconds to take in a scan for the first time, and to scan the same again and find what is left."""
    from flows.ledger import FILE, Ledger
    from flows.source import scan

    source = folder / "many"
    source.mkdir()
    for number in range(count):
        (source / f"{number:06}.jpg").touch()
    times = []
    for _ in range(2):
        book = Ledger(folder / FILE)
        began = time.perf_counter()
        book.take(scan(str(source)))
        pending = book.pending("sig")
        times.append(time.perf_counter() - began)
        book.settle([(number, "done", "", "") for number in pending[: count * 99 // 100]], "sig")
        book.close()
    return times[0], times[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="superlink-batch-"))
    os.environ.setdefault("SUPERLINK_HOME", str(folder / "home"))
    try:
        make(given.photos, folder / "in", given.items)
        make(given.photos, folder / "warm", 2)
        loop(folder / "warm", folder / "warm out")
        bare, ours, again = [], [], []
        for number in range(given.rounds):
            bare.append(loop(folder / "in", folder / f"loop{number}"))
            ours.append(flow(folder / "in", folder / f"flow{number}", folder / f"store{number}"))
            again.append(flow(folder / "in", folder / f"flow{number}", folder / f"store{number}"))
        first, resumed = ledger(folder, 100_000)
        ratios = [o / b for o, b in zip(ours, bare, strict=True)]
        print(json.dumps({
            "items": given.items, "loop_s": [round(t, 2) for t in bare], "flow_s": [round(t, 2) for t in ours],
            "ratio": round(statistics.median(ratios), 3), "ratios": [round(r, 3) for r in ratios],
            "cached_s": [round(t, 2) for t in again], "cached_faster": round(statistics.median(ours) / statistics.median(again), 1),
            "ledger_100k_first_s": round(first, 2), "ledger_100k_resume_s": round(resumed, 2),
        }, indent=2))  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
