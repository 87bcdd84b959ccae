"""A case gets its agent: by their own claim, by a colleague, by a program, or by the desk's routing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.storage import customers
from bot.storage.tx import Tx
from handoff import terms
from handoff.case import AgentView, Case, Route
from handoff.queue import store as queue
from handoff.steps import changed, desk_of, is_over, move, take_baton, tell_customer
from handoff.waiting_room import stir

ROUTING = "routing"  # the `desk` of what the house gives out by itself


def give(tx: Tx, case: Case, agent: AgentView, *, desk: str, by: str | None, why: str | None = None) -> Case:
    """It is that agent's from now on; the customer hears so. `by` is the agent who did it, `why` the desk's way of routing.

    Raises Conflict where the case is over.
    """
    if not case.live:
        raise is_over(case)
    took_over = case.with_people and case.agent_id is not None
    offered = tx.now if desk == ROUTING else None
    given = move(
        tx,
        case,
        "claim",
        agent.id,
        log={"desk": desk, "by": by, "from": case.agent_id, **({"why": why} if why else {})},
        agent_id=agent.id,
        last_agent_id=case.agent_id or case.last_agent_id,
        team=case.team or agent.team or terms.default_team(desk_of(tx)),
        escalated_at=case.escalated_at or tx.now,
        claimed_at=case.claimed_at or tx.now,
        handoffs=case.handoffs + 1,
        agents=[*case.agents, *([] if agent.id in case.agents else [agent.id])],
        wait=None,
        routing=replace_route(case, offered_at=offered),
    )
    queue.settle(tx, given, served=True)
    take_baton(tx, given)
    if customers.talk(tx, case.customer_id).bot_state:
        # What the bot has asked, nobody waits for any more: also in a queue.
        customers.set_bot_state(tx, case.customer_id, {})
    changed(tx, given)
    key = "agent_took_over" if took_over else "agent_given" if desk == ROUTING else "agent_joined"
    tell_customer(tx, given, key, agent=agent.name)
    stir(tx, given.team)
    return given


def replace_route(case: Case, **values: Any) -> dict[str, Any]:
    """`cases.routing` with some of it changed."""
    return replace(Route.of(case), **values).to_json()
