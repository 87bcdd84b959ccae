"""The rows of quality and pulse. Rows never leave: dataclasses do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.errors import NotFound
from bot.storage import tables as t
from bot.storage.history import OF_ITS_CASE
from bot.storage.tx import Tx
from surveys.team.pulse import Round
from surveys.team.quality import Review
from surveys.team.rubric import Rubric, from_json, to_json

Reader = Connection
s, qc, qr, p, c, m = t.quality_samples, t.quality_cases, t.quality_reviews, t.pulse_rounds, t.cases, t.messages
LONGEST_SHOWN = 60  # messages of a case that are shown to a rater


@dataclass(frozen=True, slots=True)
class Sample:
    """Cases that were drawn together; `rubric` as it was then."""

    id: str
    seed: int
    since: datetime
    until: datetime
    rubric: Rubric
    drawn_by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Drawn:
    """A case of a sample. `agents` are all who had a hand in it."""

    case_id: str
    number: int | None
    agents: tuple[str, ...]
    topic: str | None
    customer_id: str


# ── quality ────────────────────────────────────────────────────────────────────────────────────────────────────────
def may_be_drawn(conn: Reader, since: datetime, until: datetime) -> list[str]:
    """Cases that people had, and that ended in a span."""
    people = c.c.claimed_at.is_not(None)
    query = select(c.c.id).where(c.c.resolved_at >= since, c.c.resolved_at < until, people, c.c.outcome != "spam")
    return list(conn.execute(query).scalars())


def add_sample(tx: Tx, one: Sample, case_ids: Sequence[str]) -> None:
    values = {"id": one.id, "seed": one.seed, "since": one.since, "until": one.until, "rubric": to_json(one.rubric)}
    tx.conn.execute(insert(s).values(**values, drawn_by=one.drawn_by, at=one.at))
    who = select(c.c.id, c.c.customer_id).where(c.c.id.in_(case_ids))
    customers = {row.id: row.customer_id for row in tx.conn.execute(who)}
    rows = [
        {"sample_id": one.id, "case_id": case_id, "customer_id": customers[case_id], "place": place}
        for place, case_id in enumerate(case_ids)
    ]
    if rows:
        tx.conn.execute(insert(qc), rows)


def samples(conn: Reader, limit: int = 24) -> list[Sample]:
    """The newest first."""
    return [_sample(row) for row in conn.execute(select(s).order_by(s.c.at.desc(), s.c.id.desc()).limit(limit))]


def sample(conn: Reader, sample_id: str) -> Sample:
    """Raises NotFound."""
    row = conn.execute(select(s).where(s.c.id == sample_id)).first()
    if row is None:
        raise NotFound("there is no such sample any more")
    return _sample(row)


def drawn(conn: Reader, sample_id: str) -> list[Drawn]:
    """Its cases in the order in which they are to be looked at; those of erased customers are gone."""
    query = (
        select(c.c.id, c.c.number, c.c.agents, c.c.agent_id, c.c.last_agent_id, c.c.topic, c.c.customer_id)
        .join(qc, qc.c.case_id == c.c.id)
        .where(qc.c.sample_id == sample_id)
        .order_by(qc.c.place)
    )
    return [
        Drawn(
            row.id,
            row.number,
            tuple(sorted({str(one) for one in (*(row.agents or ()), row.agent_id, row.last_agent_id) if one})),
            row.topic,
            row.customer_id,
        )
        for row in conn.execute(query)
    ]


def reviews(conn: Reader, sample_id: str) -> list[Review]:
    query = select(qr).where(qr.c.sample_id == sample_id).order_by(qr.c.at, qr.c.id)
    return [Review(row.case_id, row.rater, row.marks or {}, row.comment) for row in conn.execute(query)]


def put_review(tx: Tx, review_id: str, sample_id: str, customer_id: str, one: Review) -> None:
    """A rater's second word on a case takes the place of the first."""
    add = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
    values = {"sample_id": sample_id, "case_id": one.case_id, "rater": one.rater, "customer_id": customer_id}
    said = {"marks": dict(one.marks), "comment": one.comment, "at": tx.now}
    made = add(qr).values(id=review_id, **values, **said)
    key = ["sample_id", "case_id", "rater"]
    tx.conn.execute(made.on_conflict_do_update(index_elements=key, set_={name: made.excluded[name] for name in said}))


def transcript(conn: Reader, case_id: str) -> list[tuple[str, str, str]]:
    """(author's kind, name, text) of what was said in a case; notes are none of it."""
    mine = (t.cases.c.id == case_id, m.c.seq.is_not(None), m.c.deleted_at.is_(None))
    query = select(m.c.author_kind, m.c.author_name, m.c.text).join(t.cases, OF_ITS_CASE).where(*mine)
    query = query.order_by(m.c.seq).limit(LONGEST_SHOWN)
    return [(row.author_kind, row.author_name, row.text) for row in conn.execute(query)]


def _sample(row: Row[Any]) -> Sample:
    return Sample(row.id, row.seed, row.since, row.until, from_json(row.rubric), row.drawn_by, row.at)


# ── pulse ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def rounds(conn: Reader, limit: int = 24) -> list[Round]:
    """The newest first."""
    return [_round(row) for row in conn.execute(select(p).order_by(p.c.id.desc()).limit(limit))]


def round_(conn: Reader, round_id: str) -> Round | None:
    row = conn.execute(select(p).where(p.c.id == round_id)).first()
    return None if row is None else _round(row)


def held_round(tx: Tx, round_id: str) -> Round | None:
    """The round, and nobody else changes it until the commit: two answers at once must both count."""
    row = tx.conn.execute(select(p).where(p.c.id == round_id).with_for_update()).first()
    return None if row is None else _round(row)


def add_round(tx: Tx, one: Round) -> bool:
    """False where this month has its round, opened by whichever node."""
    add = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
    values = {"id": one.id, "questions": [list(pair) for pair in one.questions], "given": 0, "tally": {}}
    values |= {"opened_at": one.opened_at, "closes_at": one.closes_at, "comments": [], "who": []}
    return tx.conn.execute(add(p).values(**values).on_conflict_do_nothing()).rowcount == 1


def change_round(tx: Tx, round_id: str, **values: Any) -> None:
    tx.conn.execute(update(p).where(p.c.id == round_id).values(**values))


def _round(row: Row[Any]) -> Round:
    tally: Mapping[str, Mapping[str, int]] = row.tally or {}
    return Round(
        id=row.id,
        questions=tuple((str(one[0]), str(one[1])) for one in row.questions),
        opened_at=row.opened_at,
        closes_at=row.closes_at,
        closed_at=row.closed_at,
        given=row.given,
        tally=tally,
        comments=tuple(row.comments or ()),
        who=tuple(row.who or ()),
    )
