"""Drains the outbox: order per lane, back-off, rate limits, and the sends whose outcome nobody knows.

    ready ──claim──► sending ──► sent
      ▲                │ ├─────► retry (due later) ──► sending …
      │                │ ├─────► failed
      │                │ └─────► uncertain ──resolver──► sent | retry | failed
      └ (baton moved: expired)

`sending` is committed before the first byte leaves. A row that is found `sending` after a crash is `uncertain`, never
`ready`: it may have arrived. One send at a time per lane; a lane whose head waits (429) holds only itself up.

A claimed row is held under a lease. Where nodes share a database the lease is short, and the node that lives renews it
every few seconds; one that was frozen or cut off for longer drops what it was sending when it wakes, and may write nothing
about it (fencing): by then another node has asked the resolver. Times of leases are the database's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bot import failpoints
from bot.errors import DatabaseFault, NotSent, RateLimited, Refused, Uncertain
from bot.model import new_id
from bot.outbox import settle
from bot.storage import outbox_rows, pace_rows
from bot.storage.engine import Storage, lost_a_lock
from bot.storage.tx import Tx
from channels.port import Delivery, Sender, Sent, Verdict

log = structlog.get_logger()
AT_ONCE = 32  # sends in flight
LEASE = timedelta(seconds=120)  # where there is one process
SHARED_LEASE = timedelta(seconds=7)  # where there are more: a dead node's work goes on after this and one poll
BEAT = 2.0  # seconds between renewals of it
EARLIER = 1.0  # second by which a node gives up before its lease is over for the others
SEND_WITHIN = 100.0  # seconds; well before the lease ends, so that nobody else sends it meanwhile
AFTER_OUTAGE = timedelta(
    seconds=6
)  # the database was away: everybody's lease looks over, and owners get time to say so
LONGEST_WAIT = 3_600.0  # seconds that a platform may ask for; beyond that it is a mistake of theirs
FIRST_BACKOFF, LAST_BACKOFF = 1.0, 300.0  # seconds
TOO_OLD = timedelta(hours=24)
RESOLVE_AFTER = timedelta(seconds=5)
RESOLVE_TRIES = 5
RATES: Mapping[str, float] = {"telegram": 1.0, "slack": 1.0}  # sends a second per bucket (chat, channel)


@dataclass(slots=True)
class Counters:
    sent: int = 0
    retried: int = 0
    failed: int = 0
    uncertain: int = 0
    expired: int = 0
    rate_limited: int = 0
    leases_lost: int = 0

    def add(self, *names: str) -> None:
        for name in names:
            setattr(self, name, getattr(self, name) + 1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be written about a send, and what it counts as once that is written: nobody sees a count before its row."""

    write: Callable[[Tx], None]
    counts: tuple[str, ...] = ()


class Paces:
    """Sends per second and bucket: a burst of a few, then the platform's pace. Times are seconds, of any one clock."""

    def __init__(self, burst: int = 3) -> None:
        self._burst = burst
        self.free: dict[str, float] = {}

    def wait(self, bucket: str | None, now: float) -> float:
        """Seconds until this bucket may spend one; 0 if it just did."""
        rate = rate_of(bucket)
        if bucket is None or rate is None:
            return 0.0
        free = max(self.free.get(bucket, 0.0), now - self._burst / rate)
        if free > now:
            return free - now
        self.free[bucket] = free + 1 / rate
        if len(self.free) > 10_000:
            self.free = {name: at for name, at in self.free.items() if at > now - self._burst / rate}
        return 0.0


def rate_of(bucket: str | None) -> float | None:
    """Sends a second."""
    return RATES.get(bucket.split(":", 1)[0]) if bucket else None


@dataclass(slots=True)
class Held:
    """A row that this process has claimed: its lane, and until when (the loop's time) it may be sent under the claim."""

    lane: str
    until: float
    timeout: asyncio.Timeout | None = None

    def last(self, until: float) -> None:
        self.until = until
        if self.timeout is not None:
            self.timeout.reschedule(until)


class DeliveryLoop:
    """One per process. `run` claims what may leave now and returns when to look again."""

    def __init__(self, storage: Storage, senders: Mapping[str, Sender]) -> None:
        self._storage = storage
        self.senders = dict(senders)
        self.counters = Counters()
        self._owner = new_id()
        self._paces = Paces()
        self._named: dict[str, datetime] = {}  # bucket → before which the platform takes nothing more
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight: dict[str, Held] = {}  # by the row's id
        self._owed: list[tuple[Delivery, Outcome]] = []  # what came of sends, and could not be written down
        self._shared = storage.poll is not None
        self._lease = SHARED_LEASE if self._shared else LEASE
        self._beating: asyncio.Task[None] | None = None
        self._cut_off_until = 0.0
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
        asked = asyncio_now()
        try:
            claimed, due = await self._storage.write(self._claim)
        except DatabaseFault:
            self._cut_off()
            raise
        for delivery, state in claimed:
            self._in_flight[delivery.id] = Held(delivery.lane, self._until(asked))
            work = self._send(delivery) if state != "uncertain" else self._resolve(delivery)
            task = asyncio.create_task(work, name=f"send-{delivery.via}")
            self._tasks.add(task)
            task.add_done_callback(lambda done, one=delivery: self._finished(done, one))  # type: ignore[misc]
        if claimed and self._shared and (self._beating is None or self._beating.done()):
            self._beating = asyncio.create_task(self._beat(), name="stafett-leases")
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
        if self._beating is not None:
            self._beating.cancel()

    async def forget_old(self) -> None:
        """Rates that were kept with chats and channels which have been quiet for long."""
        if self._shared:
            await self._storage.write(pace_rows.forget_old)

    # ── leases ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _until(self, asked: float) -> float:
        """How long we may believe in a lease that was asked for then, by our own monotonic clock."""
        return asked + self._lease.total_seconds() - EARLIER if self._shared else float("inf")

    async def _beat(self) -> None:
        """For as long as something is in flight: this node lives. What is no longer ours is dropped where it stands."""
        while self._in_flight:
            await asyncio.sleep(BEAT)
            asked, ids = asyncio_now(), list(self._in_flight)
            try:
                kept = await self._storage.write(partial(self._renew, ids=ids), urgent=True)
            except DatabaseFault:
                self._cut_off()
                continue
            if self._owed:
                self.wake()
            for outbox_id in ids:
                held = self._in_flight.get(outbox_id)
                if held is not None:
                    self.counters.leases_lost += outbox_id not in kept and held.timeout is not None
                    held.last(self._until(asked) if outbox_id in kept else asked)

    def _renew(self, tx: Tx, ids: Sequence[str]) -> set[str]:
        return outbox_rows.renew(tx, self._owner, ids, self._lease)

    def _cut_off(self) -> None:
        self._cut_off_until = asyncio_now() + AFTER_OUTAGE.total_seconds()

    def _finished(self, task: asyncio.Task[None], delivery: Delivery) -> None:
        self._tasks.discard(task)
        if all(one.id != delivery.id for one, _ in self._owed):
            self._in_flight.pop(delivery.id, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("delivery failed", error=repr(task.exception()))
        self.wake()

    # ── inside a transaction ───────────────────────────────────────────────────────────────────────────────────────
    def _recover(self, tx: Tx) -> None:
        grace = AFTER_OUTAGE if asyncio_now() < self._cut_off_until else timedelta()
        count = outbox_rows.strand(tx, self._owner, list(self._in_flight), others_may_live=self._shared, grace=grace)
        self.counters.uncertain += count

    def _claim(self, tx: Tx) -> tuple[list[tuple[Delivery, str]], datetime | None]:
        """The heads of lanes that may leave now, marked `sending`; and when the next head is due."""
        self._recover(tx)
        room = AT_ONCE - len(self._tasks)
        busy = {held.lane for held in self._in_flight.values()}
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
            return self._paces, asyncio_now()
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
            lease_owner=self._owner,
            lease_until=tx.now + self._lease,
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
        if self._storage.clock() - delivery.started_at >= self._lease:
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
            self._in_flight.pop(delivery.id, None)

    def _if_ours(self, tx: Tx, delivery: Delivery, outcome: Outcome) -> None:
        if outbox_rows.is_held(tx, delivery.id, self._owner):
            outcome.write(tx)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        """Send, and return what to write about it."""
        failpoints.reach("claimed")
        try:
            async with asyncio.timeout(SEND_WITHIN), self._while_held(delivery):
                sent = await self.senders[delivery.via].send(delivery)
        except NotSent as error:
            counts = ("retried", "rate_limited") if isinstance(error, RateLimited) else ("retried",)
            return Outcome(partial(self._retry, delivery=delivery, error=error), counts)
        except Refused as error:
            return Outcome(partial(settled, outbox_id=delivery.id, outcome="failed", error=str(error)), ("failed",))
        except Uncertain as error:
            return self._nobody_knows(delivery, str(error))
        except TimeoutError:
            log.warning("a send took too long, or its lease was lost", via=delivery.via, kind=delivery.kind)
            return self._nobody_knows(delivery, "no outcome in time")
        except Exception as error:
            log.exception("sender failed", via=delivery.via, kind=delivery.kind)
            return self._nobody_knows(delivery, repr(error))
        failpoints.reach("accepted")
        arrived = partial(settled, outbox_id=delivery.id, outcome="sent", ext_id=sent.ext_id, data=sent.data)
        return Outcome(arrived, ("sent",))

    def _nobody_knows(self, delivery: Delivery, error: str) -> Outcome:
        return Outcome(partial(self._unsure, delivery=delivery, error=error), ("uncertain",))

    @contextlib.asynccontextmanager
    async def _while_held(self, delivery: Delivery) -> AsyncIterator[None]:
        """Ends by TimeoutError when the lease does: a node that was frozen sends nothing of what others have by now.

        A timer that is overdue when the process wakes is served before the work that waited, so before its next step.
        """
        held = self._in_flight.get(delivery.id)
        if held is None or held.until == float("inf"):
            yield
            return
        if held.until <= asyncio_now():
            raise TimeoutError  # already: not even the first step
        async with asyncio.timeout_at(held.until) as timeout:
            held.timeout = timeout
            try:
                yield
            finally:
                held.timeout = None

    async def _resolve(self, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN), self._while_held(delivery):
                found = await self.senders[delivery.via].resolve(delivery)
        except Exception as error:  # noqa: BLE001 - the platform could not be asked: that says nothing about the message
            log.warning("resolver failed", via=delivery.via, error=repr(error))
            await self._conclude(delivery, Outcome(partial(self._ask_later, delivery=delivery)))
            return
        await self._conclude(delivery, Outcome(partial(self._resolved, delivery=delivery, found=found)))

    def _ask_later(self, tx: Tx, delivery: Delivery) -> None:
        if tx.now - delivery.created_at > TOO_OLD:
            settled(tx, delivery.id, "failed", error="it could not be found out whether it arrived")
        else:
            self._set(tx, delivery, state="uncertain", due_at=tx.now + timedelta(seconds=backoff(delivery.attempts)))

    def _resolved(self, tx: Tx, delivery: Delivery, found: Sent | Verdict) -> None:
        if isinstance(found, Sent):
            settled(tx, delivery.id, "sent", ext_id=found.ext_id, data=found.data)
        elif found is Verdict.GIVE_UP or (found is Verdict.WAIT and delivery.attempts > RESOLVE_TRIES):
            settled(tx, delivery.id, "failed", error="nobody knows whether it arrived, and it must not arrive twice")
        elif found is Verdict.WAIT:
            self._set(tx, delivery, state="uncertain", due_at=tx.now + RESOLVE_AFTER)
        else:
            doubled = {"doubled": True} if found is Verdict.RESEND else {}
            self._set(tx, delivery, state="retry", due_at=tx.now, **doubled)

    def _retry(self, tx: Tx, delivery: Delivery, error: NotSent) -> None:
        reason, retry_after = str(error), error.retry_after
        if tx.now - delivery.created_at > TOO_OLD:
            settled(tx, delivery.id, "failed", error=f"given up after 24 hours: {reason}")
            return
        sensible = retry_after is not None and 0 < retry_after <= LONGEST_WAIT
        wait = retry_after if retry_after is not None and sensible else backoff(delivery.attempts)
        bucket = outbox_rows.bucket(tx, delivery.id) if isinstance(error, RateLimited) else None
        if bucket is not None and rate_of(bucket) is not None:
            self._block(tx, bucket, wait)
        self._set(tx, delivery, state="retry", due_at=tx.now + timedelta(seconds=wait), error=reason)

    def _block(self, tx: Tx, bucket: str, wait: float) -> None:
        if self._shared:
            pace_rows.block(tx, bucket, tx.now + timedelta(seconds=wait))
        else:
            self._named[bucket] = tx.now + timedelta(seconds=wait)

    def _unsure(self, tx: Tx, delivery: Delivery, error: str) -> None:
        # Asking is counted apart from sending: what was tried often before may still be asked about.
        self._set(tx, delivery, state="uncertain", due_at=tx.now + RESOLVE_AFTER, error=error, attempts=0)

    def _set(self, tx: Tx, delivery: Delivery, **values: Any) -> None:
        outbox_rows.change_mine(tx, delivery.id, self._owner, **values)


def settled(
    tx: Tx,
    outbox_id: str,
    outcome: str,
    *,
    ext_id: str | None = None,
    error: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Settle a row; if a room that hears of it fails, the row has come to its end all the same, and is not sent again."""
    savepoint = tx.savepoint()
    afterwards = list(tx.afterwards)
    try:
        settle(tx, outbox_id, outcome, ext_id=ext_id, error=error, data=data)
        savepoint.commit()
    except Exception as fault:
        if not savepoint.is_active or lost_a_lock(fault):
            raise
        savepoint.rollback()
        tx.afterwards[:] = afterwards
        log.exception("a send's outcome could not be told", outbox_id=outbox_id, outcome=outcome)
        outbox_rows.end(tx, outbox_id, outcome, ext_id, error)


def backoff(attempts: int) -> float:
    """1, 2, 4 … 300 seconds, each up to a fifth longer, so that many do not come back at once."""
    return min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(max(attempts, 1) - 1, 20)) * (1 + random.random() / 5)  # noqa: S311 - jitter


def asyncio_now() -> float:
    """Seconds on the monotonic clock: paces don't care for the wall clock's jumps."""
    import time

    return time.monotonic()
