"""``python -m superlink``."""

import sys
from pathlib import Path

# Python puts the folder that it is started in before all others, and a person's own tools.py there before our tools.
if not sys.flags.safe_path and Path(sys.path[0] or ".").resolve() != Path(__file__).resolve().parents[1]:
    del sys.path[0]

from superlink.cli import main

sys.exit(main())
