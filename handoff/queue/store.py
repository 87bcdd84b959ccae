"""The queries of the queue. Promises are kept, broken or void: broken as soon as their time has passed, else judged when the
customer is served, or has gone. When people are back is told as a time of the clock, and kept while the clock shows that minute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import le, lt
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy import case as when
from sqlalchemy.dialects import postgresql, sqlite

from bot.model import CaseStatus, new_id
from bot.staffing import people
from bot.staffing.routing import Colleague
from bot.storage import marks
from bot.storage import tables as t
from bot.storage.prepared import Prepared
from bot.storage.tx import Tx
from handoff import store
from handoff.case import Case

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

ACTIVE = timedelta(minutes=30)  # so long after their last word an agent still has the customer in hand
LATELY, MINUTE = timedelta(days=30), timedelta(minutes=1)
MEASURED = 50  # so many last promises tell how good the estimates are
LEAST, MOST = 0.5, 3.0  # no estimate is corrected by more
TURNS = "routing"  # the row of `settings` that numbers the cases which were given out
HAPPENED = (
    "claim",
    "sla",
    "sla_warning",
    "sla_breach",
    "idle",
    "consult_overdue",
    "task_overdue",
    "not_delivered",
    "perhaps_twice",
)
"""Lines of the audit that name an agent who did nothing: it happened to them, or in a case of theirs."""


def _over(earlier: Callable[[Any, Any], Any], now: Any, a_minute_ago: Any) -> ColumnElement[bool]:
    """Whether the time of a promise has passed: it is `earlier` than now, or that of people being back than a minute ago."""
    p = t.promises.c
    return and_(earlier(p.due_at, now), or_(p.kind != literal_column("'back'"), earlier(p.due_at, a_minute_ago)))


_NOW, _A_MINUTE_AGO = bindparam("then", type_=t.Utc()), bindparam("a_minute_ago", type_=t.Utc())
_JUDGED = (
    update(t.promises)
    .where(t.promises.c.case_id == bindparam("of"), t.promises.c.ended_at.is_(None))
    .values(
        outcome=when(
            (_over(lt, _NOW, _A_MINUTE_AGO), literal_column("'broken'")),
            else_=bindparam("kept", type_=Text),
        )
    )
)
_BROKEN = Prepared(
    update(t.promises)
    .where(t.promises.c.case_id == bindparam("of"), t.promises.c.outcome.is_(None))
    .where(_over(le, _NOW, _A_MINUTE_AGO))
    .values(outcome=literal_column("'broken'"))
)
_SETTLE, _SETTLE_ONE = Prepared(_JUDGED), Prepared(_JUDGED.where(t.promises.c.kind == bindparam("such")))


# ── agents ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def held(conn: Connection, now: datetime) -> dict[str, int]:
    """How many cases each agent has in hand: open ones, and those just answered."""
    c = t.cases.c
    in_hand = or_(c.status == CaseStatus.OPEN, and_(c.status == CaseStatus.PENDING, c.last_agent_at > now - ACTIVE))
    query = select(c.agent_id, func.count().label("n")).where(c.agent_id.is_not(None), in_hand).group_by(c.agent_id)
    return {row.agent_id: int(row.n) for row in conn.execute(query)}


def turns(tx: Tx) -> dict[str, int]:
    """Agent → the number of the last case that was given to them. On PostgreSQL one node gives out cases at a time."""
    s = t.settings
    query = select(s.c.value).where(s.c.key == TURNS).with_for_update()
    row = tx.conn.execute(query).first()
    if row is None:
        made = (sqlite if tx.conn.dialect.name == "sqlite" else postgresql).insert(s).values(key=TURNS, value={})
        tx.conn.execute(made.on_conflict_do_nothing())
        row = tx.conn.execute(query).one()
    return dict(row.value)


def count_turn(tx: Tx, given: Mapping[str, int], agent_id: str) -> None:
    """That agent was given the next case."""
    s = t.settings
    value = {**given, agent_id: max(given.values(), default=0) + 1}
    tx.conn.execute(update(s).where(s.c.key == TURNS).values(value=value))


def colleagues(conn: Connection, desk: Desk | None, now: datetime, given: Mapping[str, int]) -> list[Colleague]:
    """Everybody who may be given a case, as they are now, in the order of desk.yaml."""
    listed = {one.id: people.colleague(desk, one) for one in desk.agents} if desk else {}
    in_hand, found = held(conn, now), []
    for one in store.agents(conn, desk, now):
        known = listed.get(one.id) or Colleague(
            one.id, one.team, one.locales, capacity=desk.routing.capacity if desk else None
        )
        found.append(people.as_they_are(known, in_hand, given, here=one.available and not one.busy))
    return found


def has_acted(conn: Connection, case: Case, agent_id: str, since: datetime) -> bool:
    """Whether that agent did anything in a case since then; to be given it, or warned that it is late, is nothing."""
    e, r = t.case_events.c, t.relays.c
    mine = (e.case_id == case.id, e.agent_id == agent_id, e.at >= since, e.kind.not_in(HAPPENED))
    wrote = (r.case_id == case.id, r.agent_id == agent_id, r.created_at >= since)
    return any(conn.execute(select(1).where(*where).limit(1)).first() for where in (mine, wrote))


def waiting_teams(conn: Connection) -> list[str | None]:
    """The teams that somebody waits for."""
    c = t.cases.c
    return list(conn.execute(select(c.team).where(c.status == CaseStatus.QUEUED).distinct()).scalars())


# ── promises ───────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class PromiseFigures:
    """Of the promises of the last 30 days: how many were kept, broken or are open (void ones count for nothing).

    Over the last MEASURED that were served: `error_s` is the median of how far the estimate was off, in seconds, `bias_s`
    of by how much the wait was longer (or, below zero, shorter) than told. None: nothing was measured yet.
    """

    kept: int
    broken: int
    open: int
    error_s: float | None
    bias_s: float | None

    def by_name(self) -> dict[str, float]:
        """As figures of /metrics; what was not measured is left out."""
        named = {"promises_kept": self.kept, "promises_broken": self.broken, "promises_open": self.open}
        measured = {"wait_error_seconds": self.error_s, "wait_bias_seconds": self.bias_s}
        return {name: float(value) for name, value in {**named, **measured}.items() if value is not None}


def promise(
    tx: Tx,
    case: Case,
    kind: str,
    due_at: datetime,
    *,
    wait_s: int | None = None,
    raw_s: float | None = None,
    position: int | None = None,
) -> None:
    """What the customer was just told: that by `due_at` somebody is there for them."""
    row: dict[str, Any] = {"id": new_id(), "customer_id": case.customer_id, "case_id": case.id, "kind": kind}
    row |= {"told_at": tx.now, "due_at": due_at, "wait_s": wait_s, "raw_s": raw_s, "position": position}
    tx.conn.execute(insert(t.promises).values(**row))


def break_overdue(tx: Tx, case: Case) -> None:
    """What was promised until now is broken, though its customer still waits: figures would know only of waits that are over."""
    if _BROKEN.run(tx.conn, of=case.id, then=tx.now, a_minute_ago=tx.now - MINUTE):
        marks.mark(tx.conn, marks.CASES, case.id)


def settle(tx: Tx, case: Case, *, served: bool, kind: str | None = None) -> None:
    """The open promises of a case are judged: kept or broken where the customer is served now, else broken or void."""
    judged: dict[str, Any] = {"of": case.id, "kept": "kept" if served else "void", "ended_at": tx.now}
    judged |= {"then": tx.now, "a_minute_ago": tx.now - MINUTE}
    if kind is None:
        _SETTLE.run(tx.conn, **judged)
    else:
        _SETTLE_ONE.run(tx.conn, such=kind, **judged)


def bias(conn: Connection) -> float:
    """By what a raw estimate is to be multiplied: the median of how the last ones came out, within LEAST … MOST."""
    ratios = [(row.ended_at - row.told_at).total_seconds() / row.raw_s for row in _served(conn) if row.raw_s]
    return min(max(median(ratios), LEAST), MOST) if len(ratios) >= 5 else 1.0


def figures(conn: Connection, now: datetime) -> PromiseFigures:
    p = t.promises.c
    late = func.sum(when((and_(p.outcome.is_(None), _over(lt, now, now - MINUTE)), 1), else_=0))
    recent = or_(p.ended_at >= now - LATELY, p.ended_at.is_(None))
    query = select(p.outcome, func.count().label("n"), late.label("late")).where(recent).group_by(p.outcome)
    rows = conn.execute(query).all()
    counts, overdue = {row.outcome: int(row.n) for row in rows}, sum(int(row.late) for row in rows)
    off = [(row.ended_at - row.told_at).total_seconds() - row.wait_s for row in _served(conn)]
    return PromiseFigures(
        counts.get("kept", 0),
        counts.get("broken", 0) + overdue,
        counts.get(None, 0) - overdue,
        median(abs(one) for one in off) if off else None,
        median(off) if off else None,
    )


def of_case(conn: Connection, case_id: str) -> list[tuple[str, datetime, str | None]]:
    """What was promised in a case, in order: (kind, by when, outcome)."""
    p = t.promises
    rows = conn.execute(select(p).where(p.c.case_id == case_id).order_by(p.c.told_at, p.c.id))
    return [(row.kind, row.due_at, row.outcome) for row in rows]


def _served(conn: Connection) -> Sequence[Any]:
    """The last promises of a wait whose customers were served."""
    p = t.promises.c
    where = (p.kind == "wait", p.outcome.in_(("kept", "broken")), p.wait_s.is_not(None), p.ended_at.is_not(None))
    query = select(p.told_at, p.ended_at, p.wait_s, p.raw_s).where(*where).order_by(p.ended_at.desc())
    return conn.execute(query.limit(MEASURED)).all()
