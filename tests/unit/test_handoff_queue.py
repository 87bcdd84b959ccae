"""Waiting: what was promised is kept count of, estimates learn, and nobody has to wait idly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
import pytest_asyncio

from bot.desk_folder.desk import Routing
from bot.events import CloseAsked, EscalationAsked
from bot.storage import customers, export, history
from handoff import cases, meanwhile, store
from handoff.case import Case
from handoff.for_bot import CasesForBot
from handoff.meanwhile import BOT, CALLBACK, WAIT, contact_in
from handoff.queue import store as queue
from handoff.waiting import estimate_s
from tests.unit.handoff_house import House, build


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    built = await build(sqlite_url)
    yield built
    await built.storage.close()


@pytest_asyncio.fixture
async def either(database_url: str) -> AsyncIterator[House]:
    """The same house, on each kind of database."""
    built = await build(database_url)
    yield built
    await built.storage.close()


async def promises(house: House, case: Case) -> list[tuple[str, float, str | None]]:
    """(kind, minutes from the beginning, outcome)."""
    found = await house.look(queue.of_case, case.id)
    begun = (await house.case(case)).escalated_at
    assert begun is not None
    return [(kind, (due - begun).total_seconds() / 60, outcome) for kind, due, outcome in found]


# ── promises ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_promise_is_kept_when_somebody_is_there_in_time(house: House) -> None:
    case = await house.queued()
    assert await promises(house, case) == [("wait", 3, None)]
    await house.later(minutes=2)
    await house.do(cases.claim, case.id, "ann", desk="wall")
    assert await promises(house, case) == [("wait", 3, "kept")]
    figures = await house.look(queue.figures, house.now)
    assert (figures.kept, figures.broken, figures.open) == (1, 0, 0)
    assert (figures.error_s, figures.bias_s) == (60, -60)
    assert figures.by_name()["wait_error_seconds"] == 60.0


async def test_a_broken_promise_counts_from_the_moment_it_breaks(house: House) -> None:
    case = await house.queued()
    await house.later(minutes=4)
    assert (await house.look(queue.figures, house.now)).broken == 1  # while they still wait
    assert (
        await house.look(queue.figures, house.now)
    ).error_s is None  # how long they wait in the end nobody knows yet
    assert await promises(house, case) == [("wait", 3, "broken"), ("wait", 6, None)]
    await house.do(cases.claim, case.id, "ann", desk="wall")
    assert await promises(house, case) == [("wait", 3, "broken"), ("wait", 6, "kept")]
    figures = await house.look(queue.figures, house.now)
    assert (figures.kept, figures.broken, figures.open, figures.error_s) == (1, 1, 0, 90)  # 60 and 120 s off


async def test_who_gives_up_waiting_was_promised_nothing_that_could_be_kept(house: House) -> None:
    case = await house.queued()
    await house.later(minutes=1)
    await house.do(cases.resolve, case.id, None, "abandoned")
    assert await promises(house, case) == [("wait", 3, "void")]


async def test_back_at_nine_is_a_promise_too(house: House) -> None:
    house.desk = replace(house.desk, hours={"tue": ((time(9), time(17)),)})
    case = await house.queued()
    assert await promises(house, case) == [("back", 21 * 60, None)]
    await house.later(hours=21)
    assert (await promises(house, case))[0] == ("back", 21 * 60, "kept")


@pytest.mark.parametrize(("late", "outcome"), [(0.2, "kept"), (59, "kept"), (61, "broken")])
async def test_back_at_nine_is_kept_while_the_clock_shows_nine(house: House, late: float, outcome: str) -> None:
    """Timers ring a little late, and people sit down: by the second nobody was promised anything."""
    house.desk = replace(house.desk, hours={"tue": ((time(9), time(17)),)})
    case = await long_wait(house)
    await house.comes_back(hours=21, milliseconds=200)
    assert await promises(house, case) == [("back", 21 * 60, None)]  # nobody there yet
    figures = await house.look(queue.figures, house.now)
    assert (figures.broken, figures.open) == (0, 1)
    await house.later(seconds=late - 0.2)
    await house.do(store.set_available, "bob", True)
    await house.do(cases.claim, case.id, "bob", desk="wall")
    assert await promises(house, case) == [("back", 21 * 60, outcome)]


async def test_people_who_are_there_at_nine_have_kept_their_word_though_the_timer_rings_late(either: House) -> None:
    house = either
    house.desk = replace(house.desk, hours={"tue": ((time(9), time(17)),)})
    case = await house.queued()
    await house.comes_back(hours=21, milliseconds=200)
    assert (await promises(house, case))[0] == ("back", 21 * 60, "kept")
    figures = await house.look(queue.figures, house.now)
    assert (figures.kept, figures.broken, figures.open) == (1, 0, 1)  # and how long it takes now


async def test_back_at_nine_and_nobody_there_is_told_once_with_what_to_do_meanwhile(house: House) -> None:
    house.desk = replace(house.desk, hours={"tue": ((time(9), time(17)),), "wed": ((time(9), time(17)),)})
    case = await long_wait(house)
    before = await house.said(case.customer_id)
    await house.later(days=2)
    said = (await house.said(case.customer_id))[len(before) :]
    assert [one.split(";")[0] for one in said] == ["We said that we would be back by now, but nobody is here yet"]
    assert (await last(house, case))[1] == [CALLBACK, BOT]
    await house.do(store.set_available, "bob", True)
    await house.later(minutes=3)
    assert (await last(house, case))[0].startswith("You are number 1")
    assert (await promises(house, case))[0][2] == "broken"


async def test_estimates_learn_from_their_errors(house: House) -> None:
    """Six customers were told three minutes and waited six: the next is told the double."""
    for agent in ("bob", "lea"):
        await house.do(store.set_available, agent, False)
    for number in range(6):
        case = await house.queued(f"Kari{number}")
        await house.later(minutes=6)
        await house.do(cases.claim, case.id, "ann", desk="wall")
    assert await house.look(queue.bias) == 2.0
    case = await house.queued("Ola")
    assert (await house.said(case.customer_id))[-1] == "You are number 1 in the queue; it takes about 6 minutes."


def test_an_estimate_is_corrected_and_rounded_up() -> None:
    assert [estimate_s(2, 240, 2, bias) for bias in (0.5, 1.0, 1.5)] == [120, 240, 360]


async def test_what_was_promised_goes_with_the_customer(house: House) -> None:
    case = await house.queued()
    held = await house.look(export.export, case.customer_id, house.now)
    assert held is not None
    assert len(held["promises"]) == 1


# ── instead of waiting ─────────────────────────────────────────────────────────────────────────────────────────────
async def long_wait(house: House, name: str = "Kari") -> Case:
    """Nobody is here: the customer is offered something else to do."""
    for agent in ("ann", "bob", "lea"):
        await house.do(store.set_available, agent, False)
    return await house.queued(name)


async def last(house: House, case: Case) -> tuple[str, list[str]]:
    """What was last said to the customer, with its buttons."""
    said = [one for one in await house.look(history.messages, case.customer_id) if one.author.kind != "customer"]
    return said[-1].body.text, [one.value for one in said[-1].body.choices]


async def test_a_short_wait_offers_nothing_a_long_one_does(house: House) -> None:
    assert (await last(house, await house.queued()))[1] == []
    assert (await last(house, await long_wait(house, "Ola")))[1] == [CALLBACK, BOT]


async def test_a_desk_can_offer_nothing_and_a_flow_that_asks_is_not_interrupted(house: House) -> None:
    house.desk = replace(house.desk, routing=Routing(offer_after=timedelta()))
    assert (await last(house, await long_wait(house)))[1] == []
    house.desk = replace(house.desk, routing=Routing())
    assert (await last(house, await house.queued("Ola", goes_on=True)))[1] == []


async def test_a_contact_is_left_and_stands_on_the_card_and_the_queue_is_silent(house: House) -> None:
    case = await long_wait(house)
    await house.writes(case.customer_id, "Contact me later")  # the label counts as the button
    assert (await last(house, case))[0].startswith("Where can we reach you?")
    await house.writes(case.customer_id, "at home")
    assert (await last(house, case))[0].startswith("I can't find an e-mail address")
    await house.writes(case.customer_id, "kari@example.org, after six")
    assert "kari@example.org" in (await last(house, case))[0]
    after = await house.case(case)
    assert (after.status, (after.escalation or {})["show"]) == ("queued", [["contact", "kari@example.org"]])
    assert (await house.notes(case))[-1] == "The customer does not wait here: please get in touch at kari@example.org."
    before = await house.said(case.customer_id)
    await house.later(hours=3)
    assert await house.said(case.customer_id) == before
    await house.do(cases.claim, case.id, "ann", desk="wall")
    assert (await house.case(case)).agent_id == "ann"


async def test_who_goes_on_with_the_bot_keeps_their_place_and_is_served_by_people_in_the_end(house: House) -> None:
    case = await long_wait(house)
    door = CasesForBot(lambda: house.desk)
    assert await house.do(door.talks_with_bot, case.customer_id) is False
    await house.writes(case.customer_id, "Go on with the bot")
    assert await house.do(door.talks_with_bot, case.customer_id) is True
    await house.do(cases.on_escalation, EscalationAsked(case.customer_id, "asked"))
    assert (await house.case(case)).status == "queued"
    await house.do(cases.claim, case.id, "ann", desk="wall")
    assert await house.do(door.talks_with_bot, case.customer_id) is False


async def test_what_the_bot_solves_meanwhile_is_solved(house: House) -> None:
    case = await long_wait(house)
    await house.do(cases.on_close_asked, CloseAsked(case.customer_id, "resolved", by="customer", confirmed=True))
    assert (await house.case(case)).status == "queued"  # they never chose the bot
    await house.writes(case.customer_id, "Go on with the bot")
    await house.do(cases.on_close_asked, CloseAsked(case.customer_id, "resolved", by="flow"))
    assert (await house.case(case)).status == "queued"  # a flow's end is not the customer's word
    await house.do(cases.on_close_asked, CloseAsked(case.customer_id, "resolved", by="customer", confirmed=True))
    ended = await house.case(case)
    assert (ended.status, ended.resolved_by, ended.confirmed) == ("resolved", "customer", True)


async def test_they_can_go_back_to_waiting(house: House) -> None:
    case = await long_wait(house)
    await house.writes(case.customer_id, "Go on with the bot")
    assert (await last(house, case))[1] == [WAIT]
    await house.writes(case.customer_id, "I'll wait here")
    assert (await last(house, case))[0] == "All right, you are still in the queue."
    await house.do(store.set_available, "bob", True)
    await house.later(minutes=3)
    assert (await last(house, case))[0].startswith("You are number 1")


@pytest.mark.parametrize(
    ("said", "contact"),
    [
        ("mail kari@example.org please", "kari@example.org"),
        ("+47 912 34 567", "+47 912 34 567"),
        ("bel 06-12345678", "06-12345678"),
        ("my order AB123456", None),
        ("x" * 300 + " kari@example.org", None),
        ("", None),
    ],
)
def test_a_contact_is_an_address_or_a_number(said: str, contact: str | None) -> None:
    assert contact_in(said) == contact
    assert meanwhile.PREFIX == "queue:"


# ── the customer's clock ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("name", "zone", "locale", "told"),
    [
        ("timezone", "", "en", "we are back Tue, Mar 10 9:00"),
        ("timezone", "Asia/Jerusalem", "nl", "we zijn er weer op di 10 mrt 11:00"),
        ("time_zone", "Asia/Jerusalem", "nl", "we zijn er weer op di 10 mrt 11:00"),
        ("timezone", "Mars/Olympus", "en", "we are back Tue, Mar 10 9:00"),
    ],
)
async def test_when_people_are_back_is_told_in_the_customers_zone_and_language(
    house: House, name: str, zone: str, locale: str, told: str
) -> None:
    """By a slot `timezone`, or as their browser or Slack tells it."""
    house.desk = replace(house.desk, hours={"tue": ((time(9), time(17)),)})
    kari = await house.newcomer(locale=locale)
    await house.do(customers.set_attribute, kari, name, zone)
    await house.do(cases.on_escalation, EscalationAsked(kari, "asked"))
    assert told in " ".join((await house.said(kari))[-1].replace("\u202f", " ").split()).replace("AM", "").replace(
        " .", "."
    )


async def test_agents_of_a_team_that_is_closed_do_not_count_as_there(house: House) -> None:
    door = CasesForBot(lambda: house.desk)

    def there(tx: Any) -> int:
        return door.agents_available(tx, tx.now)

    assert await house.do(there) == 4
    house.desk = replace(house.desk, hours={"tue": ((time(9), time(17)),)})
    assert await house.do(there) == 0
