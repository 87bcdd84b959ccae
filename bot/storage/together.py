"""PostgreSQL: turns of different customers that wait at the same time share a transaction.

A turn by itself takes some twenty round trips and a commit; sixteen that share them take little more. While one transaction of
this node is under way, turns that come wait for the next one. Where many come, that one waits a while for more: the slower the
database is just now, the more of them share what it takes.

Nobody in it waits for anybody: of the customers whose turns are at hand those are taken that no other transaction holds
(SKIP LOCKED), and a turn that then wants another customer's lock leaves (`bot.storage.tx.Undone`). Who is left over, and
everybody where one of them failed, takes the plain way, in a transaction of its own. So no node's turns are held up by
another's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from bot.errors import DatabaseFault
from bot.storage.ahead import Coming
from bot.storage.tx import Tx

T = TypeVar("T")
AT_MOST = 64  # turns in one transaction
MANY = 4  # turns in one transaction; then …
PAUSE = 0.016  # … the next waits for more for as long as that one took, and so many seconds at most

Unit = Callable[[Tx], Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn that waits, and who waits for it."""

    unit: Unit
    coming: Coming
    future: asyncio.Future[Any]


class Together:
    """`share` runs several turns in one transaction and returns the results of those that it took, by their place in the list.

    `alone` runs one in a transaction of its own.
    """

    def __init__(
        self,
        share: Callable[[Sequence[Asked]], Awaitable[dict[int, Any]]],
        alone: Callable[[Unit], Awaitable[Any]],
    ) -> None:
        self._share = share
        self._alone = alone
        self._waiting: deque[Asked] = deque()
        self._running: asyncio.Task[None] | None = None
        self._sharing = asyncio.Lock()  # of the transaction that is under way; who waits for it comes before the next
        self._apart: set[asyncio.Task[None]] = set()

    async def submit(self, unit: Callable[[Tx], T], coming: Coming) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(Asked(unit, coming, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="stafett-turns")
        return await future  # who gives up cancels this; what is queued is committed all the same

    async def idle(self) -> None:
        """Wait until nobody's turn is under way."""
        while under_way := self._apart | ({self._running} if self._running is not None else set()):
            await asyncio.wait(under_way)

    async def shared(self) -> None:
        """Wait for the transaction that is under way, and for none that begins later."""
        async with self._sharing:
            pass

    async def _run(self) -> None:
        try:
            await self._take_turns()
        finally:
            self._running = None  # in the step that found nobody waiting

    async def _take_turns(self) -> None:
        while batch := self._next():
            began = monotonic()
            try:
                async with self._sharing:
                    results = await self._share(batch)
            except DatabaseFault as fault:  # it is gone, or nobody knows how the commit ended
                for one in batch:
                    _refuse(one, fault)
                continue
            except Exception:  # noqa: BLE001 - whose it was will show
                results = {}
            for place, one in enumerate(batch):
                if place not in results:
                    self._leave(one)
                elif not one.future.done():
                    one.future.set_result(results[place])
            if len(batch) >= MANY:
                await asyncio.sleep(min(monotonic() - began, PAUSE))

    def _next(self) -> list[Asked]:
        """As they came; of each sender one."""
        batch: list[Asked] = []
        senders, later = set[tuple[str, str]](), list[Asked]()
        while self._waiting and len(batch) < AT_MOST:
            one = self._waiting.popleft()
            sender = (one.coming.channel, one.coming.external_id)
            (later if sender in senders else batch).append(one)
            senders.add(sender)
        self._waiting.extendleft(reversed(later))
        return batch

    def _leave(self, one: Asked) -> None:
        task = asyncio.create_task(self._by_itself(one), name="stafett-turn")
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)

    async def _by_itself(self, one: Asked) -> None:
        try:
            result = await self._alone(one.unit)
        except BaseException as error:
            _refuse(one, error)
            if not isinstance(error, Exception):
                raise
            return
        if not one.future.done():
            one.future.set_result(result)


def _refuse(one: Asked, error: BaseException) -> None:
    if one.future.done():
        return
    if isinstance(error, asyncio.CancelledError):
        one.future.cancel()
    else:
        one.future.set_exception(error)
