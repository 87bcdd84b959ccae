"""The rows of notices, and of those whom they are meant for. Rows never leave: dataclasses do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.errors import NotFound
from bot.model import LIVE, CaseStatus
from bot.outreach.notice import CONSENT, Audience, Facts, Kind, Notice, State
from bot.storage import belongings, customers
from bot.storage import tables as t
from bot.storage.tx import Tx

n, p = t.notices, t.notice_people
Reader = Connection


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a notice has got: customers by state, and those who were not told by reason."""

    waiting: int = 0
    told: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)


# ── notices ────────────────────────────────────────────────────────────────────────────────────────────────────────
def add(tx: Tx, notice: Notice) -> None:
    tx.conn.execute(insert(n).values(**_values(notice)))


def change(tx: Tx, notice: Notice) -> None:
    tx.conn.execute(update(n).where(n.c.id == notice.id).values(**_values(notice)))


def notice(conn: Reader, notice_id: str) -> Notice | None:
    row = conn.execute(select(n).where(n.c.id == notice_id)).first()
    return None if row is None else _notice(row)


def held(tx: Tx, notice_id: str) -> Notice:
    """The notice, and nobody else changes it until the commit. Raises NotFound."""
    row = tx.conn.execute(select(n).where(n.c.id == notice_id).with_for_update()).first()
    if row is None:
        raise NotFound("there is no such notice")
    return _notice(row)


def listing(conn: Reader, *, before: str | None = None, limit: int = 50) -> list[Notice]:
    """The latest first; `before` is the id of the last one seen."""
    query = select(n).order_by(n.c.id.desc()).limit(limit)
    if before:
        query = query.where(n.c.id < before)
    return [_notice(row) for row in conn.execute(query)]


def being_told(conn: Reader) -> list[str]:
    """The ids of those that everybody has a row of, and that are not over."""
    query = select(n.c.id).where(n.c.state == State.APPROVED.value, n.c.listed_at.is_not(None)).order_by(n.c.id)
    return [str(one) for one in conn.execute(query).scalars()]


def progress(conn: Reader, notice_ids: Sequence[str]) -> dict[str, Progress]:
    counted = select(p.c.notice_id, p.c.state, p.c.reason, func.count().label("many"))
    counted = counted.where(p.c.notice_id.in_(notice_ids)).group_by(p.c.notice_id, p.c.state, p.c.reason)
    found: dict[str, Progress] = {one: Progress() for one in notice_ids}
    for row in conn.execute(counted):
        before = found[row.notice_id]
        skipped = {**before.skipped, **({row.reason: row.many} if row.state == "skipped" else {})}
        found[row.notice_id] = Progress(
            before.waiting + row.many * (row.state == "waiting"),
            before.told + row.many * (row.state == "told"),
            skipped,
        )
    return found


def topics(conn: Reader, limit: int = 200) -> list[str]:
    """Topics that cases have had, the most frequent first."""
    k = t.cases.c
    query = select(k.topic).where(k.topic.is_not(None)).group_by(k.topic).order_by(func.count().desc(), k.topic)
    return [str(one) for one in conn.execute(query.limit(limit)).scalars()]


# ── those whom it is meant for ─────────────────────────────────────────────────────────────────────────────────────
def affected(conn: Reader, audience: Audience, after: str | None, limit: int) -> tuple[list[str], str | None]:
    """The next customers of an audience in the order of their ids, and the id that was looked at last; None: there are no more.

    At most `limit` are looked at, so fewer may come back: values of slots are compared here.
    """
    c = t.customers.c
    query = select(c.id, c.attributes).where(c.merged_into.is_(None)).order_by(c.id).limit(limit)
    if after:
        query = query.where(c.id > after)
    if audience.customers:
        query = query.where(c.id.in_(_living(conn, audience.customers)))
    if audience.problem:
        waits = t.problem_cases.c
        query = query.where(c.id.in_(select(waits.customer_id).where(waits.problem_id == audience.problem)))
    if audience.wish:
        asked = t.wish_votes.c
        query = query.where(c.id.in_(select(asked.customer_id).where(asked.wish_id == audience.wish)))
    if audience.locale:
        query = query.where(c.locale == audience.locale)
    if audience.channel:
        i = t.identities.c
        query = query.where(exists().where(i.customer_id == c.id, i.channel == audience.channel))
    if audience.asks_for_case:
        query = query.where(_has_case(audience))
    rows = conn.execute(query).all()
    found = [row.id for row in rows if _has_slots(dict(row.attributes or {}), audience.slots)]
    return found, rows[-1].id if len(rows) == limit else None


def _has_slots(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """A form knows words only, so 7 and "7" are the same here, and so are true and "true"."""
    return all(name in known and str(known[name]).lower() == str(value).lower() for name, value in wanted.items())


def _living(conn: Reader, ids: Sequence[str]) -> list[str]:
    """Who those customers are now, after merges. In a few statements: ten thousand may be named."""
    c = t.customers.c
    found: set[str] = set()
    wanted = list(dict.fromkeys(ids))
    while wanted:
        into: list[str] = []
        for start in range(0, len(wanted), 500):  # engines limit the parameters of one statement
            query = select(c.id, c.merged_into).where(c.id.in_(wanted[start : start + 500]))
            for row in conn.execute(query):
                if row.merged_into is None:
                    found.add(row.id)
                else:
                    into.append(row.merged_into)
        wanted = into
    return sorted(found)


def _has_case(audience: Audience) -> Any:
    k = t.cases.c
    wanted = [k.customer_id == t.customers.c.id]
    wanted += [_of_topic(audience.topic)] if audience.topic else []
    wanted += [k.flow == audience.flow] if audience.flow else []
    wanted += [k.team == audience.team] if audience.team else []
    wanted += [k.opened_at >= audience.since] if audience.since else []
    return exists().where(*wanted)


def _of_topic(topic: str) -> Any:
    k = t.cases.c
    return or_(k.topic == topic, and_(func.coalesce(k.topic, "") == "", k.flow == topic))


def await_turn(tx: Tx, notice_id: str, customer_ids: Sequence[str]) -> list[str]:
    """Give each of them their row; who has one keeps it. Returns those who are new."""
    if not customer_ids:
        return []
    made = (sqlite if tx.conn.dialect.name == "sqlite" else postgresql).insert(p)
    rows = [{"notice_id": notice_id, "customer_id": one, "state": "waiting", "at": tx.now} for one in customer_ids]
    new = tx.conn.execute(made.values(rows).on_conflict_do_nothing().returning(p.c.customer_id)).scalars().all()
    return [str(one) for one in new]


def is_waiting(conn: Reader, notice_id: str, customer_id: str) -> bool:
    query = select(p.c.state).where(p.c.notice_id == notice_id, p.c.customer_id == customer_id)
    return bool(conn.execute(query).scalar() == "waiting")


def settle(tx: Tx, notice_id: str, customer_id: str, state: str, reason: str | None, message_id: str | None) -> None:
    whose = (p.c.notice_id == notice_id, p.c.customer_id == customer_id)
    tx.conn.execute(update(p).where(*whose).values(state=state, reason=reason, message_id=message_id, at=tx.now))


def message_of(conn: Reader, notice_id: str, customer_id: str) -> str | None:
    """What was said to them that did not leave in time."""
    query = select(p.c.message_id).where(p.c.notice_id == notice_id, p.c.customer_id == customer_id)
    found: str | None = conn.execute(query).scalar()
    return found


def wait_again(tx: Tx, notice_id: str, message_id: str) -> str | None:
    """Whom this message was for waits as before. Returns the id of their row; None: that is known, of another part."""
    told = (p.c.notice_id == notice_id, p.c.message_id == message_id, p.c.state == "told")
    waiting = update(p).where(*told).values(state="waiting").returning(p.c.customer_id)
    found: str | None = tx.conn.execute(waiting).scalar()
    return found


def not_delivered(tx: Tx, message_id: str, reason: str) -> bool:
    """A notice that was said has not arrived; False: that is known, of another part of it."""
    told = (p.c.message_id == message_id, p.c.state == "told")
    return tx.conn.execute(update(p).where(*told).values(state="skipped", reason=reason)).rowcount > 0


def skip_waiting(tx: Tx, notice_id: str, reason: str) -> None:
    waiting = (p.c.notice_id == notice_id, p.c.state == "waiting")
    tx.conn.execute(update(p).where(*waiting).values(state="skipped", reason=reason, at=tx.now))


def skip_unsent(tx: Tx, notice_id: str, reason: str) -> None:
    """Nobody is told any more whose message has not left: neither now nor after a platform has come back. The web's is there."""
    o = t.outbox
    said = select(p.c.message_id).where(p.c.notice_id == notice_id, p.c.state == "told")
    unsent = (o.c.message_id.in_(said), o.c.state.in_(("ready", "retry")), o.c.via != "web")
    stopped = update(o).where(*unsent).values(state="expired", error=reason).returning(o.c.message_id)
    held_back = sorted(set(tx.conn.execute(stopped).scalars()))
    for start in range(0, len(held_back), 500):  # engines limit the parameters of one statement
        mine = (p.c.notice_id == notice_id, p.c.message_id.in_(held_back[start : start + 500]))
        tx.conn.execute(update(p).where(*mine).values(state="skipped", reason=reason, at=tx.now))


def is_anybody_waiting(conn: Reader, notice_id: str) -> bool:
    return bool(conn.execute(select(exists().where(p.c.notice_id == notice_id, p.c.state == "waiting"))).scalar())


# ── what is known of one customer ──────────────────────────────────────────────────────────────────────────────────
def facts(conn: Reader, notice_id: str, customer_id: str) -> Facts:
    """Of a customer as they are now, with all who were merged into them."""
    c, k = t.customers.c, t.cases.c
    family = belongings.family(conn, customer_id)
    who = conn.execute(select(c.opted_out, c.attributes).where(c.id == customer_id)).one()
    live = conn.execute(select(k.status).where(k.customer_id == customer_id, k.status.in_([*LIVE]))).scalar()
    told = (p.c.customer_id.in_(family), p.c.state == "told")
    last = select(func.max(p.c.at)).join(n, n.c.id == p.c.notice_id).where(*told, n.c.kind == Kind.CAMPAIGN.value)
    where = customers.reply_identity(conn, customer_id)
    return Facts(
        told=bool(conn.execute(select(exists().where(p.c.notice_id == notice_id, *told))).scalar()),
        opted_out=bool(who.opted_out),
        consents=dict(who.attributes or {}).get(CONSENT) is True,
        status=CaseStatus(live) if live else None,
        reachable=where is not None and where.reachable,
        last_campaign=conn.execute(last).scalar(),
    )


def live_case(conn: Reader, customer_id: str) -> str | None:
    k = t.cases.c
    found: str | None = conn.execute(select(k.id).where(k.customer_id == customer_id, k.status.in_([*LIVE]))).scalar()
    return found


def set_opted_out(tx: Tx, customer_id: str, *, opted_out: bool) -> None:
    tx.conn.execute(update(t.customers).where(t.customers.c.id == customer_id).values(opted_out=opted_out))


# ── in and out of rows ─────────────────────────────────────────────────────────────────────────────────────────────
def to_json(audience: Audience) -> dict[str, Any]:
    """Only what is said of it."""
    found = {
        "topic": audience.topic,
        "flow": audience.flow,
        "team": audience.team,
        "since": audience.since.isoformat() if audience.since else None,
        "channel": audience.channel,
        "locale": audience.locale,
        "slots": dict(audience.slots) or None,
        "customers": list(audience.customers) or None,
        "problem": audience.problem,
        "wish": audience.wish,
        "everyone": audience.everyone or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def from_json(found: Mapping[str, Any]) -> Audience:
    since = found.get("since")
    return Audience(**{**found, "since": datetime.fromisoformat(since) if since else None})


def _values(one: Notice) -> dict[str, Any]:
    found = {column.name: getattr(one, column.name) for column in n.c if column.name != "audience"}
    return {**found, "kind": one.kind.value, "state": one.state.value, "audience": to_json(one.audience)}


def _notice(row: Row[Any]) -> Notice:
    found = dict(row._mapping)  # noqa: SLF001 - how SQLAlchemy names it
    return Notice(
        **{
            **found,
            "kind": Kind(row.kind),
            "state": State(row.state),
            "audience": from_json(row.audience),
        }
    )
