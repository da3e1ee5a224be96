"""``python -m superlink``."""

import sys
from pathlib import Path

# Python searches the working directory first, where a user's own tools.py would hide our package of that name.
if not sys.flags.safe_path and Path(sys.path[0] or ".").resolve() != Path(__file__).resolve().parents[1]:
    del sys.path[0]

from superlink.cli import main

sys.exit(main())
