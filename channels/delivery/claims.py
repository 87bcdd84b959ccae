"""Which rows may leave now: the heads of lanes, as far as limits and the baton let them.

Fair: each lane shows only its head, whoever waits longest goes first, and what is queued behind gets the time at which it
can leave at the soonest. A customer with a thousand lines takes turns with the others. Where lanes share a place (the cases
in one Slack channel) they stand in line: one is under way at a time, and until the place takes the next one none of them is
looked at, so that they show up in the order in which they came. Each channel has a window of its own, so that one that is
full hides no other; replies go before what nobody waits for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bot import outbox
from bot.storage import outbox_rows, pace_rows
from bot.storage.json_text import dumps, loads
from bot.storage.tx import Tx
from channels.delivery.leases import Leases, monotonic
from channels.delivery.outcomes import LONGEST_WAIT, safely, settled
from channels.delivery.paces import METHODS, Limit, Paces, limits, shares_place
from channels.port import Delivery

STRAND_EVERY = timedelta(seconds=1)  # to look for what a dead sender left
SECOND = timedelta(seconds=1)
SET_BACK = timedelta(seconds=5)  # less than that, and what waits for the old time waits a little longer
SHORT = 10.0  # seconds; what waits for less may be looked at in vain meanwhile


@dataclass(slots=True)
class Found:
    """What one look brought: rows to take, later times to look again, and counts."""

    taken: list[Any] = field(default_factory=list)
    later: list[datetime] = field(default_factory=list)
    put_off: dict[int, datetime] = field(default_factory=dict)
    late: list[int] = field(default_factory=list)  # of them, those that are to be told of
    expired: int = 0
    stranded: int = 0
    shut: bool = False  # a place turned out to take no more


class Claims:
    """What this process knows of limits between two looks. Where nodes share a database, they are in it as well."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._paces = Paces()
        self._named: dict[str, datetime] = {}  # limit → before which the platform takes nothing more
        self._resting: dict[tuple[str, bool], datetime] = {}  # (via, bulk) → when the whole platform takes more
        self._shut: dict[str, datetime] = {}  # place that lanes share → when it takes more
        self._stranded_at: datetime | None = None
        self._late_until = datetime.min.replace(tzinfo=UTC)  # what was due until then, and is late, has been told
        self._looked_at: datetime | None = None
        self.nobody_waits = False  # when we looked last, all that was due could leave
        self._looks = 0  # counted, so that what one of them found is not told over what a later one has

    def recover(self, tx: Tx) -> int:
        """After a start: what was under way is uncertain. Returns how many rows. Nothing waits for a clock of another day."""
        outbox_rows.hurry(tx, tx.now + timedelta(seconds=LONGEST_WAIT))
        return self._leases.strand(tx)

    def claim(self, tx: Tx, vias: Collection[str], room: int) -> tuple[list[tuple[Delivery, str]], Found]:
        """At most `room` rows, marked `sending` (what is asked about stays `uncertain`), with the state that they had."""
        if self._looked_at is not None and self._looked_at - tx.now > SET_BACK:
            self._resting, self._named, self._shut = {}, {}, {}
            self._late_until = tx.now - outbox.LATE
            outbox_rows.hurry(tx, tx.now)
        self._looked_at = tx.now
        self.somebody_waits()
        found = Found()
        self._look_around(tx, vias, found)
        windows = {(via, bulk) for via in vias for bulk in (False, True)}
        self._resting = {window: until for window, until in self._resting.items() if until > tx.now}
        self._shut = {place: until for place, until in self._shut.items() if until > tx.now}
        # One more tells whether anybody has to wait; where nodes share the database it would be locked for nothing.
        most = room if self._leases.shared else room + 1
        heads = outbox_rows.heads(tx, windows - self._resting.keys(), most, self._shut, METHODS)
        self._sort(tx, heads, room, found, crowded=len(heads) >= most)
        outbox_rows.start(tx, self._leases.owner, self._leases.lease, found.taken)
        outbox_rows.put_off(tx, found.put_off)
        tell(tx, found.late)
        has_taken_all = len(found.taken) == len(heads) < most and not (self._resting or self._shut)
        if has_taken_all:
            tx.after_commit(partial(self._have_taken_all, self._looks))
        found.later += [until for until in (*self._resting.values(), *self._shut.values()) if until > tx.now]
        moved = found.taken or found.put_off or found.expired or found.shut or self._resting
        if len(found.taken) < room and len(heads) >= most and moved:
            found.later.append(tx.now)  # behind these may be others
        if has_taken_all or len(found.taken) < room:  # else the first that is finished wakes us
            due = outbox_rows.next_due(tx.conn, tx.now, vias)
            found.later += [due] if due is not None else []
        return [(delivery_of(tx, row), row.state) for row in found.taken], found

    def claim_added(self, tx: Tx, vias: Collection[str], room: int, asked: int) -> list[tuple[Delivery, str]] | None:
        """What this commit itself has put into the outbox, if it can leave without a look at what else there is: it is written
        down as `sending` right away. `asked`: how often it was asked to look; None: look.

        That is how nearly every answer leaves: nobody waits, each of them is alone in its lane, and no limit is near.
        """
        may_look = self._leases.shared or (self.nobody_waits and not self._is_time_to_look(tx))
        rows = outbox_rows.just_added(tx) if may_look else []
        lanes = {row.values["lane"] for row in rows}
        if not 0 < len(rows) == asked == len(lanes) <= room or not lanes.isdisjoint(self._leases.lanes()):
            return None
        if not all(is_plain(tx, row.values, vias) for row in rows) or outbox_rows.busy(tx, lanes):
            return None
        if any(until > tx.now for until in (*self._named.values(), *self._resting.values())):
            return None
        spends = [limits(row.values["bucket"], row.values["kind"], bulk=row.values["bulk"]) for row in rows]
        if not self._spend(tx, spends):
            return None
        outbox_rows.start_at_once(tx, self._leases.owner, self._leases.lease, rows)
        return [(new_delivery(tx, row.values), "ready") for row in rows]

    def _spend(self, tx: Tx, spends: Sequence[Sequence[Limit]]) -> bool:
        """For all of these at once, or for none.

        Where nodes share the limits: if nobody has them in hand, and those that many lanes share are rested. Else somebody may
        wait for them, on whichever node, and would be overtaken.
        """
        if not self._leases.shared:
            return self._paces.spend_all(spends, monotonic())
        limited = {one for some in spends for one in some}
        # By the clock: many turns may have gone by since the transaction began.
        now = (tx.clock() if tx.clock else tx.now).timestamp()
        free = pace_rows.hold_free(tx, {one.name for one in limited})
        paces = Paces({name: at.timestamp() for name, at in free.items()})
        if len(free) < len(limited) or not all(paces.is_rested(one, now) for one in limited if one.is_common):
            return False
        if not paces.spend_all(spends, now):
            return False
        pace_rows.keep(tx, {name: datetime.fromtimestamp(at, UTC) for name, at in paces.free.items()})
        return True

    def held_up(self, tx: Tx, delivery: Delivery, wait: float, limited: bool) -> datetime:
        """A send has to wait for so many seconds: what is queued behind it waits too, and if that is long, it is told.

        `limited`: the platform wants nothing more of this kind in this place for so long. Returns when the row is due: where
        lanes share a place it is the place that waits, and the row is still the first in line there.
        """
        until = tx.now + timedelta(seconds=wait)
        if not limited and wait < SHORT and until - delivery.created_at <= outbox.LATE:
            return until
        row = outbox_rows.place_of(tx, delivery.id)
        if row is None:
            return until
        narrowest = next(iter(limits(row.bucket, row.kind, bulk=row.bulk)), None)
        if limited and narrowest is not None:
            self._block(tx, narrowest, until)
        late = [row.n] if is_late(row, until) else []
        step = SECOND / narrowest.rate.per_second if narrowest else timedelta()
        behind = outbox_rows.spread(tx, row.lane, row.n, until + step, step)
        tell(tx, [*late, *(one.n for one in behind if is_late(one, until))])
        blocked = limited and narrowest is not None and shares_place(row.bucket, row.lane, row.kind)
        return row.due_at if blocked else until

    def _block(self, tx: Tx, limit: Limit, until: datetime) -> None:
        if self._leases.shared:
            pace_rows.block(tx, limit.name, until)
            return
        self._named = {name: at for name, at in self._named.items() if at > tx.now}
        self._named[limit.name] = until

    def somebody_waits(self) -> None:
        """Until a look finds otherwise, unless another one has begun before that look's commit."""
        self.nobody_waits = False
        self._looks += 1

    def _have_taken_all(self, look: int) -> None:
        if look == self._looks:
            self.nobody_waits = True

    def _have_told(self, until: datetime) -> None:
        self._late_until = until

    def _is_time_to_look(self, tx: Tx) -> bool:
        return self._stranded_at is None or not timedelta() <= tx.now - self._stranded_at < STRAND_EVERY

    # ── one look ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _look_around(self, tx: Tx, vias: Collection[str], found: Found) -> None:
        """Every second: what a dead sender left, and what has come to wait for too long meanwhile."""
        if not self._is_time_to_look(tx):
            return
        self._stranded_at = tx.now
        found.stranded = self._leases.strand(tx)
        late = tx.now - outbox.LATE
        found.late += outbox_rows.grown_late(tx, self._late_until, late, vias) if late > self._late_until else []
        told = max(late, self._late_until)
        tx.after_commit(lambda: self._have_told(told))

    def _sort(self, tx: Tx, heads: Sequence[Any], room: int, found: Found, *, crowded: bool) -> None:
        """`crowded`: there may be others behind these."""
        busy = self._leases.lanes()
        spends = {row.n: limits(row.bucket, row.kind, bulk=row.bulk, asks=row.state == "uncertain") for row in heads}
        paces, now = self._paces_for(tx, {one.name for limited in spends.values() for one in limited})
        before, behind = dict(paces.free), dict[str, int]()
        begun = self._begun_elsewhere(tx, heads)  # places that lanes share
        pauses: list[tuple[Any, float]] = []
        for row in heads:
            if len(found.taken) >= room:
                break
            if row.lane in busy or (row.via, row.bulk) in self._resting:
                continue
            if is_over(tx, row):
                found.expired += 1
                found.later.append(tx.now)
                continue
            shares = shares_place(row.bucket, row.lane, row.kind) and row.state != "uncertain"
            if shares and row.bucket in begun:
                continue
            wait, slowest = self._wait(tx, spends[row.n], paces, now)
            if slowest is None:
                found.taken.append(row)
                if shares:
                    begun.add(row.bucket)
                pauses.append((row, paces.next(spends[row.n], now)))
            elif slowest.is_wide:
                self._rest(row, slowest, tx.now + timedelta(seconds=wait))
            elif shares:
                begun.add(row.bucket)
                found.shut = True
                self._shut[row.bucket] = tx.now + timedelta(seconds=wait)
            else:
                number = behind[slowest.name] = behind.get(slowest.name, 0) + 1
                ahead = max(0, number - slowest.rate.burst)  # so many may leave at once after a rest
                until = tx.now + timedelta(seconds=wait + ahead / slowest.rate.per_second)
                self._put_off(row, until, found)
                self._spread(tx, row, until + SECOND / slowest.rate.per_second, spends[row.n], found)
        others_wait = crowded or bool(self._resting)  # who has had a turn stands behind them
        for row, pause in pauses:
            if pause > 0 or others_wait:
                self._spread(tx, row, tx.now + SECOND * pause, spends[row.n], found)
        if self._leases.shared:
            spent = {name: at for name, at in paces.free.items() if before.get(name) != at}
            pace_rows.keep(tx, {name: datetime.fromtimestamp(at, UTC) for name, at in spent.items()})

    def _begun_elsewhere(self, tx: Tx, heads: Sequence[Any]) -> set[str]:
        """Places in which another node has begun since we looked; from now on none can, while we hold their limits."""
        places = {row.bucket for row in heads if shares_place(row.bucket, row.lane, row.kind)}
        return outbox_rows.posting(tx, places, METHODS) if self._leases.shared and places else set()

    def _put_off(self, row: Any, until: datetime, found: Found) -> None:
        found.put_off[row.n] = until
        if is_late(row, until):
            found.late.append(row.n)

    def _spread(self, tx: Tx, row: Any, first: datetime, spends: Sequence[Limit], found: Found) -> None:
        """Who waits behind it in its lane can't leave before that."""
        if not spends or row.follower_due is None or row.follower_due >= first:
            return
        step = timedelta(seconds=max(1 / one.rate.per_second for one in spends) if first > tx.now else 0)
        for one in outbox_rows.spread(tx, row.lane, row.n, first, step):
            if is_late(one, first):
                found.late.append(one.n)

    def _rest(self, row: Any, slowest: Limit, until: datetime) -> None:
        kinds = (True,) if slowest.name.endswith(".bulk") else (False, True)
        self._resting.update({(row.via, bulk): until for bulk in kinds})

    def _paces_for(self, tx: Tx, names: set[str]) -> tuple[Paces, float]:
        """The limits to keep, and the time by which they count: this process's own, or those that nodes share."""
        if not self._leases.shared:
            return self._paces, monotonic()
        return Paces({name: at.timestamp() for name, at in pace_rows.hold(tx, names).items()}), tx.now.timestamp()

    def _wait(self, tx: Tx, spends: Sequence[Limit], paces: Paces, now: float) -> tuple[float, Limit | None]:
        """Seconds until this row may leave, and what it waits for. What the platform named counts by the house's clock."""
        for one in spends:
            named = self._named.get(one.name)
            if named is not None and named > tx.now:
                return (named - tx.now).total_seconds(), one
        return paces.wait(spends, now)


def is_over(tx: Tx, row: Any) -> bool:
    """Whether it must not leave any more; then it has expired. The baton is read in the transaction that claims."""
    if row.epoch is not None and row.state in {"ready", "retry"} and row.held_epoch != row.epoch:
        settled(tx, row.id, "expired", error=outbox.TAKEN_OVER)
        return True
    may_have_left = row.state == "uncertain"  # in time
    if row.expires_at is not None and row.expires_at <= tx.now and not may_have_left:
        settled(tx, row.id, "expired", error=outbox.TOO_LATE)
        return True
    return False


def is_plain(tx: Tx, row: Mapping[str, Any], vias: Collection[str]) -> bool:
    """Whether a row that was just added may leave at once, if its lane and its limits let it."""
    is_due = row["due_at"] <= tx.now and (row["expires_at"] is None or row["expires_at"] > tx.now)
    return is_due and row["via"] in vias and not shares_place(row["bucket"], row["lane"], row["kind"])


def tell(tx: Tx, late: Collection[int]) -> None:
    if late:
        safely(tx, lambda: outbox.delayed(tx, late))


def is_late(row: Any, until: datetime) -> bool:
    """Whether somebody should know that it has to wait."""
    return row.message_id is not None and row.delayed_at is None and until - row.created_at > outbox.LATE


def delivery_of(tx: Tx, row: Any) -> Delivery:
    asked = row.state == "uncertain"
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
        (row.started_at or row.created_at) if asked else tx.now,
        row.created_at,
    )


def new_delivery(tx: Tx, row: Mapping[str, Any]) -> Delivery:
    """Of a row that was just added, as if it were read: what it carries has gone through JSON."""
    return Delivery(
        row["id"],
        row["via"],
        row["kind"],
        loads(dumps(row["payload"])),
        row["lane"],
        1,
        row["customer_id"],
        row["case_id"],
        row["message_id"],
        tx.now,
        row["created_at"],
    )
