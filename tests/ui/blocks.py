"""A part of the page, served by Gradio alone: without the guards, which are tested by themselves."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import pytest


@contextmanager
def serve_blocks(make: Callable[[], gr.Blocks], folder: Path, home: Path | None = None) -> Iterator[str]:
    """Serve what `make` returns inside the block, and yield its address.

    Args:
        make: Makes the part, in the environment in which it is served.
        folder: Folder whose files it may show, and of its uploads.
        home: Home folder of superlink; None leaves it as it is.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GRADIO_")]:
            patch.delenv(name)
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        if home is not None:
            patch.setenv("SUPERLINK_HOME", str(home))
        blocks = make()
        blocks.launch(
            server_name="127.0.0.1",
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            ssr_mode=False,
            allowed_paths=[str(folder)],
        )
        yield f"http://127.0.0.1:{port}"
        blocks.close()
