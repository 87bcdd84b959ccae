"""What this process has claimed, and until when it may believe so.

One process on SQLite needs no more than a long lease. Where nodes share a database the lease is short, and the node that
lives renews it every few seconds. Times of leases in the database are the database's; what a process believes is by its own
monotonic clock, and a little less.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from bot.errors import NotSent
from bot.model import new_id
from bot.storage import outbox_rows
from bot.storage.engine import Storage
from bot.storage.tx import Tx

log = structlog.get_logger()
LEASE = timedelta(seconds=120)  # where there is one process
SHARED_LEASE = timedelta(seconds=7)  # where there are more: a dead node's work goes on after this and one poll
BEAT = 2.0  # seconds between renewals of it
EARLIER = 1.0  # second by which a node gives up before its lease is over for the others
AFTER_OUTAGE = timedelta(
    seconds=6
)  # the database was away: everybody's lease looks over, and owners get time to say so

TOO_LATE = "its claim was over before it could leave"


@dataclass(slots=True)
class Held:
    """A row that this process has claimed: its lane, and until when (the loop's time) it may be sent under the claim."""

    lane: str
    until: float
    timeout: asyncio.Timeout | None = None  # of the send that is under way, which …
    at_most: float = float("inf")  # … lasts until then even if the claim is kept
    concluded: bool = False  # what came of it is being written down: who follows in its lane may be claimed with that

    def last(self, until: float) -> None:
        self.until = until
        if self.timeout is not None:
            self.timeout.reschedule(min(until, self.at_most))


class Leases:
    """`held` is by the row's id. `lost` hears of a send that was under way when its lease went; `beaten` of each beat."""

    def __init__(self, storage: Storage, lost: Callable[[], None], beaten: Callable[[], None]) -> None:
        self._storage = storage
        self._lost = lost
        self._beaten = beaten
        self.owner = new_id()
        self.held: dict[str, Held] = {}
        self.shared = storage.poll is not None
        self.lease = SHARED_LEASE if self.shared else LEASE
        self._beating: asyncio.Task[None] | None = None
        self._cut_off_until = 0.0

    def take(self, outbox_id: str, lane: str, asked: float) -> None:
        """The row was claimed; the database was asked for it at `asked` (monotonic)."""
        self.held[outbox_id] = Held(lane, self._until(asked))
        if self.shared and (self._beating is None or self._beating.done()):
            self._beating = asyncio.create_task(self._beat(), name="stafett-leases")

    def let_go(self, outbox_id: str, claim: Held | None = None) -> None:
        """Of the row, or of this claim alone: with the commit that ended it the row may have been claimed anew."""
        if claim is None or self.held.get(outbox_id) is claim:
            self.held.pop(outbox_id, None)

    def lanes(self) -> set[str]:
        return {held.lane for held in list(self.held.values()) if not held.concluded}

    def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()

    def cut_off(self) -> None:
        """The database can't be reached: others could not renew their leases either."""
        self._cut_off_until = monotonic() + AFTER_OUTAGE.total_seconds()

    def strand(self, tx: Tx) -> int:
        """What was on its way when its sender died is uncertain now. Returns how many rows."""
        grace = AFTER_OUTAGE if monotonic() < self._cut_off_until else timedelta()
        return outbox_rows.strand(tx, self.owner, list(self.held), others_may_live=self.shared, grace=grace)

    def while_held(self, outbox_id: str, within: float) -> contextlib.AbstractAsyncContextManager[object]:
        """Ends by TimeoutError after `within` seconds, or when the lease does: a node that was frozen sends nothing of what
        others have by now. Raises NotSent where it is over before the first step.

        A timer that is overdue when the process wakes is served before the work that waited, so before its next step.
        """
        held, at_most = self.held.get(outbox_id), monotonic() + within
        if held is None or held.until == float("inf"):
            return asyncio.timeout_at(at_most)
        held.at_most = at_most
        return self._while_kept(held)

    @contextlib.asynccontextmanager
    async def _while_kept(self, held: Held) -> AsyncIterator[None]:
        if held.until <= monotonic():
            raise NotSent(TOO_LATE)
        async with asyncio.timeout_at(min(held.until, held.at_most)) as timeout:
            held.timeout = timeout
            try:
                yield
            finally:
                held.timeout = None

    def _until(self, asked: float) -> float:
        """How long we may believe in a lease that was asked for then, by our own monotonic clock."""
        return asked + self.lease.total_seconds() - EARLIER if self.shared else float("inf")

    async def _beat(self) -> None:
        """For as long as something is in flight: this node lives. What is no longer ours is dropped where it stands."""
        while self.held:
            await asyncio.sleep(BEAT)
            asked, ids = monotonic(), list(self.held)
            try:
                kept = await self._storage.write(partial(self._renew, ids=ids), urgent=True, quick=True)
            except Exception as error:  # noqa: BLE001 - who ends here lets others take what is on its way
                log.warning("leases could not be renewed", error=repr(error))
                self.cut_off()
                continue
            self._beaten()
            for outbox_id in ids:
                held = self.held.get(outbox_id)
                if held is not None:
                    if outbox_id not in kept and held.timeout is not None:
                        self._lost()
                    held.last(self._until(asked) if outbox_id in kept else asked)

    def _renew(self, tx: Tx, ids: Sequence[str]) -> set[str]:
        return outbox_rows.renew(tx, self.owner, ids, self.lease)


def monotonic() -> float:
    """Seconds that don't care for the wall clock's jumps: also the event loop's time."""
    return time.monotonic()
