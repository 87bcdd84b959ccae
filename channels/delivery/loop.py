"""Claims what may leave now, sends it, and asks about what is uncertain. The theory stands in the package's docstring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

import structlog

from bot import failpoints
from bot.errors import DatabaseFault, NotSent, Refused, Uncertain
from bot.storage import outbox_rows, pace_rows
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.delivery.claims import Claims
from channels.delivery.leases import Leases, monotonic
from channels.delivery.outcomes import Counters, Outcome, Outcomes
from channels.port import Delivery, Sender

log = structlog.get_logger()
AT_ONCE = 32  # sends in flight
SEND_WITHIN = 100.0  # seconds; well before the lease ends, so that nobody else sends it meanwhile


class DeliveryLoop:
    """One per process. `run` claims what may leave now and returns when to look again."""

    def __init__(self, storage: Storage, senders: Mapping[str, Sender]) -> None:
        self._storage = storage
        self.senders = dict(senders)
        self.counters = Counters()
        self._leases = Leases(storage, lost=lambda: self.counters.add("leases_lost"), beaten=self._beaten)
        self._claims = Claims(self._leases)
        self._outcomes = Outcomes(self._leases.owner, self._claims.held_up)
        self._tasks: set[asyncio.Task[None]] = set()
        self._owed: list[tuple[Delivery, Outcome]] = []  # what came of sends, and could not be written down
        self.wake: Callable[[], None] = lambda: None
        self.overloaded: Callable[[], None] = lambda: None  # there is more than we can send at once

    async def recover(self) -> None:
        """After a start: what was on its way when the last process died may have arrived."""
        await self._storage.write(self._recover)

    async def run(self) -> datetime | None:
        await self._write_owed()
        if len(self._tasks) >= AT_ONCE:
            self.overloaded()
            return None  # a finished send wakes us
        asked = monotonic()
        try:
            claimed, due = await self._storage.write(self._claim)
        except DatabaseFault:
            self._leases.cut_off()
            raise
        for delivery, state in claimed:
            self._leases.take(delivery.id, delivery.lane, asked)
            work = self._send(delivery) if state != "uncertain" else self._resolve(delivery)
            task = asyncio.create_task(work, name=f"send-{delivery.via}")
            self._tasks.add(task)
            task.add_done_callback(lambda done, one=delivery: self._finished(done, one))  # type: ignore[misc]
        return due

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self, grace: float = 10.0) -> None:
        """Let what is in flight arrive; what does not within `grace` seconds is uncertain after the next start."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        self._leases.stop()

    async def forget_old(self) -> None:
        """Rates that were kept with chats and channels which have been quiet for long."""
        if self._leases.shared:
            await self._storage.write(pace_rows.forget_old)

    def _beaten(self) -> None:
        if self._owed:
            self.wake()

    def _finished(self, task: asyncio.Task[None], delivery: Delivery) -> None:
        self._tasks.discard(task)
        if all(one.id != delivery.id for one, _ in self._owed):
            self._leases.let_go(delivery.id)
        if not task.cancelled() and task.exception() is not None:
            log.error("delivery failed", error=repr(task.exception()))
        self.wake()

    # ── inside a transaction ───────────────────────────────────────────────────────────────────────────────────────
    def _recover(self, tx: Tx) -> None:
        self._count(tx, "uncertain", self._claims.recover(tx))

    def _claim(self, tx: Tx) -> tuple[list[tuple[Delivery, str]], datetime | None]:
        """The heads of lanes that may leave now, marked `sending`; and when to look again."""
        claimed, found = self._claims.claim(tx, self.senders, AT_ONCE - len(self._tasks))
        self._count(tx, "uncertain", found.stranded)
        self._count(tx, "expired", found.expired)
        return claimed, min(found.later, default=None)

    def _count(self, tx: Tx, name: str, count: int) -> None:
        if count:
            tx.after_commit(lambda: self.counters.add(*(name,) * count))

    # ── the network ────────────────────────────────────────────────────────────────────────────────────────────────
    async def _send(self, delivery: Delivery) -> None:
        if self._leases.shared and self._storage.clock() - delivery.started_at >= self._leases.lease:
            return  # we slept, and others may have it by now
        await self._conclude(delivery, await self._attempt(delivery))

    async def _conclude(self, delivery: Delivery, outcome: Outcome) -> None:
        """Write down what came of it. Where the database is away just now, its lane waits until that is done."""
        try:
            await self._storage.write(lambda tx: self._if_ours(tx, delivery, outcome))
        except DatabaseFault:
            self._owed.append((delivery, outcome))
            raise
        self.counters.add(*outcome.counts, via=delivery.via)

    async def _write_owed(self) -> None:
        while self._owed:
            delivery, outcome = self._owed[0]
            await self._storage.write(partial(self._if_ours, delivery=delivery, outcome=outcome))
            self._owed.pop(0)
            self.counters.add(*outcome.counts, via=delivery.via)
            self._leases.let_go(delivery.id)

    def _if_ours(self, tx: Tx, delivery: Delivery, outcome: Outcome) -> None:
        if outbox_rows.is_held(tx, delivery.id, self._leases.owner):
            outcome.write(tx)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        """Send, and return what to write about it."""
        failpoints.reach("claimed")
        try:
            async with asyncio.timeout(SEND_WITHIN), self._leases.while_held(delivery.id):
                sent = await self.senders[delivery.via].send(delivery)
        except NotSent as error:
            return self._outcomes.not_sent(delivery, error)
        except Refused as error:
            return self._outcomes.refused(delivery, error)
        except Uncertain as error:
            return self._outcomes.nobody_knows(delivery, str(error))
        except TimeoutError:
            log.warning("a send took too long, or its lease was lost", via=delivery.via, kind=delivery.kind)
            return self._outcomes.nobody_knows(delivery, "no outcome in time")
        except Exception as error:
            log.exception("sender failed", via=delivery.via, kind=delivery.kind)
            return self._outcomes.nobody_knows(delivery, repr(error))
        failpoints.reach("accepted")
        return self._outcomes.sent(delivery, sent)

    async def _resolve(self, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN), self._leases.while_held(delivery.id):
                found = await self.senders[delivery.via].resolve(delivery)
        except Exception as error:  # noqa: BLE001 - the platform could not be asked: that says nothing about the message
            log.warning("resolver failed", via=delivery.via, error=repr(error))
            await self._conclude(delivery, self._outcomes.ask_later(delivery))
            return
        await self._conclude(delivery, self._outcomes.resolved(delivery, found))
