"""The Telegram channel's own queries: files on their way, what was sent under which name, who polls."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from bot import outbox
from bot.model import SYSTEM, Body, Message
from bot.storage import customers, files, history
from bot.storage import tables as t
from bot.storage.files import StoredFile
from bot.storage.tx import Tx
from bot.texts import say
from channels.port import Delivery
from channels.telegram.outbound import message_ids
from channels.telegram.proof import proof, shown

BOT = "telegram"
POLLER = "telegram_poller"
UPDATES = 100  # of one customer that are looked at for a proof


def refuse_file(tx: Tx, one: StoredFile, reason: str, limit: int) -> None:
    """This file is not taken, and its sender is told; `limit` in MB. Once, however often it is refused."""
    fresh = files.one(tx.conn, one.ref.id)
    if fresh is None or fresh.error is not None:
        return
    files.never_comes(tx, one.ref.id, reason)
    who = customers.customer(tx.conn, one.customer_id) if one.customer_id else None
    if who is not None:
        text = say("file_refused", who.locale, name=one.ref.name, limit=limit)
        outbox.say(tx, who.id, Body(text=text), author=SYSTEM)


def sent_as(conn: Connection, message_id: str) -> list[str]:
    """The refs under which a message was sent so far."""
    return [ref for channel, ref in history.refs(conn, message_id) if channel == BOT]


def proven(conn: Connection, delivery: Delivery, bot_id: int) -> str | None:
    """The ref of a send, if its customer has shown since that they have it; whichever node was told so."""
    address = str(delivery.payload.get("address"))
    updates = _updates_since(conn, delivery.customer_id or "", delivery.started_at)
    seen = [one for one in (shown(update, bot_id) for update in updates) if one is not None]
    r = t.message_refs
    refs = select(r.c.ref).where(r.c.channel == BOT, r.c.ref.in_([f"{address}:{one.number}" for one in seen]))
    number = proof(delivery, seen, message_ids(list(conn.execute(refs).scalars()))) if seen else None
    return f"{address}:{number}" if number is not None else None


def _updates_since(conn: Connection, customer_id: str, when: datetime) -> Iterator[Any]:
    """What this customer has done here since then, as Telegram told it; the first of it where that is much."""
    i = t.inbox
    theirs = (i.c.customer_id == customer_id, i.c.source == BOT, i.c.received_at >= when, i.c.raw.is_not(None))
    for raw in conn.execute(select(i.c.raw).where(*theirs).order_by(i.c.received_at).limit(UPDATES)).scalars():
        with contextlib.suppress(ValueError, RecursionError):  # one that was too deep to be written down
            yield json.loads(raw)


def was_doubled(conn: Connection, outbox_id: str) -> bool:
    """Whether this row was already sent again after an outcome that nobody knew."""
    return bool(conn.execute(select(t.outbox.c.doubled).where(t.outbox.c.id == outbox_id)).scalar())


def is_reachable(conn: Connection, external_id: str) -> bool:
    """Whether this identity is known, and not marked as gone."""
    known = customers.identity(conn, BOT, external_id)
    return known is not None and known.reachable


def pressed_on(conn: Connection, message_id: str, customer_id: str | None) -> tuple[Message | None, str]:
    """The message with the button if it is this customer's, and the customer's locale."""
    who = customers.customer(conn, customer_id) if customer_id else None
    found = history.message(conn, message_id)
    mine = found is not None and who is not None and found.customer_id == who.id
    return found if mine else None, who.locale if who else "en"


def keep_bot(tx: Tx, bot_id: int, username: str) -> None:
    """Who we are on Telegram: other rooms make deep links from it."""
    _put(tx, BOT, {"id": bot_id, "username": username})


def username(conn: Connection) -> str | None:
    """The bot's username, once Telegram has told it."""
    found = conn.execute(select(t.settings.c.value).where(t.settings.c.key == BOT)).scalar()
    return str(found["username"]) if isinstance(found, dict) and found.get("username") else None


def lead(tx: Tx, owner: str, lease: timedelta) -> bool:
    """Whether this node may poll: Telegram allows one poller, so one node holds the lease and renews it."""
    s = t.settings
    query = select(s.c.value).where(s.c.key == POLLER)
    if tx.conn.dialect.name == "postgresql":
        query = query.with_for_update()
    held: Any = tx.conn.execute(query).scalar()
    if held is not None and held["owner"] != owner and datetime.fromisoformat(held["until"]) > tx.now:
        return False
    _put(tx, POLLER, {"owner": owner, "until": (tx.now + lease).isoformat()})
    return True


def resign(tx: Tx, owner: str) -> None:
    """This node polls no longer: another may at once."""
    s = t.settings
    held: Any = tx.conn.execute(select(s.c.value).where(s.c.key == POLLER)).scalar()
    if held is not None and held["owner"] == owner:
        _put(tx, POLLER, {"owner": owner, "until": tx.now.isoformat()})


def _put(tx: Tx, key: str, value: dict[str, Any]) -> None:
    s = t.settings
    if tx.conn.execute(update(s).where(s.c.key == key).values(value=value)).rowcount == 0:
        tx.conn.execute(insert(s).values(key=key, value=value))
