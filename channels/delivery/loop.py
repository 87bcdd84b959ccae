"""Claims what may leave now, sends it, and asks about what is uncertain. The theory stands in the package's docstring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bot import failpoints
from bot.errors import DatabaseFault, NotSent, Refused, Uncertain
from bot.storage import outbox_rows, pace_rows
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.delivery.leases import Leases, monotonic
from channels.delivery.outcomes import Counters, Outcome, Outcomes, settled
from channels.delivery.paces import Paces, rate_of
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
        self._outcomes = Outcomes(self._leases.owner, self._block)
        self._paces = Paces()
        self._named: dict[str, datetime] = {}  # bucket → before which the platform takes nothing more
        self._tasks: set[asyncio.Task[None]] = set()
        self._owed: list[tuple[Delivery, Outcome]] = []  # what came of sends, and could not be written down
        self._shared = self._leases.shared
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
        if self._shared:
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
        self.counters.uncertain += self._leases.strand(tx)

    def _claim(self, tx: Tx) -> tuple[list[tuple[Delivery, str]], datetime | None]:
        """The heads of lanes that may leave now, marked `sending`; and when the next head is due."""
        self._recover(tx)
        room = AT_ONCE - len(self._tasks)
        busy = self._leases.lanes()
        claimed: list[tuple[Delivery, str]] = []
        later: list[datetime] = []
        heads = outbox_rows.heads(tx.conn, tx.now, self.senders, room * 4)
        paces, now = self._paces_for(tx, heads)
        before = dict(paces.free)
        for row in heads:
            if row.lane in busy:
                continue
            if len(claimed) >= room:
                break
            if self._is_over(tx, row):
                later.append(tx.now)
                continue
            wait = self._wait(tx, row, paces, now) if row.state != "uncertain" else 0.0
            if wait > 0:
                later.append(tx.now + timedelta(seconds=wait))
                continue
            claimed.append((self._mark_sending(tx, row), row.state))
        if self._shared:
            spent = {name: at for name, at in paces.free.items() if before.get(name) != at}
            pace_rows.keep(tx, {name: datetime.fromtimestamp(at, UTC) for name, at in spent.items()})
        due = outbox_rows.next_due(tx.conn, tx.now, self.senders)
        if due is not None:
            later.append(due)
        return claimed, min(later) if later else None

    def _paces_for(self, tx: Tx, heads: Sequence[Any]) -> tuple[Paces, float]:
        """The rates to keep, and the time by which they count: this process's own, or those that nodes share."""
        if not self._shared:
            return self._paces, monotonic()
        paced = {row.bucket for row in heads if row.state != "uncertain" and rate_of(row.bucket) is not None}
        shared = Paces()
        shared.free = {name: at.timestamp() for name, at in pace_rows.hold(tx, paced).items()}
        return shared, tx.now.timestamp()

    def _wait(self, tx: Tx, row: Any, paces: Paces, now: float) -> float:
        """Seconds until this row's bucket may spend one. A time that the platform named counts by the house's clock."""
        named = self._named.get(row.bucket)
        if named is not None and named > tx.now:
            return (named - tx.now).total_seconds()
        self._named.pop(row.bucket, None)
        return paces.wait(row.bucket, now)

    def _is_over(self, tx: Tx, row: Any) -> bool:
        bound = row.epoch is not None and row.state in {"ready", "retry"}
        if bound and outbox_rows.epoch(tx.conn, row.customer_id) != row.epoch:
            settled(tx, row.id, "expired", error="a human has taken over")
            self.counters.expired += 1
            return True
        if row.expires_at is not None and row.expires_at <= tx.now:
            settled(tx, row.id, "expired", error="it would have come too late")
            self.counters.expired += 1
            return True
        return False

    def _mark_sending(self, tx: Tx, row: Any) -> Delivery:
        state = "uncertain" if row.state == "uncertain" else "sending"
        outbox_rows.change(
            tx,
            row.id,
            state=state,
            attempts=row.attempts + 1,
            lease_owner=self._leases.owner,
            lease_until=tx.now + self._leases.lease,
            started_at=tx.now if state == "sending" else row.started_at,
        )
        started = tx.now if state == "sending" else (row.started_at or row.created_at)
        return Delivery(
            row.id,
            row.via,
            row.kind,
            row.payload,
            row.lane,
            row.attempts + 1,
            row.customer_id,
            row.case_id,
            row.message_id,
            started,
            row.created_at,
        )

    # ── the network ────────────────────────────────────────────────────────────────────────────────────────────────
    async def _send(self, delivery: Delivery) -> None:
        if self._storage.clock() - delivery.started_at >= self._leases.lease:
            return  # we slept, and others may have it by now
        await self._conclude(delivery, await self._attempt(delivery))

    async def _conclude(self, delivery: Delivery, outcome: Outcome) -> None:
        """Write down what came of it. Where the database is away just now, its lane waits until that is done."""
        try:
            await self._storage.write(lambda tx: self._if_ours(tx, delivery, outcome))
        except DatabaseFault:
            self._owed.append((delivery, outcome))
            raise
        self.counters.add(*outcome.counts)

    async def _write_owed(self) -> None:
        while self._owed:
            delivery, outcome = self._owed[0]
            await self._storage.write(partial(self._if_ours, delivery=delivery, outcome=outcome))
            self._owed.pop(0)
            self.counters.add(*outcome.counts)
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

    def _block(self, tx: Tx, delivery: Delivery, wait: float) -> None:
        bucket = outbox_rows.bucket(tx, delivery.id)
        if bucket is None or rate_of(bucket) is None:
            return
        if self._shared:
            pace_rows.block(tx, bucket, tx.now + timedelta(seconds=wait))
        else:
            self._named[bucket] = tx.now + timedelta(seconds=wait)
