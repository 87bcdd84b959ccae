"""One timeline per customer: messages, their edits and deletions, numbered by a gapless `seq`.

A message stands once, in `messages`, with its number; `timeline` has what else takes one. Only a message that is changed gets a
line at its own number, too, with the words that stood there first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql

from bot.events import MessageDeleted, MessageEdited, MessageStored, Said, TimelineGrew
from bot.model import Author, AuthorKind, Body, Choice, FileRef, Message, SurveyCard, TimelineEntry, new_id
from bot.nouns import but
from bot.storage import customers, inbox_rows
from bot.storage import tables as t
from bot.storage.prepared import Prepared, Waiting, among
from bot.storage.tx import Tx


def _messages() -> Any:
    """Of each message first the one that stands: its copies follow."""
    m, c = t.messages, t.customers
    merged_away, copied = c.c.merged_into.is_not(None), m.c.copied_from.is_not(None)
    query = select(m).join(c, c.c.id == m.c.customer_id).where(among(m.c.id, "some"))
    return query.order_by(merged_away, and_(copied, m.c.deleted_at.is_not(None)), copied)


def _placing() -> Any:
    c, now = t.conversations, bindparam("now", type_=t.conversations.c.last_at.type)
    at = case((c.c.last_at > now, c.c.last_at), else_=now)
    counted = update(c).where(c.c.customer_id == bindparam("whose")).values(last_seq=c.c.last_seq + 1, last_at=at)
    return counted.returning(c.c.last_seq, c.c.last_at)


def _since() -> Any:
    """One statement: of two, the second would know of more than the first, and what came between would be left out."""
    line, m = t.timeline, t.messages
    most: Any = bindparam("at_most")
    first = (line.c.customer_id == m.c.customer_id) & (line.c.seq == m.c.seq)
    text = func.coalesce(line.c.text, m.c.text)
    said = select(m, m.c.seq.label("line_seq"), literal("message").label("line_kind"), text.label("line_text"))
    said = said.add_columns(m.c.at.label("line_at")).outerjoin(line, first)
    said = said.where(m.c.customer_id == bindparam("whose"), m.c.seq > bindparam("after")).order_by(m.c.seq).limit(most)
    later = select(m, line.c.seq, line.c.kind, line.c.text, line.c.at)
    later = later.join(m, (m.c.customer_id == line.c.customer_id) & (m.c.id == line.c.message_id)).where(
        line.c.customer_id == bindparam("whose"),
        line.c.seq > bindparam("after"),
        or_(line.c.kind != "message", line.c.seq != m.c.seq),
    )
    later = later.order_by(line.c.seq).limit(most)
    both = union_all(select(said.subquery()), select(later.subquery()))
    return both.order_by("line_seq").limit(most)


_MESSAGES, _SINCE = Prepared(_messages()), Prepared(_since())
_OF_CUSTOMER = (t.messages.c.customer_id == bindparam("whose"), t.messages.c.id == bindparam("which"))
_ITS_MESSAGE = Prepared(select(t.messages).where(*_OF_CUSTOMER))
_ADD_MESSAGE, _ADD_LINE = Prepared(insert(t.messages)), Prepared(insert(t.timeline))
_KEEP_FIRST = Prepared(postgresql.insert(t.timeline).on_conflict_do_nothing())  # SQLite's words are the same
_ADD_REF = Prepared(postgresql.insert(t.message_refs).on_conflict_do_nothing())
_CHANGE = Prepared(update(t.messages).where(*_OF_CUSTOMER))
_NEXT_PLACE = Prepared(_placing())
_REF = Prepared(
    select(t.message_refs.c.message_id).where(
        t.message_refs.c.channel == bindparam("on"), t.message_refs.c.ref == bindparam("called")
    )
)
_JOINED = Prepared(select(t.customers.c.id).where(t.customers.c.merged_into == bindparam("whose")).limit(1))


OF_ITS_CASE = (t.cases.c.id == t.messages.c.case_id) & (t.cases.c.customer_id == t.messages.c.customer_id)
"""Joins a message with its case, as the customer has both now.

Whatever asks for the messages of a case asks so: an index by case would be one more place that each message writes to. That of
the customer's messages holds their cases, too, and one customer's are soon looked through. What was said in a case while its
customer was joined with another one stays with that one when they are parted, and is not found by the case any more.
"""


def next_seq(tx: Tx, customer_id: str, at: datetime) -> int:
    """The next number of a customer's timeline, for what was said at `at`: a counter under the row's lock, so it has no gaps."""
    return _next_place(tx, customer_id, max(tx.now, at))[0]


def _next_place(tx: Tx, customer_id: str, now: datetime) -> tuple[int, datetime]:
    """The next number, and the time that stands there: never before that of the last one, though our clock were set back."""
    known = tx.known.get(("place", customer_id)) if tx.holds(customer_id) else None
    if known is None:
        seq, at = _NEXT_PLACE.one(tx.conn, about=(customer_id,), whose=customer_id, now=now, updated_at=tx.now)
    else:
        seq, at = known[0] + 1, now if known[1] is None else max(now, known[1])
        customers.CHANGES.later(tx.conn, customer_id, {"last_seq": seq, "last_at": at, "updated_at": tx.now})
    tx.known["place", customer_id] = seq, at
    return seq, at


def append(
    tx: Tx,
    customer_id: str,
    body: Body,
    *,
    author: Author,
    channel: str,
    case_id: str | None = None,
    message_id: str | None = None,
    meta: Mapping[str, Any] | None = None,
    note: bool = False,
) -> Message:
    """Write one message. A note gets no `seq`: customers never see it."""
    seq, at = (None, tx.now) if note else _next_place(tx, customer_id, tx.now)
    message = Message(
        id=message_id or new_id(),
        customer_id=customer_id,
        seq=seq,
        case_id=case_id,
        author=author,
        channel=channel,
        body=body,
        at=at,
        meta=dict(meta or {}),
    )
    tx.known["waiting", message.id] = _ADD_MESSAGE.later(tx.conn, **_values(message))
    if seq is not None:
        tx.emit(TimelineGrew(customer_id, seq))
    tx.emit(MessageStored(message))
    return message


def edit(tx: Tx, message: Message, text: str) -> Message:
    """A new version of a message. The old text stays in the timeline, under its own `seq`."""
    edited = replace(message, body=replace(message.body, text=text), edited_at=tx.now)
    tx.conn.execute(_update(message).values(text=text, edited_at=tx.now))
    _line(tx, message, "edit", text)
    tx.emit(MessageEdited(edited, message.body.text))
    return edited


def delete(tx: Tx, message: Message) -> Message:
    """Take a message back: its words go from every version, what stays is that there was one."""
    deleted = hide(tx, message)
    m = t.messages
    elsewhere = select(m).where(m.c.id == message.id, m.c.customer_id != message.customer_id, m.c.deleted_at.is_(None))
    for row in tx.conn.execute(elsewhere).all():  # the history that it was merged from: undoing must not bring it back
        hide(tx, to_message(row))
    inbox_rows.forget_words(tx, message.id, [ref for _, ref in refs(tx.conn, message.id)])
    tx.emit(MessageDeleted(deleted))
    return deleted


def hide(tx: Tx, message: Message) -> Message:
    """Delete it from this one customer's timeline, and tell nobody but who watches it."""
    meta = {name: value for name, value in message.meta.items() if name != "captions"}  # an album's words
    deleted = replace(message, body=Body(), meta=meta, deleted_at=tx.now)
    tx.conn.execute(_update(message).values(text="", files=[], choices=[], survey=None, meta=meta, deleted_at=tx.now))
    line = t.timeline
    where = (line.c.customer_id == message.customer_id, line.c.message_id == message.id)
    _line(tx, message, "delete", "")
    tx.conn.execute(update(line).where(*where).values(text=""))
    return deleted


def set_meta(tx: Tx, message: Message, **values: Any) -> None:
    tx.conn.execute(_update(message).values(meta={**message.meta, **values}))


def put_in_case(tx: Tx, message: Message, case_id: str) -> Message:
    if message.case_id == case_id:
        return message
    waiting: Waiting | None = tx.known.get(("waiting", message.id))
    if waiting is None or not waiting.change(case_id=case_id):
        _CHANGE.run(tx.conn, whose=message.customer_id, which=message.id, case_id=case_id)
    return but(message, case_id=case_id)


def _update(message: Message) -> Any:
    m = t.messages
    return update(m).where(m.c.customer_id == message.customer_id, m.c.id == message.id)


def _line(tx: Tx, message: Message, kind: str, text: str) -> None:
    """What becomes of a message takes a number of its own, and what stood at the message's stays there. A note has none."""
    if message.seq is None:
        return
    of = {"customer_id": message.customer_id, "message_id": message.id}
    _KEEP_FIRST.run(tx.conn, **of, seq=message.seq, kind="message", text=message.body.text, at=message.at)
    seq, at = _next_place(tx, message.customer_id, tx.now)
    _ADD_LINE.later(tx.conn, **of, seq=seq, kind=kind, text=text, at=at)
    tx.emit(TimelineGrew(message.customer_id, seq))


def message(conn: Connection, message_id: str) -> Message | None:
    """The message by its id. A merged customer's messages are found under the customer who has them now."""
    row = _MESSAGES.first(conn, some=[message_id])
    return None if row is None else to_message(row)


def of_customer(conn: Connection, customer_id: str, message_id: str) -> Message | None:
    row = _ITS_MESSAGE.first(conn, whose=customer_id, which=message_id)
    return None if row is None else to_message(row)


def by_ref(conn: Connection, channel: str, ref: str) -> Message | None:
    """The message that the platform calls `ref`: theirs or ours."""
    row = _REF.first(conn, on=channel, called=ref)
    return None if row is None else message(conn, row.message_id)


def refs(conn: Connection, message_id: str) -> list[tuple[str, str]]:
    """The platforms' names of a message, as (channel, ref), in the order of sending."""
    r = t.message_refs
    rows = conn.execute(
        select(r.c.channel, r.c.ref).where(r.c.message_id == message_id).order_by(r.c.outbox_id, r.c.ref)
    )
    return [(row.channel, row.ref) for row in rows]


def remember_ref(tx: Tx, channel: str, ref: str, message: Message | Said, outbox_id: str | None = None) -> None:
    """A name that is known already stays with its message."""
    of = {"customer_id": message.customer_id, "message_id": message.id}
    sent_as = {} if outbox_id is None else {"outbox_id": outbox_id}
    _ADD_REF.later(tx.conn, channel=channel, ref=ref, **sent_as, **of)


def messages(conn: Connection, customer_id: str, *, after: int = 0, limit: int = 100) -> list[Message]:
    """Messages in order of `seq`, above `after`."""
    m = t.messages
    query = select(m).where(m.c.customer_id == customer_id, m.c.seq > after).order_by(m.c.seq).limit(limit)
    return [to_message(row) for row in conn.execute(query)]


def of_case(conn: Connection, case_id: str, *, notes: bool = True, limit: int = 500) -> list[Message]:
    """What was said in a case, in order."""
    m = t.messages
    query = select(m).join(t.cases, OF_ITS_CASE).where(t.cases.c.id == case_id).order_by(*_by_time()).limit(limit)
    if not notes:
        query = query.where(m.c.seq.is_not(None))
    return [to_message(row) for row in conn.execute(query)]


def _by_time() -> list[ColumnElement[Any]]:
    """In order of time. A question and its answer share one transaction, and so one instant: then `seq` decides."""
    m = t.messages
    return [m.c.at, m.c.seq.is_(None), m.c.seq, m.c.id]


def latest(conn: Connection, customer_id: str, limit: int = 50, *, notes: bool = False) -> list[Message]:
    """The last messages in order of time, oldest first.

    Times never fall from `seq` to `seq`, so the last ones are read off the index, however long the history is. Only what
    came by a merge has new numbers and its old times: such a history is sorted whole. What left again is not in it.
    """
    m = t.messages
    by_time = [one.desc() for one in _by_time()]
    theirs = select(m).where(m.c.customer_id == customer_id).limit(limit)
    if _JOINED.first(conn, whose=customer_id):
        newest_first = by_time
    else:
        theirs, newest_first = theirs.where(m.c.copied_from.is_(None)), [m.c.seq.desc()]
    found = list(conn.execute(theirs.where(m.c.seq.is_not(None)).order_by(*newest_first)))
    if notes:
        found += conn.execute(theirs.where(m.c.seq.is_(None)).order_by(*by_time))
    return [to_message(row) for row in sorted(found, key=_place)[-limit:]]


def _place(row: Any) -> tuple[datetime, bool, int, str]:
    """As `_by_time`."""
    return row.at, row.seq is None, row.seq or 0, row.id


def since(conn: Connection, customer_id: str, after: int, limit: int = 200) -> list[TimelineEntry]:
    """Everything that took a `seq` above `after`, in order: what a widget that was away has missed."""
    entries = []
    for row in _SINCE.all(conn, whose=customer_id, after=after, at_most=limit):
        now = to_message(row)
        # Else it left with an undone merge, and came back later.
        stands = row.line_kind != "message" or row.line_seq == row.seq
        body = replace(now.body, text=row.line_text) if stands else Body(text=row.line_text)
        then = replace(now, body=body)
        entries.append(TimelineEntry(row.line_seq, row.line_kind, then, row.line_at))
    return entries


def last_seq(conn: Connection, customer_id: str) -> int:
    c = t.conversations
    return int(conn.execute(select(c.c.last_seq).where(c.c.customer_id == customer_id)).scalar() or 0)


def _values(message: Message) -> dict[str, Any]:
    body = message.body
    return {
        "customer_id": message.customer_id,
        "id": message.id,
        "seq": message.seq,
        "case_id": message.case_id,
        "author_kind": message.author.kind.value,  # Python's sqlite3 takes what is no plain text the long way
        "author_id": message.author.id,
        "author_name": message.author.name,
        "channel": message.channel,
        "text": body.text,
        "markdown": body.markdown,
        "choices": body.choices,
        "files": body.files,
        "survey": body.survey,
        "meta": message.meta,
        "at": message.at,
    }


def to_message(row: Any) -> Message:
    body = Body(
        text=row.text,
        markdown=row.markdown,
        choices=tuple(Choice(**choice) for choice in row.choices or ()),
        files=tuple(FileRef(**file) for file in row.files or ()),
        survey=SurveyCard(**row.survey) if row.survey else None,
    )
    return Message(
        id=row.id,
        customer_id=row.customer_id,
        seq=row.seq,
        case_id=row.case_id,
        author=Author(AuthorKind(row.author_kind), row.author_name, row.author_id),
        channel=row.channel,
        body=body,
        at=row.at,
        meta=row.meta or {},
        edited_at=row.edited_at,
        deleted_at=row.deleted_at,
    )
