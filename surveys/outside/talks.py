"""An agent logs a talk: what the customer said on the phone, at the counter, at an event."""

from __future__ import annotations

from typing import Any

from bot import alerts
from bot.errors import Conflict, NotFound
from bot.events import SurveyAnswered, TalkLogged
from bot.model import new_id
from bot.storage import customers
from bot.storage.tx import Tx
from surveys import store
from surveys.outside import store as outside
from surveys.responses import AHEAD, FIRST_YEAR, FeedbackRow, ResponseRow
from surveys.survey import INSTRUMENTS, is_detractor


def on_talk(tx: Tx, talk: TalkLogged) -> None:
    """Keep it, with its score if there is one: then it counts, and a low one is looked after like any other.

    Raises NotFound for a customer or case that is not there; Conflict for a score that is not on the scale, or a time to come.
    """
    who = customers.customer(tx.conn, talk.customer_id) if talk.customer_id else None
    if talk.customer_id and who is None:
        raise NotFound(f"there is no customer {talk.customer_id}")
    if talk.case_id and store.case_of(tx.conn, talk.case_id) != (who.id if who else None):
        raise NotFound("there is no such case of that customer")
    at, customer_id = talk.at or tx.now, who.id if who else None
    if at > tx.now + AHEAD:
        raise Conflict("at: this talk is still to come; write it down when it was")
    if at.year < FIRST_YEAR:
        raise Conflict(f"at: this talk lies before {FIRST_YEAR}")
    about: dict[str, Any] = {
        "respondent": talk.respondent,
        "agent": talk.agent_id,
        "topic": talk.topic,
        "locale": talk.locale,
        "case_id": talk.case_id,
        "customer_id": customer_id,
        "source": talk.source,
        "mode": talk.mode,
    }
    if talk.instrument is None or talk.score is None:
        outside.add(tx.conn, [FeedbackRow(comment=talk.text, at=at, id=new_id(), **about)])
        return
    asked = INSTRUMENTS.get(talk.instrument)
    if asked is None:
        raise Conflict(f"instrument: use one of {', '.join(INSTRUMENTS)}")
    if talk.score not in asked.scores:
        raise Conflict(f"score: a whole number from {asked.min} to {asked.max}, the scale of {asked.id}")
    given = ResponseRow(asked.id, talk.score, at, comment=talk.text, id=new_id(), **about)
    store.add_talk(tx.conn, given)
    if customer_id is not None:
        tx.emit(SurveyAnswered(given.id, talk.case_id, customer_id, asked.id, talk.score, talk.text, at))
        if is_detractor(talk.score, asked):
            known = {"case_id": talk.case_id, "customer_id": customer_id, "team": None, "channel": None}
            alerts.open_alert(tx, given.id, instrument=asked.id, score=talk.score, **known)
