"""The door out: whatever leaves Stafett is a row here, written in the turn's own transaction.

What lives here: `say` (to a customer), `enqueue` (anything else: a card in Slack, a webhook, a file to fetch). What it
must not know: how any platform is spoken to. `channels/delivery` drains the rows.

A row has a *lane*: rows of one lane leave one at a time, in order. A message becomes one row per *part* (its text, split
if need be, and each file), so that a file that fails never repeats the text. Rows that the bot said carry the ownership
*epoch* that they were decided under; when the baton has moved on they expire unsent: the bot never talks over a human.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.events import Said, SendDelayed, SendSettled
from bot.model import Author, AuthorKind, Body, Identity, Message, new_id
from bot.nouns import noun
from bot.storage import customers, history, outbox_rows
from bot.storage.tx import Tx

LATE = timedelta(minutes=1)  # who waits longer for a send to leave is told
TAKEN_OVER = "a human has taken over"
TOO_LATE = "it would have come too late"
DROPPED = "dropped by hand"
"""Why rows expire unsent, as `SendSettled.error` has it."""


@noun(frozen=True, slots=True)
class Part:
    """One send. `kind` and `payload` (JSON) are the channel's own words."""

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)


class Outlet(Protocol):
    """How a channel's messages leave: pure functions, no I/O."""

    @property
    def via(self) -> str: ...

    def parts(self, message: Message, address: str) -> Sequence[Part]:
        """One message as the sends that it takes on this channel, in order."""

    def edits(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:
        """A new version of a message whose parts the platform calls `refs`. Empty: the platform can't."""

    def deletes(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]: ...

    def lane(self, address: str) -> str: ...

    def bucket(self, address: str) -> str | None: ...


def say(
    tx: Tx,
    customer_id: str,
    body: Body,
    *,
    author: Author,
    case_id: str | None = None,
    meta: Mapping[str, Any] | None = None,
    message_id: str | None = None,
    to: Identity | None = None,
    address: str | None = None,
    bulk: bool = False,
    expires_at: datetime | None = None,
) -> Message:
    """Say something to a customer, where they wrote last (or `to`). Stored at once; sent after the commit.

    `bulk`: nobody waits for it, so replies to others go before it. What has not left by `expires_at` does not leave, until
    it is said `again`.
    """
    author = named(tx, author)
    talk = customers.talk(tx, customer_id)
    where = to or customers.reply_to(tx, customer_id)
    channel = where.channel if where else "web"
    if address is None and where is not None:
        address = talk.reply_address if where.id == talk.reply_identity_id and talk.reply_address else where.address
    message = history.append(
        tx, customer_id, body, author=author, channel=channel, case_id=case_id, message_id=message_id, meta=meta
    )
    outlet = tx.wiring.outlets.get(channel)
    if where is None or outlet is None or address is None:
        return message
    epoch = None if author.kind is AuthorKind.AGENT else talk.epoch
    parts = outlet.parts(message, address)
    _send_parts(tx, message, outlet, parts, address, where, epoch, bulk=bulk, expires_at=expires_at)
    return message


def is_sent_for(tx: Tx, message_id: str) -> bool:
    """Whether the message has to be sent; one that only lies in the timeline is there at once."""
    return outbox_rows.is_of(tx, message_id)


def again(tx: Tx, customer_id: str, message_id: str, expires_at: datetime | None) -> bool:
    """What of a message came too late leaves after all, where it was to go. False: nothing of it waits for that."""
    epoch = customers.talk(tx, customer_id).epoch
    revived = outbox_rows.revive(tx, message_id, TOO_LATE, customer_id=customer_id, epoch=epoch, expires_at=expires_at)
    if revived:
        tx.wake("outbox")
    return revived > 0


def named(tx: Tx, author: Author) -> Author:
    """The bot speaks in the desk's name."""
    if author.kind is not AuthorKind.BOT or author.name:
        return author
    return Author(AuthorKind.BOT, str(getattr(tx.wiring.desk(), "name", "")), author.id)


def _send_parts(
    tx: Tx,
    message: Message,
    outlet: Outlet,
    parts: Sequence[Part],
    address: str,
    where: Identity,
    epoch: int | None,
    *,
    bulk: bool = False,
    expires_at: datetime | None = None,
) -> None:
    for part in parts:
        outbox_id = enqueue(
            tx,
            via=outlet.via,
            lane=outlet.lane(address),
            bucket=outlet.bucket(address),
            kind=part.kind,
            payload={**part.payload, "address": address},
            customer_id=message.customer_id,
            case_id=message.case_id,
            message_id=message.id,
            epoch=epoch,
            expires_at=expires_at,
            bulk=bulk,
        )
        if not where.reachable:
            settle(tx, outbox_id, "failed", error="the customer can't be reached on this channel")


def enqueue(
    tx: Tx,
    *,
    via: str,
    lane: str,
    kind: str,
    payload: Mapping[str, Any],
    bucket: str | None = None,
    customer_id: str | None = None,
    case_id: str | None = None,
    message_id: str | None = None,
    epoch: int | None = None,
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
    bulk: bool = False,
) -> str:
    """Put one send into its lane and return its id."""
    outbox_id = new_id()
    outbox_rows.add(
        tx,
        {
            "id": outbox_id,
            "lane": lane,
            "via": via,
            "kind": kind,
            "bucket": bucket,
            "customer_id": customer_id,
            "case_id": case_id,
            "message_id": message_id,
            "epoch": epoch,
            "payload": dict(payload),
            "due_at": due_at or tx.now,
            "expires_at": expires_at,
            "bulk": bulk,
        },
    )
    tx.wake("outbox")
    return outbox_id


def edit(tx: Tx, message: Message, text: str) -> bool:
    """Edit one of our messages, here and where it was sent. False: that platform can't; tell the agent."""
    return _amend(tx, history.edit(tx, message, text), "edits")


def delete(tx: Tx, message: Message) -> bool:
    """Take one of our messages back, here and where it was sent. False: that platform can't."""
    return _amend(tx, history.delete(tx, message), "deletes")


def _amend(tx: Tx, message: Message, verb: str) -> bool:
    unsent = outbox_rows.expire_unsent(tx, message.id, "amended before it was sent")
    outlet = tx.wiring.outlets.get(message.channel)
    refs = [ref for channel, ref in history.refs(tx.conn, message.id) if channel == message.channel]
    theirs = [one for one in customers.identities(tx.conn, message.customer_id) if one.channel == message.channel]
    if outlet is None or not theirs:
        return False
    address = outbox_rows.address_of(tx.conn, message.id) or theirs[0].address
    where = next((one for one in theirs if one.address == address), theirs[0])
    parts = (outlet.edits if verb == "edits" else outlet.deletes)(message, refs, address)
    if unsent and not refs and not parts and verb == "edits":
        parts = outlet.parts(message, address)  # nothing has left yet: what leaves is the new version
    _send_parts(tx, message, outlet, parts, address, where, None)
    return bool(parts) or message.channel == "web"


def settle(
    tx: Tx,
    outbox_id: str,
    outcome: str,
    *,
    ext_id: str | None = None,
    error: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """A row came to its end (sent | failed | expired): mark it, remember the platform's name, tell the house."""
    row = outbox_rows.end(tx, outbox_id, outcome, ext_id, error)
    said = history.message(tx.conn, row.message_id) if row.message_id else None
    _tell(tx, row, row, Said.of(said) if said else None, outcome, ext_id=ext_id, error=error, data=data)


def settle_sent(tx: Tx, sent: Sequence[tuple[Any, Any, str | None, Mapping[str, Any]]]) -> None:
    """As `settle`, for many that were sent: (what was sent, its row as `outbox_rows.held` has it, the platform's name, the
    sender's word on it).
    """
    outbox_rows.end_sent(tx, [(row.id, ext_id) for _, row, ext_id, _ in sent])
    for delivery, row, ext_id, data in sent:
        _tell(tx, delivery, row, _said(tx, delivery, row), "sent", ext_id=ext_id, data=data)


def _said(tx: Tx, delivery: Any, row: Any) -> Said | None:
    """Of the message that was sent, as it came with the row."""
    if row.said_on is not None:
        return Said(delivery.message_id, row.customer_id, row.said_on, AuthorKind(row.said_by), row.said_meta or {})
    found = history.message(tx.conn, delivery.message_id) if delivery.message_id else None  # a merge has moved it
    return Said.of(found) if found else None


def _tell(
    tx: Tx,
    of: Any,
    row: Any,
    said: Said | None,
    outcome: str,
    *,
    ext_id: str | None = None,
    error: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Remember the platform's name of it, and tell the house. `of` says what was sent, `row` what may have changed since."""
    if ext_id and said is not None:
        history.remember_ref(tx, said.channel, ext_id, said, of.id)
    tx.emit(
        SendSettled(
            outbox_id=of.id,
            via=of.via,
            kind=of.kind,
            outcome=outcome,
            customer_id=row.customer_id,
            case_id=of.case_id,
            message_id=of.message_id,
            payload=of.payload,
            ext_id=ext_id,
            error=error,
            doubled=row.doubled,
            data=data or {},
            said=said,
        )
    )


def delayed(tx: Tx, rows: Collection[int]) -> None:
    """These rows (their `n`) leave more than a minute after they were said: told once each, while they wait."""
    for row in outbox_rows.mark_delayed(tx, rows):
        tx.emit(
            SendDelayed(
                outbox_id=row.id,
                via=row.via,
                kind=row.kind,
                customer_id=row.customer_id,
                case_id=row.case_id,
                message_id=row.message_id,
                until=row.due_at,
            )
        )
