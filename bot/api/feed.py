"""What happens, as it happens: a stream of server-sent events.

    event: case      id: <n>   {"case", "customer", "kind", "agent", "status", "at"}     every step of a case's life
    event: message             {"customer", "seq"}     the timeline grew: read it at /customers/{id}/messages?after=
    event: survey              {"response", "case", "customer", "instrument", "score", "comment", "at"}
    event: erased              {"customer"}

`case` comes from the audit and is complete: `Last-Event-ID` goes on where a connection broke. The others are told by the
process that they happened in, while somebody listens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from bot.api import store
from bot.events import CaseChanged, CustomerErased, SurveyAnswered, TimelineGrew
from bot.storage.engine import Storage
from bot.storage.export import to_json
from bot.storage.tx import Subscriber, Tx

WAITING = 1_000  # events that a slow listener may be behind; then its stream ends, and it comes back
HEARTBEAT_S = 15.0  # a comment, so that proxies keep the connection and a dead one is noticed


@dataclass(eq=False, slots=True)
class _Listener:
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[bytes] = field(default_factory=list)


class Feed:
    """`subscribers` go into the house's table of who hears what; `stream` is one listener's events."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._listeners: set[_Listener] = set()
        self._open = True

    def subscribers(self) -> Mapping[type, Subscriber]:
        return {
            CaseChanged: self._on_case,
            TimelineGrew: self._on_timeline,
            SurveyAnswered: self._on_survey,
            CustomerErased: self._on_erased,
        }

    def close(self) -> None:
        """End all streams: the server stops."""
        self._open = False
        for listener in self._listeners:
            listener.bell.set()

    async def stream(self, after: int | None) -> AsyncIterator[bytes]:
        """Events from now on, or after the step with that number."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            last = await self._storage.read(store.last_step)
            reached = last if after is None else min(after, last)  # who heard more did so before a backup was put back
            yield b": listening\n\n"
            while self._open and len(listener.told) <= WAITING:
                listener.bell.clear()
                told, listener.told = listener.told, []
                for line in told:
                    yield line
                steps = await self._storage.read(_steps_after(reached, self._storage.clock))
                for step in steps:
                    reached = step.n
                    yield _case_line(step)
                if not steps and not listener.told and not await self._ring(listener, reached):
                    yield b": still here\n\n"
        finally:
            self._listeners.discard(listener)

    async def _ring(self, listener: _Listener, reached: int) -> bool:
        """Wait for something new; False: it is time for a heartbeat. With other nodes about, look every second."""
        poll = self._storage.poll
        for _ in range(int(HEARTBEAT_S) if poll else 1):
            try:
                async with asyncio.timeout(poll.total_seconds() if poll else HEARTBEAT_S):
                    await listener.bell.wait()
            except TimeoutError:
                if poll and await self._storage.read(store.last_step) > reached:
                    return True
            else:
                return True
        return False

    def _tell(self, tx: Tx, line: bytes | None) -> None:
        def after() -> None:
            for listener in self._listeners:
                if line is not None and len(listener.told) <= WAITING:  # one that stands still is not kept up with
                    listener.told.append(line)
                listener.bell.set()

        if self._listeners:
            tx.after_commit(after)

    def _on_case(self, tx: Tx, _event: CaseChanged) -> None:
        self._tell(tx, None)

    def _on_timeline(self, tx: Tx, event: TimelineGrew) -> None:
        self._tell(tx, line_of("message", {"customer": event.customer_id, "seq": event.seq}))

    def _on_survey(self, tx: Tx, event: SurveyAnswered) -> None:
        said: dict[str, Any] = {"response": event.response_id, "case": event.case_id, "customer": event.customer_id}
        said |= {
            "instrument": event.instrument,
            "score": event.score,
            "comment": event.comment,
            "at": to_json(event.at),
        }
        self._tell(tx, line_of("survey", said))

    def _on_erased(self, tx: Tx, event: CustomerErased) -> None:
        self._tell(tx, line_of("erased", {"customer": event.customer_id}))


def line_of(event: str, data: Mapping[str, Any], event_id: int | None = None) -> bytes:
    """One event on the wire."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {event}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


def _case_line(step: store.Step) -> bytes:
    said = {"case": step.case_id, "customer": step.customer_id, "kind": step.kind, "agent": step.agent_id}
    return line_of("case", {**said, "status": step.status, "at": to_json(step.at)}, step.n)


def _steps_after(reached: int, clock: Callable[[], Any]) -> Callable[[store.Reader], list[store.Step]]:
    return lambda conn: store.steps(conn, reached, clock())
