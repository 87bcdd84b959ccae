"""What happens meanwhile: server-sent events with hints, one stream per open page.

A hint names a case, never its content. The stream ends when its session does, and when the house closes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from channels.web.hub import EVERYBODY, Hub

PING_S = 15.0  # a comment at least so often: proxies end what is silent, and a page that has gone is noticed
WAITING = 200  # hints that a slow page may lag behind; then it is told to look at everything
PAGES = 500  # open streams of this process


class Live:
    """`desk` is the desk's own hub; `widgets` the customers', from which only their typing is told."""

    def __init__(self, desk: Hub, widgets: Hub | None) -> None:
        self._desk, self._widgets = desk, widgets
        self._pages: set[asyncio.Queue[str | None]] = set()

    @property
    def full(self) -> bool:
        return len(self._pages) >= PAGES

    async def stream(self, still_in: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
        """Events for one page, for as long as its agent is signed in."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING)

        def hear(customer_id: str, hint: Mapping[str, Any]) -> None:
            _put(queue, {"customer": customer_id, **hint})

        def overhear(customer_id: str, hint: Mapping[str, Any]) -> None:
            if hint["kind"] == "typing" and hint.get("who") == "customer":
                _put(queue, {"customer": customer_id, "kind": "typing"})

        self._pages.add(queue)
        self._desk.add(EVERYBODY, hear)
        if self._widgets is not None:
            self._widgets.add(EVERYBODY, overhear)
        try:
            yield 'retry: 2000\ndata: {"kind": "hello"}\n\n'
            while True:
                try:
                    async with asyncio.timeout(PING_S):
                        event = await queue.get()
                except TimeoutError:
                    if not await still_in():
                        return
                    yield ": still here\n\n"
                    continue
                if event is None:
                    return
                yield f"data: {event}\n\n"
        finally:
            self._pages.discard(queue)
            self._desk.remove(EVERYBODY, hear)
            if self._widgets is not None:
                self._widgets.remove(EVERYBODY, overhear)

    def close(self) -> None:
        """End all streams; pages come back by themselves when the house is open again."""
        for queue in self._pages:
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(None)


def _put(queue: asyncio.Queue[str | None], hint: Mapping[str, Any]) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        hint = {"kind": "look"}
    queue.put_nowait(json.dumps(hint))
