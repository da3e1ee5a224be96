"""The main job on real photographs: blur every face, read what is written, say it aloud.

    python examples/demo.py [FOLDER]

The photographs are those that installed packages carry (ultralytics, scikit-image, matplotlib), so nothing is
downloaded. Results go to FOLDER (default: demo), one folder for each photograph. For pictures of other things,
drawn and with their truth, there is ``superlink world --out DIR``.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from superlink.cli import main

REQUEST = "blur every face, then read the text and say it out loud"
PHOTOGRAPHS = {
    "ultralytics": ("assets/zidane.jpg", "assets/bus.jpg"),
    "skimage": ("data/astronaut.png",),
    "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
}


def photographs() -> list[Path]:
    """Paths of the photographs within the installed packages."""
    found = []
    for package, names in PHOTOGRAPHS.items():
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"the package {package} is not installed: run make setup")
        found += [Path(spec.origin).parent / name for name in names]
    return found


if __name__ == "__main__":
    out = sys.argv[1] if len(sys.argv) > 1 else "demo"
    sys.exit(main(["run", REQUEST, *map(str, photographs()), "--yes", "--out", out]))
