"""Colleagues are asked from Slack: a team in a thread of its own channel, an agent by a task; the customer sees nothing of it.

Kari writes to the app directly; Ann and Bob work in C1 (support), Bill in C2 (billing).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.desk_folder.desk import Agent, SlackAccount, Team
from bot.storage import tables as t
from channels.delivery import paces
from handoff.errands import store as errands
from handoff.errands.errand import Errand
from tests.fakes.faults import Fault
from tests.fakes.slack import Channel, SlackServer
from tests.fakes.slack_person import Person
from tests.fakes.slack_shapes import Post
from tests.support.slack_house import DESK, NOTE, SENT, House, SteppingClock, a_house

BILLING = "C2"


@dataclass
class Office:
    house: House
    bill: Person
    room: Channel

    async def errand(self) -> Errand:
        [row] = await self.house.app.storage.read(lambda conn: conn.execute(select(t.errands.c.id)).scalars().all())
        found = await self.house.app.storage.read(lambda conn: errands.one(conn, row))
        assert found is not None
        return found

    def beside(self) -> Post:
        """The card of what was asked, in billing's channel."""
        [card] = self.room.cards
        return card

    async def asks(self, card: Post, text: str) -> None:
        view = await self.opens(card, "Consult…", "Ask a team")
        await self.house.ann.submits(view, {"to": "Billing", "text": text})
        await self.house.rest()

    async def opens(self, card: Post, label: str, title: str) -> Any:
        await self.house.ann.presses(DESK, card.ts, "More…")
        more = await self.house.ann.is_shown("More")
        await self.house.ann.acts(more, label)
        return await self.house.ann.is_shown(title)

    async def all_notes(self) -> list[str]:
        m = t.messages.c
        query = select(m.text).where(m.seq.is_(None)).order_by(m.at, m.id)
        return await self.house.app.storage.read(lambda conn: list(conn.execute(query).scalars()))


@pytest_asyncio.fixture
async def office(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> AsyncIterator[Office]:
    monkeypatch.setattr(paces, "RATES", {})
    async with SlackServer(clock=SteppingClock()) as slack, a_house(slack, sqlite_url, "http") as house:
        bill = slack.person("U3", "Bill")
        room = slack.channel(BILLING, members=[bill])
        people = [("ann", "Ann", "support", "U1"), ("bob", "Bob", "support", "U2"), ("bill", "Bill", "billing", "U3")]
        house.app.desk.desk = replace(
            house.app.rules,
            hours=None,
            teams=(Team("support", "Support"), Team("billing", "Billing", BILLING)),
            agents=tuple(Agent(i, name, team, slack=SlackAccount("T0001", user)) for i, name, team, user in people),
        )
        yield Office(house, bill, room)


async def test_a_team_is_asked_in_its_own_channel_and_its_answer_stands_in_the_case(office: Office) -> None:
    house = office.house
    card = await house.claimed()
    await office.asks(card, "Is the refund of Kari out?")
    beside = office.beside()
    assert "Is the refund of Kari out?" in beside.says
    assert "Ann" in beside.says
    assert beside.labels == ["Answer…"]
    assert any("Question to Billing" in says and "Is the refund" in says for says in house.thread(card))
    post = await office.bill.posts(BILLING, "It went out on Monday", thread_ts=beside.ts)
    await house.rest()
    assert any("<@U1>" in post.text and "It went out on Monday" in post.says for post in house.desk.thread(card.ts))
    assert any("Billing answered" in says and "It went out on Monday" in says for says in house.thread(card))
    assert SENT in {
        name for name, users in office.room.post(post.ts).reactions.items() if house.slack.bot_user in users
    }
    assert office.beside().labels == []
    assert (await office.errand()).state == "answered"
    later = await office.bill.posts(BILLING, "and a second part on Tuesday", thread_ts=beside.ts)
    await house.later(60)
    assert NOTE in office.room.post(later.ts).reactions
    assert any("second part" in says for says in house.thread(card))
    assert not any("refund" in says or "Monday" in says or "Tuesday" in says for says in house.got())


async def test_an_answer_by_the_button_and_one_that_slack_repeats_count_once(office: Office) -> None:
    house = office.house
    card = await house.claimed()
    await office.asks(card, "Is it paid?")
    await office.bill.presses(BILLING, office.beside().ts, "Answer…")
    view = await office.bill.is_shown("Ask a team")
    await office.bill.submits(view, {"text": "Yes, on the 3rd"})
    house.slack.repeat(len(house.slack.delivery.delivered))
    await house.later(60)
    assert sum("Yes, on the 3rd" in one for one in await office.all_notes()) == 1
    assert sum("Yes, on the 3rd" in says for says in house.thread(card)) == 1
    assert office.beside().labels == []


async def test_a_post_that_is_edited_or_deleted_there_changes_its_note(office: Office) -> None:
    house = office.house
    card = await house.claimed()
    await office.asks(card, "Is it paid?")
    post = await office.bill.posts(BILLING, "no", thread_ts=office.beside().ts)
    await house.rest()
    await office.bill.edits(BILLING, post.ts, "yes, sorry")
    await house.rest()
    assert (await office.all_notes())[-1] == "yes, sorry"
    assert any("yes, sorry" in says for says in house.thread(card))
    await office.bill.deletes(BILLING, post.ts)
    await house.later(60)
    assert "yes, sorry" not in await office.all_notes()


async def test_a_question_whose_card_was_deleted_is_asked_again_and_answered_there(office: Office) -> None:
    house = office.house
    card = await house.claimed()
    await office.asks(card, "Is it paid?")
    gone = office.beside()
    house.slack.space.delete(office.room.room, gone.ts)  # an admin may
    await house.later(60)
    beside = office.beside()
    assert beside.ts != gone.ts
    assert "Is it paid?" in beside.says
    await office.bill.posts(BILLING, "Yes, on the 3rd", thread_ts=beside.ts)
    await house.later(60)
    assert (await office.errand()).state == "answered"
    assert any("Yes, on the 3rd" in says for says in house.thread(card))
    assert office.beside().labels == []


async def test_a_task_mentions_its_owner_who_says_what_came_of_it(office: Office) -> None:
    house = office.house
    card = await house.claimed()
    view = await office.opens(card, "Task…", "A task")
    await house.ann.submits(view, {"text": "Send a new card", "to": "Bill", "when": "In three hours"})
    await house.rest()
    beside = office.beside()
    assert "<@U3>" in str(beside.raw)
    await office.bill.posts(BILLING, "I am on it", thread_ts=beside.ts)
    await house.rest()
    assert (await office.errand()).state == "open"
    house.slack.channel(BILLING, members=[office.bill, house.bob])
    await house.bob.presses(BILLING, beside.ts, "Done…")
    of_bob = await house.bob.is_shown("A task")
    told = await house.bob.submits(of_bob, {"text": "I think it is"})
    assert "Bill's task" in str(told), "not whose case it is"
    await office.bill.presses(BILLING, beside.ts, "Done…")
    form = await office.bill.is_shown("A task")
    await office.bill.submits(form, {"text": "Sent, number 7"})
    await house.rest()
    assert "This was answered" in str(await house.bob.submits(of_bob, {"text": "I think it is"}))
    assert any("Done by Bill" in says and "Sent, number 7" in says for says in house.thread(card))
    assert not any("number 7" in says or "on it" in says for says in house.got())


async def test_who_does_not_answer_is_called_again_where_they_were_asked(office: Office) -> None:
    house = office.house
    card = await house.claimed()
    await office.asks(card, "Is it paid?")
    await house.later(5 * 3600)
    [line] = [post for post in office.room.thread(office.beside().ts) if "has not answered yet" in post.says]
    assert line.by_app
    assert any("has not answered yet" in says for says in house.thread(card))


async def test_a_stranger_in_the_teams_channel_adds_nothing(office: Office) -> None:
    house = office.house
    card = await house.claimed()
    await office.asks(card, "Is it paid?")
    guest = house.slack.person("U9", "Guest")
    house.slack.channel(BILLING, members=[office.bill, guest])
    await guest.posts(BILLING, "I say yes", thread_ts=office.beside().ts)
    await house.later(60)
    assert not any("I say yes" in one for one in await office.all_notes())
    assert (await office.errand()).is_open


async def test_a_card_that_may_have_arrived_is_looked_for_and_stands_there_once(office: Office) -> None:
    house = office.house
    card = await house.claimed()
    await house.rest()
    lost = Fault.accept_then_reset()
    house.slack.script("chat.postMessage", lost, when=lambda params: params["channel"] == BILLING)
    await office.asks(card, "Is it paid?")
    await house.later(60)
    assert "Is it paid?" in office.beside().says
    assert (await office.errand()).root == office.beside().ts
