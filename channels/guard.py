"""A network backend that connects only to where it may: asked at connect time, so that no name can mean another place later.

A host is looked up once, every address that it has is judged, and it is one of just these that is connected to (S28: DNS
rebinding). Addresses of private networks, of this machine, of the link, multicast, and those that carry such an IPv4
address inside an IPv6 one are refused, unless the desk names the host in `allow_hosts`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore2

from bot.errors import Refused

_NAT64 = IPv6Network("64:ff9b::/96")


class Guarded(httpcore2.AsyncNetworkBackend):
    """`allowed(host)` tells whether a host may be anywhere. Raises Refused for an address that is not public."""

    def __init__(self, allowed: Callable[[str], bool]) -> None:
        self._allowed = allowed
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        address = host
        if not self._allowed(host):
            found = await self._addresses(host, port)
            inside = next((one for one in found if not is_public(one)), None)
            if inside is not None:
                raise Refused(f"{host} is at {inside}, inside a private network; if it may be, name it in allow_hosts")
            address = found[0]
        return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        raise Refused("nothing is sent to sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} can't be found: {error}") from error
        return [str(one[4][0]) for one in found]


def is_public(address: str) -> bool:
    """Whether anybody on the internet is meant by it."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _within(ip) if isinstance(ip, IPv6Address) else None
    return ip.is_global and not ip.is_multicast and (inner is None or is_public(str(inner)))


def _within(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, Teredo, NAT64."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
