"""``python -m superlink``."""

import sys

from superlink.cli import main

sys.exit(main())
