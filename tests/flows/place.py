"""A Prefect server of superlink's own, and the commands that use it, for tests."""

import json
import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any
from uuid import UUID

from superlink.cli import main
from tests.flows.conftest import TOOLS
from tests.waiting import WAIT, until

ROOT = Path(__file__).resolve().parents[2]
SLOW = str(Path(__file__).with_name("slow.py"))
FADE = {"request": "fade it", "outputs": ["$s1"], "steps": [{"id": "s1", "tool": "fade", "args": {"image": "$image"}}]}


def bare() -> dict[str, str]:
    """The environment of a terminal in which nobody has named a server."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING")
    }


class Place:
    """A server, a folder of our own, and the commands that use them."""

    def __init__(self, folder: Path, api: str) -> None:
        from prefect import get_client

        self.folder, self.api, self.log = folder, api, folder / "calls.txt"
        self.client = get_client(sync_client=True)
        self.serving: subprocess.Popen[bytes] | None = None
        self.log.touch()

    @property
    def home(self) -> Path:
        return self.folder / "home" / "prefect"

    def password(self) -> str:
        return (self.home / "password").read_text()

    def admitted(self) -> dict[str, str]:
        """Headers of somebody who has the password."""
        return {"Authorization": "Basic " + b64encode(self.password().encode()).decode()}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in another terminal, where somebody has typed what serve-flows printed."""
        export = until(
            lambda: re.search("export .*", (self.folder / "serve.log").read_text()), "what serve-flows prints"
        ).group()
        return subprocess.run(
            ["sh", "-c", f'{export}; exec "$@"', "sh", sys.executable, "-m", "superlink", *arguments],
            cwd=ROOT,
            env=bare(),
            capture_output=True,
            text=True,
            timeout=WAIT,
        )

    def serve(self) -> None:
        with (self.folder / "serve.log").open("ab") as log:
            self.serving = subprocess.Popen(
                [sys.executable, "-m", "superlink", "serve-flows"], cwd=ROOT, env=bare(), stdout=log, stderr=log
            )

    def stop(self, how: signal.Signals) -> None:
        if self.serving is not None:
            self.serving.send_signal(how)
            self.serving.wait(WAIT)
            self.serving = None

    def schedule(self, name: str, plan: dict[str, Any], pictures: Path, *more: str, cron: str = "0 2 1 1 *") -> UUID:
        """Once a year, by default; runs are started by `begin`."""
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(plan))
        assert (
            main(
                [
                    "schedule",
                    cron,
                    "",
                    str(pictures),
                    "--out",
                    str(self.folder / name),
                    "--plan",
                    str(file),
                    "--yes",
                    "--tools",
                    SLOW if plan is FADE else TOOLS,
                    "--shard",
                    "4",
                    *more,
                ]
            )
            == 0
        )
        return self.client.read_deployment_by_name(f"annotate/{name}").id

    def begin(self, deployment: UUID) -> UUID:
        return self.client.create_flow_run_from_deployment(deployment).id

    def state(self, run: UUID) -> Any:
        return self.client.read_flow_run(run).state

    def end(self, run: UUID) -> Any:
        """The state in which a run ended."""
        return until(lambda: (state := self.state(run)) is not None and state.is_final() and state, f"the end of {run}")

    def calls(self, name: str) -> list[str]:
        """The processes of calls, in the order in which they began."""
        return [line.split(":")[1] for line in self.log.read_text().split() if line.startswith(name + ":")]
