"""Counting for operators: what waits, what failed, how much there is. Never ids, never texts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from bot.storage import inbox_rows, outbox_rows
from bot.storage import tables as t


@dataclass(frozen=True, slots=True)
class Counts:
    inbox_oldest: datetime | None  # received, not yet handled
    inbox_dead: int
    outbox: dict[str, int]  # by state
    outbox_oldest: datetime | None  # said, not yet sent; what waits for a page to be opened does not count
    outbox_delayed: int  # of those, who wait for more than a minute and know it
    cases: dict[str, int]  # by status
    customers: int
    responses: int
    dead_letters: int


def read(conn: Connection) -> Counts:
    cases = conn.execute(select(t.cases.c.status, func.count()).group_by(t.cases.c.status))
    waiting = (outbox_rows.live(t.outbox.c.state), t.outbox.c.via != "web")
    given_up = (t.inbox.c.state == "dead", inbox_rows.unhandled(t.inbox.c.state))
    dead = conn.execute(select(func.count()).select_from(t.inbox).where(*given_up)).scalar()
    return Counts(
        inbox_oldest=inbox_rows.oldest_waiting(conn),
        inbox_dead=int(dead or 0),
        outbox=outbox_rows.count_by_state(conn),
        outbox_oldest=conn.execute(select(func.min(t.outbox.c.created_at)).where(*waiting)).scalar(),
        outbox_delayed=int(
            conn.execute(select(func.count()).where(*waiting, t.outbox.c.delayed_at.is_not(None))).scalar() or 0
        ),
        cases={str(status): int(count) for status, count in cases},
        customers=_count(conn, t.customers),
        responses=_count(conn, t.survey_responses),
        dead_letters=_count(conn, t.dead_letters),
    )


def _count(conn: Connection, table: object) -> int:
    return int(conn.execute(select(func.count()).select_from(table)).scalar() or 0)  # type: ignore[arg-type]
