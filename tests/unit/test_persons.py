"""Who the customer of a case is: kept out by an agent, two who are one; and an agent who is busy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from bot.desk_folder.desk import Routing
from bot.errors import Conflict, NotAllowed, NotFound, StafettError
from bot.events import EscalationAsked
from bot.storage import customers, history
from handoff import cases, persons, store
from handoff.availability import set_available
from handoff.case import Case
from handoff.web import persons as web
from tests.unit.handoff_house import House, build


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    built = await build(sqlite_url)
    yield built
    await built.storage.close()


async def blocked(house: House, case: Case) -> bool:
    return persons.is_blocked(await house.look(customers.customer, case.customer_id))


async def test_who_is_kept_out_is_stored_and_answered_by_nobody(house: House) -> None:
    case = await house.taken()
    await house.do(persons.block, case.id, "ann", desk="wall")
    assert (await house.case(case)).outcome == "spam"
    assert await house.writes(case.customer_id, "hello?"), "taken, so the bot is silent"
    assert await house.look(store.live_case, case.customer_id) is None
    assert [one.body.text for one in await house.look(history.messages, case.customer_id)][-1] == "hello?"
    await house.do(persons.block, case.id, "ann", desk="wall")
    await house.do(persons.unblock, case.id, "bob", desk="wall")
    assert not await blocked(house, case)
    assert not await house.writes(case.customer_id, "sorry"), "the bot answers again"
    assert [one for one in await house.events(case) if "block" in one] == ["block", "unblock"]


async def test_only_who_may_act_on_a_case_keeps_its_customer_out(house: House) -> None:
    case = await house.taken()
    with pytest.raises(NotAllowed):
        await house.do(persons.block, case.id, "bob", desk="wall")
    assert not await blocked(house, case)
    await house.do(persons.block, case.id, "lea", desk="wall")
    assert await blocked(house, case), "a lead may"


async def test_an_old_case_is_no_way_round_who_holds_the_live_one(house: House) -> None:
    old = await house.taken()
    await house.do(cases.resolve, old.id, "ann", "resolved")
    await house.later(hours=80)  # beyond the window in which it would be reopened
    live = await house.do(cases.on_escalation, EscalationAsked(old.customer_id, "asked"))
    await house.do(cases.claim, live.id, "bob", desk="wall")
    mine = await house.taken("ann", "Olav")
    assert live.id != old.id
    for verb, more in ((persons.block, ()), (persons.unblock, ()), (persons.part, ()), (persons.merge, (mine.number,))):
        with pytest.raises(NotAllowed, match="Bob holds"):
            await house.do(verb, old.id, "ann", *more, desk="wall")
    with pytest.raises(NotAllowed, match="Bob holds"):
        await house.do(persons.merge, mine.id, "ann", old.number, desk="wall")
    assert not await blocked(house, old)
    await house.do(persons.block, old.id, "bob", desk="wall")
    assert await blocked(house, old)
    assert (await house.case(live)).outcome == "spam", "nobody holds a case whose customer nobody hears"


async def test_two_customers_become_one_with_one_live_case_and_part_again(house: House) -> None:
    mine, theirs = await house.taken(), await house.queued("Olav")
    assert mine.number is not None
    assert theirs.number is not None
    stays = await house.do(persons.merge, mine.id, "ann", theirs.number, desk="wall")
    assert stays.id == mine.id
    assert (await house.case(theirs)).status == "closed"
    assert {one.customer_id for one in await house.look(store.listing)} == {mine.customer_id}
    events = await house.look(store.events, mine.id)
    assert persons.merged_lately(events, house.now)
    assert not persons.merged_lately(events, house.now + timedelta(hours=25))
    with pytest.raises(Conflict, match="same customer"):
        await house.do(persons.merge, mine.id, "ann", theirs.number, desk="wall")
    with pytest.raises(NotFound):
        await house.do(persons.merge, mine.id, "ann", 4711, desk="wall")
    await house.do(persons.part, mine.id, "ann", desk="wall")
    assert len({one.customer_id for one in await house.look(store.listing)}) == 2
    with pytest.raises(NotFound, match="no merge"):
        await house.do(persons.part, mine.id, "ann", desk="wall")


async def test_a_merge_needs_leave_for_both_cases(house: House) -> None:
    mine, theirs = await house.taken(), await house.taken("bob", "Olav")
    with pytest.raises(NotAllowed, match="Bob"):
        await house.do(persons.merge, mine.id, "ann", theirs.number, desk="wall")


async def test_the_page_names_another_case_by_its_number(house: House) -> None:
    case = await house.taken()
    wrong: tuple[Any, ...] = (None, "3", True, 0, -1, 2**40, 4711)
    for number in wrong:
        with pytest.raises(StafettError):
            await house.storage.write(web.merge(case.id, "ann", {"number": number}))
    assert case.number is not None
    for verb, code in (
        (web.part(case.id, "ann", {}), "too_late_to_part"),
        (web.merge(case.id, "ann", {"number": 4711}), "no_case"),
        (web.merge(case.id, "ann", {"number": case.number}), "same_customer"),
    ):
        with pytest.raises(web.NotThatOne) as told:
            await house.storage.write(verb)
        assert told.value.code == code, "the page says it in its agent's language"


async def test_who_is_busy_is_there_and_given_nothing_new(house: House) -> None:
    house.desk = type(house.desk)(
        "Acme", teams=house.desk.teams, agents=house.desk.agents[:2], routing=Routing(assign="round_robin")
    )
    await house.do(set_available, "ann", True, busy=True)
    for name in ("Kari", "Olav", "Siri"):
        assert (await house.queued(name)).agent_id == "bob"
    [ann, _bob] = await house.look(store.agents, house.desk, house.now)
    assert (ann.available, ann.busy) == (True, True)
    await house.do(set_available, "ann", True)
    await house.do(set_available, "bob", False)
    last = await house.queued("Per")
    assert last.agent_id == "ann"
    await house.do(cases.release, last.id, "ann", desk="wall")
