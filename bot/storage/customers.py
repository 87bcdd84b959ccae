"""Who writes: identities, the customers they belong to, and each customer's one conversation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, insert, literal_column, select, update

from bot.events import LanguageChanged
from bot.model import LIVE, Customer, Identity, Sender, new_id
from bot.nouns import noun
from bot.storage import tables as t
from bot.storage.prepared import Changes, Prepared, among
from bot.storage.tx import Tx
from bot.texts import match_locale

LIVE_CASE = "live_"
"""What the columns of a customer's live case are called where they are read with the customer; all None without one."""
FOLLOWED = ("time_zone",)  # labels from platforms that are the last told; the others stay as they first came

_CUSTOMER = Prepared(select(t.customers).where(t.customers.c.id == bindparam("of")))
_CONVERSATION = Prepared(select(t.conversations).where(t.conversations.c.customer_id == bindparam("of")))
_LIVE: list[Any] = [literal_column(f"'{status}'") for status in sorted(LIVE)]
_BY_NAME = (t.identities.c.channel == bindparam("on"), t.identities.c.external_id == bindparam("called"))
_IDENTITY = Prepared(select(t.identities).where(*_BY_NAME))
_IDENTITY_BY_ID = Prepared(select(t.identities).where(t.identities.c.id == bindparam("of")))
_IDENTITIES = Prepared(
    select(t.identities)
    .where(t.identities.c.customer_id == bindparam("of"))
    .order_by(t.identities.c.created_at, t.identities.c.id)
)
_OF_IDENTITY = ("id", "customer_id", "channel", "external_id", "evidence", "address", "name", "reachable")
_EVERYBODY = (
    select(
        *(t.identities.c[name] for name in _OF_IDENTITY),
        t.conversations.c.epoch,
        t.conversations.c.reply_identity_id,
        t.conversations.c.reply_address,
        t.conversations.c.bot_state,
        t.conversations.c.last_seq,
        t.conversations.c.last_at,
        t.customers.c.name.label("customer_name"),
        t.customers.c.locale.label("customer_locale"),
        t.customers.c.created_at.label("customer_since"),
        t.customers.c.attributes.label("customer_attributes"),
        t.customers.c.merged_into,
        *(column.label(f"{LIVE_CASE}{column.key}") for column in t.cases.c),
    )
    .join(t.customers, t.customers.c.id == t.identities.c.customer_id)
    .join(t.conversations, t.conversations.c.customer_id == t.customers.c.id)
    .outerjoin(t.cases, (t.cases.c.customer_id == t.customers.c.id) & t.cases.c.status.in_(_LIVE))
)
_WHO = Prepared(_EVERYBODY.where(*_BY_NAME))
_THESE = (t.identities.c.channel == bindparam("on"), among(t.identities.c.external_id, "called"))
_WHO_OF_THESE = Prepared(_EVERYBODY.where(*_THESE))
_LIVE_CASE = Prepared(select(t.cases.c.id).where(t.cases.c.customer_id == bindparam("of"), t.cases.c.status.in_(_LIVE)))
_ADD_CUSTOMER, _ADD_IDENTITY, _ADD_CONVERSATION = (
    Prepared(insert(table)) for table in (t.customers, t.identities, t.conversations)
)
CHANGES = Changes(t.conversations, "customer_id")
_MOVE = Prepared(
    update(t.conversations)
    .where(t.conversations.c.customer_id == bindparam("of"))
    .values(epoch=t.conversations.c.epoch + 1)
    .returning(t.conversations)
)


@noun(frozen=True, slots=True)
class Conversation:
    """What a customer's turns share. `reply_*` is where the customer wrote last."""

    customer_id: str
    epoch: int
    reply_identity_id: str | None
    reply_address: str | None
    bot_state: Mapping[str, Any]


def to_customer(row: Any) -> Customer:
    return Customer(row.id, row.name, row.locale, row.created_at, row.attributes or {})


def to_identity(row: Any) -> Identity:
    return Identity(
        row.id, row.customer_id, row.channel, row.external_id, row.evidence, row.address, row.name, row.reachable
    )


def customer(conn: Connection, customer_id: str) -> Customer | None:
    """The customer by that id, or the one that they were merged into."""
    row = _CUSTOMER.first(conn, of=customer_id)
    while row is not None and row.merged_into is not None:
        row = _CUSTOMER.first(conn, of=row.merged_into)
    return None if row is None else to_customer(row)


def page(conn: Connection, after: str | None, limit: int) -> list[Customer]:
    query = select(t.customers).where(t.customers.c.merged_into.is_(None)).order_by(t.customers.c.id).limit(limit)
    if after:
        query = query.where(t.customers.c.id > after)
    return [to_customer(row) for row in conn.execute(query)]


def to_conversation(row: Any) -> Conversation:
    return Conversation(row.customer_id, row.epoch, row.reply_identity_id, row.reply_address, row.bot_state or {})


def conversation(conn: Connection, customer_id: str) -> Conversation:
    return to_conversation(_CONVERSATION.one(conn, of=customer_id))


def live_case(tx: Tx, customer_id: str) -> str | None:
    """The id of the customer's one live case, read at most once in a transaction."""
    if ("live case", customer_id) not in tx.known:
        tx.known["live case", customer_id] = _LIVE_CASE.scalar(tx.conn, of=customer_id)
    found: str | None = tx.known["live case", customer_id]
    return found


def talk(tx: Tx, customer_id: str) -> Conversation:
    """As it is now, read at most once in a transaction."""
    found: Conversation | None = tx.known.get(("talk", customer_id))
    if found is None:
        found = tx.known["talk", customer_id] = conversation(tx.conn, customer_id)
    return found


def identity(conn: Connection, channel: str, external_id: str) -> Identity | None:
    row = _IDENTITY.first(conn, on=channel, called=external_id)
    return None if row is None else to_identity(row)


def identity_by_id(conn: Connection, identity_id: str) -> Identity | None:
    row = _IDENTITY_BY_ID.first(conn, of=identity_id)
    return None if row is None else to_identity(row)


def identities(conn: Connection, customer_id: str) -> list[Identity]:
    return [to_identity(row) for row in _IDENTITIES.all(conn, of=customer_id)]


def reply_identity(conn: Connection, customer_id: str, theirs: Conversation | None = None) -> Identity | None:
    """Where the customer is to be reached: the identity that wrote last, else any that can be reached."""
    theirs = theirs or conversation(conn, customer_id)
    known = identities(conn, customer_id)
    for one in known:
        if one.id == theirs.reply_identity_id:
            return one
    return next((one for one in known if one.reachable), known[0] if known else None)


def reply_to(tx: Tx, customer_id: str) -> Identity | None:
    """As `reply_identity`: where the customer has just written, it is known."""
    theirs = talk(tx, customer_id)
    known: Identity | None = tx.known.get(("identity", theirs.reply_identity_id))
    if known is not None and known.customer_id == customer_id:
        return known
    return reply_identity(tx.conn, customer_id, theirs)


def resolve(tx: Tx, sender: Sender, default_locale: str) -> tuple[Customer, Identity, bool]:
    """The customer behind a sender, made on first sight: (customer, identity, whether new). Locks their turns."""
    found = known_as(tx, sender)
    if found is None:
        made = create(tx, sender, default_locale)
        return (*made, True)
    return (*refreshed(tx, found, sender), False)


def known_as(tx: Tx, sender: Sender) -> tuple[Customer, Identity] | None:
    """The customer behind a sender whom we know. Locks their turns."""
    found = _who(tx, sender)
    while found is not None and tx.lock_customer(found[0].id):
        found = _who(tx, sender)  # while we waited for the lock, a merge may have moved them
    return found


def refreshed(tx: Tx, found: tuple[Customer, Identity], sender: Sender) -> tuple[Customer, Identity]:
    """With what the platform tells of them now."""
    who, known = found
    known = _refreshed(tx, known, sender)
    if not who.name and sender.name:
        set_name(tx, who.id, sender.name)
        who = replace(who, name=sender.name)
    told = {name: sender.attributes[name] for name in FOLLOWED if name in sender.attributes}
    if any(who.attributes.get(name) != value for name, value in told.items()):
        who = replace(who, attributes={**who.attributes, **told})
        tx.conn.execute(update(t.customers).where(t.customers.c.id == who.id).values(attributes=dict(who.attributes)))
    return who, known


def who_are(conn: Connection, channel: str, external_ids: Collection[str]) -> list[Any]:
    """A row for each of these senders whom we know: what `known_as` asks for of one, all at once."""
    return _WHO_OF_THESE.all(conn, on=channel, called=list(external_ids))


def _who(tx: Tx, sender: Sender) -> tuple[Customer, Identity] | None:
    """All that a turn wants to know of a customer, in one look."""
    row = tx.known.pop(("sender", sender.channel, sender.external_id), None)  # it stands until somebody writes
    row = row or _WHO.first(tx.conn, on=sender.channel, called=sender.external_id)
    if row is None:
        return None
    known = tx.known["identity", row.id] = to_identity(row)
    tx.known["talk", row.customer_id] = to_conversation(row)
    tx.known["live case", row.customer_id] = row.live_id
    if row.live_id is not None:
        tx.known["case row", row.live_id] = row  # whoever asks for the case takes it from there
    tx.known["place", row.customer_id] = row.last_seq, row.last_at
    if row.merged_into is None:
        made = row.customer_name, row.customer_locale, row.customer_since, row.customer_attributes or {}
        return Customer(row.customer_id, *made), known
    who = customer(tx.conn, row.customer_id)
    if who is None:
        msg = f"identity {known.id} has no customer"
        raise LookupError(msg)
    return who, known


def create(tx: Tx, sender: Sender, default_locale: str) -> tuple[Customer, Identity]:
    customer_id, identity_id = new_id(), new_id()
    locale = _spoken(tx, sender.locale) or sender.locale or default_locale
    attributes = dict(sender.attributes)
    new = {"about": (customer_id,)}
    _ADD_CUSTOMER.run(
        tx.conn, **new, id=customer_id, name=sender.name, locale=locale, created_at=tx.now, attributes=attributes
    )
    _ADD_IDENTITY.run(
        tx.conn,
        **new,
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
    there: dict[str, Any] = {"reply_identity_id": identity_id, "reply_address": sender.address, "bot_state": {}}
    _ADD_CONVERSATION.run(tx.conn, **new, customer_id=customer_id, updated_at=tx.now, **there)
    who = Customer(customer_id, sender.name, locale, tx.now, attributes)
    where = Identity(
        identity_id, customer_id, sender.channel, sender.external_id, sender.evidence, sender.address, sender.name
    )
    tx.known["identity", identity_id] = where
    tx.known["talk", customer_id] = Conversation(customer_id, 0, **there)
    tx.known["live case", customer_id] = None
    tx.known["place", customer_id] = 0, None
    return who, where


def _spoken(tx: Tx, wanted: str) -> str:
    """The desk's language for who wants this one, its first where it has none that suits; empty where there is no desk. So who
    has `en-US` and who has `en` speak one language, on every channel, and count as one.
    """
    locales: Sequence[str] = getattr(tx.wiring.desk(), "locales", ())
    return match_locale(wanted, ("", *locales)) or (locales[0] if locales else "")


def _refreshed(tx: Tx, known: Identity, sender: Sender) -> Identity:
    fresh: dict[str, Any] = {}
    if sender.name and sender.name != known.name:
        fresh["name"] = sender.name
    if sender.evidence == "signed" and known.evidence == "anonymous":
        fresh["evidence"] = "signed"
    if not fresh:
        return known
    tx.conn.execute(update(t.identities).where(t.identities.c.id == known.id).values(**fresh))
    tx.known["identity", known.id] = now = replace(known, **fresh)
    return now


def wrote_at(tx: Tx, identity_: Identity, address: str) -> None:
    """The customer wrote there: answers go there from now on."""
    before = talk(tx, identity_.customer_id)
    if (before.reply_identity_id, before.reply_address) != (identity_.id, address):
        there: dict[str, Any] = {"reply_identity_id": identity_.id, "reply_address": address}
        CHANGES.later(tx.conn, before.customer_id, {**there, "updated_at": tx.now})
        tx.known["talk", before.customer_id] = replace(before, **there)


def set_reachable(tx: Tx, identity_id: str, *, reachable: bool) -> None:
    tx.conn.execute(update(t.identities).where(t.identities.c.id == identity_id).values(reachable=reachable))
    tx.known.pop(("identity", identity_id), None)


def set_bot_state(tx: Tx, customer_id: str, state: Mapping[str, Any]) -> None:
    """`state` is JSON; frozen dataclasses in it are objects of their fields."""
    CHANGES.later(tx.conn, customer_id, {"bot_state": dict(state), "updated_at": tx.now})
    tx.known.pop(("talk", customer_id), None)


def set_locale(tx: Tx, customer_id: str, locale: str) -> None:
    tx.conn.execute(update(t.customers).where(t.customers.c.id == customer_id).values(locale=locale))
    tx.emit(LanguageChanged(customer_id, locale))


def set_name(tx: Tx, customer_id: str, name: str) -> None:
    tx.conn.execute(update(t.customers).where(t.customers.c.id == customer_id).values(name=name))


def set_attribute(tx: Tx, customer_id: str, name: str, value: Any) -> None:
    who = customer(tx.conn, customer_id)
    if who is not None:
        attributes = {**who.attributes, name: value}
        tx.conn.execute(update(t.customers).where(t.customers.c.id == who.id).values(attributes=attributes))


def move_baton(tx: Tx, customer_id: str) -> int:
    """The baton moves: a new epoch, which the outbox holds against what was said under an older one."""
    now = tx.known["talk", customer_id] = to_conversation(_MOVE.one(tx.conn, about=(customer_id,), of=customer_id))
    return now.epoch
