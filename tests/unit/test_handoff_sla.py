"""Service levels: counted in business time, paused while the customer is awaited, told once, and never on what is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.desk_folder.desk import Routing, Sla
from bot.model import CaseStatus
from bot.staffing.hours import Hours, business_between
from bot.staffing.routing import Rung
from bot.timers import Timers
from handoff import cases, lifecycle, sla, store
from handoff.case import Case
from handoff.sla import Clock, Targets
from handoff.watch import ringers
from tests.unit.handoff_house import MONDAY, House, an_agent, build

WEEK = {day: ((time(9), time(17)),) for day in ("mon", "tue", "wed", "thu", "fri")}
OFFICE = Hours(ZoneInfo("Europe/Amsterdam"), WEEK)
FRIDAY = datetime(2026, 3, 27, 15, 30, tzinfo=UTC)  # half past four in Amsterdam; on Sunday the clock changes
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TARGETS = Targets(HOUR, 2 * HOUR, 8 * HOUR)


def after(clock: Clock | None, event: str, status: str, now: datetime) -> Clock:
    found, _ = sla.after(clock, event, CaseStatus(status), now, OFFICE)
    assert found is not None
    return found


def due(clock: Clock | None) -> dict[str, str]:
    zone = OFFICE.zone
    return {one.target: one.at.astimezone(zone).strftime("%a %H:%M") for one in sla.dues(clock, TARGETS, OFFICE)}


def test_the_first_answer_is_due_in_business_time_over_the_weekend() -> None:
    clock = after(None, "escalate", "queued", FRIDAY)
    assert due(clock) == {"first_response": "Mon 09:30", "resolution": "Mon 16:30"}


def test_an_answer_stops_the_clock_and_the_customers_next_word_starts_the_next() -> None:
    clock = after(None, "escalate", "queued", FRIDAY)
    clock = after(clock, "claim", "open", FRIDAY + 5 * MINUTE)
    clock = after(clock, "reply", "pending", FRIDAY + 10 * MINUTE)
    assert due(clock) == {}
    clock = after(clock, "customer_wrote", "open", FRIDAY + 20 * MINUTE)
    again = after(clock, "customer_wrote", "open", FRIDAY + 25 * MINUTE)  # from their first unanswered word on
    assert due(again) == {"next_response": "Mon 10:50", "resolution": "Mon 16:40"}  # ten minutes were the customer's


def test_what_it_took_is_told_in_business_time() -> None:
    clock = after(None, "escalate", "queued", FRIDAY)
    monday = datetime(2026, 3, 30, 7, 15, tzinfo=UTC)  # quarter past nine in Amsterdam
    answered, ended = sla.after(clock, "reply", CaseStatus.PENDING, monday, OFFICE)
    assert [(one.target, one.took) for one in ended] == [("first_response", 45 * MINUTE)]
    _, ended = sla.after(answered, "resolve", CaseStatus.RESOLVED, monday + 3 * HOUR, OFFICE)
    assert [(one.target, one.took) for one in ended] == [("resolution", 45 * MINUTE)]


def test_the_bots_time_is_not_an_agents_and_a_reopened_case_begins_anew() -> None:
    assert sla.after(None, "customer_wrote", CaseStatus.BOT, FRIDAY, OFFICE) == (None, ())
    clock = after(None, "escalate", "queued", FRIDAY)
    assert sla.after(clock, "reopen", CaseStatus.BOT, FRIDAY, OFFICE) == (None, ())


def test_of_a_warning_and_a_breach_that_are_both_past_only_the_breach_is_told() -> None:
    clock = after(None, "escalate", "queued", FRIDAY)
    clock, told = sla.ring(clock, TARGETS, OFFICE, FRIDAY + timedelta(days=4))
    assert [one.key for one in told] == ["first_response:breach", "resolution:breach"]
    assert sla.ring(clock, TARGETS, OFFICE, FRIDAY + timedelta(days=9))[1] == []


steps = st.lists(st.tuples(st.sampled_from(lifecycle.EVENTS), st.integers(0, 2000)), max_size=15)


@settings(max_examples=80, deadline=None)
@given(steps)
def test_whatever_happens_the_clocks_count_no_more_than_the_business_time_that_passed(
    happenings: list[tuple[str, int]],
) -> None:
    """Against a plain sum over the case's life: what was spent in other states than waiting for the customer."""
    now, status, clock = FRIDAY, CaseStatus.QUEUED, after(None, "escalate", "queued", FRIDAY)
    life = [(FRIDAY, status, False)]
    for event, minutes in happenings:
        following = lifecycle.TRANSITIONS[status].get(event)
        if following is None or event in {"reopen", "resolve", "close"}:
            continue
        now, before = now + minutes * MINUTE, life[-1][2]
        status = following
        paused = status is CaseStatus.PENDING or (status is CaseStatus.SNOOZED and before)
        clock = after(clock, event, status, now)
        life.append((now, status, paused))
        assert Clock.from_json(clock.to_json()) == clock
        assert (clock.paused_at is not None) == paused
        if clock.paused_at is None:
            left = {one.target for one in sla.dues(clock, TARGETS, OFFICE)}
            assert "resolution" in left
    _, ended = sla.after(clock, "resolve", CaseStatus.RESOLVED, now, OFFICE)
    spent = sum((business_between(OFFICE, a[0], b[0]) for a, b in pairwise(life) if not a[2]), timedelta())
    assert ended[0].took == spent


# ── in the house ───────────────────────────────────────────────────────────────────────────────────────────────────
LADDER = (Rung(timedelta(hours=20), group="S0123456"), Rung(timedelta(hours=30), person="lea"))


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    built = await build(sqlite_url, sla=(Sla("", None, 10 * MINUTE, 20 * MINUTE, HOUR), Sla("urgent", None, MINUTE)))
    yield built
    await built.storage.close()


async def logged(house: House, case: Case, kind: str) -> list[str]:
    return [event.data["target"] for event in await house.look(store.events, case.id) if event.kind == kind]


async def test_the_thread_is_warned_and_told_of_the_breach_once_each(house: House) -> None:
    case = await house.queued()
    await house.later(minutes=8)
    assert (await house.notes(case))[-1].startswith("Due soon: first answer")
    await house.later(minutes=2)
    assert (await house.notes(case))[-1].startswith("Overdue: first answer was due")
    await house.later(minutes=30)
    assert await logged(house, case, "sla_warning") == ["first_response"]
    assert await logged(house, case, "sla_breach") == ["first_response"]


async def test_an_answer_in_time_is_told_to_nobody_but_the_audit(house: House) -> None:
    case = await house.taken()
    await house.later(minutes=7)
    await house.do(cases.reply, case.id, "ann", "Here it is", desk="wall")
    await house.later(hours=5)  # the customer is awaited: nothing is due
    assert [note for note in await house.notes(case) if "ue" in note] == []
    (line,) = [event.data for event in await house.look(store.events, case.id) if event.kind == "sla"]
    assert line == {"target": "first_response", "took_s": 420.0, "target_s": 600.0, "met": True}


async def test_a_customers_word_that_is_not_answered_breaches_the_next_response(house: House) -> None:
    case = await house.taken()
    await house.do(cases.reply, case.id, "ann", "Which one?", desk="wall")
    await house.later(hours=3)
    await house.writes(case.customer_id, "The blue one")
    await house.later(minutes=5)
    await house.writes(case.customer_id, "Hello?")
    await house.later(minutes=15)
    assert await logged(house, case, "sla_breach") == ["next_response"]


async def test_nothing_is_due_on_a_case_that_is_over(house: House) -> None:
    case = await house.taken()
    await house.do(cases.resolve, case.id, "ann", "resolved")
    await house.later(days=2)
    assert [kind for kind in await house.events(case) if kind in {"sla_warning", "sla_breach"}] == []


async def test_a_flows_own_target_and_a_priority_go_before_the_desks(house: House) -> None:
    urgent, own = await house.queued("Kari", priority="urgent"), await house.queued("Ola", sla_s=120)
    await house.later(minutes=1)
    assert await logged(house, urgent, "sla_breach") == ["first_response"]
    assert await logged(house, own, "sla_breach") == []
    await house.later(minutes=1)
    assert await logged(house, own, "sla_breach") == ["first_response"]


async def test_a_breach_calls_whoever_is_next_on_the_ladder(house: House) -> None:
    house.desk = replace(house.desk, routing=Routing(ladder=LADDER), agents=(*house.desk.agents, an_agent("max")))
    case = await house.queued()
    await house.later(minutes=10)
    assert (await house.notes(case))[-1] == "No answer for about 10 minutes: S0123456 is called."
    await house.later(hours=1)  # the resolution's breach calls the next one
    assert [event.data["why"] for event in await house.look(store.events, case.id) if event.kind == "called"] == [
        "breach", "breach",
    ]  # fmt: skip


async def test_a_breach_that_calls_somebody_early_leaves_the_other_rungs_their_time(house: House) -> None:
    ladder = (Rung(15 * MINUTE, team="billing"), Rung(20 * MINUTE, group="S0123456"), Rung(30 * MINUTE, person="lea"))
    house.desk = replace(house.desk, routing=Routing(ladder=ladder))
    case = await house.queued()
    await house.later(minutes=10)
    assert (await house.notes(case))[-1] == "No answer for about 10 minutes: S0123456 is called."
    assert (await house.case(case)).team == "support"
    await house.later(minutes=5)
    assert (await house.case(case)).team == "billing"
    await house.later(minutes=30)
    called = [event.data for event in await house.look(store.events, case.id) if event.kind == "called"]
    assert [(one["why"], one["group"], one["person"]) for one in called] == [
        ("breach", "S0123456", None), ("ladder", None, "lea"),
    ]  # fmt: skip


async def test_two_nodes_that_ring_at_once_and_one_that_starts_again_tell_it_once(database_url: str) -> None:
    """A timer is removed in the transaction that acts on it: whoever else comes for it finds nothing."""
    house = await build(database_url, sla=(Sla("", None, 10 * MINUTE),))
    try:
        case = await house.queued()
        house.now = MONDAY + timedelta(hours=2)  # nobody rang meanwhile
        nodes = [Timers(house.storage, ringers()) for _ in range(3)]
        await asyncio.gather(*(node.run() for node in nodes))
        await Timers(house.storage, ringers()).run()
        assert await logged(house, case, "sla_breach") == ["first_response"]
        assert await logged(house, case, "sla_warning") == []
        assert len([note for note in await house.notes(case) if note.startswith("Overdue")]) == 1
    finally:
        await house.storage.close()
