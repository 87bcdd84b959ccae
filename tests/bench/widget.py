"""(f): widgets that are open and silent: what one costs in memory, and whether one that is used notices the others."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import resource
import struct
import tempfile
import time
import uuid
from contextlib import AsyncExitStack
from statistics import median
from typing import Any

from tests.bench.child import Child
from tests.bench.pipeline import TEXTS, free_port, settings
from tests.bench.table import Row
from tests.bench.telegram import BotApi

FEW = 100
PAUSE = 0.5  # seconds between what one visitor says: a widget may say some things in a row, not many
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


class Widget(asyncio.Protocol):
    """One widget's socket, with no more of the protocol than is met: small text frames, pings."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._buffer = b""
        self._upgraded = False
        self._waiting: tuple[str, asyncio.Future[Any]] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting[1].done():
            self._waiting[1].set_exception(error or ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            self._http()
        while self._upgraded and (frame := self._frame()) is not None:
            kind, body = frame
            if kind == 9:
                self._send(body, 0x8A)
            elif kind == 1:
                self._got(json.loads(body))

    def _http(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        if self._buffer.startswith(b"HTTP/1.1 101"):
            self._upgraded, self._buffer = True, self._buffer[end + 4 :]
            self._got({"type": "open"})
            return
        found = _LENGTH.search(self._buffer, 0, end)
        whole = end + 4 + int(found[1] if found else 0)
        if len(self._buffer) >= whole:
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._got({**json.loads(body), "type": "answer"})

    def _frame(self) -> tuple[int, bytes] | None:
        if len(self._buffer) < 2:
            return None
        size, head = self._buffer[1] & 0x7F, 2
        if size == 126:
            size, head = int.from_bytes(self._buffer[2:4]), 4
        elif size == 127:
            size, head = int.from_bytes(self._buffer[2:10]), 10
        if len(self._buffer) < head + size:
            return None
        kind, body = self._buffer[0] & 0x0F, self._buffer[head : head + size]
        self._buffer = self._buffer[head + size :]
        return kind, body

    def _got(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "error":
            raise RuntimeError(f"the server refuses: {frame}")
        if self._waiting is not None and frame["type"] == self._waiting[0] and not self._waiting[1].done():
            self._waiting[1].set_result(frame)

    def _send(self, body: bytes, head: int = 0x81) -> None:
        mask = os.urandom(4)
        masked = bytes(one ^ mask[place % 4] for place, one in enumerate(body))
        size = bytes([0x80 | len(body)]) if len(body) < 126 else struct.pack("!BH", 0xFE, len(body))
        self._transport.write(bytes([head]) + size + mask + masked)

    async def _ask(self, data: bytes | dict[str, Any], awaited: str) -> dict[str, Any]:
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting = (awaited, waiting)
        if isinstance(data, bytes):
            self._transport.write(data)
        else:
            self._send(json.dumps(data).encode())
        async with asyncio.timeout(60):
            return dict(await waiting)

    async def opens(self) -> None:
        """A new visitor: a session, the socket, the first frame."""
        head = b"POST /api/web/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        token = (await self._ask(head, "answer"))["token"]
        key = base64.b64encode(os.urandom(16))
        upgrade = b"GET /api/web/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        await self._ask(upgrade + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n", "open")
        await self._ask({"type": "hello", "token": token, "after": 0}, "ready")

    async def says(self, text: str) -> float:
        """Seconds until it is acknowledged: stored, and the bot's turn done."""
        began = time.perf_counter()
        await self._ask({"type": "message", "id": str(uuid.uuid4()), "text": text}, "ack")
        return time.perf_counter() - began

    def closes(self) -> None:
        self._transport.abort()


async def run(*, quick: bool = False, tiny: bool = False) -> list[Row]:
    many, probes = (20, 3) if tiny else (1_000, 20) if quick else (5_000, 60)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536) if most > 0 else 65_536, most))
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        tg = await stack.enter_async_context(BotApi())
        port = free_port()
        given = settings(tg, port, f"sqlite+aiosqlite:///{folder}/bench.db")
        for name in ("TOKEN", "API_URL", "WEBHOOK_SECRET"):
            del given[f"STAFETT_TELEGRAM_{name}"]
        child = await stack.enter_async_context(Child("stafett", given))
        idle = await _open(port, min(FEW, many))
        active = (await _open(port, 1))[0]
        await _probe(active, probes)  # warm
        among_few, before = await _probe(active, probes), (await child.used()).rss
        idle += await _open(port, many - len(idle))
        after = (await child.used()).rss
        with_many = median(await _probe(active, probes))
        for one in idle[FEW:]:
            one.closes()
        await asyncio.sleep(PAUSE)
        among_few += await _probe(active, probes)  # before and after: how busy the machine is changes
        for one in (*idle[:FEW], active):
            one.closes()
    opened, with_few = max(1, many - min(FEW, many)), median(among_few)
    return [
        Row("f", f"memory of an idle socket, of {many:,}", (after - before) / opened / 1024, 40.0, unit=" KiB"),
        Row("f", f"latency of an active one among {many:,} idle, to among {FEW}", with_many / with_few, 2.0,
            detail=f"{with_many * 1e3:.1f} ms to {with_few * 1e3:.1f} ms"),
    ]  # fmt: skip


async def _open(port: int, count: int) -> list[Widget]:
    loop, made = asyncio.get_running_loop(), list[Widget]()
    while len(made) < count:
        some = min(16, count - len(made))
        new = [(await loop.create_connection(Widget, "127.0.0.1", port))[1] for _ in range(some)]
        await asyncio.gather(*(one.opens() for one in new))
        made += new
    return made


async def _probe(active: Widget, count: int) -> list[float]:
    """The seconds until each acknowledgement."""
    taken = []
    for number in range(count):
        taken.append(await active.says(TEXTS[number % len(TEXTS)]))
        await asyncio.sleep(PAUSE)
    return taken
