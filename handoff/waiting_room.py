"""Telling those who wait how it stands: reads the queue, lets `waiting.py` decide, says it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.staffing import people
from bot.storage import customers
from bot.storage.tx import Tx
from bot.texts import duration, moment
from handoff import hours, meanwhile, store, terms
from handoff.case import TIME_ZONE, Case
from handoff.queue import store as queue
from handoff.steps import changed, desk_of, locale_of, ring_at, schedule, tell_customer
from handoff.waiting import Outlook, Told, estimate_s, next_look, tell

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


def outlook(tx: Tx, case: Case) -> Outlook:
    """How it stands for a case in the queue."""
    desk = desk_of(tx)
    position = store.position(tx.conn, case) or 1
    working = store.on_duty(tx.conn, desk, case.team, tx.now)
    # Where nobody is listed, the members of the Slack channel are the agents, and unknown until they act.
    staffed = bool(working) or not store.agents(tx.conn, desk)
    back_at = None if hours.is_open(desk, case.team, tx.now) else hours.next_open(desk, case.team, tx.now)
    handling, hands = store.handling_s(tx.conn, case.team), _hands(desk, [one.id for one in working])
    wait_s = estimate_s(position, handling, hands, queue.bias(tx.conn))
    staffed = staffed and (back_at is not None or hours.is_open(desk, case.team, tx.now))
    return Outlook(position, wait_s, staffed, back_at, estimate_s(position, handling, hands))


def _hands(desk: Desk | None, working: Sequence[str]) -> int:
    """How many cases they can have in hand together: one each, where the desk names no capacity."""
    listed = {one.id: people.colleague(desk, one).capacity for one in desk.agents} if desk else {}
    return sum(listed.get(one) or 1 for one in working)


def look(tx: Tx, case: Case) -> Case:
    """Say what there is to say to a waiting customer, remember it, and set when to look again."""
    told, every = Told.from_json(case.wait), terms.queue_every(desk_of(tx))
    now_is = outlook(tx, case)
    news = tell(told, now_is, tx.now, every)
    moved = told is None or told.position != now_is.position
    if told is not None:
        queue.break_overdue(tx, case)
    if now_is.served:
        queue.settle(tx, case, served=True, kind="back")
    if news is not None:
        key, told = news
        case = store.change(tx, case, wait=told.to_json())
        _promise(tx, case, key, told, now_is)
        _say(tx, case, key, told, now_is)
    case = schedule(tx, case, next_look(told, now_is, tx.now, every))
    return changed(tx, case) if moved or news is not None else case


def _promise(tx: Tx, case: Case, key: str, told: Told, now_is: Outlook) -> None:
    if told.wait_s is not None:
        raw_s = None if key == "queue_longer" else now_is.raw_s
        due_at = tx.now + timedelta(seconds=told.wait_s)
        queue.promise(tx, case, "wait", due_at, wait_s=told.wait_s, raw_s=raw_s, position=told.position)
    elif now_is.back_at is not None:
        queue.promise(tx, case, "back", now_is.back_at)


def _say(tx: Tx, case: Case, key: str, told: Told, now_is: Outlook) -> None:
    """With what the customer can do instead of waiting, where it is long, and the bot does not ask them something just now."""
    after = terms.routing(desk_of(tx)).offer_after
    is_long = told.wait_s is None or timedelta(seconds=told.wait_s) >= after
    asked = bool((case.escalation or {}).get("goes_on"))
    choices = meanwhile.choices(tx, case) if after and is_long and not asked and key != "queue_next" else ()
    tell_customer(tx, case, key, choices=choices, **_values(tx, case, told, now_is.back_at))


def stir(tx: Tx, team: str | None) -> None:
    """The queue of a team has moved: those who wait are looked at by their timers, each in a turn of its own."""
    for waiting in store.queue(tx.conn, team):
        ring_at(tx, waiting, tx.now)


def stir_all(tx: Tx) -> None:
    """Who is there, or when, has changed: every queue is looked at."""
    for team in queue.waiting_teams(tx.conn):
        stir(tx, team)


def _values(tx: Tx, case: Case, told: Told, back_at: datetime | None) -> dict[str, Any]:
    locale = locale_of(tx, case)
    when = moment(back_at, locale, zone_of(tx, case)) if back_at else ""
    wait = duration(told.wait_s, locale) if told.wait_s is not None else ""
    return {"position": told.position, "wait": wait, "when": when}


def zone_of(tx: Tx, case: Case) -> tzinfo:
    """The customer's own time zone, where a slot `timezone` or their channel tells it; else the team's."""
    who = customers.customer(tx.conn, case.customer_id)
    known = str(who.attributes.get("timezone") or who.attributes.get(TIME_ZONE) or "") if who else ""
    try:
        return ZoneInfo(known) if known else hours.of(desk_of(tx), case.team).zone
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return hours.of(desk_of(tx), case.team).zone
