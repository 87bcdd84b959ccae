"""One widget's WebSocket: hello, resume, then the timeline pushed in order.

There is one writer, `_push`: it reads the timeline above the last `seq` that this socket was sent, and sends it. The
socket's own messages come by there too, and are acknowledged in their place: so everything with a `seq` leaves in order,
and an `ack` is only ever sent for what is durably stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import WebSocketException

from bot.errors import DatabaseFault, NotAllowed
from bot.model import AuthorKind, Chose, Inbound, Wrote
from bot.storage import customers, history
from channels.web import frames, store
from channels.web.sessions import Session

if TYPE_CHECKING:
    from channels.web.channel import WebChannel

log = structlog.get_logger()
HELLO_WITHIN = 15.0  # seconds
BURST, PER_SECOND = 20, 2.0  # messages and presses of one socket
BAD_FRAMES = 500  # then the socket is closed (1008)
KEPT_FRAMES, KEPT_BYTES = 3, 4096  # bad frames of one socket that are kept for inspection, and how much of each
TELL_EVERY = 0.25  # seconds between what is fleeting: typing, read
PAGE = 200
UNAUTHORISED, TRY_AGAIN, POLICY = 4401, 1013, 1008
GONE = (WebSocketDisconnect, WebSocketException, RuntimeError, OSError)
"""What it looks like when the other end has gone, or is going, while we speak."""


class WidgetSocket:
    """`run` returns when the socket has closed."""

    def __init__(self, channel: WebChannel, websocket: WebSocket) -> None:
        self._channel = channel
        self._socket = websocket
        self._session: Session | None = None
        self._customer_id: str | None = None
        self._seen = 0
        self._mine: dict[str, tuple[str, bool]] = {}  # message id → (the id as sent, whether to show it too)
        self._news = asyncio.Event()
        self._case: dict[str, Any] | None = None
        self._moved = False
        self._tokens, self._filled = float(BURST), time.monotonic()
        self._bad = 0
        self._told: dict[str, float] = {}  # when each fleeting kind was last passed on
        self._standing: store.Standing | None = None
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        await self._socket.accept()
        self._channel.sockets.add(self)
        try:
            if await self._hello():
                async with asyncio.TaskGroup() as group:
                    pusher = group.create_task(self._push())
                    await self._receive()
                    pusher.cancel()
        except* GONE:
            pass  # gone: what it missed is sent after its next hello
        except* DatabaseFault:
            await self.close(TRY_AGAIN, "try again")
        finally:
            self._channel.sockets.discard(self)
            self._unwatch()

    async def close(self, code: int, reason: str = "") -> None:
        with contextlib.suppress(*GONE):
            await self._socket.close(code, reason)

    # ── the beginning ──────────────────────────────────────────────────────────────────────────────────────────────
    async def _hello(self) -> bool:
        while True:
            try:
                async with asyncio.timeout(HELLO_WITHIN):
                    raw = await self._read_text()
            except TimeoutError:
                await self.close(POLICY, "no hello")
                return False
            try:
                frame = frames.read_hello(raw)
                self._session = await self._channel.session_of(frame["token"])
            except NotAllowed as error:
                await self._send(frames.error("unauthorised", str(error)))
                await self.close(UNAUTHORISED, "unauthorised")
                return False
            except frames.BadFrame as error:
                await self._send(error.frame())
                if error.code == "unauthorised":
                    await self.close(UNAUTHORISED, "unauthorised")
                    return False
                if not self._tolerates():
                    return False
                continue
            break
        await self._welcome(frame["after"])
        return True

    async def _welcome(self, after: int) -> None:
        await self._find_customer()
        state = await self._channel.storage.read(self._state)
        self._seen = min(after, state["last_seq"])
        self._case = state["case"]
        await self._send({"type": "ready", **state})
        self._news.set()

    def _state(self, conn: Any) -> dict[str, Any]:
        if self._customer_id is None:
            name = self._session.name if self._session else ""
            return {"customer": {"name": name}, "case": None, "last_seq": 0}
        who = customers.customer(conn, self._customer_id)
        return {
            "customer": {"name": who.name if who else ""},
            "case": self._channel.case_of(conn, self._customer_id),
            "last_seq": history.last_seq(conn, self._customer_id),
        }

    async def _find_customer(self) -> None:
        """Watch the conversation; before the first message there is none yet, and nothing to watch."""
        if self._session is None:
            return
        visitor = self._session.visitor
        found = await self._channel.storage.read(lambda conn: store.visitor(conn, visitor))
        if found is not None:
            self._watch(visitor, found.customer_id)

    def _watch(self, visitor: str, customer_id: str) -> None:
        if customer_id != self._customer_id:
            self._unwatch()
            first, self._customer_id = self._customer_id is None, customer_id
            self._channel.hub.add(customer_id, self._hinted)
            if first:
                self._channel.appeared(visitor)

    @property
    def visitor(self) -> str:
        return self._session.visitor if self._session is not None else ""

    @property
    def session_id(self) -> str:
        return self._session.id if self._session is not None else ""

    def ended(self) -> None:
        """This session is over before its time: somebody signed in, or the conversation was joined or parted."""
        self._moved = True
        self._news.set()

    def compare(self, found: store.Standing | None) -> None:
        """How the conversation stands in the database, which other nodes write to as well."""
        if found is None or found == self._standing:
            return
        self._standing = found
        if self._customer_id not in {None, found.customer_id}:
            self._moved = True
        self._news.set()

    def appeared(self, visitor: str) -> None:
        if self._customer_id is None and self.visitor == visitor:
            self._news.set()

    def _unwatch(self) -> None:
        if self._customer_id is not None:
            self._channel.hub.remove(self._customer_id, self._hinted)

    def _hinted(self, _customer_id: str, hint: Mapping[str, Any]) -> None:
        """Something happened (on the event loop, after a commit)."""
        if hint["kind"] == "typing":
            if hint.get("who") != "customer" and not self._sending.locked():  # who reads slowly misses only that
                frame = {"type": "typing", "author": {"kind": hint["who"], "name": hint.get("name", "")}}
                self._channel.background(self._send_quietly(frame))
            return
        self._news.set()

    # ── outwards ───────────────────────────────────────────────────────────────────────────────────────────────────
    async def _push(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._moved:
                await self.close(UNAUTHORISED, "this conversation was joined with another; ask for a session again")
                return
            try:
                if self._customer_id is None:
                    await self._find_customer()
                if self._customer_id is not None:
                    await self._push_news(self._customer_id)
            except DatabaseFault:
                await self.close(TRY_AGAIN, "try again")
                return

    async def _push_news(self, customer_id: str) -> None:
        while True:
            entries, case = await self._channel.storage.read(
                lambda conn: (
                    history.since(conn, customer_id, self._seen, PAGE),
                    self._channel.case_of(conn, customer_id),
                )
            )
            for entry in entries:
                mine = self._mine.pop(entry.message.id, None) if entry.kind == "message" else None
                if mine is not None:
                    await self._send({"type": "ack", "id": mine[0], "seq": entry.seq})
                if mine is None or mine[1]:
                    await self._send(frames.of_entry(entry))
                self._seen = entry.seq
            if entries and any(entry.message.author.kind is not AuthorKind.CUSTOMER for entry in entries):
                self._channel.shown(self._session, self._seen)
            if len(entries) < PAGE:
                break
        if case is not None and case != self._case:
            await self._send({"type": "case", **case})
        self._case = case

    async def _send(self, frame: Mapping[str, Any]) -> None:
        async with self._sending:
            await self._socket.send_text(json.dumps(frame, ensure_ascii=False))

    async def _send_quietly(self, frame: Mapping[str, Any]) -> None:
        with contextlib.suppress(*GONE):
            await self._send(frame)

    # ── inwards ────────────────────────────────────────────────────────────────────────────────────────────────────
    async def _read_text(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        raw = message.get("text")
        return raw if raw is not None else message.get("bytes") or b""

    async def _receive(self) -> None:
        while True:
            raw = await self._read_text()
            try:
                await self._handle(frames.read(raw))
            except frames.BadFrame as error:
                await self._keep(raw, error)
                await self._send(error.frame())
                if not self._tolerates():
                    await self.close(POLICY, "too many bad frames")
                    return
            except DatabaseFault:
                log.exception("a message could not be stored")
                await self._send(
                    frames.error("unavailable", "this could not be stored just now; it will be sent again")
                )
                await self.close(TRY_AGAIN, "try again")
                return

    async def _keep(self, raw: str | bytes, error: frames.BadFrame) -> None:
        """The first frames that can't be read are kept for inspection; only those of somebody with a session."""
        if error.code != "bad_frame" or self._bad >= KEPT_FRAMES:
            return
        kept = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
        try:
            await self._channel.inbox.drop("web", kept[:KEPT_BYTES], error.message)
        except DatabaseFault:
            log.warning("a bad frame could not be kept", error=error.message)

    def _tolerates(self) -> bool:
        self._bad += 1
        self._channel.bad_frames += 1
        return self._bad < BAD_FRAMES

    async def _handle(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "hello":
                raise frames.BadFrame("bad_frame", "hello is only the first frame")
            case "typing" | "read" if not self._may_tell(frame["type"]):
                pass
            case "typing":
                if self._customer_id:
                    self._channel.hub.hint(self._customer_id, "typing", who="customer")
            case "read":
                if self._customer_id:
                    self._channel.hub.hint(self._customer_id, "read", seq=frame["seq"])
            case "message":
                await self._message(frame)
            case _:
                await self._choice(frame)

    async def _message(self, frame: dict[str, Any]) -> None:
        self._spend(frame["as_sent"])
        if frame["files"]:
            await self._find_customer()  # an upload may have made the customer
        files = await self._channel.own_files(self._customer_id, frame["files"])
        if len(files) != len(frame["files"]):
            raise frames.BadFrame(
                "file_refused", "a file is not there, or not yours; upload it again", frame["as_sent"]
            )
        await self._store(frame, Wrote(text=frame["text"], files=tuple(files), id=frame["id"]), show=False)

    async def _choice(self, frame: dict[str, Any]) -> None:
        self._spend(frame["as_sent"])
        await self._store(frame, Chose(frame["message"], value=frame["value"], id=frame["id"]), show=True)

    async def _store(self, frame: dict[str, Any], happening: Wrote | Chose, *, show: bool) -> None:
        if self._session is None:
            return
        sender = self._session.sender()
        key = f"{self._session.visitor}:{frame['id']}"
        self._mine[frame["id"]] = (frame["as_sent"], show)
        receipt = await self._channel.inbox.receive(Inbound("web", key, sender, happening))
        if receipt.conflict:
            self._mine.pop(frame["id"], None)
            raise frames.BadFrame("conflict", "this id was used for another text; make a new one", frame["as_sent"])
        if receipt.seq is None:
            self._mine.pop(frame["id"], None)
            raise frames.BadFrame("gone", "that button is no longer there", frame["as_sent"])
        if receipt.duplicate:
            waiting = receipt.seq > self._seen
            # Else the pusher comes by it, or just did, and acknowledges it in its place.
            if not waiting and self._mine.pop(frame["id"], None) is not None:
                await self._send({"type": "ack", "id": frame["as_sent"], "seq": receipt.seq})
        if receipt.duplicate or receipt.customer_id is None:
            await self._find_customer()  # whose it was when it came first need not be whose it is
        else:
            self._watch(self._session.visitor, receipt.customer_id)
        self._news.set()

    def _may_tell(self, kind: str) -> bool:
        """Whether one more fleeting thing may pass on; what is too much is dropped, nobody misses it."""
        now = time.monotonic()
        if now - self._told.get(kind, -TELL_EVERY) < TELL_EVERY:
            return False
        self._told[kind] = now
        return True

    def _spend(self, client_id: str) -> None:
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._filled) * PER_SECOND)
        self._filled = now
        if self._tokens < 1:
            raise frames.BadFrame("rate_limited", "too many messages at once; wait a few seconds", client_id)
        self._tokens -= 1
