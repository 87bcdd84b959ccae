"""What has changed since its part of the figures was made: one row a change, written with the change itself.

The rows are a queue, not a log: `surveys/rollups` takes them away in the very transaction that writes the new fact. So a crash
between the two, a second node or a replay can neither lose a change nor count it twice. What is marked twice is made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from bot.storage import tables as t
from bot.storage.prepared import Prepared
from bot.storage.tx import Tx

CASES: Final = "cases"
ANSWERS: Final = "answers"  # of surveys
ASKS: Final = "asks"  # invitations to surveys, and the decisions not to ask
FAMILIES: Final = (CASES, ANSWERS, ASKS)
PROGRESS: Final = "figures"
"""The row of `settings` that tells how far facts are made; its `turn` counts what was written, over all nodes."""

COUNTED: Final = frozenset(
    {
        *("open", "escalate", "claim", "release", "transfer", "snooze", "reply", "await_customer", "customer_wrote"),
        *("resolve", "reopen", "close", "merged", "moved", "sla", "sla_breach", "verdict", "goal"),
    }
)
"""The lines of a case's audit that figures are made of."""

_MARK = Prepared(insert(t.figure_marks))


def mark(conn: Connection, family: str, ref: str) -> None:
    """That case, answer or invitation is not as it was when its fact was made."""
    _MARK.later(conn, family=family, ref=ref)


def mark_all_of(tx: Tx, *customer_ids: str) -> None:
    """All cases and answers of these customers: whose they are has changed."""
    for family, table in ((CASES, t.cases), (ANSWERS, t.survey_responses)):
        found = tx.conn.execute(select(table.c.id).where(table.c.customer_id.in_(customer_ids))).scalars().all()
        _MARK.run_many(tx.conn, [{"family": family, "ref": one} for one in found])


def forget(tx: Tx, customer_ids: Sequence[str]) -> None:
    """These customers' marks and facts go, and the blocks of days that held them; before their rows, by which they are found.

    What is being made of them just now is not written.
    """
    overtake(tx)
    m = t.figure_marks
    for table in (t.cases, t.survey_responses, t.survey_invitations):
        mine = select(table.c.id).where(table.c.customer_id.in_(customer_ids))
        tx.conn.execute(delete(m).where(m.c.ref.in_(mine)))
    f = t.figure_facts
    theirs = f.c.customer_id.in_(customer_ids)
    days: dict[str, set[int]] = {}
    for row in tx.conn.execute(delete(f).where(theirs).returning(f.c.family, f.c.day)):
        days.setdefault(row.family, set()).add(int(row.day))
    for family, some in days.items():
        drop_days(tx, family, sorted(some))


def overtake(tx: Tx) -> None:
    """Whatever is being made at this moment, on any node, was made from rows that do not hold any more."""
    s = t.settings
    value = tx.conn.execute(select(s.c.value).where(s.c.key == PROGRESS).with_for_update()).scalar()
    if value is not None:
        tx.conn.execute(update(s).where(s.c.key == PROGRESS).values(value={**value, "turn": value["turn"] + 1}))


MONTH: Final = 32
"""Days whose blocks are put together into one, once they are all over: near enough a month, and counted without a calendar."""


def months_of(family: str) -> str:
    """The family's name among blocks of months; each has the day that it begins with."""
    return f"{family}/{MONTH}"


def month_of(day: int) -> int:
    return day - day % MONTH


def drop_days(tx: Tx, family: str, days: Sequence[int]) -> None:
    """The blocks of these days, and of their months, do not hold any more."""
    b = t.figure_blocks
    for start in range(0, len(days), 200):  # engines limit the parameters of one statement
        some = days[start : start + 200]
        tx.conn.execute(delete(b).where(b.c.family == family, b.c.day.in_(some)))
        months = sorted({month_of(day) for day in some})
        tx.conn.execute(delete(b).where(b.c.family == months_of(family), b.c.day.in_(months)))
