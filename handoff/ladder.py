"""While nobody answers: the rungs of desk.yaml are climbed, and broken service levels call somebody.

A rung is climbed once, at its time in business hours, counted from when the case came into the queue. An agent's first word
ends it. A rung that leads to a team is left out while somebody holds the case, or while that team is closed.
"""

from __future__ import annotations

from bot.model import CaseStatus
from bot.staffing import routing as rules
from bot.staffing.routing import Rung
from bot.storage.tx import Tx
from bot.texts import duration, moment, say
from bot.timers import Timer
from handoff import clocks, hours, routing, sla, store, terms
from handoff.case import Case, Route
from handoff.giving import replace_route
from handoff.sla import Alarm, Clock
from handoff.steps import changed, desk_of, move, take_baton, tell_agents


def ladder_due(tx: Tx, timer: Timer) -> None:
    """The next rung's time has come."""
    case = _held(tx, timer)
    if case is None or not is_unanswered(case):
        return
    desk, route = desk_of(tx), Route.of(case)
    if route.since is None:
        return
    waited = hours.business_between(hours.of(desk, case.team), route.since, tx.now)
    for rung in tuple(rules.due(terms.routing(desk).ladder, route.rung, waited)):
        case = climb(tx, case, rung)
    routing.arm(tx, case)


def is_unanswered(case: Case) -> bool:
    """Whether people have it, and none of them has said a word since it came into the queue."""
    since = Route.of(case).since
    answered = case.last_agent_at is not None and since is not None and case.last_agent_at >= since
    return case.status in {CaseStatus.QUEUED, CaseStatus.OPEN} and not answered


def climb(tx: Tx, case: Case, rung: Rung) -> Case:
    """Its next rung, whose time has come; nothing more happens on one that was climbed early."""
    number = Route.of(case).rung
    is_new = number not in Route.of(case).early
    case = store.change(tx, case, routing=replace_route(case, rung=number + 1))
    return _act(tx, case, rung, "ladder") if is_new else case


def _act(tx: Tx, case: Case, rung: Rung, why: str) -> Case:
    if rung.team is not None:
        return _on_to(tx, case, rung.team)
    since = Route.of(case).since or case.escalated_at or tx.now
    waited = duration((tx.now - since).total_seconds(), terms.agents_locale(desk_of(tx)))
    if rung.group is not None:
        routing.call(tx, case, why, "ladder_group", group=rung.group, waited=waited, called=rung.group)
    elif rung.person is not None:
        name = store.agent_name(tx.conn, desk_of(tx), rung.person)
        routing.call(tx, case, why, "ladder_person", person=rung.person, waited=waited, called=name)
    return case


def _on_to(tx: Tx, case: Case, team: str) -> Case:
    desk = desk_of(tx)
    if case.status is not CaseStatus.QUEUED or case.team == team or terms.team(desk, team) is None:
        return case
    if not routing.is_staffed(tx, desk, team):
        return case
    moved = move(tx, case, "transfer", log={"desk": "ladder", "team": team, "from": case.team}, team=team, wait=None)
    take_baton(tx, moved)
    changed(tx, moved)
    return routing.seek(tx, moved)


def call_next(tx: Tx, case: Case) -> Case:
    """A service level is broken: whoever is called next by the ladder is called now, before their time. Teams keep theirs."""
    ladder, route = terms.routing(desk_of(tx)).ladder, Route.of(case)
    left = (n for n, one in enumerate(ladder) if n >= route.rung and n not in route.early and one.team is None)
    number = next(left, None)
    if number is None:
        return case
    case = store.change(tx, case, routing=replace_route(case, early=(*route.early, number)))
    return _act(tx, case, ladder[number], "breach")


# ── service levels ─────────────────────────────────────────────────────────────────────────────────────────────────
def sla_due(tx: Tx, timer: Timer) -> None:
    """A target will be missed, or was: the thread is told, once, and of a breach the ladder."""
    case = _held(tx, timer)
    clock = Clock.from_json(case.sla) if case else None
    if case is None or clock is None or not case.with_people:
        return
    desk = desk_of(tx)
    clock, told = sla.ring(clock, terms.targets(desk, case), hours.of(desk, case.team), tx.now)
    if told:
        case = store.change(tx, case, sla=clock.to_json())
        for alarm in told:
            case = _alarm(tx, case, alarm)
        changed(tx, case)
    clocks.arm(tx, case)


def _alarm(tx: Tx, case: Case, alarm: Alarm) -> Case:
    desk = desk_of(tx)
    locale = terms.agents_locale(desk)
    target = say(f"sla_{alarm.target}", locale, terms.texts(desk))
    when = moment(alarm.due_at, locale, hours.of(desk, case.team).zone)
    due_at = alarm.due_at.isoformat()
    store.log(tx, case, f"sla_{alarm.level}", case.agent_id, target=alarm.target, due_at=due_at, team=case.team)
    tell_agents(tx, case, f"sla_{alarm.level}", target=target, when=when)
    return call_next(tx, case) if alarm.level == "breach" else case


def _held(tx: Tx, timer: Timer) -> Case | None:
    case = store.case(tx.conn, timer.case_id or "")
    return store.held(tx, case.id) if case else None
