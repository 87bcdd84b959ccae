"""What is written about a send, by what came of it.

not sent    refused connection, 429, a platform that says so: `retry`, later each time; after a day `failed`
refused     `failed`; words that went with a refused file leave in its place
sent        `sent`, with the platform's name of it
uncertain   all else: `uncertain`, and its sender's resolver is asked before anything leaves again
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bot.errors import FileRefused, NotSent, RateLimited, Refused
from bot.nouns import noun
from bot.outbox import enqueue, settle, settle_sent
from bot.storage import outbox_rows
from bot.storage.engine import lost_a_lock
from bot.storage.tx import Tx
from channels.delivery.paces import shares_place
from channels.port import Delivery, Sent, Verdict

log = structlog.get_logger()
LONGEST_WAIT = 3_600.0  # seconds that a platform may ask for; beyond that it is a mistake of theirs
FIRST_BACKOFF, LAST_BACKOFF = 1.0, 300.0  # seconds
TOO_OLD = timedelta(hours=24)
RESOLVE_AFTER = timedelta(seconds=5)  # since nobody knows what became of a send, the resolver is asked …
RESOLVE_AGAIN = timedelta(seconds=10)  # … and where it must wait, so long after that: 5, 15, 25 … seconds
RESOLVE_TRIES = 5


@dataclass(slots=True)
class Counters:
    sent: int = 0
    retried: int = 0
    failed: int = 0
    uncertain: int = 0
    expired: int = 0
    rate_limited: int = 0
    leases_lost: int = 0
    rate_limited_by: dict[str, int] = field(default_factory=dict)  # channel → how often it asked us to wait

    def add(self, *names: str, via: str = "") -> None:
        for name in names:
            setattr(self, name, getattr(self, name) + 1)
        if "rate_limited" in names:
            self.rate_limited_by[via] = self.rate_limited_by.get(via, 0) + 1


@noun(frozen=True, slots=True)
class Outcome:
    """What is to be written about a send, and what it counts as once that is written: nobody sees a count before its row.

    `end` is written instead where a room that hears of it fails: the row has come to its end all the same.
    """

    delivery: Delivery
    write: Callable[[Tx], None]
    counts: tuple[str, ...] = ()
    end: Callable[[Tx], object] | None = None
    sent: Sent | None = None  # it is nothing but sent, and may be written together with others


class Outcomes:
    """`owner` holds the rows. `held_up` is told that a send has to wait for so many seconds, and whether by a 429; it says
    when the row is due. `is_awaited`: whether somebody may wait for any send to end, whichever it is.
    """

    def __init__(
        self,
        owner: str,
        held_up: Callable[[Tx, Delivery, float, bool], datetime],
        is_awaited: Callable[[], bool],
    ) -> None:
        self._owner = owner
        self._held_up = held_up
        self._is_awaited = is_awaited

    def sent(self, delivery: Delivery, sent: Sent) -> Outcome:
        return self._settled(delivery, "sent", sent, ext_id=sent.ext_id, data=sent.data)

    def not_sent(self, delivery: Delivery, error: NotSent) -> Outcome:
        counts = ("retried", "rate_limited") if isinstance(error, RateLimited) else ("retried",)
        return Outcome(delivery, partial(self._retry, delivery=delivery, error=error), counts)

    def refused(self, delivery: Delivery, error: Refused) -> Outcome:
        if isinstance(error, FileRefused):
            return Outcome(delivery, partial(self._words_alone, delivery=delivery, error=error), ("failed",))
        return self._settled(delivery, "failed", error=str(error))

    def _settled(self, delivery: Delivery, outcome: str, sent: Sent | None = None, **how: Any) -> Outcome:
        write = partial(settle, outbox_id=delivery.id, outcome=outcome, **how)
        end = partial(
            outbox_rows.end,
            outbox_id=delivery.id,
            state=outcome,
            ext_id=how.get("ext_id"),
            error=how.get("error"),
        )
        return Outcome(delivery, write, (outcome,), end, sent)

    def nobody_knows(self, delivery: Delivery, error: str) -> Outcome:
        return Outcome(delivery, partial(self._unsure, delivery=delivery, error=error), ("uncertain",))

    def ask_later(self, delivery: Delivery) -> Outcome:
        """The platform could not be asked: that says nothing about the message."""
        return Outcome(delivery, partial(self._ask_later, delivery=delivery))

    def resolved(self, delivery: Delivery, found: Sent | Verdict) -> Outcome:
        return Outcome(delivery, partial(self._resolved, delivery=delivery, found=found))

    # ── inside a transaction ───────────────────────────────────────────────────────────────────────────────────────
    def write(self, tx: Tx, group: Sequence[Outcome]) -> None:
        """All of a group, of those rows that are still ours; where one fails, each by itself."""
        ours = outbox_rows.held(tx, [one.delivery.id for one in group], self._owner)
        mine = [one for one in group if one.delivery.id in ours]

        def together() -> None:
            plain = [(one.delivery, ours[one.delivery.id], one.sent) for one in mine if one.sent is not None]
            settle_sent(tx, [(of, row, sent.ext_id, sent.data) for of, row, sent in plain])
            for one in mine:
                if one.sent is None:
                    one.write(tx)

        if not safely(tx, together):
            for one in mine:
                if not safely(tx, partial(one.write, tx)) and one.end is not None:
                    one.end(tx)
        if self._is_awaited() or any(one.sent is None for one in mine) or any(frees(row) for row in ours.values()):
            tx.wake("outbox")

    def _retry(self, tx: Tx, delivery: Delivery, error: NotSent) -> None:
        reason, retry_after = str(error), error.retry_after
        if tx.now - delivery.created_at > TOO_OLD:
            settled(tx, delivery.id, "failed", error=f"given up after 24 hours: {reason}")
            return
        sensible = retry_after is not None and 0 < retry_after <= LONGEST_WAIT
        wait = retry_after if retry_after is not None and sensible else backoff(delivery.attempts)
        due = self._held_up(tx, delivery, wait, isinstance(error, RateLimited))
        self._set(tx, delivery, state="retry", due_at=due, error=reason)

    def _words_alone(self, tx: Tx, delivery: Delivery, error: FileRefused) -> None:
        """The row keeps its place in the lane and becomes the words; the file gets a row of its own, which has failed."""
        self._set(tx, delivery, kind="text", payload=dict(error.words), state="retry", due_at=tx.now, error=str(error))
        lost = enqueue(
            tx,
            via=delivery.via,
            lane=delivery.lane,
            kind=delivery.kind,
            payload=error.file,
            customer_id=delivery.customer_id,
            case_id=delivery.case_id,
            message_id=delivery.message_id,
        )
        settled(tx, lost, "failed", error=str(error))

    def _unsure(self, tx: Tx, delivery: Delivery, error: str) -> None:
        # Asking is counted apart from sending: what was tried often before may still be asked about.
        self._set(tx, delivery, state="uncertain", due_at=tx.now + RESOLVE_AFTER, error=error, attempts=0)

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
            self._set(tx, delivery, state="uncertain", due_at=tx.now + RESOLVE_AGAIN)
        else:
            doubled = {"doubled": True} if found is Verdict.RESEND else {}
            self._set(tx, delivery, state="retry", due_at=tx.now, **doubled)

    def _set(self, tx: Tx, delivery: Delivery, **values: Any) -> None:
        outbox_rows.change_mine(tx, delivery.id, self._owner, **values)


def frees(row: Any) -> bool:
    """Whether another one may leave because this one was sent: it is behind it in its lane, or in line at the same place."""
    return bool(row.is_awaited) or shares_place(row.bucket, row.lane, row.kind)


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
    told = safely(tx, partial(settle, tx, outbox_id, outcome, ext_id=ext_id, error=error, data=data))
    if not told:
        outbox_rows.end(tx, outbox_id, outcome, ext_id, error)


def safely(tx: Tx, tell: Callable[[], object]) -> bool:
    """Tell the house; False if a room failed over it, and all of that is undone. The sends go on either way."""
    savepoint = tx.savepoint()
    try:
        tell()
        savepoint.commit()
    except Exception as fault:
        if not savepoint.is_active or lost_a_lock(fault):
            raise
        savepoint.rollback()
        log.exception("what became of a send could not be told")
        return False
    return True


def backoff(attempts: int) -> float:
    """1, 2, 4 … 300 seconds, each up to a fifth longer, so that many do not come back at once."""
    return min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(max(attempts, 1) - 1, 20)) * (1 + random.random() / 5)  # noqa: S311 - jitter
