"""Whether a person was needed: one click of an agent's, whose last word counts, at every desk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from bot.errors import Conflict, NotAllowed, StafettError
from bot.staffing.hours import Hours
from bot.storage.tx import Tx
from handoff import cases, store, verdicts
from handoff.slack.judging import NEEDED, NOT_NEEDED
from handoff.slack.verbs import MORE
from handoff.web import shown
from handoff.web.verbs import VERBS
from surveys.figures.shape import Question
from surveys.rollups.keeping import Rollups
from tests.unit.handoff_house import House, build


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    found = await build(sqlite_url)
    yield found
    await found.storage.close()


async def test_the_last_word_counts_and_the_same_word_twice_is_one(house: House) -> None:
    case = await house.taken()
    for needed in (True, True, False):
        await house.do(verdicts.judge, case.id, "ann", needed, desk="wall")
    assert (await house.events(case)).count("verdict") == 2
    assert await house.look(verdicts.last, case.id) is False
    figures = await Rollups(house.storage, lambda _team: Hours(UTC)).ask(Question(by=("reason",)))
    assert (figures.of("escalation_precision").n, figures.of("escalation_precision").value) == (1, 0)
    assert [one.by["reason"] for one in figures.groups("escalation_precision")] == ["asked"]


async def test_it_can_be_said_after_the_end_and_only_of_what_the_bot_gave_up(house: House) -> None:
    case = await house.taken()
    await house.do(cases.resolve, case.id, "ann", "resolved")
    await house.do(verdicts.judge, case.id, "bob", True, desk="wall")
    assert await house.look(verdicts.last, case.id) is True
    with pytest.raises(NotAllowed):
        await house.do(verdicts.judge, case.id, "stranger", True, desk="wall")
    customer = await house.newcomer("Ola")
    await house.writes(customer, "hello")
    own = await house.look(lambda conn: store.live_case(conn, customer))
    assert own is not None
    with pytest.raises(Conflict, match="nobody was fetched"):
        await house.do(verdicts.judge, own.id, "ann", True, desk="wall")


async def test_the_page_shows_it_and_takes_only_yes_or_no(house: House) -> None:
    case = await house.taken()
    with pytest.raises(StafettError, match="true or false"):
        VERBS["verdict"](case.id, "ann", {"needed": "yes"})
    before = await house.look(shown.brief, house.desk, case)
    await house.storage.write(VERBS["verdict"](case.id, "ann", {"needed": True}))
    after = await house.look(shown.brief, house.desk, case)
    assert (before["can_judge"], before["judged"], after["judged"]) == (True, None, True)


async def test_slack_offers_what_was_not_said_yet(house: House) -> None:
    case = await house.taken()
    assert {NEEDED, NOT_NEEDED} <= set(MORE)
    agent = SimpleNamespace(id="ann")

    def press(tx: Tx) -> list[bool]:
        scene: Any = SimpleNamespace(tx=tx, case=case, agent=agent)
        assert NEEDED.act is not None
        NEEDED.act(scene)
        return [verb.fits is not None and verb.fits(scene) for verb in (NEEDED, NOT_NEEDED)]

    assert NEEDED.offered(case, agent)  # type: ignore[arg-type]
    assert await house.storage.write(press) == [False, True]
