"""What an absence takes away, and who is asked again.

A platform keeps messages for its bots for a day, but a pressed button for less: Telegram 150 seconds. When it could not
reach us for longer, whoever was away, nobody knows who pressed one. What lives here: how long a channel was silent, and that
the questions which may have been answered in vain are asked once more, in the same chat, with the same buttons: it is the
same message, so a press on either copy counts, once. What it must not know: how a platform is listened to.

Not asked again: who has written since (that is the answer), who talks with a person, what was asked in a case that is over,
an older question (it was left alone), and the same question twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from bot import outbox, timers
from bot.model import Identity, Message
from bot.storage import asked_rows, customers, history, kept
from bot.storage.tx import Tx
from bot.texts import say

PRESSES_KEPT = timedelta(seconds=150)  # tdlib/telegram-bot-api, Client.cpp: callback queries
CATCH_UP = timedelta(seconds=30)  # what was typed meanwhile comes first
FRESH = timedelta(hours=24)  # a question that was older when the silence began
SWEEP: Final = "absence"
ASK: Final = "ask_again"
MARK = "asked_again"  # in the message's meta: when


def heard(tx: Tx, channel: str, at_most: timedelta | None = None) -> timedelta | None:
    """The channel's platform talks to us. Returns for how long it had not, if buttons may be lost by that; else None.

    `at_most`: longer it was not, by a clock that does not jump.
    """
    before = kept.swap(tx, f"{channel}_heard", tx.now.isoformat())
    since = datetime.fromisoformat(before) if isinstance(before, str) else tx.now
    away = tx.now - since if at_most is None else min(tx.now - since, at_most)
    if away < PRESSES_KEPT:
        return None
    about = {"channel": channel, "since": (tx.now - away).isoformat(), "until": tx.now.isoformat()}
    timers.set_timer(tx, SWEEP, f"{SWEEP}:{channel}", tx.now + CATCH_UP, data=about)
    return away


def sweep(tx: Tx, timer: timers.Timer) -> None:
    """Only sets timers: each is asked in a turn of its own, with its customer's turns held."""
    since, until = (datetime.fromisoformat(timer.data[name]) for name in ("since", "until"))
    for customer_id, message_id in asked_rows.unanswered(tx.conn, timer.data["channel"], since - FRESH, until):
        data = {"message": message_id}
        timers.set_timer(tx, ASK, f"{ASK}:{message_id}", tx.now, customer_id=customer_id, data=data)


def ask(tx: Tx, timer: timers.Timer) -> None:
    """Send the question once more, if it is still the last thing that was said."""
    who = customers.customer(tx.conn, timer.customer_id or "")
    if who is None or not asked_rows.is_unanswered(tx.conn, who.id, timer.data["message"]):
        return
    question, where = history.of_customer(tx.conn, who.id, timer.data["message"]), customers.reply_to(tx, who.id)
    if question is None or MARK in question.meta:
        return
    if where is None or where.channel != question.channel or not where.reachable:
        return
    _send_again(tx, question, where, say("asked_again", who.locale))
    history.set_meta(tx, question, **{MARK: tx.now.isoformat()})


def _send_again(tx: Tx, question: Message, where: Identity, why: str) -> None:
    """Its words and buttons below a line that says why; its files stand in the chat already."""
    outlet = tx.wiring.outlets.get(where.channel)
    if outlet is None:
        return
    again = replace(question, body=replace(question.body, text=f"{why}\n\n{question.body.text}", files=()))
    for part in outlet.parts(again, where.address):
        outbox.enqueue(
            tx,
            via=outlet.via,
            lane=outlet.lane(where.address),
            bucket=outlet.bucket(where.address),
            kind=part.kind,
            payload={**part.payload, "address": where.address},
            customer_id=question.customer_id,
            case_id=question.case_id,
            message_id=question.id,
            epoch=customers.talk(tx, question.customer_id).epoch,
            bulk=True,
        )
