"""Words that their agent should look at again wait for it: they leave when the agent says so, never by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from bot.errors import Conflict
from handoff import cases, relays, store
from handoff.case import Case, Relay
from tests.unit.handoff_house import House, build

REF = "C1:1.1"
RUDE = "READ IT FIRST, YOU IDIOT"


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    built = await build(sqlite_url)
    yield built
    await built.storage.close()


async def held(house: House) -> Case:
    case = await house.taken()
    await house.do(relays.draft, case.id, "ann", RUDE, desk="wall", ref=REF, held=["shouting"])
    return case


async def state(house: House) -> Relay:
    found = await house.look(store.relay, "wall", REF)
    assert found is not None
    return found


async def test_they_outlast_the_undo_window_and_then_stay_in_the_house(house: House) -> None:
    case = await held(house)
    await house.later(minutes=9)
    assert (await state(house)).held == ("shouting",)
    await house.later(minutes=2)
    assert (await state(house)).state == "note"
    assert RUDE in await house.notes(case)
    assert RUDE not in await house.said(case.customer_id)


async def test_their_agent_sends_them_anyway_once(house: House) -> None:
    case = await held(house)
    with pytest.raises(Conflict):
        await house.do(relays.let_go, "wall", REF, "bob")
    assert (await house.do(relays.let_go, "wall", REF, "ann")).state == "said"
    with pytest.raises(Conflict):
        await house.do(relays.let_go, "wall", REF, "ann")
    assert (await house.said(case.customer_id)).count(RUDE) == 1
    assert "sent_anyway" in await house.events(case)


async def test_edited_into_other_words_they_leave_after_the_undo_window(house: House) -> None:
    case = await held(house)
    assert await house.do(relays.edit_relay, "wall", REF, "Have you read it?")
    await house.later(seconds=6)
    said = await house.said(case.customer_id)
    assert "Have you read it?" in said
    assert RUDE not in said


async def test_calm_words_that_are_edited_into_rude_ones_wait_from_then_on(house: House) -> None:
    case = await house.taken()
    await house.do(relays.draft, case.id, "ann", "Have you read it?", desk="wall", ref=REF)
    await house.do(relays.edit_relay, "wall", REF, RUDE, ["shouting"])
    await house.later(minutes=1)
    assert RUDE not in await house.said(case.customer_id)


@pytest.mark.parametrize("end", ["resolve", "reply", "transfer"])
async def test_whatever_else_their_agent_does_they_do_not_slip_out(house: House, end: str) -> None:
    case = await held(house)
    if end == "resolve":
        await house.do(cases.resolve, case.id, "ann", "resolved")
    elif end == "reply":
        await house.do(cases.reply, case.id, "ann", "Dear Kari", desk="wall")
    else:
        await house.do(cases.transfer, case.id, "ann", "billing", desk="wall")
    await house.later(hours=1)
    assert RUDE not in await house.said(case.customer_id)
    assert RUDE in await house.notes(case)


async def test_let_go_after_the_case_moved_on_they_stay_a_note(house: House) -> None:
    case = await held(house)
    await house.do(cases.assign, case.id, "bob", desk="wall", by=None)
    now = await state(house)
    if now.state == "waiting":
        await house.do(relays.let_go, "wall", REF, "ann")
    await house.later(minutes=30)
    assert RUDE not in await house.said(case.customer_id)
    assert timedelta(minutes=10) == relays.HOLD
