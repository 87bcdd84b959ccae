"""A case in the queue looks for its agent: the rules of `bot.staffing.routing` over the database and the desk in force.

The ladder from here: an agent is given the case (`answer_within` to write, else it goes back and they are not asked again);
whoever of the team claims it first; the rungs of desk.yaml (`ladder.py`). Cases are given out in the order of the queue, and
only while the team is open. On a desk where agents claim by themselves, who knew the customer is called, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot import timers
from bot.desk_folder.desk import RoutingRule
from bot.flows.expressions import Scope
from bot.model import CaseStatus
from bot.staffing import people
from bot.staffing import routing as rules
from bot.staffing.routing import Wanted
from bot.storage import customers
from bot.storage.tx import Tx
from bot.texts import say
from handoff import hours, store, terms
from handoff.case import Case, PeopleCalled, Route
from handoff.giving import ROUTING, give, replace_route
from handoff.queue import store as queue
from handoff.steps import changed, desk_of, locale_of, move, take_baton, tell_agents, tell_customer
from handoff.waiting_room import look

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


def destination(
    tx: Tx, case: Case, asked: str | None, priority: str, reason: str, customer: Mapping[str, Any] | None = None
) -> tuple[str | None, RoutingRule | None]:
    """The team that a case goes to, and the rule that says so: see `bot.staffing.people.destination`.

    While that team is closed or nobody of it is there, the one that takes its overflow, or that one's. `customer` is
    what rules see of them, where more is known than what is written by now.
    """
    desk = desk_of(tx)
    if desk is None:
        return None, None
    customer = _customer(tx, case) if customer is None else customer
    locale = str(customer["locale"])
    about: dict[str, Any] = {
        "id": case.id,
        "channel": case.channel,
        "locale": locale,
        "priority": priority,
        "reason": reason,
    }
    about |= {"team": asked, "reopened": case.reopened, "flow": case.flow}
    scope = Scope(
        {"customer": customer, "case": about},
        tx.now,
        hours.is_open(desk, asked or terms.default_team(desk), tx.now),
    )
    team, rule = people.destination(desk, asked, locale, scope)
    return people.overflowing(desk, team, lambda one: is_staffed(tx, desk, one)), rule


def _customer(tx: Tx, case: Case) -> dict[str, Any]:
    who = customers.customer(tx.conn, case.customer_id)
    return {"name": who.name if who else "", **(who.attributes if who else {}), "locale": locale_of(tx, case)}


def is_staffed(tx: Tx, desk: Desk | None, team: str | None) -> bool:
    """Whether somebody of that team is there now. Where nobody is listed, agents are unknown until they act."""
    somebody = store.on_duty(tx.conn, desk, team, tx.now) or not store.agents(tx.conn, desk)
    return bool(somebody) and hours.is_open(desk, team, tx.now)


def knew(tx: Tx, case: Case, preferred: str | None) -> str | None:
    """The agent who helped this customer last, in this case or an earlier one, and still is one."""
    desk = desk_of(tx)
    if not terms.routing(desk).prefer_known:
        return None
    agents = {one.id for one in store.agents(tx.conn, desk)}
    earlier = [one.agent_id or one.last_agent_id for one in store.of_customer(tx.conn, case.customer_id, 5)]
    return next((one for one in (preferred, case.last_agent_id, *earlier) if one in agents), None)


def enter(tx: Tx, case: Case) -> Case:
    """A case has come into a queue: its ladder begins, and it looks for its agent."""
    arm(tx, case)
    _call_who_knew(tx, case)
    return seek(tx, case)


def seek(tx: Tx, case: Case) -> Case:
    """A queued case is given to an agent, or its customer hears how it stands."""
    return _give_out(tx, case) or look(tx, case)


def _give_out(tx: Tx, case: Case) -> Case | None:
    desk = desk_of(tx)
    way = terms.routing(desk).assign
    if way == "manual" or not hours.is_open(desk, case.team, tx.now):
        return None
    given = queue.turns(tx)
    waiting = [_wanted(one) for one in store.queue(tx.conn, case.team)]
    choice = rules.allot(waiting, queue.colleagues(tx.conn, desk, tx.now, given), way).get(case.id)
    if choice is None:
        return None
    queue.count_turn(tx, given, choice.agent)
    held = give(tx, case, store.agent(tx.conn, desk, choice.agent), desk=ROUTING, by=None, why=choice.why)
    until = hours.after_business(hours.of(desk, held.team), tx.now, terms.routing(desk).answer_within)
    if until is not None:
        _timer(tx, "offer", held, until, agent=choice.agent)
    return held


def _wanted(case: Case) -> Wanted:
    route = Route.of(case)
    return Wanted(case.id, case.team, case.locale, route.skills, route.knew, frozenset(route.tried))


def _call_who_knew(tx: Tx, case: Case) -> None:
    route, desk = Route.of(case), desk_of(tx)
    there = {one.id: one.name for one in store.on_duty(tx.conn, desk, None, tx.now)}
    if terms.routing(desk).assign == "manual" and route.knew in there and route.knew not in route.tried:
        call(tx, case, "knows", "knows_customer", person=route.knew, agent=there[route.knew])


def call(
    tx: Tx, case: Case, why: str, key: str, *, group: str | None = None, person: str | None = None, **values: object
) -> None:
    """Somebody is asked to look: a note in the case, a line of the audit, and the desks are told whom."""
    desk = desk_of(tx)
    text = say(key, terms.agents_locale(desk), terms.texts(desk), **values)
    store.log(tx, case, "called", None, why=why, group=group, person=person)
    tell_agents(tx, case, key, **values)
    tx.emit(PeopleCalled(case, why, text, group, person))


# ── what was offered ───────────────────────────────────────────────────────────────────────────────────────────────
def accept(tx: Tx, case: Case) -> Case:
    """Who was given a case by the house says that they have it."""
    if Route.of(case).offered_at is None:
        return case
    timers.cancel(tx, f"offer:{case.id}")
    store.log(tx, case, "accept", case.agent_id)
    return store.change(tx, case, routing=replace_route(case, offered_at=None))


def offer_due(tx: Tx, timer: timers.Timer) -> None:
    """Who was given a case has done nothing in it: it goes back into the queue, and to somebody else."""
    case = store.case(tx.conn, timer.case_id or "")
    case = store.held(tx, case.id) if case else None
    if (
        case is None
        or case.status is not CaseStatus.OPEN
        or case.agent_id is None
        or case.agent_id != timer.data["agent"]
    ):
        return
    route = Route.of(case)
    if route.offered_at is None:
        return
    if queue.has_acted(tx.conn, case, case.agent_id, route.offered_at):
        store.change(tx, case, routing=replace_route(case, offered_at=None))
        return
    let_lie = case.agent_id
    back = move(
        tx,
        case,
        "release",
        log={"desk": ROUTING, "from": case.team, "let_lie": let_lie},
        agent_id=None,
        wait=None,
        routing=replace_route(case, offered_at=None, tried=(*route.tried, let_lie)),
    )
    take_baton(tx, back)
    changed(tx, back)
    tell_customer(tx, back, "offer_lapsed", agent=store.agent_name(tx.conn, desk_of(tx), let_lie))
    seek(tx, back)


# ── the ladder's timer ─────────────────────────────────────────────────────────────────────────────────────────────
def arm(tx: Tx, case: Case) -> None:
    """Set when the next rung is due, if there is one."""
    desk, route = desk_of(tx), Route.of(case)
    ladder = terms.routing(desk).ladder
    if route.since is None or route.rung >= len(ladder):
        return
    at = hours.after_business(hours.of(desk, case.team), route.since, ladder[route.rung].after)
    if at is not None:
        _timer(tx, "ladder", case, max(at, tx.now))


def _timer(tx: Tx, kind: str, case: Case, at: datetime, **data: str) -> None:
    timers.set_timer(tx, kind, f"{kind}:{case.id}", at, customer_id=case.customer_id, case_id=case.id, data=data)


def queued(tx: Tx, case: Case, **values: Any) -> dict[str, Any]:
    """`cases.routing` of a case that comes into a queue: its ladder begins anew, and nobody has it offered."""
    return replace_route(
        case, **{"since": tx.now, "rung": 0, "early": (), "offered_at": None, "pending_since": None, **values}
    )
