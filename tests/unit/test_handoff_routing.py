"""Cases find their agent by the desk's rules: in turn, by load, by who knew them; up the ladder; never beyond capacity."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
import pytest_asyncio

from bot.desk_folder.desk import Agent, Routing, RoutingRule, Sla, Team
from bot.events import EscalationAsked
from bot.flows.expressions import parse
from bot.model import CaseStatus
from bot.staffing.routing import Rung
from bot.storage import customers
from bot.texts import say
from handoff import cases, routing, store
from handoff.case import Case, PeopleCalled
from handoff.watch import subscribers
from tests.unit.handoff_house import House, Wall, an_agent, build

MINUTE = timedelta(minutes=1)
BY_TURNS = Routing("round_robin", capacity=2)


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    built = await build(
        sqlite_url, routing=BY_TURNS, agents=(an_agent("ann"), an_agent("bob"), an_agent("bill", "billing"))
    )
    yield built
    await built.storage.close()


async def holders(house: House, *found: Case) -> list[str | None]:
    return [(await house.case(one)).agent_id for one in found]


async def data_of(house: House, case: Case, kind: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in await house.look(store.events, case.id) if event.kind == kind]


# ── giving out ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_in_turn_up_to_their_capacity_and_the_next_waits(house: House) -> None:
    found = [await house.queued(f"Kari{n}") for n in range(5)]
    assert await holders(house, *found) == ["ann", "bob", "ann", "bob", None]
    assert (await house.said(found[0].customer_id))[-1] == "Ann has your question now and is reading what you wrote."
    assert (await house.said(found[4].customer_id))[-1].startswith("You are number 1 in the queue")
    await house.do(cases.resolve, found[1].id, "bob", "resolved")
    await house.later(seconds=1)
    assert await holders(house, found[4]) == ["bob"]


async def test_nobody_who_is_away_is_given_a_case_and_who_comes_back_gets_the_first(house: House) -> None:
    for agent in ("ann", "bob"):
        await house.do(cases.set_available, agent, False)
    first, second = await house.queued("Kari"), await house.queued("Ola", priority="urgent")
    assert await holders(house, first, second) == [None, None]
    await house.do(cases.set_available, "bob", True)
    await house.later(seconds=1)
    assert await holders(house, second, first) == ["bob", "bob"]


async def test_outside_opening_hours_nobody_is_given_a_case_until_they_open(house: House) -> None:
    house.desk = replace(house.desk, hours={"tue": ((time(9), time(17)),)})
    case = await house.queued()
    assert await holders(house, case) == [None]
    await house.later(hours=21)
    assert await holders(house, case) == ["ann"]


async def test_the_least_busy_first_and_pending_cases_in_hand_count(house: House) -> None:
    house.desk = replace(house.desk, routing=Routing("least_busy", capacity=3))
    first, second = await house.queued("Kari"), await house.queued("Ola")
    await house.do(cases.reply, first.id, "ann", "Hello", desk="wall")
    await house.do(cases.resolve, second.id, "bob", "resolved")
    third, fourth = await house.queued("Per"), await house.queued("Eva")
    assert await holders(house, third, fourth) == ["bob", "ann"]


async def test_language_and_a_rules_skill_lead_to_who_has_them(house: House) -> None:
    agents = (
        Agent("ann", "Ann", "support", locales=("en",)),
        Agent("noa", "Noa", "support", locales=("he", "en"), skills=("law",)),
    )
    rule = RoutingRule(parse("case.reason == 'safety'"), skills=("law",), priority="high")
    house.desk = replace(house.desk, agents=agents, routing=replace(BY_TURNS, rules=(rule,)))
    hebrew, danger, plain = (
        await house.newcomer("Dana", locale="he"),
        await house.newcomer("Ola"),
        await house.newcomer("Per"),
    )
    found = [
        await house.do(cases.on_escalation, EscalationAsked(who, why))
        for who, why in ((hebrew, "asked"), (danger, "safety"), (plain, "asked"))
    ]
    assert await holders(house, *found) == ["noa", "noa", "ann"]
    assert [(await house.case(one)).priority for one in found] == ["normal", "high", "normal"]


@pytest.mark.parametrize(("spoken", "holder"), [("en", "ann"), ("he", "noa")])
async def test_who_goes_on_in_another_language_while_they_wait_is_given_to_who_has_it(
    house: House, spoken: str, holder: str
) -> None:
    agents = Agent("ann", "Ann", "support", locales=("en",)), Agent("noa", "Noa", "support", locales=("he",))
    house.desk = replace(house.desk, agents=agents, routing=replace(BY_TURNS, assign="manual"))
    case = await house.queued()
    await house.do(customers.set_locale, case.customer_id, spoken)
    house.desk = replace(house.desk, routing=BY_TURNS)
    case = await house.do(routing.seek, await house.case(case))
    assert (case.agent_id, case.locale) == (holder, spoken)
    assert (await house.said(case.customer_id))[-1] == say("agent_given", spoken, agent=holder.capitalize())


async def test_a_closed_teams_cases_overflow_to_the_one_that_is_there(house: House) -> None:
    teams = (
        Team("support", "Support", hours={"tue": ((time(9), time(17)),)}, overflow="billing"),
        Team("billing", "Billing"),
    )
    house.desk = replace(house.desk, teams=teams)
    case = await house.queued()
    assert ((await house.case(case)).team, await holders(house, case)) == ("billing", ["bill"])


@pytest.mark.parametrize(("last", "team"), [({}, "billing"), ({"tue": ((time(9), time(17)),)}, "support")])
async def test_overflow_goes_on_from_team_to_team_and_never_in_circles(
    house: House, last: dict[str, Any], team: str
) -> None:
    """Monday noon: who is there on Tuesdays only is not there. Where nobody is there at all, the case stays."""
    closed = {"tue": ((time(9), time(17)),)}
    teams = (
        Team("support", "Support", hours=closed, overflow="sales"),
        Team("sales", "Sales", hours=closed, overflow="billing"),
        Team("billing", "Billing", hours=last or None, overflow="support"),
    )
    house.desk = replace(house.desk, teams=teams)
    assert (await house.case(await house.queued())).team == team


async def test_cases_that_come_at_once_are_shared_out_and_never_beyond_capacity(database_url: str) -> None:
    """Also on PostgreSQL, where several nodes give out cases at the same moment."""
    house = await build(database_url, routing=BY_TURNS, agents=(an_agent("ann"), an_agent("bob")))
    try:
        found = await asyncio.gather(*(house.queued(f"Kari{n}") for n in range(6)))
        held = Counter(await holders(house, *found))
        assert held == {"ann": 2, "bob": 2, None: 2}
    finally:
        await house.storage.close()


# ── who knew them ──────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_reopened_case_returns_to_who_knew_it(house: House) -> None:
    case = await house.queued()
    await house.do(cases.reply, case.id, "ann", "Done", desk="wall")
    await house.do(cases.resolve, case.id, "ann", "resolved")
    await house.queued("Ola")
    await house.writes(case.customer_id, "It broke again")
    again = await house.do(cases.on_escalation, EscalationAsked(case.customer_id, "reopened"))
    assert (again.id, again.agent_id) == (case.id, "ann")
    assert (await data_of(house, again, "claim"))[-1]["why"] == "knew"


async def test_where_agents_claim_by_themselves_who_knew_them_is_called(house: House) -> None:
    house.desk = replace(house.desk, routing=Routing())
    case = await house.queued()
    await house.do(cases.claim, case.id, "bob", desk="wall")
    await house.do(cases.resolve, case.id, "bob", "resolved")
    await house.writes(case.customer_id, "It broke again")
    again = await house.do(cases.on_escalation, EscalationAsked(case.customer_id, "reopened"))
    assert (again.status, again.agent_id) == ("queued", None)
    assert await house.notes(case) == ["Bob has helped this customer before."]
    assert (await data_of(house, case, "called"))[0] == {"why": "knows", "group": None, "person": "bob"}


# ── the ladder ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_who_lets_a_case_lie_loses_it_and_the_next_gets_it(house: House) -> None:
    case = await house.queued()
    await house.later(minutes=2)
    after = await house.case(case)
    assert (after.agent_id, after.status) == ("bob", CaseStatus.OPEN)
    assert "Ann is held up." in (await house.said(case.customer_id))[-2]
    await house.later(minutes=2)
    assert await holders(house, case) == [None]  # both let it lie: it waits for who claims it
    await house.later(minutes=30)
    assert await holders(house, case) == [None]
    await house.do(cases.claim, case.id, "ann", desk="wall")
    assert await holders(house, case) == ["ann"]


@pytest.mark.parametrize("how", ["claim", "draft", "note", "await_customer"])
async def test_whoever_does_something_in_it_keeps_it(house: House, how: str) -> None:
    case = await house.queued()
    if how == "claim":
        await house.do(cases.claim, case.id, "ann", desk="wall")
    elif how == "await_customer":
        await house.do(cases.await_customer, case.id, "ann", desk="wall")
    else:
        await house.do(cases.draft if how == "draft" else cases.note, case.id, "ann", "One moment", desk="wall")
    await house.later(minutes=10)
    assert await holders(house, case) == ["ann"]


async def test_a_service_level_that_is_broken_meanwhile_is_no_answer_of_the_agents(house: House) -> None:
    """The audit names them in its lines; they have done nothing all the same."""
    house.desk = replace(house.desk, sla=(Sla("", None, MINUTE),))
    case = await house.queued()
    await house.later(minutes=2)
    assert {"sla_warning", "sla_breach"} <= set(await house.events(case))
    assert await holders(house, case) == ["bob"]


async def test_from_the_agent_to_the_team_to_a_group_to_a_person(house: House) -> None:
    ladder = (Rung(5 * MINUTE, team="billing"), Rung(7 * MINUTE, group="S0123456"), Rung(9 * MINUTE, person="bill"))
    house.desk = replace(house.desk, routing=Routing(ladder=ladder))
    called: list[tuple[str | None, str | None]] = []
    heard = dict(subscribers([Calling(called)]))
    house.storage.wiring.subscribers = heard
    case = await house.queued()
    await house.later(minutes=4)
    assert (await house.case(case)).team == "support"
    await house.later(minutes=1)
    assert (await house.case(case)).team == "billing"
    await house.later(minutes=30)
    assert called == [("S0123456", None), (None, "bill")]
    assert [note for note in await house.notes(case) if note.startswith("No answer")] == [
        "No answer for about 7 minutes: S0123456 is called.",
        "No answer for about 9 minutes. Bill, please look at this.",
    ]


async def test_an_agents_first_word_ends_the_ladder(house: House) -> None:
    house.desk = replace(house.desk, routing=Routing(ladder=(Rung(5 * MINUTE, person="bill"),)))
    case = await house.taken("ann")
    await house.do(cases.reply, case.id, "ann", "Hello", desk="wall")
    await house.writes(case.customer_id, "Hello?")
    await house.later(hours=1)
    assert await data_of(house, case, "called") == []


async def test_the_ladder_counts_opening_hours(house: House) -> None:
    ladder = (Rung(5 * MINUTE, person="bill"),)
    house.desk = replace(house.desk, routing=Routing(ladder=ladder), hours={"tue": ((time(9), time(17)),)})
    case = await house.queued()
    await house.later(hours=21)
    assert await data_of(house, case, "called") == []
    await house.later(minutes=5)
    assert len(await data_of(house, case, "called")) == 1


class Calling(Wall):
    """A desk that can call people."""

    def __init__(self, called: list[tuple[str | None, str | None]]) -> None:
        super().__init__()
        self.called = called

    def people_called(self, tx: Any, event: PeopleCalled) -> None:
        self.called.append((event.group, event.person))
