"""Claims what may leave now, sends it, and asks about what is uncertain. The theory stands in the package's docstring."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

import structlog

from bot import failpoints
from bot.errors import DatabaseFault, NotSent, Refused, Uncertain
from bot.storage import pace_rows
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.delivery.claims import Claims
from channels.delivery.leases import TOO_LATE, Held, Leases, monotonic
from channels.delivery.outcomes import Counters, Outcome, Outcomes
from channels.port import Delivery, Sender

log = structlog.get_logger()
AT_ONCE = 64  # sends in flight: who is beyond them costs a look at all who wait, again with each end of a send
DOWNLOADS = 16  # of them: files that are fetched, each with up to 20 MB in memory
MANY = 4  # sends in flight, on one of several nodes; then …
PAUSE = 0.016  # … what came of them waits for more, for as long as it took to write the last down, and so many seconds at most
TOGETHER = 128  # outcomes that are written down in one go
SEND_WITHIN = 100.0  # seconds; well before the lease ends, so that nobody else sends it meanwhile


class DeliveryLoop:
    """One per process. `run` claims what may leave now and returns when to look again; `courier` does so within a commit."""

    def __init__(self, storage: Storage, senders: Mapping[str, Sender]) -> None:
        self._storage = storage
        self.senders = dict(senders)
        self.counters = Counters()
        self._leases = Leases(storage, lost=lambda: self.counters.add("leases_lost"), beaten=self._beaten)
        self._claims = Claims(self._leases)
        self._outcomes = Outcomes(self._leases.owner, self._claims.held_up, self._is_awaited)
        self._tasks: set[asyncio.Task[None]] = set()
        self._owed: list[Outcome] = []  # what came of sends, and is not written down yet
        self._writing = asyncio.Lock()
        self._secretary: asyncio.Task[None] | None = None
        self._took = 0.0  # seconds, to write the last of them
        self._looking = asyncio.Lock()  # of a look that may claim
        self._downloads = asyncio.Semaphore(DOWNLOADS)
        self._stopping = False
        self._turned_away = False  # a commit found no room
        self._claimed: tuple[object, int] = (None, 0)  # a transaction, and how many rows it has claimed
        self._next: datetime | None = None  # when `run` wants to look again
        self.wake: Callable[[], None] = lambda: None
        self.overloaded: Callable[[], None] = lambda: None  # there is more than we can send at once

    async def recover(self) -> None:
        """After a start: what was on its way when the last process died may have arrived."""
        await self._storage.write(self._recover)

    async def run(self) -> datetime | None:
        self._next = None
        await self._write_owed()
        if self._room <= 0:
            self._turned_away = True
            self._claims.somebody_waits()
            self.overloaded()
            return None  # a finished send wakes us
        try:
            async with self._looking:
                self._next = await self._storage.write(partial(self._take, asked=monotonic()), quick=True)
        except DatabaseFault:
            self._leases.cut_off()
            raise
        return self._next

    def courier(self, tx: Tx, asked: int, began: float) -> bool:
        """What a commit has put into the outbox is claimed by that commit, and leaves as soon as it is durable.

        `asked`: how often that is wished for; `began`: when its transaction did (monotonic). False: `run` has to look. Where
        nodes share the database that is whenever anything else waits: in a turn's transaction nobody waits for anybody.
        """
        if self._leases.shared:
            room = self._room
            added = self._claims.claim_added(tx, self.senders, room, asked) if room > 0 else None
            if added is not None:
                tx.after_commit(partial(self._begin, added, began))
            return added is not None
        self._turned_away = True  # before we count: it runs in the writer's thread
        room = self._room_in(tx)
        if room <= 0:
            self._claims.somebody_waits()
            return True  # a finished send looks again
        self._turned_away = False
        added = self._claims.claim_added(tx, self.senders, room, asked)
        claimed, due = self._claim(tx) if added is None else (added, None)
        tx.after_commit(partial(self._begin, claimed, began, due))
        return True

    async def idle(self) -> None:
        """Wait until nothing is in flight, and what came of it is written down."""
        while under_way := self._under_way():
            await asyncio.wait(under_way)

    async def stop(self, grace: float = 10.0) -> None:
        """Let what is in flight arrive; what does not within `grace` seconds is uncertain after the next start.

        Whoever runs the loop ends it after this, not before: what a commit that is cut off had claimed would never leave.
        """
        self._stopping = True
        with contextlib.suppress(TimeoutError, DatabaseFault):
            async with asyncio.timeout(grace):
                await self._claimed_is_begun()
                await self.idle()
                if self._owed:  # the database was away when they came to their end
                    await self._write_owed()
        for task in self._under_way():
            task.cancel()
        self._leases.stop()

    async def _claimed_is_begun(self) -> None:
        """Wait for the commit that is under way: what it claims is `sending` already, and would not leave."""
        if self._leases.shared:
            async with self._looking:
                await self._storage.turns_taken()
            return
        with contextlib.suppress(DatabaseFault):
            await self._storage.write(lambda _tx: None, quick=True)

    async def forget_old(self) -> None:
        """Rates that were kept with chats and channels which have been quiet for long."""
        if self._leases.shared:
            await self._storage.write(pace_rows.forget_old)

    @property
    def _room(self) -> int:
        return 0 if self._stopping else AT_ONCE - len(self._tasks)

    def _room_in(self, tx: Tx) -> int:
        """Less what this very commit has claimed already, and what is therefore not begun yet."""
        transaction, claimed = self._claimed
        return self._room - (claimed if transaction is tx.conn.get_transaction() else 0)

    def _under_way(self) -> set[asyncio.Task[None]]:
        return self._tasks | ({self._secretary} if self._secretary is not None else set())

    def _begin(self, claimed: Sequence[tuple[Delivery, str]], asked: float, due: datetime | None = None) -> None:
        """Send what was claimed. `due`: when to look again, where `run` does not know of it."""
        for delivery, state in claimed:
            self._leases.take(delivery.id, delivery.lane, asked)
            work = self._send(delivery) if state != "uncertain" else self._resolve(delivery)
            task = asyncio.create_task(work, name=f"send-{delivery.via}")
            self._tasks.add(task)
            task.add_done_callback(self._finished)
        if due is not None and (self._next is None or due < self._next):
            self.wake()

    def _is_awaited(self) -> bool:
        """Whether somebody may wait for any send to end, whichever it is."""
        return self._leases.shared or not self._claims.nobody_waits

    def _beaten(self) -> None:
        if self._owed:
            self.wake()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._turned_away and not self._tasks:  # the last one's end was written before it was counted out here
            self._turned_away = False
            self.wake()
        if not task.cancelled() and task.exception() is not None:
            log.error("delivery failed", error=repr(task.exception()))

    # ── inside a transaction ───────────────────────────────────────────────────────────────────────────────────────
    def _recover(self, tx: Tx) -> None:
        self._count(tx, "uncertain", self._claims.recover(tx))

    def _take(self, tx: Tx, asked: float) -> datetime | None:
        """What it claims is begun before anything else is claimed."""
        claimed, due = self._claim(tx)
        tx.after_commit(partial(self._begin, claimed, asked))
        return due

    def _claim(self, tx: Tx) -> tuple[list[tuple[Delivery, str]], datetime | None]:
        """The heads of lanes that may leave now, marked `sending`; and when to look again."""
        room = self._room_in(tx)
        claimed, found = self._claims.claim(tx, self.senders, room)
        self._claimed = (tx.conn.get_transaction(), self._room - room + len(claimed))
        self._count(tx, "uncertain", found.stranded)
        self._count(tx, "expired", found.expired)
        return claimed, min(found.later, default=None)

    def _count(self, tx: Tx, name: str, count: int) -> None:
        if count:
            tx.after_commit(lambda: self.counters.add(*(name,) * count))

    # ── the network ────────────────────────────────────────────────────────────────────────────────────────────────
    async def _send(self, delivery: Delivery) -> None:
        if self._leases.shared and self._storage.clock() - delivery.started_at >= self._leases.lease:
            # We slept, or waited long for a commit's answer. Others may have it by now: then this is not written.
            self._conclude(self._outcomes.not_sent(delivery, NotSent(TOO_LATE)))
            return
        async with self._downloads if delivery.kind == "fetch" else contextlib.nullcontext():
            outcome = await self._attempt(delivery)
        self._conclude(outcome)

    def _conclude(self, outcome: Outcome) -> None:
        """What came of it is written down with what else comes to its end meanwhile."""
        self._owed.append(outcome)
        if self._secretary is None or self._secretary.done():  # done, and not noticed yet: it looks for no more
            self._secretary = asyncio.create_task(self._write_owed(), name="stafett-outcomes")
            self._secretary.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        if self._secretary is task:
            self._secretary = None
        if not task.cancelled() and task.exception() is not None:
            log.error("what came of sends is not written down yet", error=repr(task.exception()))
            self.wake()

    async def _write_owed(self) -> None:
        """Where the database is away just now, the lanes wait until that is done."""
        async with self._writing:
            if self._leases.shared and len(self._tasks) >= MANY:
                await asyncio.sleep(min(self._took, PAUSE))
            while group := self._owed[:TOGETHER]:
                ids = [one.delivery.id for one in group]
                held = {of: held for of in ids if (held := self._leases.held.get(of)) is not None}
                self._mark(held.values(), concluded=True)
                began = monotonic()
                try:
                    await self._storage.write(partial(self._outcomes.write, group=group), quick=True)
                except BaseException:
                    self._mark(held.values(), concluded=False)
                    raise
                self._took = monotonic() - began
                del self._owed[: len(group)]
                for one in group:
                    self.counters.add(*one.counts, via=one.delivery.via)
                for of, claim in held.items():
                    self._leases.let_go(of, claim)

    def _mark(self, rows: Iterable[Held], *, concluded: bool) -> None:
        for held in rows:
            held.concluded = concluded

    async def _attempt(self, delivery: Delivery) -> Outcome:
        """Send, and return what to write about it."""
        failpoints.reach("claimed")
        try:
            async with self._leases.while_held(delivery.id, SEND_WITHIN):
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
            async with self._leases.while_held(delivery.id, SEND_WITHIN):
                found = await self.senders[delivery.via].resolve(delivery)
        except Exception as error:  # noqa: BLE001 - the platform could not be asked: that says nothing about the message
            log.warning("resolver failed", via=delivery.via, error=repr(error))
            self._conclude(self._outcomes.ask_later(delivery))
            return
        self._conclude(self._outcomes.resolved(delivery, found))
