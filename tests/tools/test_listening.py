"""Sockets of servers: answers leave at once, and an address that is taken is a clear error."""

import asyncio
import socket

import pytest

from tools.core.errors import SuperlinkError
from tools.core.listening import listen


def test_answers_do_not_wait_for_acknowledgements() -> None:
    delays = []

    async def serve_one() -> None:
        seen = asyncio.Event()

        async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            delays.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
            seen.set()

        bound = listen("127.0.0.1", 0)
        async with await asyncio.start_server(take, sock=bound):
            _, writer = await asyncio.open_connection(*bound.getsockname())
            await seen.wait()
            writer.close()

    asyncio.run(serve_one())
    assert delays == [1]


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as bound, pytest.raises(SuperlinkError, match="taken or not this computer's"):
        listen(*bound.getsockname())
