"""The switch that keeps the tests on this machine: a call beyond loopback fails the test that made it."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

LOOPBACK_NAMES = {"localhost", "", None}


class OffMachine(RuntimeError):
    """A test tried to reach the network."""


def is_local(host: object) -> bool:
    """Whether `host` (a name, an address, or what a Unix socket has instead) stays on this machine."""
    if isinstance(host, bytes):
        host = host.decode()
    if host in LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def forbid(patch: pytest.MonkeyPatch) -> None:
    """Guards connects and look-ups of every library that uses Python's sockets; uvloop does not, so tests use asyncio's."""

    def guarded(original: Any) -> Any:
        def method(self: socket.socket, address: Any, *rest: Any) -> Any:
            if self.family in {socket.AF_INET, socket.AF_INET6} and not is_local(address[0]):
                raise OffMachine(f"a test tried to reach {address[0]}")
            return original(self, address, *rest)

        return method

    look_up = socket.getaddrinfo

    def guarded_look_up(host: Any, *args: Any, **options: Any) -> Any:
        if not is_local(host):
            raise OffMachine(f"a test tried to look up {host}")
        return look_up(host, *args, **options)

    patch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
    patch.setattr(socket, "getaddrinfo", guarded_look_up)
