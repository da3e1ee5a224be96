"""The page: five tabs over the same sessions, runs and tools as the command line."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from agents.plan.types import AnyTool
from agents.planners.base import Planner
from agents.session.memory import Saver, close_saver, open_saver
from tools.core.errors import SettingsInvalid
from tools.core.http_guard import is_loopback
from tools.core.settings import settings
from tools.storage.store import Store
from ui.access.server import MAX_UPLOAD, application, serve
from ui.access.visitors import Files
from ui.context import Context
from ui.tabs.session import SessionTab

USER = "superlink"
"""User name of visitors."""

_TITLE = """<h1>superlink</h1>
<p>Say what should happen to your pictures, sound, video or text. You see the plan first.</p>"""


def launch(
    tools: dict[str, AnyTool],
    planner: Planner,
    host: str = "127.0.0.1",
    port: int = 7860,
    password: str | None = None,
    hosts: Sequence[str] = (),
    max_upload: int = MAX_UPLOAD,
) -> None:
    """Serve the page until stopped.

    Args:
        tools: Tools by name.
        planner: The planner.
        host: Address to serve on; any address other than loopback needs a password.
        port: Port to serve on.
        password: Password of visitors, whose user name is "superlink".
        hosts: Further names under which visitors reach the page.
        max_upload: Maximum number of bytes of one upload.

    Raises:
        SettingsInvalid: when others could reach the page without a password.
        SuperlinkError: when the page cannot be served at this address.
    """
    if not password and not is_loopback(host):
        raise SettingsInvalid(
            f"the page would be open to everyone who can reach {host}",
            "Set SUPERLINK_PASSWORD, or add --password; or leave --host out to serve this computer only",
        )
    os.environ.setdefault("GRADIO_TEMP_DIR", str(settings().home / "page"))
    saver = open_saver(settings().home / "threads.sqlite")
    try:
        files = Files(public=_samples())
        page = build(tools, planner, Store(settings().store_url), saver, files)
        auth = (USER, password) if password else None
        serve(application(page, files, auth, [host, *hosts], max_upload), host, port)
    finally:
        close_saver(saver)


def build(tools: Mapping[str, AnyTool], planner: Planner, store: Store, saver: Saver, files: Files) -> gr.Blocks:
    """Make the page without serving it.

    Args:
        tools: Tools by name.
        planner: The planner.
        store: The store of values.
        saver: The database of threads, which all tabs share.
        files: Owners of files; results are added to it.
    """
    # Gradio looks for updates on its own site unless disabled here; the option of Blocks is not enough.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    context = Context(dict(tools), planner, store, saver, Path(get_upload_folder()), files)
    with gr.Blocks(title="superlink", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.HTML(_TITLE, elem_classes="sl-title")
        with gr.Tabs(elem_id="tabs"), gr.Tab("Session", id="session"):
            SessionTab(page, context).lay_out()
    page.queue(max_size=32)
    return page


def _samples() -> Path:
    return Path(get_upload_folder()) / "samples"
