"""What is due of errands, and what becomes of those whose case ends or is merged into another."""

from __future__ import annotations

from datetime import timedelta

from bot.events import CaseResolved, CustomersMerged
from bot.storage.tx import Tx
from bot.timers import Timer
from handoff import hours, store
from handoff.errands import store as rows
from handoff.errands import verbs
from handoff.steps import desk_of

AGAIN = timedelta(hours=4)  # of business, after which somebody is reminded again …
TIMES = 3  # … so often in all; what has then not been answered stands in the case as late


def errand_due(tx: Tx, timer: Timer) -> None:
    """Nobody has answered in time: told in the case and where it was asked, again and then no more."""
    errand = rows.one(tx.conn, str(timer.data["errand"]))
    case = store.held(tx, errand.case_id) if errand is not None else None
    if errand is None or case is None or not errand.is_open:
        return
    if not case.live:
        verbs.withdraw(tx, errand.id, None, desk="house")
        return
    verbs.remind(tx, case, errand)
    if errand.reminders + 1 < TIMES:
        again = hours.after_business(hours.of(desk_of(tx), errand.team), tx.now, AGAIN)
        verbs.watch_until(tx, errand, again or tx.now + AGAIN)


def on_resolved(tx: Tx, event: CaseResolved) -> None:
    """What is still open for a case that has ended is not needed any more."""
    for errand in rows.open_of(tx.conn, event.case_id):
        verbs.withdraw(tx, errand.id, None, desk="house")


def on_merged(tx: Tx, event: CustomersMerged) -> None:
    """Of two live cases one survives: what was asked for the other is asked for it."""
    if event.undone:
        return
    both = [event.winner_id, event.loser_id]
    survivor = next((one for one in (store.live_case(tx.conn, who) for who in both) if one is not None), None)
    for errand in rows.stranded(tx.conn, both):
        if survivor is None:
            verbs.withdraw(tx, errand.id, None, desk="house")
        else:
            moved = rows.change(tx, errand, case_id=survivor.id, customer_id=survivor.customer_id)
            verbs.watch_until(tx, moved, moved.due_at if moved.due_at > tx.now else tx.now + AGAIN)
            store.log(tx, survivor, "errand_moved", None, errand=errand.id, **{"from": errand.case_id})
