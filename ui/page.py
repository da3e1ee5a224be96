"""The page: five tabs over the same sessions, runs and tools as the command line."""

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Any

import gradio as gr

from agents.plan.types import AnyTool
from agents.planners.base import Planner
from agents.session.memory import close_saver, open_saver
from tools.core.errors import SettingsInvalid
from tools.core.http_guard import is_loopback
from tools.core.settings import settings
from tools.storage.store import Store
from ui.access.access import Access, has_users
from ui.access.database import page_folder
from ui.access.server import application, serve
from ui.access.versions import versions
from ui.api import NAMES, Endpoints
from ui.batches.sources import missing_roots
from ui.context import Context
from ui.tabs.batch import BatchTab
from ui.tabs.header import Header
from ui.tabs.models import ModelsTab
from ui.tabs.review import ReviewTab
from ui.tabs.session import SessionTab
from ui.tabs.tools import ToolsTab
from ui.turns.turns import Turns


def launch(
    tools: dict[str, AnyTool],
    planner: Planner,
    host: str = "127.0.0.1",
    port: int = 7860,
    password: str | None = None,
    hosts: Sequence[str] = (),
    max_upload: int | None = None,
    proxy: str = "",
) -> None:
    """Serve the page until stopped.

    Args:
        tools: Tools by name.
        planner: The planner.
        host: Address to serve on; any address other than loopback needs users or a password.
        port: Port to serve on.
        password: Password of the user "superlink".
        hosts: Further names under which visitors reach the page.
        max_upload: Maximum number of bytes of one upload; None for the setting `ui_upload_bytes`.
        proxy: Address of the proxy through which the page is reached; "" for none.

    Raises:
        SettingsInvalid: when others could reach the page without a password.
        SuperlinkError: when the page cannot be served at this address.
    """
    folder = page_folder()
    others = [name for name in (host, *hosts) if not is_loopback(name)]
    is_local = not proxy and not others
    if not is_local and not password and not has_users(folder):
        raise SettingsInvalid(
            f"the page would be open to everyone who can reach {', '.join(others) or 'the proxy'}",
            "Add users (superlink ui user add NAME) or one password for all (SUPERLINK_PASSWORD, --password); "
            "or leave the option out to serve this computer only",
        )
    if others and not proxy:
        print(
            "superlink: passwords and files cross the network in the clear; a proxy with TLS in front of the page "
            "(--behind-proxy) prevents it",
            file=sys.stderr,
        )
    if missing := missing_roots():
        names = ", ".join(map(str, missing))
        print(f"superlink: ui_roots (SUPERLINK_UI_ROOTS) names what is no folder: {names}", file=sys.stderr)
    os.environ.setdefault("GRADIO_TEMP_DIR", str(folder))
    # Gradio asks matplotlib for its backend in every event. Without one, the first visitor waits for pyplot's import.
    os.environ.setdefault("MPLBACKEND", "agg")
    importlib.import_module("matplotlib")
    with ExitStack() as opened:
        access = opened.enter_context(closing(Access.open(folder)))
        access.users.set_single(password)
        saver = open_saver(settings().home / "threads.sqlite")
        opened.callback(close_saver, saver)
        context = Context(dict(tools), planner, Store(settings().store_url), saver, folder, access.files)
        turns = opened.enter_context(closing(Turns(context)))
        turns.start()
        options: dict[str, Any] = {"is_open": is_local, "proxy": proxy, "max_upload": max_upload}
        routes = [versions(turns.version)]
        app = application(build(context, turns), access, [host, *hosts], endpoints=NAMES, routes=routes, **options)
        serve(app, host, port)


def build(context: Context, turns: Turns) -> gr.Blocks:
    """Make the page without serving it.

    Args:
        context: What all tabs share.
        turns: The sessions, which also say who owns their files.
    """
    # Gradio looks for updates on its own site unless disabled here; the option of Blocks is not enough.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    context.files.owner_of_thread = turns.owner_of_thread
    with gr.Blocks(title="superlink", analytics_enabled=False, fill_width=True) as page:
        Header(lambda: turns.planner_state).lay_out(page)
        # Channels between tabs: a plan for a batch, the folder of a run to review, a tool to try, weights to get.
        to_batch, to_review, to_session, to_models = gr.State(None), gr.State(""), gr.State(None), gr.State(None)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Session", id="session") as first:
                session = SessionTab(page, context, turns, to_batch, to_models)
                session.lay_out()
            with gr.Tab("Batch", id="batch") as batch:
                BatchTab(page, context, to_batch, to_review, to_models).lay_out(tabs, batch)
            with gr.Tab("Review", id="review") as review:
                ReviewTab(context, to_review).lay_out(tabs, review)
            with gr.Tab("Tools", id="tools") as tools:
                ToolsTab(page, context, turns, to_session, to_models).lay_out(tools)
            with gr.Tab("Models", id="models") as models:
                ModelsTab(page, to_models).lay_out(tabs, models)
            session.connect_tools(to_session, tabs, first)
        Endpoints(turns, context.files).lay_out()
    page.queue(max_size=256)
    return page
