"""Sockets on which HTTP servers of this computer listen."""

import socket

from tools.core.errors import SuperlinkError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, for `uvicorn.Server.run(sockets=[...])`.

    uvicorn ends the process when it cannot bind; this raises instead. The socket names its protocol, because asyncio
    turns Nagle's algorithm off for such sockets alone. With it, each response in two parts waits 40 ms for the
    acknowledgement of the first.

    Args:
        host: Name or address of this computer.
        port: 0 for a free one.

    Raises:
        SuperlinkError: when the address is in use, or is not an address of this computer.
    """
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = places[0]
        bound = socket.create_server(place[:2], family=family)
    except OSError as error:
        raise SuperlinkError(
            f"nothing can be served on {host}, port {port}, which is taken or not this computer's",
            "Choose another with --port or --host",
        ) from error
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=bound.detach())
