"""What stands on an agent's Home, and what a search finds: queries only."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, insert, or_, select, update

from bot.model import LIVE, WITH_PEOPLE, CaseStatus
from bot.storage import customers, outbox_rows
from bot.storage import tables as t
from bot.storage.tx import Tx
from handoff.case import AgentView, Case
from handoff.slack.store import VIA
from handoff.store import _urgency as urgency
from handoff.store import to_case

HELD = (CaseStatus.OPEN, CaseStatus.PENDING, CaseStatus.SNOOZED)
LATELY = timedelta(days=30)
GOOD_FROM = {"ces7": 5, "ces7_statement": 5, "csat5": 4, "csat2": 1}
"""Instrument → the lowest score that counts for it."""
SEARCHED = timedelta(days=180)  # how far back words of messages are looked for
MOST = 50
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
WATCHED = "slack-home:"  # in settings: who opened their Home, and when: {"agent", "name", "at"}
WATCHED_END = "slack-home;"
WATCHES = timedelta(hours=12)  # so long after opening it, it is kept up to date


@dataclass(frozen=True, slots=True)
class Row:
    """A case in a list."""

    case: Case
    customer: str


@dataclass(frozen=True, slots=True)
class Scored:
    """An agent's answers of one instrument; `good` of them count for it."""

    instrument: str
    answers: int
    mean: float
    good: int = 0


@dataclass(frozen=True, slots=True)
class Availability:
    """`busy`: they are there, and take no new cases. `away_until` counts while they are not available."""

    available: bool = True
    busy: bool = False
    away_until: datetime | None = None


# ── cases ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def mine(conn: Connection, agent_id: str) -> list[Row]:
    """What an agent holds: whose turn it is first, then who waits longest."""
    c = t.cases.c
    turn = c.status != CaseStatus.OPEN
    query = select(t.cases).where(c.agent_id == agent_id, c.status.in_(HELD)).order_by(turn, c.last_customer_at, c.id)
    return _rows(conn, query.limit(MOST))


def queue(conn: Connection, agent: AgentView) -> list[Row]:
    """Who waits for this agent's team, or for no team; for leads, for any."""
    c = t.cases.c
    query = select(t.cases).where(c.status == CaseStatus.QUEUED)
    if agent.team is not None and not agent.leads:
        query = query.where(or_(c.team == agent.team, c.team.is_(None)))
    return _rows(conn, query.order_by(urgency(), c.escalated_at, c.id).limit(MOST))


def with_clocks(conn: Connection, agent: AgentView) -> list[Row]:
    """Cases under a service level that concern this agent: theirs, and those that wait; for leads all."""
    c = t.cases.c
    query = select(t.cases).where(c.status.in_(tuple(WITH_PEOPLE)), c.sla.is_not(None))
    if not agent.leads:
        query = query.where(or_(c.agent_id == agent.id, c.agent_id.is_(None)))
    return _rows(conn, query.order_by(c.escalated_at).limit(200))


def counts(conn: Connection) -> dict[str, int]:
    c = t.cases.c
    query = select(c.status, func.count().label("n")).where(c.status.in_(tuple(LIVE))).group_by(c.status)
    return {str(row.status): int(row.n) for row in conn.execute(query)}


def search(conn: Connection, words: str, now: datetime) -> list[Row]:
    """Cases by number, by the customer's name, by topic, or by words of a message; the latest first."""
    c, k, m = t.cases.c, t.customers.c, t.messages.c
    number = words.lstrip("#").strip()
    named = select(k.id).where(_holds(k.name, words))
    said = select(m.case_id).where(m.at >= now - SEARCHED, m.deleted_at.is_(None), _holds(m.text, words))
    fits: list[ColumnElement[bool]] = [c.customer_id.in_(named), _holds(c.topic, words), c.id.in_(said)]
    if number.isascii() and number.isdigit() and len(number) < 10:
        fits = [c.number == int(number)]
    query = select(t.cases).where(or_(*fits)).order_by(c.updated_at.desc(), c.id)
    return _rows(conn, query.limit(MOST))


def _holds(column: ColumnElement[str], words: str) -> ColumnElement[bool]:
    """Whether these words are in it, in whatever case. Databases may fold ASCII alone (SQLite does, PostgreSQL in the C locale):
    `Øystein` is looked for as written, in small letters, in capitals, and as a name.
    """
    spelled = {one.translate(_SMALL) for one in (words, words.lower(), words.upper(), words.title())}
    return or_(*(func.lower(column).like(f"%{_escaped(one)}%", escape="\\") for one in sorted(spelled)))


def _escaped(words: str) -> str:
    for special in ("\\", "%", "_"):
        words = words.replace(special, f"\\{special}")
    return words


def _rows(conn: Connection, query: Any) -> list[Row]:
    found = [to_case(row) for row in conn.execute(query)]
    names: dict[str, str] = {}
    for one in found:
        if one.customer_id not in names:
            who = customers.customer(conn, one.customer_id)
            names[one.customer_id] = who.name if who else ""
    return [Row(one, names[one.customer_id]) for one in found]


# ── the agent ──────────────────────────────────────────────────────────────────────────────────────────────────────
def scores(conn: Connection, agent_id: str, now: datetime) -> list[Scored]:
    """What customers said of their cases: questions about a case only, so no NPS."""
    s = t.survey_responses.c
    good = func.sum(
        case(*((and_(s.instrument == name, s.score >= least), 1) for name, least in GOOD_FROM.items()), else_=0)
    )
    query = select(s.instrument, func.count().label("n"), func.avg(s.score).label("mean"), good.label("good"))
    query = query.where(s.agent_id == agent_id, s.at >= now - LATELY, s.instrument.in_(list(GOOD_FROM)))
    rows = conn.execute(query.group_by(s.instrument).order_by(s.instrument))
    return [Scored(row.instrument, int(row.n), float(row.mean), int(row.good)) for row in rows]


def availability(conn: Connection, agent_id: str, now: datetime) -> Availability:
    s = t.agent_states
    row = conn.execute(select(s).where(s.c.agent_id == agent_id)).first()
    if row is None:
        return Availability()
    back = row.away_until is not None and row.away_until <= now
    return Availability(bool(row.available or back), bool(row.busy), row.away_until)


# ── who looks at it ────────────────────────────────────────────────────────────────────────────────────────────────
def opened(tx: Tx, user: str, agent_id: str, name: str) -> None:
    s = t.settings
    key, value = f"{WATCHED}{user}", {"agent": agent_id, "name": name, "at": tx.now.isoformat()}
    if tx.conn.execute(update(s).where(s.c.key == key).values(value=value)).rowcount == 0:
        tx.conn.execute(insert(s).values(key=key, value=value))


def watchers(conn: Connection, now: datetime) -> dict[str, Mapping[str, Any]]:
    """User → {"agent", "name", "at"} of whoever opened their Home lately."""
    s = t.settings.c
    rows = conn.execute(select(s.key, s.value).where(s.key >= WATCHED, s.key < WATCHED_END))
    found = {row.key.removeprefix(WATCHED): row.value for row in rows}
    return {user: one for user, one in found.items() if datetime.fromisoformat(one["at"]) > now - WATCHES}


def watcher(conn: Connection, user: str) -> Mapping[str, Any] | None:
    s = t.settings.c
    found: Mapping[str, Any] | None = conn.execute(select(s.value).where(s.key == f"{WATCHED}{user}")).scalar()
    return found


def closed(tx: Tx, user: str) -> None:
    """Somebody is no agent any more: their Home is theirs no longer."""
    s = t.settings
    tx.conn.execute(delete(s).where(s.c.key == f"{WATCHED}{user}"))


def is_coming(conn: Connection, lane: str) -> bool:
    """Whether a drawing of that Home waits already: it is drawn when it leaves, so one is enough."""
    o = t.outbox.c
    waiting = (o.via == VIA, o.lane == lane, outbox_rows.live(o.state), o.state == "ready")
    return conn.execute(select(o.id).where(*waiting).limit(1)).first() is not None
