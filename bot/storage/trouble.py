"""What did not go as it should, and what an operator can do about one thing of it: the queries of `stafett audit`.

uncertain   a send that may have arrived: its sender asks the platform, or gave up asking
failed      a send that never will arrive
delayed     a send that waits for longer than a minute: a limit, or a platform that is slow or away
stuck       a send or timer whose moment was long ago, a turn that keeps failing, a case with no next action
dead        a message whose turn failed too often, or what nobody could read
gap         a timeline whose numbers have a hole: there must be none
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, union_all, update

from bot import replays
from bot.errors import Conflict, NotFound
from bot.model import LIVE
from bot.outbox import DROPPED, settle
from bot.storage import audit, inbox_rows, letters, outbox_rows
from bot.storage import tables as t
from bot.storage.tx import Tx

LATE = timedelta(minutes=10)
MOST = 200  # of each kind, newest first
_TROUBLED = ("uncertain", "failed", "ready", "retry", "sending")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing. `id` is what `--retry` and `--drop` take; empty where neither helps."""

    kind: str
    id: str
    at: datetime
    what: str
    why: str


def find(conn: Connection, now: datetime) -> list[Trouble]:
    """All troubles, by kind, oldest first within it."""
    return [
        *_sends(conn, now),
        *_turns(conn, now),
        *_letters(conn),
        *_timers(conn, now),
        *_cases(conn, now),
        *_gaps(conn, now),
    ]


def _sends(conn: Connection, now: datetime) -> Iterator[Trouble]:
    o = t.outbox.c
    late = (o.state.in_(("ready", "retry", "sending"))) & (o.due_at < now - LATE) & (o.via != "web")
    delayed = o.state.in_(("ready", "retry")) & o.delayed_at.is_not(None)
    wanted = or_(o.state.in_(("uncertain", "failed")), late, delayed)
    query = select(t.outbox).where(outbox_rows.unsent(o.state), o.state.in_(_TROUBLED), wanted)
    query = query.order_by(o.n.desc()).limit(MOST)
    for row in sorted(conn.execute(query), key=lambda row: (_kind(row, now), row.n)):
        kind = _kind(row, now)
        when = {"stuck": f"due since {row.due_at:%Y-%m-%d %H:%M} UTC", "delayed": f"next try {row.due_at:%H:%M:%S} UTC"}
        why = "; ".join(one for one in (row.error, when.get(kind)) if one)
        yield Trouble(kind, row.id, row.created_at, f"{row.via} {row.kind}", why)


def _kind(row: Any, now: datetime) -> str:
    if row.state in {"uncertain", "failed"}:
        return str(row.state)
    return "stuck" if row.due_at < now - LATE else "delayed"


def _turns(conn: Connection, now: datetime) -> Iterator[Trouble]:
    i = t.inbox.c
    late = (i.state == "new") & (i.received_at < now - LATE)
    wanted = or_(i.state == "dead", late)
    query = select(t.inbox).where(inbox_rows.unhandled(i.state), i.state.in_(("dead", "new")), wanted)
    query = query.order_by(i.received_at.desc()).limit(MOST)
    for row in sorted(conn.execute(query), key=lambda row: (row.state, row.received_at)):
        kind = "dead" if row.state == "dead" else "stuck"
        yield Trouble(kind, f"{row.source}:{row.key}", row.received_at, f"a turn from {row.source}", row.error or "")


def _letters(conn: Connection) -> Iterator[Trouble]:
    d = t.dead_letters.c
    rows = conn.execute(select(d.id, d.source, d.error, d.at).order_by(d.at.desc()).limit(MOST)).all()
    for row in reversed(rows):
        yield Trouble("dead", row.id, row.at, f"unreadable, from {row.source}", row.error)


def _timers(conn: Connection, now: datetime) -> Iterator[Trouble]:
    m = t.timers.c
    for row in conn.execute(select(t.timers).where(m.due_at < now - LATE).order_by(m.due_at).limit(MOST)):
        yield Trouble("stuck", row.id, row.due_at, f"timer {row.kind}", row.error or "")


def _cases(conn: Connection, now: datetime) -> Iterator[Trouble]:
    c = t.cases.c
    unwatched = or_(c.next_action_at.is_(None), c.next_action_at < now - LATE)
    query = (
        select(c.number, c.opened_at, c.status)
        .where(c.status.in_([*LIVE]), unwatched)
        .order_by(c.opened_at)
        .limit(MOST)
    )
    for row in conn.execute(query):
        yield Trouble(
            "stuck", "", row.opened_at, f"case {row.number} ({row.status})", "nothing will happen to it by itself"
        )


def _gaps(conn: Connection, now: datetime) -> Iterator[Trouble]:
    line, m, c = t.timeline.c, t.messages.c, t.conversations.c
    its_own = select(m.id).where(m.customer_id == line.customer_id, m.seq == line.seq)
    said = select(m.customer_id, m.seq).where(m.seq.is_not(None))
    both = union_all(said, select(line.customer_id, line.seq).where(~its_own.exists())).subquery().c
    numbers = (
        func.count().label("n"),
        func.count(both.seq.distinct()).label("different"),
        func.max(both.seq).label("last"),
    )
    counted = select(both.customer_id, *numbers).group_by(both.customer_id).subquery()
    n, different, last = (func.coalesce(one, 0) for one in (counted.c.n, counted.c.different, counted.c.last))
    query = select(c.customer_id, c.last_seq, n.label("n"), different.label("different"), last.label("last"))
    query = query.outerjoin(counted, counted.c.customer_id == c.customer_id)
    for row in conn.execute(query.where(or_(c.last_seq != n, n != different, n != last)).limit(MOST)):
        why = f"{row.n} entries have {row.different} numbers up to {row.last}, of {row.last_seq}"
        yield Trouble("gap", "", now, f"customer {row.customer_id}", why)


def retry(tx: Tx, trouble_id: str) -> str:
    """Try once more: a send (it may arrive twice if it was uncertain), or a turn. Returns what was done, in words.

    Raises NotFound, or Conflict for what can't be tried again.
    """
    o, i = t.outbox, t.inbox
    sent = tx.conn.execute(select(o).where(o.c.id == trouble_id)).first()
    if sent is not None:
        if sent.state in {"sent", "sending", "expired"}:
            raise Conflict(f"that send is {sent.state}; there is nothing to try again")
        again = {"state": "retry", "attempts": 0, "due_at": tx.now, "error": None, "lease_owner": None}
        tx.conn.execute(update(o).where(o.c.id == trouble_id).values(**again, doubled=sent.state == "uncertain"))
        tx.wake("outbox")
        return _noted(tx, "send tried again", trouble_id)
    source, _, key = trouble_id.partition(":")
    turn = (i.c.source == source, i.c.key == key, i.c.state.in_(("dead", "new")))
    if tx.conn.execute(update(i).where(*turn).values(state="new", attempts=0, due_at=tx.now, error=None)).rowcount:
        tx.wake("inbox")
        return _noted(tx, "turn tried again", trouble_id)
    if tx.conn.execute(update(t.timers).where(t.timers.c.id == trouble_id).values(due_at=tx.now, attempts=0)).rowcount:
        tx.wake("timers")
        return _noted(tx, "timer rung again", trouble_id)
    letter = letters.one(tx, trouble_id)
    if letter is not None:
        return _noted(tx, replays.ask(tx, letter), trouble_id)
    raise NotFound(f"there is nothing by the id {trouble_id}; stafett audit lists what there is")


def drop(tx: Tx, trouble_id: str) -> str:
    """Give up on one: it is not sent, not run, not kept. Raises NotFound, or Conflict for a send that has ended."""
    o, i = t.outbox, t.inbox
    sent = tx.conn.execute(select(o).where(o.c.id == trouble_id)).first()
    if sent is not None:
        if sent.state in {"sent", "sending", "expired"}:
            raise Conflict(f"that send is {sent.state}; there is nothing to drop")
        settle(tx, trouble_id, "expired", error=DROPPED)
        return _noted(tx, "send dropped", trouble_id)
    source, _, key = trouble_id.partition(":")
    turn = (i.c.source == source, i.c.key == key, i.c.state.in_(("dead", "new")))
    if tx.conn.execute(update(i).where(*turn).values(state="done", handled_at=tx.now, error=DROPPED)).rowcount:
        return _noted(tx, "turn dropped", trouble_id)
    if letters.remove(tx, trouble_id):
        return _noted(tx, "unreadable message dropped", trouble_id)
    if tx.conn.execute(delete(t.timers).where(t.timers.c.id == trouble_id)).rowcount:
        return _noted(tx, "timer dropped", trouble_id)
    raise NotFound(f"there is nothing by the id {trouble_id}; stafett audit lists what there is")


def _noted(tx: Tx, what: str, trouble_id: str) -> str:
    audit.note(tx, "operator", what, id=trouble_id)
    return f"{what}: {trouble_id}"
