"""Who writes: identities, the customers they belong to, and each customer's one conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from bot.model import Customer, Identity, Sender, new_id
from bot.storage import tables as t
from bot.storage.tx import Tx

FOLLOWED = ("time_zone",)  # labels from platforms that are the last told; the others stay as they first came

# What every turn asks, built once: to build a statement costs more than to run it.
_CUSTOMER = select(t.customers).where(t.customers.c.id == bindparam("of"))
_CONVERSATION = select(t.conversations).where(t.conversations.c.customer_id == bindparam("of"))
_IDENTITY = select(t.identities).where(
    t.identities.c.channel == bindparam("on"), t.identities.c.external_id == bindparam("called")
)
_IDENTITY_BY_ID = select(t.identities).where(t.identities.c.id == bindparam("of"))
_IDENTITIES = (
    select(t.identities)
    .where(t.identities.c.customer_id == bindparam("of"))
    .order_by(t.identities.c.created_at, t.identities.c.id)
)
_CHANGE = update(t.conversations).where(t.conversations.c.customer_id == bindparam("of"))


@dataclass(frozen=True, slots=True)
class Conversation:
    """The row that orders a customer's turns. `reply_*` is where the customer wrote last."""

    customer_id: str
    last_seq: int
    epoch: int
    reply_identity_id: str | None
    reply_address: str | None
    bot_state: Mapping[str, Any]


def to_customer(row: Row[Any]) -> Customer:
    return Customer(row.id, row.name, row.locale, row.created_at, row.attributes or {})


def to_identity(row: Row[Any]) -> Identity:
    return Identity(
        row.id, row.customer_id, row.channel, row.external_id, row.evidence, row.address, row.name, row.reachable
    )


def customer(conn: Connection, customer_id: str) -> Customer | None:
    """The customer by that id, or the one that they were merged into."""
    row = conn.execute(_CUSTOMER, {"of": customer_id}).first()
    while row is not None and row.merged_into is not None:
        row = conn.execute(_CUSTOMER, {"of": row.merged_into}).first()
    return None if row is None else to_customer(row)


def page(conn: Connection, after: str | None, limit: int) -> list[Customer]:
    query = select(t.customers).where(t.customers.c.merged_into.is_(None)).order_by(t.customers.c.id).limit(limit)
    if after:
        query = query.where(t.customers.c.id > after)
    return [to_customer(row) for row in conn.execute(query)]


def conversation(conn: Connection, customer_id: str) -> Conversation:
    row = conn.execute(_CONVERSATION, {"of": customer_id}).one()
    return Conversation(
        row.customer_id, row.last_seq, row.epoch, row.reply_identity_id, row.reply_address, row.bot_state or {}
    )


def identity(conn: Connection, channel: str, external_id: str) -> Identity | None:
    row = conn.execute(_IDENTITY, {"on": channel, "called": external_id}).first()
    return None if row is None else to_identity(row)


def identity_by_id(conn: Connection, identity_id: str) -> Identity | None:
    row = conn.execute(_IDENTITY_BY_ID, {"of": identity_id}).first()
    return None if row is None else to_identity(row)


def identities(conn: Connection, customer_id: str) -> list[Identity]:
    return [to_identity(row) for row in conn.execute(_IDENTITIES, {"of": customer_id})]


def reply_identity(conn: Connection, customer_id: str, talk: Conversation | None = None) -> Identity | None:
    """Where the customer is to be reached: the identity that wrote last, else any that can be reached."""
    talk = talk or conversation(conn, customer_id)
    known = identities(conn, customer_id)
    for one in known:
        if one.id == talk.reply_identity_id:
            return one
    return next((one for one in known if one.reachable), known[0] if known else None)


def resolve(tx: Tx, sender: Sender, default_locale: str) -> tuple[Customer, Identity, bool]:
    """The customer behind a sender, made on first sight: (customer, identity, whether new). Locks their turns."""
    known = identity(tx.conn, sender.channel, sender.external_id)
    if known is None:
        made = create(tx, sender, default_locale)
        return (*made, True)
    known = _refreshed(tx, _locked(tx, known), sender)
    who = customer(tx.conn, known.customer_id)
    if who is None:
        msg = f"identity {known.id} has no customer"
        raise LookupError(msg)
    if not who.name and sender.name:
        tx.conn.execute(update(t.customers).where(t.customers.c.id == who.id).values(name=sender.name))
        who = replace(who, name=sender.name)
    told = {name: sender.attributes[name] for name in FOLLOWED if name in sender.attributes}
    if any(who.attributes.get(name) != value for name, value in told.items()):
        who = replace(who, attributes={**who.attributes, **told})
        tx.conn.execute(update(t.customers).where(t.customers.c.id == who.id).values(attributes=dict(who.attributes)))
    return who, known, False


def _locked(tx: Tx, known: Identity) -> Identity:
    """The identity, its customer's turns locked: while we waited for the lock, a merge may have moved it."""
    while tx.lock_customer(known.customer_id):
        now = identity_by_id(tx.conn, known.id)
        if now is None or now.customer_id == known.customer_id:
            return now or known
        known = now
    return known


def create(tx: Tx, sender: Sender, default_locale: str) -> tuple[Customer, Identity]:
    customer_id, identity_id = new_id(), new_id()
    locale = sender.locale or default_locale
    tx.conn.execute(
        insert(t.customers).values(
            id=customer_id, name=sender.name, locale=locale, created_at=tx.now, attributes=dict(sender.attributes)
        )
    )
    tx.conn.execute(
        insert(t.identities).values(
            id=identity_id,
            customer_id=customer_id,
            channel=sender.channel,
            external_id=sender.external_id,
            evidence=sender.evidence,
            address=sender.address,
            name=sender.name,
            locale=sender.locale,
            created_at=tx.now,
        )
    )
    tx.conn.execute(
        insert(t.conversations).values(
            customer_id=customer_id,
            reply_identity_id=identity_id,
            reply_address=sender.address,
            bot_state={},
            updated_at=tx.now,
        )
    )
    who = Customer(customer_id, sender.name, locale, tx.now, dict(sender.attributes))
    where = Identity(
        identity_id, customer_id, sender.channel, sender.external_id, sender.evidence, sender.address, sender.name
    )
    return who, where


def _refreshed(tx: Tx, known: Identity, sender: Sender) -> Identity:
    fresh: dict[str, Any] = {}
    if sender.name and sender.name != known.name:
        fresh["name"] = sender.name
    if sender.evidence == "signed" and known.evidence == "anonymous":
        fresh["evidence"] = "signed"
    if fresh:
        tx.conn.execute(update(t.identities).where(t.identities.c.id == known.id).values(**fresh))
    return replace(known, **fresh)


def wrote_at(tx: Tx, identity_: Identity, address: str) -> None:
    """The customer wrote there: answers go there from now on."""
    now_at = {"reply_identity_id": identity_.id, "reply_address": address, "updated_at": tx.now}
    tx.conn.execute(_CHANGE, {"of": identity_.customer_id, **now_at})


def set_reachable(tx: Tx, identity_id: str, *, reachable: bool) -> None:
    tx.conn.execute(update(t.identities).where(t.identities.c.id == identity_id).values(reachable=reachable))


def set_bot_state(tx: Tx, customer_id: str, state: Mapping[str, Any]) -> None:
    tx.conn.execute(_CHANGE, {"of": customer_id, "bot_state": dict(state)})


def set_locale(tx: Tx, customer_id: str, locale: str) -> None:
    tx.conn.execute(update(t.customers).where(t.customers.c.id == customer_id).values(locale=locale))


def set_name(tx: Tx, customer_id: str, name: str) -> None:
    tx.conn.execute(update(t.customers).where(t.customers.c.id == customer_id).values(name=name))


def set_attribute(tx: Tx, customer_id: str, name: str, value: Any) -> None:
    who = customer(tx.conn, customer_id)
    if who is not None:
        attributes = {**who.attributes, name: value}
        tx.conn.execute(update(t.customers).where(t.customers.c.id == who.id).values(attributes=attributes))


def move_baton(tx: Tx, customer_id: str) -> int:
    """The baton moves: a new epoch, which the outbox holds against what was said under an older one."""
    c = t.conversations
    row = tx.conn.execute(
        update(c).where(c.c.customer_id == customer_id).values(epoch=c.c.epoch + 1).returning(c.c.epoch)
    ).one()
    return int(row.epoch)
