"""The life of a case with people: nobody is forgotten, nobody is nagged, and "thanks" is not a question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy import delete, select, update

from bot.desk_folder.desk import Escalation
from bot.errors import Conflict
from bot.model import CaseStatus
from bot.storage import tables as t
from bot.storage.tx import Tx
from handoff import cases, store, watchdog
from handoff.case import Case
from handoff.hours import Hours, snooze_choices
from tests.unit.handoff_house import House, an_agent, build


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    built = await build(sqlite_url)
    yield built
    await built.storage.close()


async def answered(house: House, locale: str = "en") -> Case:
    """A case that waits for its customer."""
    kari = await house.newcomer(locale=locale)
    await house.writes(kari, "Where is my parcel?")
    case = await house.do(cases.ensure_open, kari, "web")
    await house.do(cases.claim, case.id, "ann", desk="wall")
    await house.do(cases.reply, case.id, "ann", "It comes tomorrow.", desk="wall")
    return await house.case(case)


# ── waiting for the customer ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_customer_who_does_not_answer_is_asked_once_and_then_let_go(house: House) -> None:
    case = await answered(house)
    await house.later(hours=24)
    assert (await house.said(case.customer_id))[-1].startswith("Did that answer your question?")
    await house.later(hours=71)
    assert (await house.events(case)).count("nudge") == 1
    assert (await house.case(case)).status is CaseStatus.PENDING
    await house.later(hours=1)
    ended = await house.case(case)
    assert (ended.status, ended.outcome, ended.resolved_by) == ("resolved", "abandoned", "silence")
    assert (await house.said(case.customer_id))[-1].startswith("We have not heard from you")


async def test_an_answer_begins_the_waiting_anew(house: House) -> None:
    case = await answered(house)
    await house.later(hours=25)
    await house.writes(case.customer_id, "Not yet")
    await house.do(cases.reply, case.id, "ann", "And now?", desk="wall")
    await house.later(hours=23)
    assert (await house.events(case)).count("nudge") == 1
    await house.later(hours=1)
    assert (await house.events(case)).count("nudge") == 2


async def test_a_desk_may_leave_customers_alone(house: House) -> None:
    house.desk = replace(house.desk, escalation=Escalation(nudge=timedelta(), give_up=timedelta()))
    case = await answered(house)
    await house.later(days=9)
    assert (await house.case(case)).status is CaseStatus.PENDING
    assert "nudge" not in await house.events(case)
    assert "idle" in await house.events(case)


async def test_who_takes_over_or_wakes_what_lay_for_days_has_a_day_for_it(house: House) -> None:
    """R21: its next action is to come, and nobody is told that it lies idle in the moment in which they took it."""
    case = await house.taken()
    await house.later(hours=30)
    taken_over = await house.do(cases.assign, case.id, "bob", desk="wall")
    assert taken_over.next_action_at == house.now + timedelta(hours=24)
    await house.do(cases.snooze, case.id, "bob", house.now + timedelta(hours=2), desk="wall")
    told = (await house.events(case)).count("idle")
    await house.later(hours=25)
    assert (await house.events(case)).count("idle") == told
    await house.later(hours=1)
    assert (await house.events(case)).count("idle") == told + 1


async def test_who_was_asked_and_is_never_given_up_is_not_idle_at_once(house: House) -> None:
    house.desk = replace(house.desk, escalation=Escalation(nudge=timedelta(hours=30), give_up=timedelta()))
    case = await answered(house)
    await house.later(hours=53)
    assert [kind for kind in await house.events(case) if kind in {"nudge", "idle"}] == ["nudge"]
    await house.later(hours=1)
    assert [kind for kind in await house.events(case) if kind in {"nudge", "idle"}] == ["nudge", "idle"]


async def test_an_agent_can_wait_for_the_customer_without_a_word(house: House) -> None:
    case = await house.taken()
    with pytest.raises(Conflict, match="already taken by Ann"):
        await house.do(cases.await_customer, case.id, "bob", desk="wall")
    await house.do(cases.await_customer, case.id, "ann", desk="wall")
    again = await house.do(cases.await_customer, case.id, "ann", desk="wall")
    assert (again.status, (await house.events(case)).count("await_customer")) == ("pending", 1)
    await house.later(hours=24)
    assert "nudge" in await house.events(case)
    await house.writes(case.customer_id, "Here I am")
    assert (await house.case(case)).status is CaseStatus.OPEN


@pytest.mark.parametrize(
    ("locale", "thanks"),
    [
        ("en", "Thanks!"),
        ("en", "thank you so much"),
        ("nl", "Dank je wel"),
        ("nl", "bedankt!"),
        ("nb", "Tusen takk"),
        ("nb", "takk"),
        ("he", "תודה רבה"),
        ("he", "תודה"),
        ("en", "👍"),
    ],
)
async def test_thanks_leaves_it_the_customers_turn_and_spares_them_the_question(
    house: House, locale: str, thanks: str
) -> None:
    case = await answered(house, locale)
    assert await house.writes(case.customer_id, thanks) is True
    assert (await house.case(case)).status is CaseStatus.PENDING
    assert house.wall.seen[-1] == ("customer", thanks)
    await house.later(days=3)
    assert "nudge" not in await house.events(case)
    await house.later(days=1)
    assert (await house.case(case)).status is CaseStatus.RESOLVED


@pytest.mark.parametrize("question", ["thanks, but where is it?", "???", "No"])
async def test_whatever_else_they_write_is_the_agents_turn(house: House, question: str) -> None:
    case = await answered(house)
    await house.writes(case.customer_id, question)
    assert (await house.case(case)).status is CaseStatus.OPEN


# ── nobody is forgotten ────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_case_whose_timer_was_lost_is_found_and_goes_on(house: House) -> None:
    case = await house.queued()
    await house.do(watchdog.begin)
    await house.do(watchdog.begin)  # at each start, on each node: there is one watch

    def lose(tx: Tx) -> None:
        tx.conn.execute(delete(t.timers).where(t.timers.c.case_id == case.id))

    await house.do(lose)
    before = await house.said(case.customer_id)
    await house.later(minutes=20)
    assert len(await house.said(case.customer_id)) > len(before)
    assert (await house.events(case)).count("watchdog") == 1
    assert await house.look(store.unwatched, house.now, timedelta(0)) == []


async def test_a_case_without_any_next_action_gets_one(house: House) -> None:
    case = await house.taken()
    await house.do(watchdog.begin)

    def forget(tx: Tx) -> None:
        tx.conn.execute(delete(t.timers).where(t.timers.c.case_id == case.id))
        tx.conn.execute(update(t.cases).where(t.cases.c.id == case.id).values(next_action_at=None))

    await house.do(forget)
    await house.later(minutes=10)
    assert (await house.case(case)).next_action_at is not None


async def test_a_case_whose_holder_left_the_desk_waits_for_another(house: House) -> None:
    case = await house.taken("bob")
    await house.do(watchdog.begin)
    house.desk = replace(house.desk, agents=(an_agent("ann"), an_agent("lea", role="lead")))
    await house.later(minutes=10)
    after = await house.case(case)
    assert (after.status, after.agent_id) == ("queued", None)
    assert "bob is no longer an agent of this desk" in (await house.notes(case))[-1]
    await house.later(hours=1)
    assert (await house.events(case)).count("release") == 1


@pytest.mark.parametrize("held", [False, True])
async def test_a_case_whose_team_left_the_desk_waits_for_the_one_that_would_get_it_now(
    house: House, held: bool
) -> None:
    case = await house.queued()
    await house.do(cases.transfer, case.id, None, "billing", desk="wall")
    if held:
        await house.do(cases.claim, case.id, "bill", desk="wall")
    await house.do(watchdog.begin)
    house.desk = replace(house.desk, teams=house.desk.teams[:1], agents=house.desk.agents[:3])
    await house.later(minutes=10)
    after = await house.case(case)
    assert (after.status, after.team, after.agent_id) == ("queued", "support", None)
    assert "The team billing is no longer in desk.yaml" in (await house.notes(case))[-1]
    moves = (await house.events(case)).count("transfer")
    await house.later(hours=1)
    assert (await house.events(case)).count("transfer") == moves


async def test_who_holds_a_case_keeps_it_when_its_team_left_the_desk(house: House) -> None:
    case = await house.queued()
    await house.do(cases.transfer, case.id, None, "billing", desk="wall")
    await house.do(cases.claim, case.id, "ann", desk="wall")
    await house.do(watchdog.begin)
    house.desk = replace(house.desk, teams=house.desk.teams[:1], agents=house.desk.agents[:3])
    await house.later(hours=1)
    assert (await house.case(case)).agent_id == "ann"


async def test_the_watch_is_one_timer_that_goes_on(house: House) -> None:
    assert await house.do(watchdog.begin) == timedelta()
    await house.later(hours=2)

    def watches(conn: Any) -> list[datetime]:
        return list(conn.execute(select(t.timers.c.due_at).where(t.timers.c.kind == watchdog.KIND)).scalars())

    assert await house.look(watches) == [house.now + watchdog.EVERY]
    house.now += timedelta(hours=3)  # and nobody rings it
    assert await house.do(watchdog.begin) == timedelta(hours=3) - watchdog.EVERY


async def test_who_went_away_is_back_at_their_time_and_the_audit_knows(house: House) -> None:
    await house.do(cases.set_available, "ann", False, until=house.now + timedelta(hours=1))
    assert not (await house.look(store.agents, house.desk, house.now))[0].available
    await house.later(hours=1)
    assert (await house.look(store.agents, house.desk, house.now))[0].available
    with pytest.raises(Conflict, match="a time to come"):
        await house.do(cases.set_available, "ann", False, until=house.now)

    def audited(conn: Any) -> list[tuple[str, str]]:
        return [(row.who, row.what) for row in conn.execute(select(t.audit).order_by(t.audit.c.n))]

    assert await house.look(audited) == [("ann", "agent: away"), ("ann", "agent: available")]


# ── putting aside ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_an_agent_is_offered_moments_at_which_somebody_is_there() -> None:
    week = {day: ((time(9), time(17)),) for day in ("mon", "tue", "wed", "thu", "fri")}
    office = Hours(ZoneInfo("Europe/Amsterdam"), week)
    thursday = datetime(2026, 3, 26, 15, tzinfo=UTC)
    told = [(key, at.astimezone(office.zone).strftime("%a %d %H:%M")) for key, at in snooze_choices(office, thursday)]
    assert told == [
        ("hour", "Thu 26 17:00"),
        ("three_hours", "Thu 26 19:00"),
        ("next_day", "Fri 27 09:00"),
        ("next_week", "Mon 30 09:00"),
    ]
    friday = thursday + timedelta(days=1)  # the next day's opening is next week's
    assert [key for key, _ in snooze_choices(office, friday)] == ["hour", "three_hours", "next_day"]
