"""Count the faces in photographs, and write drawings of them.

    python benchmarks/faces.py FOLDER [--out DIR]

Prints a table: file, size, faces found by ``detect(labels=["face"])``, scores, seconds. With ``--out`` the drawn
photographs and a contact sheet are written there.
"""

import argparse
import time
from pathlib import Path

from tools.detect import detect
from tools.imaging.drawing import contact_sheet, draw
from tools.values import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    files = sorted(f for f in given.folder.iterdir() if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
    drawn, captions, total = [], [], 0
    print(f"{'file':<34} {'size':>11} {'faces':>5}  {'s':>5}  scores")
    for file in files:
        image = Image.open(file)
        began = time.perf_counter()
        (found,) = detect([image], ["face"])
        seconds = time.perf_counter() - began
        total += len(found)
        scores = " ".join(f"{score:.2f}" for score in sorted(found.scores.tolist(), reverse=True)[:12])
        print(f"{file.name:<34} {f'{image.width}x{image.height}':>11} {len(found):>5}  {seconds:>5.2f}  {scores}")
        drawn.append(draw(image, found))
        captions.append(f"{file.stem}: {len(found)}")
    print(f"{len(files)} photographs, {total} faces")
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        for file, picture in zip(files, drawn, strict=True):
            (given.out / f"{file.stem}.png").write_bytes(picture.to_bytes())
        (given.out / "sheet.png").write_bytes(contact_sheet(drawn, captions).to_bytes())


if __name__ == "__main__":
    main()
