"""A low score reaches the team in Slack at once: claimed and closed there, told again while nobody looks after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.storage import alert_rows
from bot.storage import tables as t
from bot.storage.alert_rows import Alert
from bot.storage.erasure import erase
from channels.delivery import paces
from handoff.slack.alerts import card as card_of
from handoff.slack.wording import Wording
from tests.fakes.slack import SlackServer
from tests.fakes.slack_shapes import Post
from tests.support.slack_house import DESK, House, SteppingClock, a_house


@pytest_asyncio.fixture
async def house(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> AsyncIterator[House]:
    monkeypatch.setattr(paces, "RATES", {})  # Slack's pace of one post a second is a matter of other tests
    async with SlackServer(clock=SteppingClock()) as slack, a_house(slack, sqlite_url, "http") as built:
        yield built


async def disappointed(house: House) -> Post:
    """Kari's case ends, and she presses 2; the alert's card."""
    card = await house.claimed()
    await house.ann.presses(DESK, card.ts, "Resolve…")
    await house.ann.submits(await house.ann.is_shown("Resolve"), {"outcome": "Solved"})
    await house.rest()
    question = next(post for post in house.kari.direct.posts() if "How easy was it" in post.says)
    await house.kari.presses(house.kari.direct.id, question.ts, "2")
    await house.rest()
    return alert_card(house)


def alert_card(house: House) -> Post:
    (found,) = [post for post in house.desk.cards if "Low score" in post.says]
    return found


async def alert(house: House) -> Alert:
    (found,) = await house.app.storage.read(alert_rows.listed) or await house.app.storage.read(
        lambda conn: alert_rows.listed(conn, closed=True)
    )
    return found


async def test_it_is_told_claimed_and_closed_with_what_came_of_it(house: House) -> None:
    card = await disappointed(house)
    assert "CES7 2/7" in card.says
    assert "Kari" in card.says
    assert "Ann" not in card.says  # whose case it was is between her and her lead
    guest = house.slack.person("U10", "Gus", guest=True)
    house.slack.channel(DESK, members=[guest])
    await guest.presses(DESK, card.ts, "Solved")
    await house.rest()
    await guest.is_told("not on the list of agents")
    refused = select(t.audit.c.who).where(t.audit.c.what == "agent: refused")
    assert list(await house.app.storage.read(lambda conn: conn.execute(refused).scalars().all())) == ["T0001:U10"]
    await house.ann.presses(DESK, card.ts, "I'll look after it")
    await house.rest()
    assert "Ann looks after it" in alert_card(house).says
    await house.bob.presses(DESK, card.ts, "Solved")
    await house.bob.is_told("Somebody else looks after it")
    await house.kari.dm("Nobody listened to me")
    await house.rest()
    assert "Nobody listened to me" in alert_card(house).says
    await house.ann.presses(DESK, card.ts, "Apologised")
    await house.rest()
    assert "Closed by Ann: Apologised" in alert_card(house).says
    assert alert_card(house).labels == []
    assert (await alert(house)).outcome == "apologised"


async def test_the_line_that_announces_a_visitor_without_a_name_calls_them_a_customer(house: House) -> None:
    await disappointed(house)
    nameless = replace(await alert(house), customer="")
    made = card_of(nameless, "", Wording(None), "")
    assert made["text"] == "Low score: CES7 2/7 · Customer"


async def test_a_talk_is_kept_by_a_command(house: House) -> None:
    await house.escalated()
    case = await house.case()
    for words, told in (
        (f"talk #{case.number} She rang: the box was empty", "Kept"),
        ("talk", "Write what"),
        ("talk #999 x", "Write what"),
    ):
        answer = await house.ann.commands(DESK, "/stafett", words)
        assert told in str((answer or {}).get("text"))
    rows = await house.app.storage.read(lambda conn: conn.execute(select(t.outside_feedback)).all())
    assert [(row.text, row.case_id, row.source) for row in rows] == [("She rang: the box was empty", case.id, "talk")]


async def test_while_nobody_looks_after_it_the_channel_is_called_again(house: House) -> None:
    card = await disappointed(house)
    house.clock.ahead += timedelta(hours=24, minutes=1)
    await house.rest()
    assert any("Nobody has looked after this low score" in says for says in house.thread(card))
    found = await alert(house)
    assert found.reminded == 1
    assert len([post for post in house.desk.cards if "Low score" in post.says]) == 1
    gone = await house.app.storage.write(lambda tx: erase(tx, found.customer_id, by="test"))
    assert any("of a low score in the agents' channel C1" in one for one in gone.left)
