"""Queries on cases, relays, agents; and the few writes that `cases.py` is made of. Rows never leave this file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from operator import attrgetter
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import JSON, Connection, Row, Select, bindparam, func, insert, literal_column, select, update
from sqlalchemy import case as when
from sqlalchemy.dialects import postgresql, sqlite

from bot.errors import NotAllowed, NotFound
from bot.model import HELD, LIVE, CaseStatus, FileRef, new_id
from bot.nouns import but
from bot.outbox import DROPPED
from bot.storage import customers, marks
from bot.storage import tables as t
from bot.storage.outbox_rows import unsent
from bot.storage.prepared import Changes, Prepared
from bot.storage.tx import Tx
from handoff import terms
from handoff.case import AgentView, Case, CaseEvent, Relay

if TYPE_CHECKING:
    from bot.desk_folder.desk import Agent, Desk

Reader: TypeAlias = Connection
"""What queries run on. Files outside the fence around SQLAlchemy know it by this name."""

MEASURED = 50  # so many last cases tell how long one takes
NUMBERS = 10  # of cases that one of several nodes takes at a time
_LIVE = tuple(LIVE)
_HELD = tuple(HELD)
_PRIORITY = {"urgent": 0, "high": 1, "normal": 2, "low": 3}


# What every turn asks and writes, built once: to build a statement costs more than to run it.
_CASE = Prepared(select(t.cases).where(t.cases.c.id == bindparam("of")))
_LIVE_CASE = Prepared(
    select(t.cases).where(
        t.cases.c.customer_id == bindparam("of"), t.cases.c.status.in_([literal_column(f"'{one}'") for one in _LIVE])
    )
)
_RANK = when(
    (t.cases.c.status.in_([literal_column(f"'{one}'") for one in _LIVE]), literal_column("0")),
    (t.cases.c.resolved_at.is_not(None), literal_column("1")),
    else_=literal_column("2"),
)
_LAST_CASE = Prepared(
    select(t.cases)
    .where(t.cases.c.customer_id == bindparam("of"))
    .order_by(_RANK, t.cases.c.resolved_at.desc(), t.cases.c.opened_at.desc(), t.cases.c.id.desc())
    .limit(literal_column("1"))
)
_CASES = Prepared(
    select(t.cases)
    .where(t.cases.c.customer_id == bindparam("of"))
    .order_by(t.cases.c.opened_at.desc(), t.cases.c.id.desc())
    .limit(bindparam("at_most"))
)
_HAD_BY_AGENTS = Prepared(
    select(*(t.cases.c[name] for name in ("flow", "topic", "last_agent_id")))
    .where(
        t.cases.c.customer_id == bindparam("of"),
        t.cases.c.last_agent_id.is_not(None),
        t.cases.c.status.not_in([literal_column(f"'{one}'") for one in _LIVE]),
        func.coalesce(t.cases.c.resolved_at, t.cases.c.closed_at) >= bindparam("since", type_=t.Utc()),
    )
    .order_by(t.cases.c.opened_at.desc(), t.cases.c.id.desc()),
    beside=True,
)
_ADD_CASE, _ADD_EVENT = Prepared(insert(t.cases)), Prepared(insert(t.case_events))
_STANDS = (t.cases.c.id == bindparam("of"), t.cases.c.status == bindparam("was"))
_MOVE, _MOVE_FROM = (
    Prepared(update(t.cases).where(*_STANDS, holder).returning(t.cases))
    for holder in (t.cases.c.agent_id.is_(None), t.cases.c.agent_id == bindparam("held_by"))
)
_NUMBER = Prepared(
    select(t.settings.c.value).where(t.settings.c.key == literal_column("'case_number'")).with_for_update()
)
_NEXT_NUMBER = Prepared(update(t.settings).where(t.settings.c.key == literal_column("'case_number'")))
_CHANGES = Changes(t.cases, "id")
_CHANGE_AND_READ = Prepared(update(t.cases).where(t.cases.c.id == bindparam("of")).returning(t.cases))
_COUNT_QUESTION = Prepared(
    update(t.cases).where(t.cases.c.id == bindparam("of")).values(questions=t.cases.c.questions + 1)
)
_STATES = Prepared(select(t.agent_states))
_RELAY_OF = Prepared(select(t.relays).where(t.relays.c.message_id == bindparam("of")))
_PLAIN = {column.key for column in t.cases.c if not isinstance(column.type, JSON)} - {"status"}
"""Fields that a row gives back as they were written."""


# ── cases ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def case(conn: Connection, case_id: str) -> Case | None:
    row = _CASE.first(conn, of=case_id)
    return None if row is None else to_case(row)


def case_now(tx: Tx, case_id: str) -> Case | None:
    """As `case`, read at most once in a transaction."""
    known: Case | None = tx.known.get(("case", case_id))
    if known is not None:
        return known
    row = tx.known.pop(("case row", case_id), None)  # read with its customer
    found = case(tx.conn, case_id) if row is None else _made(_WITH_CUSTOMER(row))
    return None if found is None else _learn(tx, found)


def by_number(conn: Connection, number: int) -> Case | None:
    return _one(conn, select(t.cases).where(t.cases.c.number == number))


def live_case(conn: Connection, customer_id: str) -> Case | None:
    """The customer's one live case."""
    row = _LIVE_CASE.first(conn, of=customer_id)
    return None if row is None else to_case(row)


def live_now(tx: Tx, customer_id: str) -> Case | None:
    """As `live_case`, read at most once in a transaction."""
    found = customers.live_case(tx, customer_id)
    return None if found is None else case_now(tx, found)


def _learn(tx: Tx, found: Case) -> Case:
    """This is how the case stands now."""
    tx.known["case", found.id] = found
    of = "live case", found.customer_id
    if found.live:
        tx.known[of] = found.id
    elif tx.known.get(of) == found.id:
        tx.known[of] = None
    return found


def last_case(conn: Connection, customer_id: str) -> Case | None:
    """The customer's latest case: the live one, else the one that ended last.

    One that was closed as another's duplicate, when two customers became one, only where there is no other.
    """
    row = _LAST_CASE.first(conn, of=customer_id)
    return None if row is None else to_case(row)


def of_customer(conn: Connection, customer_id: str, limit: int = 20) -> list[Case]:
    """The customer's cases, newest first."""
    return [to_case(row) for row in _CASES.all(conn, of=customer_id, at_most=limit)]


def known_by(conn: Connection, customer_id: str, topics: Collection[str], since: datetime) -> str | None:
    """The agent who last had one of these topics with this customer, in a case that has ended since then."""
    had = _HAD_BY_AGENTS.all(conn, of=customer_id, since=since)
    return next((row.last_agent_id for row in had if {row.flow, row.topic} & set(topics)), None)


def listing(
    conn: Connection,
    *,
    status: str | Iterable[str] | None = None,
    channel: str | None = None,
    team: str | None = None,
    agent: str | None = None,
    customer: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> list[Case]:
    """Cases by id, oldest first, above the id `after`. `status` is one or several."""
    c = t.cases.c
    query = select(t.cases).order_by(c.id).limit(limit)
    if status is not None:
        query = query.where(c.status.in_([status] if isinstance(status, str) else list(status)))
    for column, value in ((c.channel, channel), (c.team, team), (c.agent_id, agent), (c.customer_id, customer)):
        if value is not None:
            query = query.where(column == value)
    if after:
        query = query.where(c.id > after)
    return [to_case(row) for row in conn.execute(query)]


def queue(conn: Connection, team: str | None) -> list[Case]:
    """Who waits for that team, in the order in which they are to be taken: priority, then time."""
    c = t.cases.c
    same_team = c.team.is_(None) if team is None else c.team == team
    query = select(t.cases).where(c.status == CaseStatus.QUEUED, same_team)
    return [to_case(row) for row in conn.execute(query.order_by(_urgency(), c.escalated_at, c.id))]


def position(conn: Connection, case_: Case) -> int | None:
    """The place in the queue, from 1; None when not in it."""
    if case_.status is not CaseStatus.QUEUED:
        return None
    ids = [one.id for one in queue(conn, case_.team)]
    return ids.index(case_.id) + 1 if case_.id in ids else None


def handling_s(conn: Connection, team: str | None) -> float | None:
    """How long a case of that team takes an agent: the median of the last ones, in seconds. None: unknown yet."""
    c = t.cases.c
    query = select(c.claimed_at, c.resolved_at).where(c.claimed_at.is_not(None), c.resolved_at > c.claimed_at)
    if team is not None:
        query = query.where(c.team == team)
    rows = conn.execute(query.order_by(c.resolved_at.desc()).limit(MEASURED)).all()
    return median((row.resolved_at - row.claimed_at).total_seconds() for row in rows) if rows else None


def events(conn: Connection, case_id: str) -> list[CaseEvent]:
    """What happened to a case, in order."""
    e = t.case_events
    rows = conn.execute(select(e).where(e.c.case_id == case_id).order_by(e.c.n))
    return [CaseEvent(row.n, row.kind, row.agent_id, row.data or {}, row.at) for row in rows]


def scores(conn: Connection, customer_id: str, limit: int = 3) -> list[tuple[str, int, str | None, datetime]]:
    """The customer's last survey answers, newest first: (instrument, score, comment, at)."""
    s = t.survey_responses
    query = select(s).where(s.c.customer_id == customer_id).order_by(s.c.at.desc()).limit(limit)
    return [(row.instrument, row.score, row.comment, row.at) for row in conn.execute(query)]


def held(tx: Tx, case_id: str) -> Case:
    """The case as it is now, its customer's turns held until the commit. Raises NotFound."""
    found = case(tx.conn, case_id)
    if found is None:
        raise NotFound(f"there is no case {case_id}")
    tx.lock_customer(found.customer_id)
    return case_now(tx, case_id) or found


def insert_case(tx: Tx, customer_id: str, channel: str, locale: str) -> Case:
    """A new case, with the bot, under the next number."""
    made = Case(new_id(), _next_number(tx), customer_id, CaseStatus.BOT, channel, locale, tx.now, tx.now)
    _ADD_CASE.run(
        tx.conn,
        about=(customer_id,),
        id=made.id,
        number=made.number,
        customer_id=customer_id,
        status=made.status,
        channel=channel,
        locale=locale,
        opened_at=tx.now,
        updated_at=tx.now,
    )
    return _learn(tx, made)


def change(tx: Tx, case_: Case, **values: Any) -> Case:
    """Write fields of a case and return it as it then is."""
    known: Case | None = tx.known.get(("case", case_.id))
    if known is None or not values.keys() <= _PLAIN:
        return _learn(
            tx, to_case(_CHANGE_AND_READ.one(tx.conn, about=_of(case_), of=case_.id, updated_at=tx.now, **values))
        )
    _CHANGES.later(tx.conn, case_.id, {**values, "updated_at": tx.now})
    return _learn(tx, but(known, updated_at=tx.now, **values))


def count_question(tx: Tx, case_id: str) -> None:
    known: Case | None = tx.known.get(("case", case_id))
    if known is not None and tx.holds(known.customer_id):
        asked = known.questions + 1
        _CHANGES.later(tx.conn, case_id, {"questions": asked})
        _learn(tx, but(known, questions=asked))
    else:
        _COUNT_QUESTION.run(tx.conn, about=(case_id,), of=case_id)
        tx.known.pop(("case", case_id), None)


def compare_and_set(tx: Tx, case_: Case, **values: Any) -> Case | None:
    """As `change`, but only while status and holder are as in `case_`. None: somebody was first."""
    stood: dict[str, Any] = {"of": case_.id, "was": case_.status}
    move = _MOVE if case_.agent_id is None else _MOVE_FROM
    stood |= {} if case_.agent_id is None else {"held_by": case_.agent_id}
    row = move.first(tx.conn, about=_of(case_), **stood, updated_at=tx.now, **values)
    return None if row is None else _learn(tx, to_case(row))


def _of(case_: Case) -> tuple[str, str]:
    """Whom a change of it concerns: who is read with their live case may have had none."""
    return case_.customer_id, case_.id


def log(tx: Tx, case_: Case, kind: str, agent_id: str | None = None, **data: Any) -> None:
    """One line of the audit."""
    row = {"case_id": case_.id, "customer_id": case_.customer_id, "kind": kind, "agent_id": agent_id, "data": data}
    _ADD_EVENT.later(tx.conn, **row, at=tx.now)
    if kind in marks.COUNTED:
        marks.mark(tx.conn, marks.CASES, case_.id)


def _urgency() -> Any:
    return when(*((t.cases.c.priority == name, place) for name, place in _PRIORITY.items()), else_=2)


def _next_number(tx: Tx) -> int:
    """1, 2, 3 …: counted in one row. Where nodes share the database each takes some at a time, or all would wait for one another
    to commit: then cases that are opened at the same moment may have numbers in another order, and a node that ends leaves a gap.
    """
    spare, block = tx.wiring.spare_numbers, 1 if tx.conn.dialect.name == "sqlite" else NUMBERS
    if spare:
        return spare.popleft()
    last = _NUMBER.scalar(tx.conn)
    if last is None:  # the very first; perhaps also on another node, this moment
        first = (sqlite if tx.conn.dialect.name == "sqlite" else postgresql).insert(t.settings)
        tx.conn.execute(first.values(key="case_number", value=0).on_conflict_do_nothing())
        last = _NUMBER.one(tx.conn)[0]
    number = int(last) + 1
    _NEXT_NUMBER.run(tx.conn, value=int(last) + block)
    tx.after_commit(lambda: spare.extend(range(number + 1, number + block)))
    return number


def _one(conn: Connection, query: Select[Any]) -> Case | None:
    row = conn.execute(query).first()
    return None if row is None else to_case(row)


_FIELDS = [one.name for one in fields(Case)]
_BY_ITSELF, _WITH_CUSTOMER = attrgetter(*_FIELDS), attrgetter(*(f"{customers.LIVE_CASE}{name}" for name in _FIELDS))
_STATUS, _AGENTS = _FIELDS.index("status"), _FIELDS.index("agents")


def to_case(row: Any) -> Case:
    return _made(_BY_ITSELF(row))


def _made(values: Iterable[Any]) -> Case:
    held = list(values)
    held[_STATUS] = CaseStatus(held[_STATUS])
    held[_AGENTS] = tuple(held[_AGENTS] or ())
    return Case(*held)


# ── the baton ──────────────────────────────────────────────────────────────────────────────────────────────────────
def carry_over(tx: Tx, customer_id: str, before: int, epoch: int) -> None:
    """What was said before the baton moved, and still holds, may leave under the new epoch."""
    o = t.outbox
    theirs = (o.c.customer_id == customer_id, o.c.epoch == before)
    where = (*theirs, unsent(o.c.state), o.c.state.in_(("ready", "retry")))
    tx.conn.execute(update(o).where(*where).values(epoch=epoch))


# ── agents ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def agents(conn: Connection, desk: Desk | None, now: datetime | None = None) -> list[AgentView]:
    """The desk's agents in the order of desk.yaml, then those known by a team's user group or the Slack channel, by name.

    Available unless they said otherwise; with `now`, whoever is away until a time that has passed is back.
    """
    states = {row.agent_id: row for row in _STATES.all(conn)}
    listed = [_listed(one, states.get(one.id), now) for one in terms.listed_agents(desk)]
    ids = {one.id for one in listed}
    groups = {one.id for one in terms.teams(desk) if one.slack_group}
    if not groups and any(one.slack for one in terms.listed_agents(desk)):
        return listed  # CONTRACT: the channel's members are agents only where desk.yaml names nobody's Slack account
    known = [
        AgentView(
            row.agent_id, row.name, row.team or terms.default_team(desk), available=_here(row, now), busy=bool(row.busy)
        )
        for row in states.values()
        if row.agent_id not in ids and row.slack_user and (not groups or row.team in groups)
    ]
    return listed + sorted(known, key=lambda one: (one.name, one.id))


def agent(conn: Connection, desk: Desk | None, agent_id: str) -> AgentView:
    """Raises NotAllowed for whoever is not an agent of this desk."""
    found = next((one for one in agents(conn, desk) if one.id == agent_id), None)
    if found is None:
        raise NotAllowed(f"{agent_id} is not an agent of this desk; add them to desk.yaml under agents")
    return found


def agent_name(conn: Connection, desk: Desk | None, agent_id: str | None) -> str:
    """What people call that agent, also one who is no longer listed."""
    found = next((one.name for one in agents(conn, desk) if one.id == agent_id), None)
    if found is None and agent_id:
        found = conn.execute(select(t.agent_states.c.name).where(t.agent_states.c.agent_id == agent_id)).scalar()
    return found or agent_id or ""


def on_duty(conn: Connection, desk: Desk | None, team: str | None, now: datetime) -> list[AgentView]:
    """Who is available for that team: its agents, and those of no team."""
    return [one for one in agents(conn, desk, now) if one.available and (team is None or one.team in {None, team})]


def set_available(
    tx: Tx,
    agent_id: str,
    available: bool,
    *,
    away_until: datetime | None = None,
    busy: bool = False,
    name: str = "",
) -> None:
    """An agent goes away (perhaps until a time), comes back, or is `busy`: there, but given no new cases."""
    values: dict[str, Any] = {"available": available, "busy": busy, "away_until": away_until, "seen_at": tx.now}
    _upsert_agent(tx, agent_id, values | ({"name": name} if name else {}))


def remember_agent(tx: Tx, agent_id: str, *, name: str, team: str | None, slack_user: str | None) -> None:
    """An agent who is known by their user group or Slack channel. Without a `team` they stay in theirs."""
    values = {"name": name, "slack_user": slack_user, "seen_at": tx.now, **({"team": team} if team else {})}
    _upsert_agent(tx, agent_id, values)


def keep_names(tx: Tx, listed: Sequence[Agent]) -> None:
    """The names of the desk's agents, by which people go on calling whoever is no longer listed."""
    known = {row.agent_id: row.name for row in _STATES.all(tx.conn)}
    new = [{"agent_id": one.id, "name": one.name} for one in listed if known.get(one.id) != one.name]
    if new:  # another node may be first
        add = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
        made = add(t.agent_states)
        name = {"name": made.excluded.name}
        tx.conn.execute(made.on_conflict_do_update(index_elements=["agent_id"], set_=name), new)


def _upsert_agent(tx: Tx, agent_id: str, values: Mapping[str, Any]) -> None:
    s = t.agent_states
    if tx.conn.execute(update(s).where(s.c.agent_id == agent_id).values(**values)).rowcount == 0:
        tx.conn.execute(insert(s).values(agent_id=agent_id, **values))


def _listed(listed: Agent, state: Row[Any] | None, now: datetime | None) -> AgentView:
    busy = state is not None and bool(state.busy)
    return AgentView(listed.id, listed.name, listed.team, listed.role, listed.locales, _here(state, now), busy)


def _here(state: Row[Any] | None, now: datetime | None) -> bool:
    if state is None or state.available:
        return True
    return now is not None and state.away_until is not None and state.away_until <= now


# ── relays ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def relay(conn: Connection, desk: str, ref: str) -> Relay | None:
    """The relay of a desk's post."""
    return _relay(conn, (t.relays.c.desk == desk, t.relays.c.ref == ref))


def relay_by_id(conn: Connection, relay_id: str) -> Relay | None:
    return _relay(conn, (t.relays.c.id == relay_id,))


def relay_of(conn: Connection, message_id: str) -> Relay | None:
    """The relay that a message came by."""
    row = _RELAY_OF.first(conn, of=message_id)
    return None if row is None else _with_delivery(conn, to_relay(row))


def waiting_relays(conn: Connection, case_id: str) -> list[Relay]:
    """What is still in its undo window, in order."""
    r = t.relays
    query = select(r).where(r.c.case_id == case_id, r.c.state == "waiting").order_by(r.c.created_at, r.c.id)
    return [to_relay(row) for row in conn.execute(query)]


def relays_of(conn: Connection, case_id: str) -> list[Relay]:
    """All of a case, in order, each with its delivery."""
    r = t.relays
    query = select(r).where(r.c.case_id == case_id).order_by(r.c.created_at, r.c.id)
    return [_with_delivery(conn, to_relay(row)) for row in conn.execute(query)]


def insert_relay(tx: Tx, one: Relay) -> Relay:
    fields = {name: value for name, value in asdict(one).items() if name not in {"delivery", "fault"}}
    fields["files"] = [asdict(file) for file in one.files]
    fields["held"] = [*one.held] if one.held else None
    tx.conn.execute(insert(t.relays).values(**fields))
    return _with_delivery(tx.conn, one)


def change_relay(tx: Tx, one: Relay, **values: Any) -> Relay:
    row = tx.conn.execute(update(t.relays).where(t.relays.c.id == one.id).values(**values).returning(t.relays)).one()
    return _with_delivery(tx.conn, to_relay(row))


def delivery(conn: Connection, message_id: str) -> tuple[str, str | None]:
    """What became of a message's sends: pending | sent | failed | uncertain, and why.

    One send that failed, or was given up by hand, makes it failed. A message without sends (the widget reads the timeline) is
    sent.
    """
    o = t.outbox
    rows = conn.execute(select(o.c.state, o.c.error).where(o.c.message_id == message_id).order_by(o.c.n)).all()
    dropped = next((row for row in rows if row.state == "expired" and row.error == DROPPED), None)
    if dropped is not None:
        return "failed", dropped.error
    for state, told in (("failed", "failed"), ("uncertain", "uncertain"), ("retry", "pending")):
        fault = next((row for row in rows if row.state == state), None)
        if fault is not None:
            return told, fault.error
    waiting = any(row.state in {"ready", "sending"} for row in rows)
    return ("pending" if waiting else "sent"), None


def _relay(conn: Connection, where: tuple[Any, ...]) -> Relay | None:
    row = conn.execute(select(t.relays).where(*where)).first()
    return None if row is None else _with_delivery(conn, to_relay(row))


def _with_delivery(conn: Connection, one: Relay) -> Relay:
    if one.state != "said" or one.message_id is None:
        return one
    state, fault = delivery(conn, one.message_id)
    return replace(one, delivery=state, fault=fault)


def to_relay(row: Any) -> Relay:
    fields = row._asdict()
    fields["files"] = tuple(FileRef(**file) for file in fields["files"] or ())
    fields["held"] = tuple(fields["held"]) if fields["held"] else None
    return Relay(**fields)


# ── for the watch ──────────────────────────────────────────────────────────────────────────────────────────────────
def unwatched(conn: Connection, now: datetime, slack: timedelta) -> list[Case]:
    """Live cases that nothing will happen to: no next action, or one long past. There should be none."""
    c = t.cases.c
    late = c.next_action_at.is_(None) | (c.next_action_at < now - slack)
    return [to_case(row) for row in conn.execute(select(t.cases).where(c.status.in_(_LIVE), late).limit(100))]


def orphans(conn: Connection, desk: Desk | None, now: datetime) -> list[Case]:
    """Cases that somebody holds who is no agent of this desk (any more), or that wait for a team that is none of it."""
    known = [one.id for one in agents(conn, desk, now)]
    teams = [one.id for one in desk.teams] if desk else []
    c = t.cases.c
    orphaned = c.status.in_(_HELD) & c.agent_id.is_not(None) & c.agent_id.not_in(known)
    if teams:
        orphaned |= (c.status == CaseStatus.QUEUED) & c.team.is_not(None) & c.team.not_in(teams)
    return [to_case(row) for row in conn.execute(select(t.cases).where(orphaned).limit(100))]


def count_by_status(conn: Connection) -> dict[str, int]:
    """How many cases have each status, for the metrics."""
    c = t.cases.c
    return {
        row.status: int(row.n) for row in conn.execute(select(c.status, func.count().label("n")).group_by(c.status))
    }
