"""A lean Bot API server and the customers who write, on one raw asyncio loop: neither may be what is measured.

The server reads no more of a call than the chat it is for. A customer posts an update to the bot's webhook, over a connection
that stays open, and waits for both: the webhook's 200 and the bot's `sendMessage` to them.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import unquote

TOKEN = "7000000001:AAfakeTokenOfTheLocalBotApiServer000"
SECRET = "benchSecret"
PATH = "/telegram/webhook"
_CHAT = re.compile(rb"chat_id[^0-9]{1,60}?(\d+)")  # in JSON, in a form, in multipart
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_URL = re.compile(rb"url\W{1,30}?(http[^&\s\"]+)")
ME = {"id": 7000000001, "is_bot": True, "first_name": "Stafett", "username": "stafett_bot"}


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with Content-Length, pipelined or not; each request is answered at once or by a task."""

    def __init__(self, server: BotApi) -> None:
        self._server = server
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                if b"100-continue" in head:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._server.called(head.split(b" ", 2)[1].rpartition(b"/")[2].decode(), body, self._answer)

    def _answer(self, result: bytes) -> None:
        body = b'{"ok":true,"result":%b}' % result
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )


class BotApi:
    """`async with BotApi() as tg`; its crowds hear each sendMessage."""

    def __init__(self) -> None:
        self.crowds: list[Crowd] = []
        self.sent = 0
        self.webhook_set = asyncio.Event()
        self.webhook = ""
        self.waiting: deque[dict[str, Any]] = deque()  # updates, for who polls
        self.confirmed = 0
        self._number = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def called(self, method: str, body: bytes, answer: Callable[[bytes], None]) -> None:
        if method == "sendMessage":
            found = _CHAT.search(body)
            chat = int(found[1]) if found else 0
            self._number += 1
            self.sent += 1
            answer(
                b'{"message_id":%d,"date":1767225600,"chat":{"id":%d,"type":"private","first_name":"K"},'
                b'"from":{"id":7000000001,"is_bot":true,"first_name":"Stafett","username":"stafett_bot"},"text":"ok"}'
                % (self._number, chat)
            )
            for crowd in self.crowds:
                crowd.heard(chat)
        elif method == "getUpdates":
            self._poll(body, answer)
        elif method == "getMe":
            answer(json.dumps(ME).encode())
        elif method == "getWebhookInfo":
            info = {"url": self.webhook, "has_custom_certificate": False, "pending_update_count": len(self.waiting)}
            answer(json.dumps(info).encode())
        else:
            answer(b"true")
        if method == "setWebhook":
            found = _URL.search(body)
            self.webhook = unquote(found[1].decode()) if found else ""
            self.webhook_set.set()

    def _poll(self, body: bytes, answer: Callable[[bytes], None]) -> None:
        asked = json.loads(body)
        while self.waiting and self.waiting[0]["update_id"] < asked["offset"]:
            self.waiting.popleft()
            self.confirmed += 1
        batch = [self.waiting[place] for place in range(min(asked["limit"], len(self.waiting)))]
        if batch:
            answer(json.dumps(batch).encode())
        else:
            asyncio.get_running_loop().call_later(0.5, answer, b"[]")


def update(number: int, chat: int, text: str) -> dict[str, Any]:
    """A private message, with what a real one carries."""
    who = {"id": chat, "first_name": "Kari", "last_name": f"N{chat}", "username": f"kari{chat}", "language_code": "en"}
    there = {"id": chat, "type": "private", "first_name": "Kari", "last_name": f"N{chat}", "username": f"kari{chat}"}
    message = {"message_id": number, "from": {**who, "is_bot": False}, "chat": there, "date": 1767225600, "text": text}
    return {"update_id": number, "message": message}


class _Poster(asyncio.Protocol):
    """One connection to the bot's webhook."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._buffer = b""
        self._waiting: asyncio.Future[int] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionError("the bot hung up"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None or self._waiting.done():
            return
        found = _LENGTH.search(self._buffer, 0, end)
        if len(self._buffer) >= end + 4 + (int(found[1]) if found else 0):
            status = int(self._buffer[9:12])
            self._buffer = b""
            self._waiting.set_result(status)

    def post(self, body: bytes) -> asyncio.Future[int]:
        """The answer's status, to come."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(
            b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"X-Telegram-Bot-Api-Secret-Token: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (PATH.encode(), SECRET.encode(), len(body), body)
        )
        return self._waiting

    def hang_up(self) -> None:
        self._transport.close()


class Crowd:
    """Customers who write to one bot's webhook. Update and message numbers go up over all rounds."""

    def __init__(
        self, tg: BotApi, port: int, chats: int, texts: tuple[str, ...], first: int = 1_000, *, hears: bool = True
    ) -> None:
        """`first`: the lowest of their chats' ids; no two crowds of one bot share any. `hears`: they wait for an answer to each
        message, not only for the webhook's.
        """
        self._hears = hears
        self._port = port
        self._chats = chats
        self._first = first
        tg.crowds.append(self)
        self._texts = texts
        self._said = 0  # messages, over all rounds
        self._waiting: dict[int, deque[asyncio.Future[float]]] = {}

    async def _connect(self) -> _Poster:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Poster, "127.0.0.1", self._port))[1]

    def _next(self) -> tuple[int, bytes]:
        """The next message: chat after chat, and in each chat text after text."""
        number, self._said = self._said, self._said + 1
        chat = self._first + number % self._chats
        text = self._texts[number // self._chats % len(self._texts)]
        return chat, json.dumps(update(self._first * 1_000_000 + number, chat, text)).encode()

    async def _one(self, poster: _Poster) -> float:
        """Seconds from the post to the bot's message. Raises as `_posted` does."""
        chat, body = self._next()
        if not self._hears:
            return await self._posted(poster, body)
        heard = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(chat, deque()).append(heard)
        began = time.perf_counter()
        await self._posted(poster, body)
        answered: float = await heard
        return answered - began

    async def _posted(self, poster: _Poster, body: bytes) -> float:
        """Seconds until it was taken. Raises RuntimeError when the webhook refuses it."""
        began = time.perf_counter()
        status = await poster.post(body)
        if status != 200:
            raise RuntimeError(f"the webhook answered {status}")
        return time.perf_counter() - began

    def heard(self, chat: int) -> None:
        waiters = self._waiting.get(chat)
        if waiters:
            waiters.popleft().set_result(time.perf_counter())

    async def in_flight(self, at_once: int, count: int) -> float:
        """Messages a second, `at_once` under way all the time."""
        posters = [await self._connect() for _ in range(at_once)]
        left = count

        async def write(poster: _Poster) -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await self._one(poster)

        began = time.perf_counter()
        async with asyncio.timeout(600):
            await asyncio.gather(*(write(poster) for poster in posters))
        taken = time.perf_counter() - began
        for poster in posters:
            poster.hang_up()
        return count / taken

    async def at_rate(self, per_second: float, count: int) -> list[float]:
        """The seconds that each answer took, messages coming evenly, whether or not the one before is answered."""
        free = [await self._connect() for _ in range(16)]
        taken: list[float] = []

        async def write() -> None:
            poster = free.pop() if free else await self._connect()
            taken.append(await self._one(poster))
            free.append(poster)

        began, writing = time.perf_counter(), []
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            writing.append(asyncio.create_task(write()))
        async with asyncio.timeout(120):
            await asyncio.gather(*writing)
        for poster in free:
            poster.hang_up()
        return taken
