"""Kept connections to the Bot API server, each of which carries one POST at a time: what nearly all our calls are made of.

aiohttp's client serves every kind of request, for three times the CPU. This one knows what matters to an outbox: whether a
byte of the request may have left. Until a connection stands none has (`Unreached`); from then on, whatever goes wrong may
have gone wrong after the other side did what was asked (`Unanswered`). It never tries again by itself.

As many connections are made as there are posts at the same time: who posts keeps that within bounds (AT_ONCE in
channels/delivery/loop.py).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from typing import Any

import aiohappyeyeballs
import certifi
import httptools
from aiohttp import encode_basic_auth
from yarl import URL

IDLE = 15.0  # seconds; a connection unused for longer may be just about to be closed by the other side
ANOTHER_ADDRESS = 0.25  # seconds until a host's next address is tried beside the first (RFC 8305)
LONGEST = 1024 * 1024  # bytes of an answer; Telegram's are a few kB


class Unreached(Exception):
    """There is no connection, so not a byte of the request has left."""


class Unanswered(Exception):
    """The request may have arrived; its answer has not, or can't be read."""


class Lines:
    """Connections to the server of `url` (http or https; a user and password in it are sent along)."""

    def __init__(self, url: str, secure: ssl.SSLContext | None = None) -> None:
        """`secure`: how an https server is checked; by default as aiogram checks it, by certifi's list."""
        to = URL(url)
        self._host, self._port = to.raw_host or "", to.port or 80
        if to.scheme == "https":
            secure = secure or ssl.create_default_context(cafile=certifi.where())
        self._secure = secure if to.scheme == "https" else None
        self._head = f"Host: {to.host_port_subcomponent}\r\n".encode()
        if to.user is not None:
            self._head += f"Authorization: {encode_basic_auth(to.user, to.password or '')}\r\n".encode()
        self._free: deque[_Line] = deque()
        self._all: set[_Line] = set()

    async def post(self, target: bytes, body: bytes, within: float) -> tuple[int, bytes]:
        """The answer's status and body, to JSON posted to a path. Raises Unreached, Unanswered; `within` in seconds each."""
        line = self._kept() or await self._connect(within)
        request = b"POST %b HTTP/1.1\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        try:
            answer = await line.ask(request % (target, self._head, len(body), body), within)
        except BaseException:
            line.drop()  # an answer that comes later must not be taken for the next one's
            raise
        if line.is_open:
            self._free.append(line)
        else:
            line.drop()  # the other side may say that it closes, and wait for us
        return answer

    def close(self) -> None:
        for line in tuple(self._all):
            line.drop()

    def _kept(self) -> _Line | None:
        """The connection that was used last, so that those which are too many grow old."""
        oldest = asyncio.get_running_loop().time() - IDLE
        while self._free and (not self._free[0].is_open or self._free[0].since < oldest):
            self._free.popleft().drop()
        while self._free:
            line = self._free.pop()
            if line.is_open:
                return line
        return None

    async def _connect(self, within: float) -> _Line:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                plain = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=ANOTHER_ADDRESS)
                name = self._host if self._secure else None
                _, line = await loop.create_connection(
                    lambda: _Line(self._all), sock=plain, ssl=self._secure, server_hostname=name
                )
        except (OSError, UnicodeError, RuntimeError) as error:  # uvloop may say RuntimeError for a socket that is gone
            raise Unreached(type(error).__name__) from error
        return line


class _Line(asyncio.Protocol):
    """One connection. httptools calls what is named `on_…`."""

    def __init__(self, among: set[_Line]) -> None:
        self._among = among
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body = b""
        self._headed = False  # whether an answer's headers are complete
        self._keeps = True
        self._give_up = 0.0  # on the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self.since = 0.0  # when the last answer came, on the loop's clock

    @property
    def is_open(self) -> bool:
        return self._keeps and not self._transport.is_closing()

    async def ask(self, request: bytes, within: float) -> tuple[int, bytes]:
        self._answer, self._body, self._headed = self._loop.create_future(), b"", False
        self._give_up = self._loop.time() + within
        if self._timer is None:
            self._timer = self._loop.call_at(self._give_up, self._look)
        if self._transport.is_closing():
            raise Unreached("closed")  # by the other side, before a byte has left
        self._transport.write(request)
        return await self._answer

    def drop(self) -> None:
        self._keeps = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()

    def _look(self) -> None:
        """One timer at a time for a connection, not one for each request, which nearly always would be for nothing."""
        self._timer = None
        if self._answer is None or self._answer.done():
            return
        if self._loop.time() >= self._give_up:
            self._fail("TimeoutError")
        else:
            self._timer = self._loop.call_at(self._give_up, self._look)

    def _fail(self, reason: str) -> None:
        self._keeps = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Unanswered(reason))

    # ── asyncio.Protocol ───────────────────────────────────────────────────────────────────────────────────────────
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._among.add(self)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.drop()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(type(error).__name__)
            self.drop()

    def connection_lost(self, error: Exception | None) -> None:
        self._among.discard(self)
        if error is None and self._headed:  # an answer that says its length by its end; one cut short is no JSON
            self.on_message_complete()
        self._fail(type(error).__name__ if error else "closed")
        self.drop()

    # ── httptools ──────────────────────────────────────────────────────────────────────────────────────────────────
    def on_headers_complete(self) -> None:
        self._headed = True

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > LONGEST:
            self._fail("too long")
            self.drop()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # "100 Continue", which nobody asked for: the answer is still to come
            self._body, self._headed = b"", False
            return
        self._keeps = self._keeps and self._parser.should_keep_alive()
        self.since = self._loop.time()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, self._body))
