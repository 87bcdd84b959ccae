"""What customers can do instead of waiting in the queue: leave a contact and be called back, or go on with the bot.

Buttons below the sentence that tells a long wait; their label, typed, counts as well (not every channel has buttons). The
case stays in the queue in either way, at its place. A contact stands on the agents' card, among what was asked and told.
"""

from __future__ import annotations

import re
from dataclasses import replace

from bot.model import CaseStatus, Choice
from bot.storage.tx import Tx
from bot.texts import say
from bot.turn import Turn
from handoff import store, terms
from handoff.case import Case
from handoff.steps import changed, desk_of, locale_of, tell_agents, tell_customer
from handoff.waiting import Told

PREFIX = "queue:"
CALLBACK, BOT, WAIT = (PREFIX + what for what in ("callback", "bot", "wait"))
LABELS = {CALLBACK: "queue_offer_callback", BOT: "queue_offer_bot", WAIT: "queue_offer_wait"}
LONGEST = 200  # characters of what counts as a contact
_EMAIL = re.compile(r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9.\-]{1,190}\.[A-Za-z]{2,24}")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./\-]{6,24}[0-9]")


def choices(tx: Tx, case: Case, *values: str) -> tuple[Choice, ...]:
    """The buttons, in the customer's language; without `values` those that lead out of the waiting."""
    locale, own = locale_of(tx, case), terms.texts(desk_of(tx))
    return tuple(Choice(value, say(LABELS[value], locale, own)) for value in values or (CALLBACK, BOT))


def contact_in(text: str) -> str | None:
    """The e-mail address or the telephone number in what was written; None: there is none."""
    said = text[:LONGEST]
    found = _EMAIL.search(said) or _PHONE.search(said)
    return found[0].strip() if found else None


def heard(turn: Turn, case: Case) -> Case:
    """What a waiting customer chose or wrote, as far as it concerns their waiting."""
    told = Told.from_json(case.wait)
    if case.status is not CaseStatus.QUEUED or told is None:
        return case
    chosen = _chosen(turn, case)
    if chosen == CALLBACK:
        case = _mode(turn.tx, case, replace(told, mode="contact"))
        tell_customer(turn.tx, case, "callback_ask", choices(turn.tx, case, WAIT))
    elif chosen == BOT:
        case = _mode(turn.tx, case, replace(told, mode="bot"))
        tell_customer(turn.tx, case, "bot_meanwhile", choices(turn.tx, case, WAIT))
    elif chosen == WAIT:
        case = _mode(turn.tx, case, replace(told, mode=""))
        tell_customer(turn.tx, case, "queue_waiting_on")
    elif told.mode == "contact":
        case = _take_contact(turn, case, told)
    return case


def is_with_bot(case: Case) -> bool:
    """Whether the customer waits in the queue, and chose to go on with the bot meanwhile."""
    told = Told.from_json(case.wait) if case.status is CaseStatus.QUEUED else None
    return told is not None and told.mode == "bot"


def waits_again(tx: Tx, case: Case) -> Case:
    """The bot, with which somebody goes on who waits, has no more for them, or they ask for people: they wait, as before."""
    told = Told.from_json(case.wait)
    if told is None or not is_with_bot(case):
        return case
    case = _mode(tx, case, replace(told, mode=""))
    tell_customer(tx, case, "queue_waiting_on")
    return case


def _chosen(turn: Turn, case: Case) -> str | None:
    if turn.pressed is not None:
        return turn.pressed.value if turn.pressed.value in LABELS else None
    said = turn.text.strip().casefold()
    return next((one.value for one in choices(turn.tx, case, *LABELS) if one.label.casefold() == said), None)


def _take_contact(turn: Turn, case: Case, told: Told) -> Case:
    contact = contact_in(turn.text)
    if contact is None:
        tell_customer(turn.tx, case, "callback_unclear", choices(turn.tx, case, WAIT))
        return case
    material = dict(case.escalation or {})
    show = [pair for pair in material.get("show", ()) if pair[0] != "contact"]
    case = store.change(turn.tx, case, escalation={**material, "show": [*show, ["contact", contact]]})
    case = _mode(turn.tx, case, replace(told, mode="callback"))
    store.log(turn.tx, case, "callback")
    tell_customer(turn.tx, case, "callback_noted", contact=contact)
    tell_agents(turn.tx, case, "callback_left", contact=contact)
    return case


def _mode(tx: Tx, case: Case, told: Told) -> Case:
    store.log(tx, case, "meanwhile", mode=told.mode or "wait")
    return changed(tx, store.change(tx, case, wait=told.to_json()))
