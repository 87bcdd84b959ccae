"""Hints between nodes on one PostgreSQL: "look at this conversation", "there is work".

What lives here: one connection per node that listens, and tells by NOTIFY. What it must not carry: anything that somebody
said. Ids, kinds and who is typing, never words; a node that hears one reads the database. So a lost hint costs latency
(every node looks by itself once a second), and nothing here needs to be durable.

NOTIFY takes a lock over all commits of the server, so it never stands in a turn's transaction: hints are gathered after the
commit and sent together, at most once in GAP. PostgreSQL keeps nothing for who was away: after each connect everybody
looks at everything, here and, by a hint, on the other nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.engine import Storage

log = structlog.get_logger()
CHANNEL = "stafett"
GAP = 0.02  # seconds between two NOTIFY of one node
LONGEST = 7_900  # bytes; PostgreSQL takes less than 8,000
MANY = 2_000  # hints at once; then it is shorter to say "look at everything"
ALIVE = 10.0  # seconds between questions whether the connection still lives
ANSWER_WITHIN = 5.0
FIRST_REST, LAST_REST = 0.2, 10.0  # seconds between tries to connect
LOOK: Sequence[Any] = ("look",)
Relay = Callable[[str, Mapping[str, Any]], None]


class Listeners(Protocol):
    """Those on one node who watch conversations: `channels/web/hub.py`."""

    relay: Relay | None
    """Called with every hint of this node."""

    def heard(self, customer_id: str, hint: Mapping[str, Any]) -> None:
        """Another node gave this hint."""

    def look(self) -> None:
        """Anything may have happened."""


class Notices:
    """`listeners` by name, the same on all nodes; `wake(worker)` for work that another node can't do at once."""

    def __init__(self, storage: Storage, listeners: Mapping[str, Listeners], wake: Callable[[str], None]) -> None:
        self._storage = storage
        self._listeners = listeners
        self._wake = wake
        self._waiting: dict[tuple[Any, ...], Sequence[Any]] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()
        self.sent = 0
        self.reconnects = -1

    def start(self) -> None:
        """Nothing to do on SQLite: there are no others."""
        if self._storage.poll is None:
            return
        for name, listeners in self._listeners.items():
            listeners.relay = self._relay(name)
        self._task = asyncio.create_task(self._run(), name="stafett-notices")

    async def stop(self) -> None:
        """Others take over what this node leaves undone."""
        if self._task is None:
            return
        for worker in ("outbox", "timers", "inbox"):
            self.work(worker)
        for _ in range(20):
            if self._waiting and self.connected.is_set():
                await asyncio.sleep(GAP)
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None

    def work(self, worker: str) -> None:
        """There is more than this node can do, or it is about to stop."""
        self._tell(("work", worker), ("work", worker))

    def _relay(self, name: str) -> Relay:
        def relay(customer_id: str, hint: Mapping[str, Any]) -> None:
            self._tell((name, customer_id, hint["kind"]), (name, customer_id, dict(hint)))

        return relay

    def _tell(self, key: tuple[Any, ...], item: Sequence[Any]) -> None:
        if self._task is None or not self.connected.is_set():
            return  # the others look by themselves, and are told to when we are back
        self._waiting[key] = item
        self._news.set()

    # ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────
    async def _run(self) -> None:
        rest = FIRST_REST
        while True:
            try:
                async with self._storage.own_connection() as (connection, raw):
                    rest = FIRST_REST
                    await self._talk(connection, raw)
            except Exception as error:  # noqa: BLE001 - whatever it is, each node looks by itself until this is mended
                log.warning("hints between nodes come late", error=repr(error)[:300])
            finally:
                self.connected.clear()
                self._waiting.clear()
            await asyncio.sleep(rest)
            rest = min(LAST_REST, rest * 2)

    async def _talk(self, _connection: AsyncConnection, raw: Any) -> None:
        """Listen, and tell; until the connection ends."""
        mine = raw.get_server_pid()

        def hear(_raw: Any, pid: int, _channel: str, payload: str) -> None:
            if pid != mine:
                self._hear(payload)

        raw.add_termination_listener(lambda _raw: self._news.set())
        await raw.add_listener(CHANNEL, hear)
        self.connected.set()
        self.reconnects += 1
        for listeners in self._listeners.values():
            listeners.look()
        self._tell(tuple(LOOK), LOOK)
        while not raw.is_closed():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ALIVE):
                    await self._news.wait()
            self._news.clear()
            if not self._waiting:
                await raw.execute("SELECT 1", timeout=ANSWER_WITHIN)
            for payload in payloads(self._taken()):
                await raw.execute("SELECT pg_notify($1, $2)", CHANNEL, payload, timeout=ANSWER_WITHIN)
                self.sent += 1
            await asyncio.sleep(GAP)

    def _taken(self) -> list[Sequence[Any]]:
        items = list(self._waiting.values())
        self._waiting.clear()
        return items if len(items) <= MANY else [LOOK, *(item for item in items if item[0] == "work")]

    # ── what others say ────────────────────────────────────────────────────────────────────────────────────────────
    def _hear(self, payload: str) -> None:
        try:
            items = json.loads(payload)
            for item in items:
                self._take(item)
        except (ValueError, TypeError, KeyError, IndexError):  # another version of the program, or somebody's psql
            log.warning("a hint that is not ours", payload=payload[:200])

    def _take(self, item: Sequence[Any]) -> None:
        match item:
            case ["look"]:
                for listeners in self._listeners.values():
                    listeners.look()
            case ["work", str(worker)]:
                self._wake(worker)
            case [str(name), str(customer_id), {"kind": str()} as hint] if name in self._listeners:
                self._listeners[name].heard(customer_id, hint)


def payloads(items: Sequence[Sequence[Any]]) -> Iterator[str]:
    """As few texts as hold all items, each short enough for one NOTIFY."""
    parts: list[str] = []
    length = 2
    for item in items:
        part = json.dumps(item, separators=(",", ":"))
        if len(part) + 2 > LONGEST:
            continue  # no hint of ours is that long
        if parts and length + len(part) + 1 > LONGEST:
            yield f"[{','.join(parts)}]"
            parts, length = [], 2
        parts.append(part)
        length += len(part) + 1
    if parts:
        yield f"[{','.join(parts)}]"
