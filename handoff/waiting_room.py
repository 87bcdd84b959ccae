"""Telling those who wait how it stands: reads the queue, lets `waiting.py` decide, says it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.storage.tx import Tx
from bot.texts import duration, moment
from handoff import hours, store, terms
from handoff.case import Case
from handoff.steps import changed, desk_of, locale_of, ring_at, schedule, tell_customer
from handoff.waiting import Outlook, Told, estimate_s, next_look, tell


def outlook(tx: Tx, case: Case) -> Outlook:
    """How it stands for a case in the queue."""
    desk = desk_of(tx)
    position = store.position(tx.conn, case) or 1
    working = store.on_duty(tx.conn, desk, case.team, tx.now)
    # Where nobody is listed, the members of the Slack channel are the agents, and unknown until they act.
    staffed = bool(working) or not store.agents(tx.conn, desk)
    back_at = None if hours.is_open(desk, case.team, tx.now) else hours.next_open(desk, case.team, tx.now)
    wait_s = estimate_s(position, store.handling_s(tx.conn, case.team), len(working))
    staffed = staffed and (back_at is not None or hours.is_open(desk, case.team, tx.now))
    return Outlook(position, wait_s, staffed, back_at)


def look(tx: Tx, case: Case) -> Case:
    """Say what there is to say to a waiting customer, remember it, and set when to look again."""
    told, every = Told.from_json(case.wait), terms.queue_every(desk_of(tx))
    now_is = outlook(tx, case)
    news = tell(told, now_is, tx.now, every)
    moved = told is None or told.position != now_is.position
    if news is not None:
        key, told = news
        case = store.change(tx, case, wait=told.to_json())
        tell_customer(tx, case, key, **_values(tx, case, told, now_is.back_at))
    case = schedule(tx, case, next_look(told, now_is, tx.now, every))
    return changed(tx, case) if moved or news is not None else case


def stir(tx: Tx, team: str | None) -> None:
    """The queue of a team has moved: those who wait are looked at by their timers, each in a turn of its own."""
    for waiting in store.queue(tx.conn, team):
        ring_at(tx, waiting, tx.now)


def _values(tx: Tx, case: Case, told: Told, back_at: datetime | None) -> dict[str, Any]:
    locale = locale_of(tx, case)
    when = moment(back_at, locale, terms.zone(desk_of(tx))) if back_at else ""
    wait = duration(told.wait_s, locale) if told.wait_s is not None else ""
    return {"position": told.position, "wait": wait, "when": when}
