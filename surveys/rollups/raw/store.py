"""Raw rows read in batches, and given to `facts`: what leaves here are facts, never rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection, and_, select

from bot.model import WITH_PEOPLE
from bot.storage import tables as t
from bot.storage.history import OF_ITS_CASE
from bot.storage.marks import ANSWERS, CASES, COUNTED
from surveys.rollups import facts as made
from surveys.rollups.facts import EPOCH, Fact, Happened, HoursOf, Promise, RawCase, Word

BATCH = 200  # ids in one statement: engines limit its parameters

Made = Mapping[str, tuple[str | None, Fact]]
"""Id → (customer id, fact)."""


def make(conn: Connection, family: str, ids: Sequence[str], hours_of: HoursOf) -> dict[str, tuple[str | None, Fact]]:
    """The facts of these cases, answers or invitations as they are now: id → (customer id, fact). Who is gone has none."""
    found: dict[str, tuple[str | None, Fact]] = {}
    for some in slices(ids):
        if family == CASES:
            raw = _raw_cases(conn, some)
            found |= {one.row["id"]: (one.row["customer_id"], made.of_case(one, hours_of)) for one in raw}
        elif family == ANSWERS:
            found |= _answers(conn, some)
        else:
            found |= _asks(conn, some)
    return found


def _raw_cases(conn: Connection, ids: Sequence[str]) -> Iterator[RawCase]:
    rows = conn.execute(select(t.cases).where(t.cases.c.id.in_(ids))).mappings().all()
    events, words, promises = _events(conn, ids), _words(conn, ids), _promises(conn, ids)
    again = _again(conn, rows)
    for row in rows:
        of = row["id"]
        yield RawCase(dict(row), events.get(of, ()), words.get(of, ()), promises.get(of, ()), again.get(of))


def _events(conn: Connection, ids: Sequence[str]) -> Mapping[str, list[Happened]]:
    e = t.case_events.c
    query = select(e.case_id, e.kind, e.at, e.data).where(e.case_id.in_(ids), e.kind.in_(COUNTED)).order_by(e.n)
    found = defaultdict(list)
    for case_id, kind, at, data in conn.execute(query):
        found[case_id].append(Happened(kind, at, data or {}))
    return found


def _words(conn: Connection, ids: Sequence[str]) -> Mapping[str, list[Word]]:
    """What the customers see, each message once: a merge copies them, and those count that are with the case."""
    m = t.messages.c
    query = select(m.case_id, m.author_kind, m.at, m.meta).join(t.cases, OF_ITS_CASE)
    found: dict[str, list[Word]] = defaultdict(list)
    for case_id, by, at, meta in conn.execute(
        query.where(t.cases.c.id.in_(ids), m.seq.is_not(None)).order_by(m.at, m.seq)
    ):
        found[case_id].append(Word(by, at, step_of(meta)))
    return found


def step_of(meta: Mapping[str, Any] | None) -> str | None:
    """`flow/step` where the flow rested after this was said."""
    source = (meta or {}).get("source")
    return source.removeprefix("step:") or None if isinstance(source, str) and source.startswith("step:") else None


def _promises(conn: Connection, ids: Sequence[str]) -> Mapping[str, list[Promise]]:
    p = t.promises.c
    query = select(p.case_id, p.kind, p.told_at, p.wait_s, p.outcome, p.ended_at).where(p.case_id.in_(ids))
    found = defaultdict(list)
    for case_id, *rest in conn.execute(query.order_by(p.told_at, p.id)):
        found[case_id].append(Promise(*rest))
    return found


def _again(conn: Connection, rows: Sequence[Mapping[Any, Any]]) -> Mapping[str, datetime]:
    """Case → when its customer next opened one on the same topic, after it ended."""
    ended = [(row, end) for row in rows if (end := made.ended_at(row)) is not None]
    if not ended:
        return {}
    c = t.cases.c
    theirs = {row["customer_id"] for row, _ in ended}
    since = min(end for _, end in ended)
    query = select(c.id, c.customer_id, c.topic, c.opened_at).where(c.customer_id.in_(theirs), c.opened_at > since)
    opened: dict[tuple[str, str | None], list[tuple[datetime, str]]] = defaultdict(list)
    for case_id, customer_id, topic, at in conn.execute(query):
        opened[customer_id, topic].append((at, case_id))
    found = {}
    for row, end in ended:
        later = [at for at, one in opened[row["customer_id"], row["topic"]] if at > end and one != row["id"]]
        if later:
            found[row["id"]] = min(later)
    return found


def _answers(conn: Connection, ids: Sequence[str]) -> dict[str, tuple[str | None, Fact]]:
    r, i = t.survey_responses, t.survey_invitations
    query = select(r, i.c.snapshot).join(i, i.c.id == r.c.invitation_id, isouter=True).where(r.c.id.in_(ids))
    rows = conn.execute(query).mappings()
    return {
        row["id"]: (row["customer_id"], made.of_answer(dict(row), row["snapshot"] or {}))
        for row in rows
        if made.is_known(row["instrument"])
    }


def _asks(conn: Connection, ids: Sequence[str]) -> dict[str, tuple[str | None, Fact]]:
    i, r = t.survey_invitations, t.survey_responses
    query = select(i, r.c.score).join(r, r.c.invitation_id == i.c.id, isouter=True).where(i.c.id.in_(ids))
    return {
        row["id"]: (row["customer_id"], made.of_ask(dict(row), row["score"])) for row in conn.execute(query).mappings()
    }


def waiting(conn: Connection, now: datetime) -> list[Fact]:
    """The cases that people have, or are to take, now."""
    c = t.cases.c
    query = select(t.cases).where(c.status.in_([status.value for status in WITH_PEOPLE])).order_by(c.id)
    return [made.of_waiting(dict(row), now) for row in conn.execute(query).mappings()]


def steps(
    conn: Connection, days: tuple[int | None, int | None], zone: tzinfo, asking: Collection[str] | None = None
) -> list[Fact]:
    """The steps of flows from one day to another, both counting in; they were counted by the days of the desk, `zone`'s. Only
    those `asking`, where that is known: nobody answers at a step that asks nothing.
    """
    s = t.step_counts.c
    first, last = (None if day is None else (EPOCH + timedelta(days=day)).date().isoformat() for day in days)
    query = select(s.flow, s.step, s.day, s.reached, s.answered).order_by(s.flow, s.step, s.day)
    query = query if first is None else query.where(s.day >= first)
    query = query if last is None else query.where(s.day <= last)
    facts = (made.of_step(*row, zone) for row in conn.execute(query))
    return [one for one in facts if asking is None or one["step"] in asking]


def returned_to(conn: Connection, ids: Sequence[str]) -> list[str]:
    """Cases of the same customers that ended within 7 days before one of these opened: whether they came back may be new.

    No earlier ones: who has come a thousand times would have all of them made again at each new case.
    """
    c, mine = t.cases.alias(), t.cases
    found: dict[str, None] = {}
    for some in slices(ids):
        query = (
            select(c.c.id, c.c.resolved_at, mine.c.opened_at.label("again_at"))
            .join(mine, and_(mine.c.customer_id == c.c.customer_id, mine.c.id != c.c.id))
            .where(mine.c.id.in_(some), c.c.opened_at < mine.c.opened_at, c.c.resolved_at.is_not(None))
            .where(c.c.resolved_at < mine.c.opened_at)
        )
        found |= {row.id: None for row in conn.execute(query) if row.again_at - row.resolved_at <= made.WITHIN}
    return list(found)


def slices(every: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Parts of BATCH."""
    return (every[start : start + BATCH] for start in range(0, len(every), BATCH))
