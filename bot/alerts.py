"""Low scores that somebody should look after: told at once, claimed, closed with an outcome, told again while they lie.

What lives here: the verbs, each on an open transaction. What it must not know: which question was asked (surveys open
alerts), and where they are shown (desks hear `AlertChanged`). It stands between the two rooms, which never import each
other.

An alert belongs to one answer: opened twice it is one. It is due 24 hours after the score; while nobody has closed it by
then the desks are told again, each day for a week. A score that its customer mends within their day withdraws it, unless
somebody took it up already: then it stays theirs to close.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from bot import timers
from bot.errors import Conflict, NotFound
from bot.events import AlertChanged
from bot.model import new_id
from bot.storage import alert_rows, audit
from bot.storage.alert_rows import Alert
from bot.storage.tx import Tx
from bot.timers import Timer

KIND: Final = "alert"
WITHIN = timedelta(hours=24)
REMINDERS = 7
OUTCOMES = ("solved", "apologised", "unreachable", "no_action")
"""What came of it. `no_action`: there was nothing to be done."""


def open_alert(tx: Tx, response_id: str, **about: Any) -> Alert | None:
    """Open one for an answer: `case_id`, `customer_id`, `instrument`, `score`, `channel`, `team`. None: it has one."""
    alert_id, due_at = new_id(), tx.now + WITHIN
    values = {"id": alert_id, "response_id": response_id, "state": "open", "opened_at": tx.now, "due_at": due_at}
    if not alert_rows.add(tx, {**values, **about}):
        return None
    timers.set_timer(tx, KIND, key_of(alert_id), due_at, customer_id=about["customer_id"])
    return _told(tx, alert_id, "opened")


def score_changed(tx: Tx, response_id: str, score: int, *, is_low: bool) -> None:
    """The customer changed their answer: the alert follows, and is withdrawn where nothing is wrong any more."""
    alert = alert_rows.of_response(tx.conn, response_id)
    if alert is None or alert.state == "closed":
        return
    gone = {"state": "closed", "outcome": "withdrawn", "closed_at": tx.now, "withdrawn_at": tx.now, "score": score}
    if not is_low and alert_rows.change(tx, alert.id, "open", **gone):
        timers.cancel(tx, key_of(alert.id))
    else:  # claimed, perhaps at this very moment: it stays theirs to close
        alert_rows.change(tx, alert.id, score=score)
    _told(tx, alert.id, "changed")


def said_why(tx: Tx, response_id: str) -> None:
    """The customer told a reason, or in their own words: who looks at the alert should see it."""
    alert = alert_rows.of_response(tx.conn, response_id)
    if alert is not None:
        _told(tx, alert.id, "changed")


def wants_contact(tx: Tx, response_id: str, wanted: bool, follow_up: str | None = None) -> None:
    """The customer does, or does not, want to be contacted. `follow_up` is the case that was opened for it."""
    alert = alert_rows.of_response(tx.conn, response_id)
    if alert is not None:
        alert_rows.change(tx, alert.id, contact=wanted, follow_up=follow_up)
        _told(tx, alert.id, "changed")


def claim(tx: Tx, alert_id: str, agent_id: str) -> Alert:
    """An agent looks after it. Again by the same one: nothing more. Raises NotFound, Conflict."""
    alert = known(tx, alert_id)
    if alert.state == "claimed" and alert.agent_id == agent_id:
        return alert
    taken = {"state": "claimed", "agent_id": agent_id, "claimed_at": tx.now}
    if not alert_rows.change(tx, alert_id, "open", **taken):
        raise Conflict("somebody looks after it already" if alert.state == "claimed" else "it is closed already")
    audit.of_agent(tx, agent_id, "alert claimed", alert=alert_id)
    return _told(tx, alert_id, "claimed")


def close(tx: Tx, alert_id: str, agent_id: str, outcome: str, *, leads: bool = False) -> Alert:
    """End it with what came of it, by whoever looks after it, a lead, or anybody while nobody does.

    Raises NotFound; Conflict for an outcome that is none of OUTCOMES, somebody else's alert, or one that is closed.
    """
    if outcome not in OUTCOMES:
        raise Conflict(f"outcome {outcome!r} is not known; use one of {', '.join(OUTCOMES)}")
    alert = known(tx, alert_id)
    if alert.state == "claimed" and alert.agent_id != agent_id and not leads:
        raise Conflict("somebody else looks after it")
    ended = {"state": "closed", "outcome": outcome, "closed_at": tx.now, "agent_id": alert.agent_id or agent_id}
    if not alert_rows.change(tx, alert_id, "open", "claimed", **ended):
        raise Conflict("it is closed already")
    timers.cancel(tx, key_of(alert_id))
    audit.of_agent(tx, agent_id, "alert closed", alert=alert_id, outcome=outcome)
    return _told(tx, alert_id, "closed")


def due(tx: Tx, timer: Timer) -> None:
    """Nobody closed it in time: the desks are told again, and it is due another day."""
    alert = alert_rows.one(tx.conn, timer.key.removeprefix(f"{KIND}:"))
    if alert is None or alert.state == "closed":
        return
    reminded, due_at = alert.reminded + 1, tx.now + WITHIN
    if not alert_rows.change(tx, alert.id, "open", "claimed", reminded=reminded, due_at=due_at):
        return  # closed meanwhile
    if reminded < REMINDERS:
        timers.set_timer(tx, KIND, timer.key, due_at, customer_id=alert.customer_id)
    _told(tx, alert.id, "overdue")


def known(tx: Tx, alert_id: str) -> Alert:
    """Raises NotFound."""
    found = alert_rows.one(tx.conn, alert_id)
    if found is None:
        raise NotFound(f"there is no alert {alert_id}")
    return found


def key_of(alert_id: str) -> str:
    """The name of its timer."""
    return f"{KIND}:{alert_id}"


def _told(tx: Tx, alert_id: str, what: str) -> Alert:
    alert = known(tx, alert_id)
    tx.emit(AlertChanged(alert.id, what))
    return alert
