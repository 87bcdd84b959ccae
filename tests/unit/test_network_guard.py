"""No test leaves this machine."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.network import OffMachine, is_local


def test_a_connection_beyond_loopback_fails() -> None:
    with socket.socket() as sock, pytest.raises(OffMachine):
        sock.connect(("192.0.2.1", 80))


async def test_neither_do_libraries_get_out() -> None:
    with pytest.raises(OffMachine):
        await asyncio.open_connection("example.invalid", 443)


async def test_loopback_is_open() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        _, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", b"localhost", "0.0.0.0", None])
def test_this_machine(host: object) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "localhost.example", "example.org", b"example.org"])
def test_elsewhere(host: object) -> None:
    assert not is_local(host)
