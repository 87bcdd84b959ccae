"""No case is forgotten: a sweep every few minutes, by a timer of its own, so that one node does it.

It finds live cases that nothing would happen to (no next action, or one long past and no timer), cases whose holder is no
agent any more, and cases in the queue of a team that is no more. The first get their next action now, the second go back into
the queue, the third to the team that would get them today: nobody of theirs will ever be there. All are noted: a correct house
never has the first, and the others come of desk.yaml.
"""

from __future__ import annotations

from datetime import timedelta

from bot import timers
from bot.model import CaseStatus
from bot.storage.tx import Tx
from handoff import cases, routing, store, terms
from handoff.case import Case
from handoff.steps import changed, desk_of, ring_at, tell_agents

KIND = "watchdog"
EVERY = timedelta(minutes=10)
LATE = timedelta(minutes=10)  # so long past, a next action is not just busy


def begin(tx: Tx) -> timedelta:
    """Set the watch, unless it is set: called at each start, on every node. Returns for how long at least nobody was here."""
    return max(timedelta(), tx.now - timers.set_once(tx, KIND, KIND, tx.now + EVERY))


def sweep(tx: Tx, _timer: timers.Timer) -> None:
    """Only sets timers: each case is then handled in a turn of its own, with its customer's turns held."""
    timers.set_timer(tx, KIND, KIND, tx.now + EVERY)
    for case in store.unwatched(tx.conn, tx.now, LATE):
        ring_at(tx, case, tx.now)
        store.log(tx, case, "watchdog", status=str(case.status))
    for case in store.orphans(tx.conn, desk_of(tx), tx.now):
        timers.set_timer(tx, "orphan", f"orphan:{case.id}", tx.now, customer_id=case.customer_id, case_id=case.id)


def orphan_due(tx: Tx, timer: timers.Timer) -> None:
    """Whoever held it is no agent any more, or its team is none: the case waits for another one."""
    case = store.case(tx.conn, timer.case_id or "")
    case = store.held(tx, case.id) if case else None
    desk = desk_of(tx)
    if case is None or all(one.id != case.id for one in store.orphans(tx.conn, desk, tx.now)):
        return
    if case.agent_id is not None:
        gone = store.agent_name(tx.conn, desk, case.agent_id)
        case = cases.release(tx, case.id, None, desk=KIND)
        tell_agents(tx, case, "owner_gone", agent=gone)
    if case.status is CaseStatus.QUEUED and case.team is not None and terms.team(desk, case.team) is None:
        _find_a_team(tx, case, case.team)
    changed(tx, case)


def _find_a_team(tx: Tx, case: Case, gone: str) -> None:
    reason = (case.escalation or {}).get("reason_code", "")
    team, _ = routing.destination(tx, case, None, case.priority, reason)
    if team is not None:
        tell_agents(tx, cases.transfer(tx, case.id, None, team, desk=KIND), "team_gone", team=gone)
