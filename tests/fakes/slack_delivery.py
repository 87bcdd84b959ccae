"""How Slack reaches the app: signed HTTP posts, or envelopes over Socket Mode; what is not acknowledged comes again.

Events are offered one after the other and repeated three times (at once, then later; same event_id).
Interactions are offered once. Whatever carries them, an answer later than `ack_timeout` is no answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientConnectionError, ClientError, ClientSession, ClientTimeout, WSMsgType, web

from tests.fakes.server import Changes

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver: `kind` events_api, interactive or slash_commands; `failure` as in X-Slack-Retry-Reason."""

    kind: str
    key: str  # the event_id, or the interaction's type
    retry: int
    failure: str  # empty: acknowledged


@dataclass(eq=False)
class Socket:
    """One Socket Mode connection. A frozen one takes everything and answers nothing, not even pings."""

    ws: web.WebSocketResponse
    waiting: dict[str, asyncio.Future[Payload]] = field(default_factory=dict)
    frozen: bool = False

    async def read(self) -> None:
        async for message in self.ws:
            if self.frozen:
                continue
            if message.type is WSMsgType.PING:
                await self.ws.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                ack = json.loads(message.data)
                waiter = self.waiting.pop(ack.get("envelope_id", ""), None)
                if waiter is not None and not waiter.done():
                    waiter.set_result(ack.get("payload") or {})

    async def offer(self, envelope: Payload, timeout: float) -> Payload | None:
        """The acknowledgement's payload, or None."""
        waiter: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self.waiting[envelope["envelope_id"]] = waiter
        with suppress(TimeoutError, ClientConnectionError, ConnectionError):
            await self.ws.send_json(envelope)
            return await asyncio.wait_for(waiter, timeout)
        self.waiting.pop(envelope["envelope_id"], None)
        return None


@dataclass
class Delivery:
    changes: Changes
    now: Callable[[], datetime]
    spawn: Callable[[Coroutine[Any, Any, None]], Any]
    http: Callable[[], ClientSession]
    signing_secret: str
    events_url: str = ""
    interactivity_url: str = ""
    ack_timeout: float = 3.0
    retry_delays: tuple[float, ...] = (0.0, 0.05, 0.2)  # seconds; Slack: at once, a minute, five minutes
    sockets: list[Socket] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    delivered: list[Payload] = field(default_factory=list)
    lost: list[Payload] = field(default_factory=list)
    held: list[Payload] | None = None
    _queue: list[Payload] = field(default_factory=list)
    _working: bool = False
    _retrying: int = 0
    _turn: int = 0

    @property
    def idle(self) -> bool:
        return not (self._queue or self._working or self._retrying)

    # --- events ------------------------------------------------------------------------------------------

    def event(self, envelope: Payload) -> None:
        if self.held is not None:
            self.held.append(envelope)
            return
        self._queue.append(envelope)
        if not self._working:
            self._working = True
            self.spawn(self._drain())

    def release(self, shuffle: Random | None, copies: int) -> None:
        items = [item for item in self.held or () for _ in range(copies)]
        self.held = None
        if shuffle is not None:
            shuffle.shuffle(items)
        for item in items:
            self.event(item)

    async def _drain(self) -> None:
        try:
            while self._queue:
                envelope = self._queue.pop(0)
                failure = await self._offer_event(envelope, 0, "")
                if failure:
                    self._retrying += 1
                    self.spawn(self._retry(envelope, failure))
        finally:
            self._working = False
            self.changes.tell()

    async def _retry(self, envelope: Payload, failure: str) -> None:
        try:
            for number, delay in enumerate(self.retry_delays, start=1):
                if failure == "no_retry":
                    break
                await asyncio.sleep(delay)
                failure = await self._offer_event(envelope, number, failure)
                if not failure:
                    return
            self.lost.append(envelope)
        finally:
            self._retrying -= 1
            self.changes.tell()

    async def _offer_event(self, envelope: Payload, retry: int, reason: str) -> str:
        """Empty when it was taken, else why not."""
        if self.events_url:
            headers = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": reason} if retry else {}
            failure = (await self._post(self.events_url, json.dumps(envelope), "application/json", headers))[0]
        else:
            more = {"retry_attempt": retry, "retry_reason": reason}
            failure = "" if await self._over_socket("events_api", envelope, **more) is not None else "timeout"
        self.attempts.append(Attempt("events_api", envelope["event_id"], retry, failure))
        if not failure:
            self.delivered.append(envelope)
        self.changes.tell()
        return failure

    # --- interactions ------------------------------------------------------------------------------------

    async def interact(self, payload: Payload) -> Payload | None:
        """What the app answered in time ({} for a bare acknowledgement), or None: Slack does not ask twice."""
        kind = "slash_commands" if "command" in payload else "interactive"
        if self.events_url:
            form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
            url, type_ = self.interactivity_url or self.events_url, "application/x-www-form-urlencoded"
            failure, body = await self._post(url, urlencode(form), type_, {})
            reply = None if failure else _parsed(body)
        else:
            reply = await self._over_socket(kind, payload)
            failure = "timeout" if reply is None else ""
        self.attempts.append(Attempt(kind, str(payload.get("command") or payload.get("type")), 0, failure))
        self.changes.tell()
        return reply

    # --- the two roads -----------------------------------------------------------------------------------

    def signed(self, body: bytes, *, at: int | None = None) -> dict[str, str]:
        """The headers that prove a body to be Slack's; `at` in Unix seconds."""
        stamp = str(at if at is not None else int(self.now().timestamp()))
        mac = hmac.new(self.signing_secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256)
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={mac.hexdigest()}"}

    async def _post(self, url: str, body: str, type_: str, headers: dict[str, str]) -> tuple[str, str]:
        raw = body.encode()
        headers = {"Content-Type": type_, "User-Agent": "Slackbot 1.0", **self.signed(raw), **headers}
        try:
            timeout = ClientTimeout(total=self.ack_timeout)
            async with self.http().post(url, data=raw, headers=headers, timeout=timeout) as response:
                text = await response.text()
                if 200 <= response.status < 300:
                    return "", text
                return "no_retry" if response.headers.get("X-Slack-No-Retry") == "1" else "http_error", text
        except TimeoutError:
            return "http_timeout", ""
        except (ClientError, OSError):
            return "connection_failed", ""

    async def _over_socket(self, kind: str, payload: Payload, **more: Any) -> Payload | None:
        live = [socket for socket in self.sockets if not socket.ws.closed]
        if not live:
            return None
        self._turn += 1
        socket = live[self._turn % len(live)]
        envelope: Payload = {"envelope_id": str(uuid.uuid4()), "type": kind, "payload": payload}
        envelope |= {"accepts_response_payload": kind != "events_api", **more}
        return await socket.offer(envelope, self.ack_timeout)

    async def serve_socket(self, request: web.Request, app_id: str) -> web.WebSocketResponse:
        """A Socket Mode connection from its hello to its end."""
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        socket = Socket(ws)
        self.sockets.append(socket)
        about = {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18_060}
        try:
            await ws.send_json({
                "type": "hello", "num_connections": len(self.sockets), "debug_info": about,
                "connection_info": {"app_id": app_id},
            })  # fmt: skip
            self.changes.tell()
            await socket.read()
        finally:
            self.sockets.remove(socket)
            for waiter in socket.waiting.values():
                waiter.cancel() if not waiter.done() else None
            self.changes.tell()
        return ws

    async def disconnect(self, reason: str, *, close: bool) -> None:
        """`warning`, `refresh_requested` or `link_disabled` on every connection."""
        for socket in tuple(self.sockets):
            await socket.ws.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}})
            if close:
                await socket.ws.close()


def _parsed(body: str) -> Payload:
    try:
        found = json.loads(body) if body.strip() else {}
    except ValueError:
        found = {"text": body}
    return found if isinstance(found, dict) else {}
