"""Which cases are replayed, and how they are read. Read-only."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, func, select

from bot.model import AuthorKind, Message
from bot.replay.recording import MODEL, NO_TOPIC, Asked, Entry, Heard, Recording, Said, exchanges
from bot.storage import history, recording_rows
from bot.storage import tables as t

Reader: TypeAlias = Connection
"""What queries run on. Files outside the fence around SQLAlchemy know it by this name."""

AT_ONCE = 200  # cases whose rows are read together


@dataclass(frozen=True, slots=True)
class Chosen:
    """`of` how many there were to choose from."""

    case_ids: tuple[str, ...]
    of: int


def choose(
    conn: Connection, since: datetime | None, until: datetime | None, topics: Sequence[str], sample: int, seed: int
) -> Chosen:
    """Cases that opened in [since, until), of these topics (all, if none is named); `sample` of them at random by `seed`."""
    c = t.cases.c
    query = select(c.id).order_by(c.opened_at, c.id)
    query = query.where(c.opened_at >= since) if since is not None else query
    query = query.where(c.opened_at < until) if until is not None else query
    query = query.where(_topic().in_(topics)) if topics else query
    found = list(conn.execute(query).scalars())
    chosen = set(random.Random(seed).sample(found, sample)) if len(found) > sample else set(found)  # noqa: S311 - repeatable
    return Chosen(tuple(one for one in found if one in chosen), len(found))


def _topic() -> Any:
    return func.coalesce(t.cases.c.topic, t.cases.c.flow, NO_TOPIC)


def load(conn: Connection, case_ids: Sequence[str]) -> list[Recording]:
    """The cases in which the bot heard anything, in their order."""
    found = [one for at in range(0, len(case_ids), AT_ONCE) for one in _load(conn, case_ids[at : at + AT_ONCE])]
    return [one for one in found if one.exchanges]


def _load(conn: Connection, case_ids: Sequence[str]) -> Iterator[Recording]:
    c, e = t.cases.c, t.case_events.c
    rows = {
        row.id: row
        for row in conn.execute(
            select(t.cases, _topic().label("about"), t.customers.c.name.label("name"))
            .join(t.customers, t.customers.c.id == c.customer_id)
            .where(c.id.in_(case_ids))
        )
    }
    reopened = (
        select(e.case_id, func.min(e.at).label("at"))
        .where(e.case_id.in_(case_ids), e.kind == "reopen")
        .group_by(e.case_id)
    )
    ends = {row.case_id: row.at for row in conn.execute(reopened)}
    said = _messages(conn, case_ids)
    records: dict[str, list[Row[Any]]] = {}
    for row in recording_rows.of_cases(conn, case_ids):
        records.setdefault(row.case_id, []).append(row)
    for case_id in case_ids:
        if case_id in rows:
            yield _recording(rows[case_id], said.get(case_id, []), records.get(case_id, []), ends.get(case_id))


def _messages(conn: Connection, case_ids: Sequence[str]) -> dict[str, list[Message]]:
    """What customers could see, in order. A merged history counts once, with who has it now."""
    m, c = t.messages, t.cases
    query = select(m).join(c, history.OF_ITS_CASE)
    query = query.where(c.c.id.in_(case_ids), m.c.seq.is_not(None)).order_by(m.c.case_id, m.c.seq)
    found: dict[str, list[Message]] = {}
    for row in conn.execute(query):
        found.setdefault(row.case_id, []).append(history.to_message(row))
    return found


def _recording(case: Row[Any], said: Sequence[Message], records: Sequence[Row[Any]], end: datetime | None) -> Recording:
    stood: Mapping[str, Any] = next((row.asked for row in records if row.kind == "began"), {})
    locale = str(stood.get("locale") or case.locale)
    customer = {"id": case.customer_id, "name": case.name, "locale": locale, **stood.get("attributes", {})}
    asked = tuple(
        Asked(MODEL, {"question": row.asked.get("question", "")}, row.outcome, row.answer)
        if row.kind == "model"
        else Asked(str(row.asked.get("connector", "")), row.asked.get("values", {}), row.outcome, row.answer)
        for row in records
        if row.kind not in {"began", "event", recording_rows.SUMMARY}
    )
    return Recording(
        case.id,
        case.number,
        case.about,
        locale,
        case.channel,
        customer,
        exchanges(list(_entries(said, records, end))),
        asked,
        int(stood.get("agents", 1)),
        str((case.escalation or {}).get("reason_code") or ""),
        tuple(_by_agents(said, end)),
        str(case.outcome or ""),
        next((one.body.survey.instrument for one in said if one.body.survey and not _is_again(one, end)), None),
    )


def _by_agents(said: Sequence[Message], end: datetime | None) -> Iterator[Heard]:
    """What agents said until the survey, or the day on which the case was opened again."""
    for message in said:
        if message.body.survey is not None or _is_again(message, end):
            return
        if message.author.kind is AuthorKind.AGENT and message.deleted_at is None:
            yield Heard("agent", message.at, message.body.text, message.channel, message.body.files)


def _is_again(message: Message, end: datetime | None) -> bool:
    return end is not None and message.at >= end


def _entries(said: Sequence[Message], records: Sequence[Row[Any]], end: datetime | None) -> Iterator[Entry]:
    """The timeline up to the survey, the first word of an agent, or the day on which the case was opened again."""
    events = [row for row in records if row.kind == "event"]
    for message in said:
        while events and events[0].seq < (message.seq or 0):
            row = events.pop(0)
            yield Entry(heard=Heard("event", row.at, row.asked["name"], values=row.asked["values"]))
        ended = message.body.survey is not None or _is_again(message, end)
        if ended or message.author.kind is AuthorKind.AGENT:
            return
        if message.deleted_at is None:  # else its words are gone
            yield _entry(message)


def _entry(message: Message) -> Entry:
    if message.author.kind is AuthorKind.CUSTOMER:
        return Entry(heard=_heard(message))
    if message.author.kind is AuthorKind.BOT:
        meta = message.meta
        token, source = str(meta.get("ask", "")), meta.get("source")
        return Entry(said=Said(message.body.text, message.body.choices, source, message.id, token), at=message.at)
    return Entry(key=str(message.meta.get("key", "")), at=message.at)


def _heard(message: Message) -> Heard:
    pressed = message.meta.get("pressed")
    if pressed:
        value, on = str(pressed["value"]), str(pressed["message"])
        return Heard("press", message.at, message.body.text, message.channel, value=value, on=on)
    return Heard("text", message.at, message.body.text, message.channel, message.body.files)
