"""A part of the page, served as the page is."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import gradio as gr
import pytest

from tests.serving import in_thread
from ui.access.access import Access
from ui.access.server import application
from ui.access.users import LOCAL


@contextmanager
def serve_blocks(make: Callable[[], gr.Blocks], folder: Path, home: Path | None = None) -> Iterator[str]:
    """Serve what `make` returns inside the block, and yield its address.

    Args:
        make: Makes the part, in the environment in which it is served.
        folder: Folder whose files it may show, and of its uploads.
        home: Home folder of superlink; None leaves it as it is.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GRADIO_")]:
            patch.delenv(name)
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        if home is not None:
            patch.setenv("SUPERLINK_HOME", str(home))
        with closing(Access.open(folder)) as access:
            access.files.give(folder, LOCAL)
            with in_thread(application(make().queue(), access)) as address:
                yield address
