"""The optional language model in a turn: a durable request, within what it may cost in a day.

What was asked and answered is recorded with the case, which is also the account: tokens of the last 24 hours, for one
customer and for all of them. An account that is used up reads as "off": articles then speak for themselves.
"""

from __future__ import annotations

from datetime import timedelta

from bot import flows
from bot.answers import dialogue as articles
from bot.answers import grounded
from bot.dialogue.talk import Talk
from bot.outbox import enqueue
from bot.storage import recording_rows

DAY = timedelta(days=1)


def may_ask(talk: Talk) -> bool:
    if not talk.bot.model:
        return False
    limits, conn, since = talk.desk.model, talk.tx.conn, talk.tx.now - DAY
    mine = recording_rows.tokens_since(conn, since, talk.customer_id)
    return mine < limits.tokens_per_customer and recording_rows.tokens_since(conn, since) < limits.tokens_per_day


def ask(talk: Talk, effect: flows.AskModel) -> None:
    """Its answer comes back as a turn of its own; asked again after a crash, never once an answer is stored."""
    language = articles.language_name(talk.locale, "en")
    messages = grounded.request(effect.question, effect.passages, effect.order, language, effect.longest)
    payload = {
        "token": effect.token,
        "messages": messages,
        "most_tokens": grounded.most_tokens(effect.longest),
        "timeout_s": talk.desk.model.timeout.total_seconds(),
    }
    asked = {"question": effect.question, "passages": [one.id for one in effect.passages]}
    recording_rows.asked(talk.tx, talk.case.id, talk.customer_id, effect.token, "model", asked)
    enqueue(
        talk.tx,
        via="model",
        lane=f"model:{talk.customer_id}",
        kind="chat",
        payload=payload,
        customer_id=talk.customer_id,
        case_id=talk.case.id,
    )
