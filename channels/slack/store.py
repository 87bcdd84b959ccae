"""The Slack channel's own queries: threads in which the app was mentioned, files to fetch and to send."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from bot.model import Identity, Message
from bot.storage import customers, history
from bot.storage import tables as t
from bot.storage.tx import Tx

KEPT_FOLLOWERS = 200


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread in a channel that is a conversation with us. `moved_to`: its root was deleted, it goes on there (a ts);
    `opened_by`: it will, once that row of the outbox has opened a new one.
    """

    followers: frozenset[str] = frozenset()  # "{team}:{user}" of who mentioned the app in it
    moved_to: str | None = None
    opened_by: str | None = None


def thread(conn: Connection, channel: str, root: str) -> Thread:
    value = _value(conn, channel, root)
    return Thread(frozenset(value.get("followers", ())), value.get("moved_to"), value.get("opened_by"))


def goes_on(conn: Connection, channel: str, root: str) -> tuple[str, Thread]:
    """Where that thread goes on, after whatever roots were deleted: the last one's ts, and what is known of it."""
    known = thread(conn, channel, root)
    while known.moved_to is not None:  # to a later post each time, so this ends
        root, known = known.moved_to, thread(conn, channel, known.moved_to)
    return root, known


def follow(tx: Tx, channel: str, root: str, who: str) -> None:
    """Who mentioned the app in this thread is a customer there from now on."""
    value = _value(tx.conn, channel, root)
    followers = list(dict.fromkeys([*value.get("followers", ()), who]))[-KEPT_FOLLOWERS:]
    _put(tx, channel, root, {**value, "followers": followers})


def reachable_at(conn: Connection, customer_id: str, address: str) -> Identity | None:
    """Who is written to at this address, as far as we know with success; None if nobody is."""
    talk = customers.conversation(conn, customer_id)
    found = (one for one in customers.identities(conn, customer_id) if one.channel == "slack" and one.reachable)
    last = {talk.reply_identity_id: talk.reply_address}
    return next((one for one in found if address in {one.address, last.get(one.id)}), None)


def open_again(tx: Tx, channel: str, root: str, outbox_id: str) -> None:
    """The thread's root is gone; the words of that row open a new one."""
    _put(tx, channel, root, {**_value(tx.conn, channel, root), "opened_by": outbox_id})


def move(tx: Tx, channel: str, root: str, new_root: str) -> None:
    """The thread's root is gone; the conversation goes on under a new one."""
    value = _value(tx.conn, channel, root)
    _put(tx, channel, new_root, {"followers": value.get("followers", [])})
    _put(tx, channel, root, {**value, "moved_to": new_root})


def _value(conn: Connection, channel: str, root: str) -> dict[str, Any]:
    query = select(t.settings.c.value).where(t.settings.c.key == _key(channel, root))
    return conn.execute(query).scalar() or {}


def _put(tx: Tx, channel: str, root: str, value: dict[str, Any]) -> None:
    key = _key(channel, root)
    s = t.settings
    if not tx.conn.execute(update(s).where(s.c.key == key).values(value=value)).rowcount:
        tx.conn.execute(insert(s).values(key=key, value=value))


def _key(channel: str, root: str) -> str:
    return f"slack-thread:{channel}:{root}"


def recent_places(conn: Connection, since: datetime, limit: int = 50) -> list[tuple[str, str, str]]:
    """(channel, thread or "", ts of the last post of theirs that we know of there): where customers were since then, newest
    first. Not of ours: what waited for Slack may have left before anybody read what was written there meanwhile.
    """
    i, c, r = t.identities, t.conversations, t.message_refs
    talks = (
        select(c.c.customer_id, c.c.reply_address)
        .join(i, i.c.id == c.c.reply_identity_id)
        .where(i.c.channel == "slack", c.c.updated_at >= since, c.c.reply_address.is_not(None))
        .order_by(c.c.updated_at.desc())
        .limit(limit)
    )
    found = []
    for customer_id, address in conn.execute(talks).all():
        channel, _, thread_ts = address.partition(":")
        theirs = (r.c.customer_id == customer_id, r.c.channel == "slack", r.c.outbox_id.is_(None))
        known = select(func.max(r.c.ref)).where(*theirs, r.c.ref.startswith(f"{channel}:", autoescape=True))
        last = conn.execute(known).scalar()
        if last:
            found.append((channel, thread_ts, last.partition(":")[2]))
    return found


def pressed(conn: Connection, message_id: str) -> tuple[Message, str] | None:
    """Of a press that was stored as a message: our message under whose buttons it was, and the value."""
    press = history.message(conn, message_id)
    told = press.meta.get("pressed") if press else None
    said = history.message(conn, told["message"]) if told else None
    return (said, str(told["value"])) if said and told else None


# ── what Slack has sent ────────────────────────────────────────────────────────────────────────────────────────────
HEARD = "slack-heard"


def heard(conn: Connection) -> dict[str, str]:
    """Kind of event → when one came last, ISO 8601."""
    s = t.settings.c
    return dict(conn.execute(select(s.value).where(s.key == HEARD)).scalar() or {})


def set_heard(tx: Tx, value: dict[str, str]) -> None:
    s = t.settings
    if tx.conn.execute(update(s).where(s.c.key == HEARD).values(value=value)).rowcount == 0:
        tx.conn.execute(insert(s).values(key=HEARD, value=value))
