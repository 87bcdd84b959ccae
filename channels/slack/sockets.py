"""Socket Mode: WebSockets that Slack delivers through, at least two at a time.

Slack renews a socket every few hours: it warns, then closes. So two are held, each renewed apart, the new one before
the old one goes, and there is always somebody listening. What arrives on a socket is handed over in order; an envelope
is acknowledged only after our commit, else Slack delivers it again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from bot.errors import SendFault
from channels.slack.payloads import mapping

if TYPE_CHECKING:
    import aiohttp

    from channels.slack.connection import SlackConnection

log = structlog.get_logger()
SOCKETS = 2
HEARTBEAT = 20.0  # seconds between pings; one that is not answered in half that time closes the socket: 30 s at most
LAST_BACKOFF = 60.0
STEADY = 30.0  # seconds that a socket must have lived, so that the next one is opened at once
HASTE = 3  # sockets in a row that Slack may renew before that, without our slowing down
IN_FLIGHT = 64  # envelopes of one socket at work; more wait in the socket, not in our memory
SWITCHED_OFF = {"link_disabled", "socket_mode_disabled"}
BAD_TOKEN = {
    "invalid_auth",
    "not_allowed_token_type",
    "token_revoked",
    "account_inactive",
    "not_authed",
    "missing_scope",
}


class Sockets:
    """`open` begins, `close` ends. `connection` gives the Web API and takes what comes."""

    def __init__(self, connection: SlackConnection) -> None:
        self._connection = connection
        self._tasks: set[asyncio.Task[Any]] = set()
        self._live = 0
        self._fault = "Slack: Socket Mode is connecting"

    def open(self) -> None:
        for number in range(SOCKETS):
            self._spawn(self._keep_open(), f"stafett-slack-socket-{number}")

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def faults(self) -> Sequence[str]:
        return () if self._live else (self._fault,)

    @property
    def live(self) -> int:
        """Sockets on which Slack has said hello."""
        return self._live

    def _spawn(self, work: Any, name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep_open(self) -> None:
        """One place, always taken: the next socket is opened when this one warns, or is gone."""
        short_lived = 0
        while True:
            renew = asyncio.Event()
            began = asyncio.get_running_loop().time()
            run = self._spawn(self._run(renew), "stafett-slack-socket")
            warned = asyncio.create_task(renew.wait())
            try:
                await asyncio.wait({run, warned}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                warned.cancel()
            steady = asyncio.get_running_loop().time() - began > STEADY
            short_lived = 0 if steady else short_lived + 1
            if not steady and (short_lived > HASTE or not renew.is_set()):
                await asyncio.sleep(min(LAST_BACKOFF, 2.0 ** (short_lived - 1)))

    async def _run(self, renew: asyncio.Event) -> None:
        import aiohttp

        try:
            url = await self._connection.open_socket()
            async with self._connection.http.ws_connect(
                url, heartbeat=HEARTBEAT, max_msg_size=4 * 1024 * 1024
            ) as socket:
                await self._listen(socket, renew)
        except SendFault as error:
            self._fault = self._explain(str(error))
            if any(word in str(error) for word in SWITCHED_OFF | BAD_TOKEN):
                self._connection.settle(self._fault)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._fault = f"Slack: Socket Mode can't connect ({type(error).__name__}); it is tried again"

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse, renew: asyncio.Event) -> None:
        import aiohttp

        greeted = False
        room = asyncio.Semaphore(IN_FLIGHT)
        at_work: set[asyncio.Task[Any]] = set()
        try:
            async for frame in socket:
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    continue
                envelope = parsed(frame.data)
                kind = envelope.get("type")
                if kind == "hello" and not greeted:
                    greeted = True
                    self._live += 1
                    self._connection.settle()
                    if self._live == 1:
                        self._connection.connected()
                elif kind == "disconnect":
                    if self._said_goodbye(envelope, renew):
                        break
                elif isinstance(envelope.get("envelope_id"), str):
                    await room.acquire()
                    task = self._spawn(self._hand_over(socket, envelope), "stafett-slack-envelope")
                    at_work.add(task)
                    task.add_done_callback(at_work.discard)
                    task.add_done_callback(lambda _: room.release())
        finally:
            self._live -= greeted
            if at_work and not socket.closed:
                await asyncio.wait(at_work, timeout=3)  # what is being committed may still be acknowledged

    def _said_goodbye(self, envelope: Mapping[str, Any], renew: asyncio.Event) -> bool:
        """Whether this socket is over. A warning comes some 10 s ahead: the next socket opens, this one goes on."""
        reason = str(envelope.get("reason") or "")
        if reason in SWITCHED_OFF:
            self._fault = self._explain(reason)
            return True
        renew.set()
        return reason != "warning"

    async def _hand_over(self, socket: aiohttp.ClientWebSocketResponse, envelope: Mapping[str, Any]) -> None:
        """Listeners first, acknowledgement after. The tasks begin in order, and each channel has its turns in order."""
        headers = {
            "x-slack-retry-num": [str(envelope.get("retry_attempt") or 0)],
            "x-slack-retry-reason": [str(envelope.get("retry_reason") or "")],
        }
        status, reply = await self._connection.dispatch(mapping(envelope.get("payload")), headers, mode="socket_mode")
        if status != 200:
            return  # unacknowledged, Slack delivers it again
        answer = {"envelope_id": envelope["envelope_id"], **({"payload": reply} if reply is not None else {})}
        with suppress(ConnectionError, RuntimeError):  # the socket went meanwhile: it comes again, as a duplicate
            await socket.send_json(answer)

    def _explain(self, why: str) -> str:
        if any(word in why for word in SWITCHED_OFF):
            return "Slack: Socket Mode is switched off; switch it on at api.slack.com/apps, or unset STAFETT_SLACK_APP_TOKEN"
        if any(word in why for word in BAD_TOKEN):
            return "Slack: STAFETT_SLACK_APP_TOKEN is refused; make an app-level token (xapp-…) with connections:write"
        return f"Slack: Socket Mode can't connect ({why}); it is tried again"


def parsed(text: str) -> Mapping[str, Any]:
    """A frame's JSON object; empty for junk."""
    try:
        return mapping(json.loads(text))
    except (ValueError, RecursionError):
        return {}
