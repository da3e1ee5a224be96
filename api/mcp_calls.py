"""One call of the MCP server: its progress as notifications, and questions to the person behind the client."""

import threading
from typing import Any

from anyio import from_thread
from mcp import types
from mcp.server.lowlevel import Server

from agents.session.events import Event
from agents.session.state import Decision
from flows.batch.events import Event as BatchEvent
from tools.core.abandon import Stopped

ACCEPT: Decision = {"action": "accept"}


class Call:
    """One call: whom to tell of its progress, and whom to ask."""

    def __init__(self, server: Server[Any, Any]) -> None:
        self.context = server.request_context
        self.cancelled = threading.Event()

    async def ask_person(self, question: str) -> Decision | None:
        """Ask through the client; None where it cannot ask, or nobody decided."""
        session = self.context.session
        if not session.check_client_capability(types.ClientCapabilities(elicitation=types.ElicitationCapability())):
            return None
        wanted: dict[str, Any] = {
            "type": "object",
            "properties": {"approve": {"type": "boolean", "title": "Run this plan?"}},
            "required": ["approve"],
        }
        answer = await session.elicit_form(question, wanted, str(self.context.request_id))
        if answer.action == "cancel":
            return None
        if answer.action == "accept" and (answer.content or {}).get("approve") is True:
            return ACCEPT
        return {"action": "reject"}

    def report(self, progress: float, total: float | None, message: str) -> None:
        """Send a progress notification, if the client wants them; called in the thread that works.

        Raises:
            Stopped: the client has cancelled the call.
        """
        if self.cancelled.is_set():
            raise Stopped("the call was cancelled")
        token = self.context.meta.progressToken if self.context.meta else None
        if token is not None:
            from_thread.run(
                self.context.session.send_progress_notification,
                token,
                progress,
                total,
                message,
                str(self.context.request_id),
            )


class Progress:
    """Events of a run as progress notifications, and what of them is shown to a person who is asked."""

    def __init__(self, call: Call, steps: int = 0) -> None:
        self._call, self._steps, self._sent = call, steps, 0.0
        self.tree = ""
        self.warnings: list[str] = []
        self.forecast: list[str] = []
        self.doubt = ""

    def step(self, event: Event) -> None:
        """Report an event of a session."""
        if event["event"] in ("plan", "approval"):
            self._steps = len(event["plan"]["steps"])
            self._report(0.5, self._steps + 1, "planned")
        elif event["event"] == "step":
            done = self._sent if event["state"] == "started" else self._sent + 1
            self._report(
                done, self._steps + 1 if self._steps else None, f"{event['step']} {event['tool']} {event['state']}"
            )

    def batch(self, event: BatchEvent) -> None:
        """Report an event of a batch run."""
        match event["event"]:
            case "plan":
                self.tree, self.doubt = event["tree"], event["doubt"]
                self.warnings = [*event["warnings"], *filter(None, (event["sure"], event["doubt"]))]
                self._report(self._sent, None, "planned")
            case "scan":
                self._report(self._sent, None, f"{event['items']} items, {event['pending']} to do")
            case "forecast":
                found = event["forecast"]
                self.forecast = [
                    f"Pilot: {found.pilot} items, {found.failed} failed. The other {found.items}: about "
                    f"{found.seconds:.0f} s, {found.bytes / 1e6:.0f} MB, {found.review} finds to review."
                ]
                self.forecast += [f"Look at {found.sheet}"] if found.sheet else []
                self._report(self._sent, None, self.forecast[0])
            case "progress":
                ended = event["done"] + event["failed"]
                self._report(ended, event["all"], f"{event['done']} done, {event['failed']} failed")
            case _:
                self._report(self._sent, None, event["event"])

    def _report(self, progress: float, total: float | None, message: str) -> None:
        self._sent = max(self._sent, progress)
        self._call.report(self._sent, total, message)


def question(tree: str, lines: list[str]) -> str:
    """What a person is asked before a plan runs."""
    return "\n".join(["superlink wants to run this plan:", tree, *lines])
