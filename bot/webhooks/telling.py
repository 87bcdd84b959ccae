"""Hears what happens and writes what is to be told, in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot import outbox
from bot.events import CaseChanged, MessageDeleted, MessageEdited, MessageStored, SurveyAnswered, WishTold
from bot.model import Message
from bot.storage.tx import Subscriber, Tx
from bot.webhooks import hooks, store

VIA = "webhook"


def subscribers() -> Mapping[type, Subscriber]:
    return {
        MessageStored: on_stored,
        MessageEdited: on_edited,
        MessageDeleted: on_deleted,
        CaseChanged: on_case,
        SurveyAnswered: on_answer,
        WishTold: on_wish,
    }


def on_stored(tx: Tx, event: MessageStored) -> None:
    _message(tx, "message.added", event.message)


def on_edited(tx: Tx, event: MessageEdited) -> None:
    _message(tx, "message.edited", event.message)


def on_deleted(tx: Tx, event: MessageDeleted) -> None:
    _message(tx, "message.deleted", event.message)


def on_case(tx: Tx, event: CaseChanged) -> None:
    wanted = _wanted(tx, "case")
    data = store.case(tx.conn, event.case_id) if wanted else None
    if data is None:
        return
    for hook in wanted:
        lane = hooks.lane(hook.id, event.customer_id)
        body = hooks.envelope("case.changed", data, tx.now)
        if not store.tell_anew(tx, lane, event.case_id, {"hook": hook.id, "body": body}):
            _put(tx, hook.id, "case", body, event.customer_id)


def on_answer(tx: Tx, event: SurveyAnswered) -> None:
    wanted = _wanted(tx, "answer")
    data = store.answer(tx.conn, event.response_id) if wanted else None
    if data is None:
        return
    body = hooks.envelope("answer.given" if data["edited_at"] is None else "answer.changed", data, tx.now)
    for hook in wanted:
        _put(tx, hook.id, "answer", body, event.customer_id)


def on_wish(tx: Tx, event: WishTold) -> None:
    """Without its title, which is some customer's words: the sender reads what it is called when it tells it."""
    wanted = _wanted(tx, "wish")
    data = {"id": event.wish_id, "area": event.area, "state": event.state, "votes": event.votes}
    whose = {"customer": event.customer_id, "case": event.case_id, "text": event.text}
    body = hooks.envelope("wish.changed" if event.customer_id is None else "wish.asked", data | whose, tx.now)
    for hook in wanted:
        _put(tx, hook.id, "wish", body, event.customer_id, in_order_of=event.wish_id)


def _message(tx: Tx, event: str, message: Message) -> None:
    """Notes stay in the house."""
    wanted = _wanted(tx, "message") if message.seq is not None else ()
    if wanted:
        body = hooks.message_body(event, message, tx.now)
        for hook in wanted:
            _put(tx, hook.id, "message", body, message.customer_id)


def _wanted(tx: Tx, kind: str) -> list[Any]:
    """The webhooks of the desk in force that want to hear of it."""
    hooks_there = getattr(tx.wiring.desk(), "webhooks", ())
    return [hook for hook in hooks_there if kind in hook.events] if hooks_there else []


def _put(
    tx: Tx, hook_id: str, kind: str, body: Mapping[str, Any], customer_id: str | None, in_order_of: str | None = None
) -> None:
    """`in_order_of` names whose events come one after the other; the customer's, unless something else is named."""
    outbox.enqueue(
        tx,
        via=VIA,
        lane=hooks.lane(hook_id, in_order_of or customer_id),
        kind=kind,
        payload={"hook": hook_id, "body": dict(body)},
        customer_id=customer_id,
        bulk=True,
    )
