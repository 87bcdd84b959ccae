"""Drains the outbox: order per lane, back-off, rate limits, and the sends whose outcome nobody knows.

    ready ──claim──► sending ──► sent
      ▲                │ ├─────► retry (due later) ──► sending …
      │                │ ├─────► failed
      │                │ └─────► uncertain ──resolver──► sent | retry | failed
      └ (baton moved: expired)

`sending` is committed before the first byte leaves. A row that is found `sending` after a crash is `uncertain`, never
`ready`: it may have arrived. One send at a time per lane; a lane whose head waits (429) holds only itself up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bot import failpoints
from bot.errors import DatabaseFault, NotSent, Refused, Uncertain
from bot.model import new_id
from bot.outbox import settle
from bot.storage import outbox_rows
from bot.storage.engine import Storage, lost_a_lock
from bot.storage.tx import Tx
from channels.port import Delivery, Sender, Sent, Verdict

log = structlog.get_logger()
AT_ONCE = 32  # sends in flight
LEASE = timedelta(seconds=120)
SEND_WITHIN = 100.0  # seconds; well before the lease ends, so that nobody else sends it meanwhile
LONGEST_WAIT = 3_600.0  # seconds that a platform may ask for; beyond that it is a mistake of theirs
FIRST_BACKOFF, LAST_BACKOFF = 1.0, 300.0  # seconds
TOO_OLD = timedelta(hours=24)
RESOLVE_AFTER = timedelta(seconds=5)
RESOLVE_TRIES = 5
RATES: Mapping[str, float] = {"telegram": 1.0, "slack": 1.0}  # sends a second per bucket (chat, channel)


Outcome = Callable[[Tx], None]


@dataclass(slots=True)
class Counters:
    sent: int = 0
    retried: int = 0
    failed: int = 0
    uncertain: int = 0
    expired: int = 0
    rate_limited: int = 0


class Paces:
    """Sends per second and bucket: a burst of a few, then the platform's pace."""

    def __init__(self, burst: int = 3) -> None:
        self._burst = burst
        self._free: dict[str, float] = {}

    def wait(self, bucket: str | None, now: float) -> float:
        """Seconds until this bucket may spend one; 0 if it just did."""
        rate = RATES.get(bucket.split(":", 1)[0]) if bucket else None
        if bucket is None or rate is None:
            return 0.0
        free = max(self._free.get(bucket, 0.0), now - self._burst / rate)
        if free > now:
            return free - now
        self._free[bucket] = free + 1 / rate
        if len(self._free) > 10_000:
            self._free = {name: at for name, at in self._free.items() if at > now - self._burst / rate}
        return 0.0


class DeliveryLoop:
    """One per process. `run` claims what may leave now and returns when to look again."""

    def __init__(self, storage: Storage, senders: Mapping[str, Sender]) -> None:
        self._storage = storage
        self.senders = dict(senders)
        self.counters = Counters()
        self._owner = new_id()
        self._paces = Paces()
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight: dict[str, str] = {}  # the id of each claimed row → its lane
        self._owed: list[tuple[Delivery, Outcome]] = []  # what came of sends, and could not be written down
        self.wake: Callable[[], None] = lambda: None

    async def recover(self) -> None:
        """After a start: what was on its way when the last process died may have arrived."""
        await self._storage.write(self._recover)

    async def run(self) -> datetime | None:
        await self._write_owed()
        if len(self._tasks) >= AT_ONCE:
            return None  # a finished send wakes us
        claimed, due = await self._storage.write(self._claim)
        for delivery, state in claimed:
            self._in_flight[delivery.id] = delivery.lane
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

    def _finished(self, task: asyncio.Task[None], delivery: Delivery) -> None:
        self._tasks.discard(task)
        if all(one.id != delivery.id for one, _ in self._owed):
            self._in_flight.pop(delivery.id, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("delivery failed", error=repr(task.exception()))
        self.wake()

    # ── inside a transaction ───────────────────────────────────────────────────────────────────────────────────────
    def _recover(self, tx: Tx) -> None:
        others_may_live = self._storage.poll is not None
        count = outbox_rows.strand(tx, self._owner, list(self._in_flight), others_may_live=others_may_live)
        self.counters.uncertain += count

    def _claim(self, tx: Tx) -> tuple[list[tuple[Delivery, str]], datetime | None]:
        """The heads of lanes that may leave now, marked `sending`; and when the next head is due."""
        self._recover(tx)
        room = AT_ONCE - len(self._tasks)
        busy = set(self._in_flight.values())
        claimed: list[tuple[Delivery, str]] = []
        later: list[datetime] = []
        for row in outbox_rows.heads(tx.conn, tx.now, self.senders, room * 4):
            if row.lane in busy:
                continue
            if len(claimed) >= room:
                break
            if self._is_over(tx, row):
                later.append(tx.now)
                continue
            wait = self._paces.wait(row.bucket, asyncio_now()) if row.state != "uncertain" else 0.0
            if wait > 0:
                later.append(tx.now + timedelta(seconds=wait))
                continue
            claimed.append((self._mark_sending(tx, row), row.state))
        due = outbox_rows.next_due(tx.conn, tx.now, self.senders)
        if due is not None:
            later.append(due)
        return claimed, min(later) if later else None

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
            lease_until=tx.now + LEASE,
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
        if self._storage.clock() - delivery.started_at >= LEASE:
            return  # we slept, and others may have it by now
        await self._conclude(delivery, await self._attempt(delivery))

    async def _conclude(self, delivery: Delivery, after: Outcome) -> None:
        """Write down what came of it. Where the database is away just now, its lane waits until that is done."""
        try:
            await self._storage.write(lambda tx: self._if_ours(tx, delivery, after))
        except DatabaseFault:
            self._owed.append((delivery, after))
            raise

    async def _write_owed(self) -> None:
        while self._owed:
            delivery, after = self._owed[0]
            await self._storage.write(lambda tx, one=delivery, then=after: self._if_ours(tx, one, then))  # type: ignore[misc]
            self._owed.pop(0)
            self._in_flight.pop(delivery.id, None)

    def _if_ours(self, tx: Tx, delivery: Delivery, after: Outcome) -> None:
        if outbox_rows.is_held(tx, delivery.id, self._owner):
            after(tx)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        """Send, and return what to write about it."""
        failpoints.reach("claimed")
        try:
            async with asyncio.timeout(SEND_WITHIN):
                sent = await self.senders[delivery.via].send(delivery)
        except NotSent as error:
            self.counters.retried += 1
            self.counters.rate_limited += error.retry_after is not None
            return partial(self._retry, delivery=delivery, reason=str(error), retry_after=error.retry_after)
        except Refused as error:
            self.counters.failed += 1
            return partial(settled, outbox_id=delivery.id, outcome="failed", error=str(error))
        except Uncertain as error:
            self.counters.uncertain += 1
            return partial(self._unsure, delivery=delivery, error=str(error))
        except Exception as error:
            log.exception("sender failed", via=delivery.via, kind=delivery.kind)
            return partial(self._unsure, delivery=delivery, error=repr(error))
        failpoints.reach("accepted")
        self.counters.sent += 1
        return partial(settled, outbox_id=delivery.id, outcome="sent", ext_id=sent.ext_id, data=sent.data)

    async def _resolve(self, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN):
                found = await self.senders[delivery.via].resolve(delivery)
        except Exception as error:  # noqa: BLE001 - the platform could not be asked: that says nothing about the message
            log.warning("resolver failed", via=delivery.via, error=repr(error))
            await self._conclude(delivery, partial(self._ask_later, delivery=delivery))
            return
        await self._conclude(delivery, partial(self._resolved, delivery=delivery, found=found))

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

    def _retry(self, tx: Tx, delivery: Delivery, reason: str, retry_after: float | None) -> None:
        if tx.now - delivery.created_at > TOO_OLD:
            settled(tx, delivery.id, "failed", error=f"given up after 24 hours: {reason}")
            return
        sensible = retry_after is not None and 0 < retry_after <= LONGEST_WAIT
        wait = retry_after if retry_after is not None and sensible else backoff(delivery.attempts)
        self._set(tx, delivery, state="retry", due_at=tx.now + timedelta(seconds=wait), error=reason)

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
