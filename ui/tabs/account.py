"""Who is logged in, and the way out: a line below the list of sessions."""

import gradio as gr
from markupsafe import Markup

from ui.access.users import LOCAL
from ui.access.visitors import owner_of
from ui.tabs.events import QUIET

_LINE = Markup('<p class="sl-note">Logged in as {}. <a href="/logout">Log out</a></p>')


class Account:
    """The line; empty where the page has no users."""

    def lay_out(self) -> None:
        """Place the line, which is filled when the page is loaded."""
        line = gr.HTML(elem_id="account")
        gr.on(None, account_html, None, line, **QUIET)


def account_html(caller: gr.Request) -> str:
    """Return the line for the user who loads the page."""
    owner = owner_of(caller)
    return "" if owner == LOCAL else str(_LINE.format(owner))
