"""``superlink serve-flows``: run scheduled flows, with Prefect's dashboard."""

import argparse
import shlex
from typing import TYPE_CHECKING

from superlink.commands.options import whole
from superlink.terminal import say

if TYPE_CHECKING:
    from superlink.commands.options import Commands


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "serve-flows", help="run what superlink schedule has scheduled, with Prefect's dashboard"
    )
    parser.add_argument(
        "--port", type=whole(1, 65535), default=4200, help="of the dashboard, on this computer only (default: 4200)"
    )
    parser.add_argument(
        "--accelerators",
        type=whole(0),
        metavar="N",
        help="how many shards may use accelerators at a time, over all workers of the server "
        "(default: as many as this computer has)",
    )
    parser.set_defaults(command=serve_flows)


def serve_flows(given: argparse.Namespace) -> int:
    """Serve until stopped."""
    from flows.orchestration.server import configured, password_file, server

    own = not configured()
    with server(given.port) as address:
        say(f"Dashboard: {address.removesuffix('/api')}")
        if own:
            # The password itself is not printed, because output may be logged.
            say(f"Its password is in {password_file()}, which only you can read")
            say(
                f"For superlink annotate to show up there: export PREFECT_API_URL={address} "
                f'PREFECT_API_AUTH_STRING="$(cat {shlex.quote(str(password_file()))})"'
            )
        from flows.orchestration.worker import serve

        serve(_accelerators() if given.accelerators is None else given.accelerators)
    return 0


def _accelerators() -> int | None:
    from tools.runtime.model_cache import device

    if device() == "cpu":
        return None
    import torch

    return torch.cuda.device_count()
