"""A customer who was asked how it was, and needs people again: their case goes on, or one of its own begins.

What lives here: what becomes of `FollowUpAsked` and `GoalTold`. The questions themselves are the surveys'.
"""

from __future__ import annotations

from bot import outbox
from bot.events import EscalationAsked, FollowUpAsked, GoalTold
from bot.model import BOT, SYSTEM, Body, CaseStatus
from bot.storage import marks
from bot.storage.tx import Tx
from bot.texts import say
from handoff import cases, store, terms
from handoff.steps import changed, desk_of, move, write_note


def on_follow_up(tx: Tx, asked: FollowUpAsked) -> None:
    """Queue a case for them. Only the one that it is about is ever reopened, if it can be: else the one that ended last stays
    ended, and the new one names the one that it is about.

    People who are with the customer already are told, and the customer that somebody will answer there.
    """
    tx.lock_customer(asked.customer_id)
    live = store.live_case(tx.conn, asked.customer_id)
    if live is not None and live.with_people:
        write_note(tx, live, SYSTEM, asked.reason, (), {"key": asked.reason_code})
        outbox.say(tx, asked.customer_id, Body(asked.text), author=BOT, case_id=live.id)
        return
    if live is None and asked.reopen and asked.case_id is not None:
        live = cases.reopen(tx, asked.case_id)
    last = store.last_case(tx.conn, asked.customer_id)
    if live is None and last is not None and last.status is CaseStatus.RESOLVED:
        changed(tx, move(tx, last, "close", log={"by": "follow_up"}, closed_at=tx.now))
    queued = cases.on_escalation(
        tx,
        EscalationAsked(asked.customer_id, asked.reason_code, asked.reason, asked.team, text=asked.text),
    )
    store.log(tx, queued, "follow_up", of=asked.case_id, why=asked.reason_code)


def on_goal(tx: Tx, told: GoalTold) -> None:
    """The customer says whether they got what they came for. Yes confirms the outcome; no takes it back."""
    case = store.held(tx, told.case_id)
    store.log(tx, case, "goal", met=told.met)
    if told.met:
        store.change(tx, case, confirmed=True)
        marks.mark(tx.conn, marks.CASES, case.id)
        return
    desk = desk_of(tx)
    reason = say("escalated_not_solved", terms.agents_locale(desk), terms.texts(desk))
    on_follow_up(tx, FollowUpAsked(told.customer_id, case.id, "not_solved", reason, told.text, case.team, reopen=True))
