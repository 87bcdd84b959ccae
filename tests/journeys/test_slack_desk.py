"""An agent's day in Slack: the whole product, the real SDK over both ways in, a customer who writes to the same app.

Kari writes to the app directly; Ann and Bob work in C1. The clock moves when a test moves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, text

from bot.desk_folder.desk import Agent, SlackAccount, Team
from bot.errors import NotSent
from bot.events import NotifyAsked
from bot.storage import tables as t
from bot.storage.tx import Tx
from channels.delivery import paces
from channels.slack.channel import SlackChannel
from handoff import cases as verbs
from handoff import store as cases
from handoff.slack import sweep
from handoff.slack.desk import SlackDesk
from tests.fakes.faults import Fault
from tests.fakes.slack import SlackServer
from tests.support.slack_house import BACK, DESK, FAILED, NOTE, SENT, WAITS, House, SteppingClock, a_house

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40


@pytest_asyncio.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlackServer]:
    monkeypatch.setattr(paces, "RATES", {})  # Slack's pace of one post a second is a matter of other tests
    async with SlackServer(clock=SteppingClock()) as server:
        yield server


@pytest_asyncio.fixture(params=["socket", "http"])
async def both(request: pytest.FixtureRequest, slack: SlackServer, sqlite_url: str) -> AsyncIterator[House]:
    async with a_house(slack, sqlite_url, request.param) as built:
        yield built


@pytest_asyncio.fixture
async def house(slack: SlackServer, sqlite_url: str) -> AsyncIterator[House]:
    async with a_house(slack, sqlite_url, "http") as built:
        yield built


@pytest_asyncio.fixture
async def large_house(slack: SlackServer, postgres_url: str) -> AsyncIterator[House]:
    """On PostgreSQL."""
    async with a_house(slack, postgres_url, "http") as built:
        yield built


# ── taking over ────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_from_the_question_to_the_last_word(both: House) -> None:
    """One card with the whole conversation; claimed, answered, delivered, resolved."""
    await a_whole_case(both)


async def test_on_postgresql_it_is_the_same(large_house: House) -> None:
    await a_whole_case(large_house)
    await large_house.kari.dm("one more thing: I want a human")
    await large_house.rest()
    assert "Claim" in large_house.card().labels
    assert any("one more thing" in says for says in large_house.thread(large_house.card()))


async def a_whole_case(house: House) -> None:
    await house.kari.dm("where is my order?")
    await house.rest()
    card = await house.escalated()
    assert "Kari" in card.says
    assert card.labels == ["Claim", "Reply…", "Resolve…", "Transfer…", "More…"]
    assert any("where is my order?" in says and "I want a human" in says for says in house.thread(card))
    await house.ann.presses(DESK, card.ts, "Claim")
    await house.rest()
    assert "Taken by Ann" in house.card().says
    assert any("Ann is here" in says for says in house.got())
    post = await house.ann.posts(DESK, "It is *on* its way", thread_ts=card.ts)
    await house.rest()
    assert house.marks(post) == {WAITS}
    assert not any("on its way" in says for says in house.got())
    await house.later()
    assert any("its way" in says for says in house.got())
    assert house.marks(post) == {SENT}
    await house.kari.dm("thank you!")
    await house.rest()
    assert any("thank you!" in says for says in house.thread(card))
    await house.ann.presses(DESK, card.ts, "Resolve…")
    view = await house.ann.is_shown("Resolve")
    await house.ann.submits(view, {"outcome": "Solved", "topic": "delivery"})
    await house.rest()
    case = await house.case()
    assert (case.outcome, case.topic, case.agent_id) == ("resolved", "delivery", "slack:T0001:U1")
    assert house.card().labels == ["More…"]
    assert "Resolved by Ann" in house.card().says
    assert len(house.desk.cards) == 1


async def test_of_two_who_claim_together_one_wins_and_the_other_is_told(both: House) -> None:
    card = await both.escalated()
    await asyncio.gather(both.ann.presses(DESK, card.ts, "Claim"), both.bob.presses(DESK, card.ts, "Claim"))
    await both.rest()
    case = await both.case()
    winner, loser = (both.ann, both.bob) if case.agent_id == "slack:T0001:U1" else (both.bob, both.ann)
    await loser.is_told(f"Already taken by {winner.user['real_name']}")
    assert winner.ephemerals == []
    assert sum("is here and has read everything" in says for says in both.got()) == 1


async def test_talk_before_the_claim_stays_in_the_house_for_ever(house: House) -> None:
    card = await house.escalated()
    post = await house.ann.posts(DESK, "oh no, him again", thread_ts=card.ts)
    await house.rest()
    await house.ann.is_told("claim the case first")
    assert house.marks(post) == {NOTE}
    await house.ann.presses(DESK, card.ts, "Claim")
    house.slack.repeat(len(house.slack.delivery.delivered))
    await house.later(60)
    assert await house.notes() == ["oh no, him again"]
    assert not any("him again" in says for says in house.got())


async def test_talk_before_the_claim_that_slack_delivers_after_it_stays_here_too(house: House) -> None:
    card = await house.escalated()
    house.slack.hold()
    post = await house.ann.posts(DESK, "oh no, him again", thread_ts=card.ts)
    house.clock.ahead += timedelta(seconds=1)
    await house.ann.presses(DESK, card.ts, "Claim")
    house.slack.release()
    await house.later(60)
    assert house.marks(post) == {NOTE}
    assert not any("him again" in says for says in house.got())


async def test_notes_mentions_and_other_agents_words_never_leave(house: House) -> None:
    card = await house.claimed()
    posts = [
        await house.ann.posts(DESK, "note: he sounds angry", thread_ts=card.ts),
        await house.ann.posts(DESK, "<@U2> do you know this one?", thread_ts=card.ts),
        await house.bob.posts(DESK, "yes, give him a voucher", thread_ts=card.ts),
        await house.ann.posts(DESK, "top of the channel"),
    ]
    await house.later(60)
    assert await house.notes() == ["he sounds angry", "@Bob do you know this one?", "yes, give him a voucher"]
    assert [house.marks(post) for post in posts] == [{NOTE}, {NOTE}, {NOTE}, set()]
    for words in ("angry", "this one", "voucher", "top of"):
        assert not any(words in says for says in house.got())


async def test_a_desk_that_sends_by_button_only(house: House) -> None:
    house.app.desk.desk = replace(house.app.rules, replies="explicit")
    card = await house.claimed()
    await house.ann.posts(DESK, "just thinking aloud", thread_ts=card.ts)
    await house.rest()
    await house.ann.is_told("answers go out with Reply")
    await house.ann.presses(DESK, card.ts, "Reply…")
    view = await house.ann.is_shown("Reply")
    await house.ann.submits(view, {"text": "Hello <Kari> & co"})
    await house.later(60)
    assert any("Hello <Kari> & co" in says for says in house.got())
    assert not any("aloud" in says for says in house.got())
    assert any("Hello <Kari> & co" in says for says in house.thread(card))


# ── taking back, editing ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_post_deleted_within_the_window_never_leaves(both: House) -> None:
    card = await both.claimed()
    post = await both.ann.posts(DESK, "wrong customer!", thread_ts=card.ts)
    await both.rest()
    await both.ann.deletes(DESK, post.ts)
    await both.later(60)
    assert not any("wrong customer" in says for says in both.got())


async def test_a_deletion_that_comes_before_its_post_still_counts(house: House) -> None:
    card = await house.claimed()
    house.slack.hold()
    post = await house.ann.posts(DESK, "wrong customer!", thread_ts=card.ts)
    await house.ann.deletes(DESK, post.ts)
    house.slack.delivery.held.reverse()
    house.slack.release()
    await house.later(60)
    assert not any("wrong customer" in says for says in house.got())


async def test_the_arrow_takes_an_answer_back(house: House) -> None:
    card = await house.claimed()
    post = await house.ann.posts(DESK, "wrong customer!", thread_ts=card.ts)
    await house.rest()
    await house.bob.reacts(DESK, post.ts, BACK)
    await house.rest()
    assert house.marks(post) == {WAITS}
    await house.ann.reacts(DESK, post.ts, BACK)
    await house.later(60)
    assert house.marks(post) == {BACK}
    assert not any("wrong customer" in says for says in house.got())


async def test_what_was_sent_is_edited_and_deleted_at_the_customers(house: House) -> None:
    card = await house.claimed()
    post = await house.ann.posts(DESK, "on Munday", thread_ts=card.ts)
    await house.later()
    await house.ann.edits(DESK, post.ts, "on Monday")
    await house.rest()
    assert any("on Monday" in says for says in house.got())
    assert not any("Munday" in says for says in house.got())
    await house.ann.deletes(DESK, post.ts)
    await house.rest()
    assert not any("Monday" in says for says in house.got())


async def test_a_draft_that_becomes_a_note_by_an_edit_stays_here(house: House) -> None:
    card = await house.claimed()
    post = await house.ann.posts(DESK, "what a nuisance", thread_ts=card.ts)
    await house.rest()
    await house.ann.edits(DESK, post.ts, "note: what a nuisance")
    await house.later(60)
    assert house.marks(post) == {NOTE}
    assert await house.notes() == ["what a nuisance"]
    assert not any("nuisance" in says for says in house.got())


async def test_an_answer_that_cannot_be_delivered_is_marked_with_its_reason(house: House) -> None:
    card = await house.claimed()
    house.slack.script(
        "chat.postMessage", Fault.refusal("restricted_action"), when=lambda params: params["channel"] == "D7"
    )
    post = await house.ann.posts(DESK, "hello?", thread_ts=card.ts)
    await house.later()
    assert house.marks(post) == {FAILED}
    assert any("Not delivered: Slack: restricted_action" in says for says in house.thread(card))


# ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_without_a_solution_a_reason_is_owed(house: House) -> None:
    card = await house.claimed()
    await house.ann.presses(DESK, card.ts, "Resolve…")
    view = await house.ann.is_shown("Resolve")
    reply = await house.ann.submits(view, {"outcome": "No solution"})
    assert reply is not None
    assert "owed a reason" in reply["errors"]["reason"]
    await house.ann.submits(view, {"outcome": "No solution", "reason": "it is sold out"})
    await house.rest()
    assert any("it is sold out" in says for says in house.got())


async def test_what_a_customer_writes_while_the_form_is_open_is_read_before_the_case_ends(house: House) -> None:
    card = await house.claimed()
    await house.ann.presses(DESK, card.ts, "Resolve…")
    view = await house.ann.is_shown("Resolve")
    await house.kari.dm("wait, one more question")
    await house.rest()
    reply = await house.ann.submits(view, {"outcome": "Solved"})
    assert reply is not None
    assert "The customer has written meanwhile" in str(reply["view"])
    assert (await house.case()).status == "open"
    await house.ann.submits(house.ann.view, {"outcome": "Solved"})
    await house.rest()
    assert (await house.case()).outcome == "resolved"


async def test_f25_after_the_end_nothing_is_relayed_and_the_agent_is_told(house: House) -> None:
    card = await house.claimed()
    await house.ann.presses(DESK, card.ts, "Resolve…")
    await house.ann.submits(await house.ann.is_shown("Resolve"), {"outcome": "Solved"})
    await house.ann.posts(DESK, "one more thing", thread_ts=card.ts)
    await house.later(60)
    await house.ann.is_told("the case is over")
    assert not any("one more thing" in says for says in house.got())


async def test_a_case_that_is_given_back_waits_again_and_the_channel_hears_it(house: House) -> None:
    card = await house.claimed()
    await house.ann.presses(DESK, card.ts, "More…")
    await house.ann.acts(await house.ann.is_shown("More"), "Give back")
    await house.rest()
    assert (await house.case()).agent_id is None
    assert "Claim" in house.desk.post(card.ts).labels
    assert any("Waiting for an agent again" in says for says in house.thread(card))
    assert any(call.params.get("reply_broadcast") for call in house.slack.log if call.method == "chat.postMessage")


# ── who may ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_guests_and_strangers_are_refused_and_it_is_written_down(both: House) -> None:
    guest = both.slack.person("U8", "Gus", guest=True)
    stranger = both.slack.person("U9", "Eve", team="T9999")
    outsider = both.slack.person("U10", "Otto")
    both.slack.channel(DESK, members=[guest, stranger])
    card = await both.escalated()
    both.slack.channel(DESK, members=[outsider])
    both.desk.room.members.remove("U10")
    for person in (guest, stranger):
        await person.presses(DESK, card.ts, "Claim")
        await person.posts(DESK, "give me his address", thread_ts=card.ts)
        await both.rest()
        await person.is_told("not on the list of agents")
    case = await both.case()
    assert case.agent_id is None
    assert await both.notes() == []
    kinds = [event.kind for event in await both.app.storage.read(lambda conn: cases.events(conn, case.id))]
    assert kinds.count("refused") == 4


async def test_where_agents_are_listed_only_they_are_agents(house: House) -> None:
    listed = Agent("ann", "Ann of Support", "support", slack=SlackAccount("T0001", "U1"))
    house.app.desk.desk = replace(house.app.rules, agents=(listed,))
    card = await house.escalated()
    await house.bob.presses(DESK, card.ts, "Claim")
    await house.rest()
    await house.bob.is_told("not on the list of agents")
    await house.ann.presses(DESK, card.ts, "Claim")
    await house.rest()
    assert (await house.case()).agent_id == "ann"
    assert any("Ann of Support is here" in says for says in house.got())


async def test_members_of_a_teams_user_group_are_its_agents_and_the_channel_makes_nobody_one(house: House) -> None:
    house.slack.group("S0000001", house.ann)
    team = Team("billing", "Billing", slack_channel=DESK, slack_group="S0000001")
    house.app.desk.desk = replace(house.app.rules, teams=(*house.app.rules.teams, team))
    card = await house.escalated()
    await house.bob.presses(DESK, card.ts, "Claim")
    await house.rest()
    await house.bob.is_told("not on the list of agents")
    await house.ann.presses(DESK, card.ts, "Claim")
    await house.rest()
    assert (await house.case()).agent_id == "slack:T0001:U1"
    known = await house.app.storage.read(lambda conn: cases.agent(conn, house.app.rules, "slack:T0001:U1"))
    assert known.team == "billing"


async def test_of_two_buttons_pressed_at_once_each_tells_what_really_came_of_the_words(large_house: House) -> None:
    """While "Make it a note" waited for the customer's turn, the words were taken back: they are no note."""
    house = large_house
    house.app.desk.desk = replace(house.app.rules, undo=timedelta(minutes=2))
    card = await house.claimed()
    await house.ann.posts(DESK, "He is a regular", thread_ts=card.ts)
    await house.rest()
    line = await house.ann.is_told("This goes to the customer at")
    async with house.app.storage.own_connection() as (other, _):
        await other.execute(select(t.conversations.c.customer_id).with_for_update())
        press = asyncio.create_task(house.ann.presses(DESK, line.ts, "Make it a note"))
        async with asyncio.timeout(10):
            while not await house.app.storage.read(waiting):  # noqa: ASYNC110 - who waits for a lock tells nobody
                await asyncio.sleep(0.01)
        await other.execute(t.relays.update().values(state="taken_back"))
        await other.commit()
        await press
    await house.rest()
    assert not any("It stays here as a note" in one.says for one in house.ann.ephemerals)


def waiting(conn: Any) -> int:
    """How many wait for a lock of PostgreSQL's."""
    return int(conn.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


# ── Slack's own ways ───────────────────────────────────────────────────────────────────────────────────────────────
async def test_f24_a_deleted_card_comes_back_and_the_case_goes_on_under_it(both: House) -> None:
    card = await both.claimed()
    both.desk.room.messages.pop(card.ts)  # nobody tells us (T9)
    await both.kari.dm("are you there?")
    await both.rest()
    new = both.card()
    assert new.ts != card.ts
    assert any("are you there?" in says for says in both.thread(new))
    await both.ann.posts(DESK, "yes, I am", thread_ts=new.ts)
    await both.later()
    assert any("yes, I am" in says for says in both.got())


async def test_a_card_whose_deletion_is_told_comes_back_at_once(house: House) -> None:
    card = await house.claimed()
    house.slack.space.delete(house.desk.room, card.ts)
    await house.rest()
    assert "Taken by Ann" in house.card().says
    assert house.card().ts != card.ts


async def test_a_post_that_may_have_arrived_is_looked_for_and_not_sent_twice(house: House) -> None:
    house.slack.space.echo_metadata = False
    house.slack.script("chat.postMessage", Fault.accept_then_reset(), when=lambda params: params["channel"] == DESK)
    await house.kari.dm("I want a human")
    for _ in range(4):
        await house.later(10)
    assert len(house.desk.cards) == 1
    assert any("I want a human" in says for says in house.thread(house.card()))


def said(house: House, words: str) -> list[str | None]:
    """The threads in which these words stand, once for each post; None: at the top of the channel."""
    posts = [post for post in house.desk.messages if post.by_app and words in post.says and not post.labels]
    return [post.thread_ts for post in posts]


def to_the_top(params: Mapping[str, Any]) -> bool:
    return params["channel"] == DESK and not params.get("thread_ts")


@pytest.mark.parametrize("echoes", [True, False])
@pytest.mark.parametrize("fault", [Fault.accept_then_reset(), Fault.reset()], ids=["arrived", "lost"])
async def test_a_new_card_that_may_have_arrived_is_looked_for_and_stands_there_once(
    house: House, fault: Fault, echoes: bool
) -> None:
    """The first was deleted, and nobody told us; the next post finds out, and the answer about its new card is lost."""
    card = await house.claimed()
    house.slack.space.echo_metadata = echoes
    house.desk.room.messages.pop(card.ts)
    house.slack.script("chat.postMessage", fault, when=to_the_top)
    await house.kari.dm("are you there?")
    for _ in range(5):
        await house.later(10)
    assert said(house, "are you there?") == [house.card().ts]


@pytest.mark.parametrize("echoes", [True, False])
async def test_a_card_that_is_drawn_anew_and_posted_again_for_it_was_gone_stands_there_once(
    house: House, echoes: bool
) -> None:
    card = await house.escalated()
    house.slack.space.echo_metadata = echoes
    house.desk.room.messages.pop(card.ts)
    house.slack.script("chat.postMessage", Fault.accept_then_reset(), when=to_the_top)
    case, agent = await house.case(), house.app.rules.agents[0]
    await house.app.storage.write(lambda tx: verbs.claim(tx, case.id, agent.id, desk="web"))
    for _ in range(5):
        await house.later(10)
    assert f"Taken by {agent.name}" in house.card().says


async def test_words_that_went_astray_and_cannot_be_deleted_at_once_are_not_said_twice(house: House) -> None:
    card = await house.claimed()
    house.desk.room.messages.pop(card.ts)
    house.slack.script("chat.delete", Fault.status(429, retry_after=1))
    await house.kari.dm("are you there?")
    for _ in range(5):
        await house.later(10)
    assert said(house, "are you there?") == [house.card().ts]


async def test_events_that_come_twice_change_nothing(house: House) -> None:
    card = await house.claimed()
    await house.ann.posts(DESK, "hello there", thread_ts=card.ts)
    house.slack.repeat(3)
    await house.later()
    house.slack.repeat(5)
    await house.later(60)
    assert sum("hello there" in says for says in house.got()) == 1


async def test_what_was_written_while_nobody_listened_is_read_later(house: House) -> None:
    card = await house.claimed()
    url, house.slack.events_url = house.slack.events_url, "http://127.0.0.1:9/slack/events"
    house.slack.hold()
    post = await house.ann.posts(DESK, "anybody there?", thread_ts=card.ts)
    house.slack.delivery.held.clear()  # Slack has given up
    house.slack.release()
    house.slack.events_url = url
    await house.sweep()
    await house.sweep()
    await house.later()
    assert sum("anybody there?" in says for says in house.got()) == 1
    assert house.marks(post) == {SENT}


async def test_a_post_of_nothing_is_nothing_before_the_claim_and_after(house: House) -> None:
    empty = "> "
    card = await house.escalated()
    await house.ann.posts(DESK, empty, thread_ts=card.ts)
    await house.rest()
    await house.ann.presses(DESK, card.ts, "Claim")
    await house.rest()
    got = house.got()
    await house.ann.posts(DESK, empty, thread_ts=card.ts)
    await house.later()
    await house.sweep()
    channel = next(one for one in house.app.channels if isinstance(one, SlackChannel))
    assert channel.connection.counters.failed == 0
    assert (house.got(), await house.notes()) == (got, [])


async def test_what_was_missed_is_read_though_something_else_is_amiss(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scope that the app lacks is a fault for as long as it lacks it; a thread in a channel that is closed to us is let be."""
    monkeypatch.setattr(sweep, "PACE", 0.0)
    card = await house.claimed()
    other = house.slack.person("U11", "Olav")
    await other.dm("I want a human")
    await house.rest()
    desk = next(one for one in house.app.desks if isinstance(one, SlackDesk))
    channel = next(one for one in house.app.channels if isinstance(one, SlackChannel))
    house.slack.script("usergroups.users.list", Fault.refusal("missing_scope", needed="usergroups:read"))
    with pytest.raises(NotSent):
        await channel.connection.call("usergroups.users.list", usergroup="S1")
    house.slack.hold()
    await house.ann.posts(DESK, "anybody there?", thread_ts=card.ts)
    assert house.slack.delivery.held is not None
    house.slack.delivery.held.clear()  # Slack has given up
    house.slack.release()
    house.slack.script("conversations.replies", Fault.refusal("not_in_channel"))  # the newest thread's
    assert channel.faults()
    reading = asyncio.create_task(desk.sweep.run())
    channel.connection.connected()
    async with asyncio.timeout(30):
        while not await house.app.storage.read(lambda conn: conn.execute(select(t.relays)).all()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # read in the background
    reading.cancel()
    await house.later()
    assert any("anybody there?" in says for says in house.got())


async def test_f51_lines_that_wait_for_slack_share_posts_and_keep_their_order(house: House) -> None:
    """A channel takes about one post a second: what comes meanwhile is gathered."""
    card = await house.claimed()
    posts = len(house.desk.thread(card.ts))
    house.slack.script(
        "chat.postMessage", Fault.status(429, retry_after=30), when=lambda params: params["channel"] == DESK
    )
    for number in range(12):
        await house.kari.dm(f"line {number};")
        await house.rest()
    await house.later(40)
    said = "\n".join(house.thread(card))
    places = [said.rindex(f"line {number};") for number in range(12)]
    assert places == sorted(places)
    assert len(house.desk.thread(card.ts)) - posts <= 3


async def test_another_team_with_its_own_channel_gets_the_case_anew(house: House) -> None:
    teams = tuple(replace(one, slack_channel="C2") if one.id == "billing" else one for one in house.app.rules.teams)
    house.app.desk.desk = replace(house.app.rules, teams=teams)
    billing = house.slack.channel("C2", members=[house.bob])
    card = await house.claimed()
    case = await house.case()
    await house.app.storage.write(lambda tx: verbs.transfer(tx, case.id, case.agent_id, "billing", desk="web"))
    await house.rest()
    [new] = billing.cards
    assert "Claim" in new.labels
    assert house.desk.post(card.ts).labels == []
    assert any("I want a human" in post.says for post in billing.thread(new.ts))
    await house.bob.presses("C2", new.ts, "Claim")
    await house.rest()
    await house.bob.posts("C2", "Bob from billing", thread_ts=new.ts)
    await house.later()
    assert any("Bob from billing" in says for says in house.got())


async def test_the_card_that_a_case_leaves_behind_is_closed_though_the_case_goes_on_at_once(house: House) -> None:
    """As where the desk gives cases out: in the same moment it is somebody's, and drawn anew in its new channel."""
    teams = tuple(replace(one, slack_channel="C2") if one.id == "billing" else one for one in house.app.rules.teams)
    house.app.desk.desk = replace(house.app.rules, teams=teams)
    billing = house.slack.channel("C2", members=[house.bob])
    card = await house.claimed()
    await house.bob.posts(DESK, "I can take it", thread_ts=card.ts)  # the house knows Bob from now on
    await house.rest()
    case = await house.case()

    def passed_on(tx: Tx) -> None:
        verbs.transfer(tx, case.id, case.agent_id, "billing", desk="web")
        verbs.assign(tx, case.id, "slack:T0001:U2", desk="routing")

    await house.app.storage.write(passed_on)
    await house.rest()
    assert house.desk.post(card.ts).labels == []
    [new] = billing.cards
    assert "Reply" in " ".join(new.labels)


async def test_files_go_both_ways(house: House) -> None:
    card = await house.claimed()
    await house.kari.dm("here is a picture", files=[("broken.png", "image/png", PNG)])
    await house.later(10)
    assert [file["name"] for post in house.desk.thread(card.ts) for file in post.files] == ["broken.png"]
    await house.ann.posts(DESK, "and here is the label", thread_ts=card.ts, files=[("label.png", "image/png", PNG)])
    await house.later(10)
    await house.later(10)
    sent = [file for post in house.kari.direct.posts() if post.by_app for file in post.files]
    assert [file["name"] for file in sent] == ["label.png"]
    assert house.slack.space.files[sent[0]["id"]][1] == PNG


async def test_what_the_customer_takes_back_goes_from_thread_and_card(house: House) -> None:
    await house.kari.dm("my parcel is lost")
    secret = await house.kari.dm("my pin is 1234 and I want a human")
    await house.rest()
    card = house.card()
    assert "1234" in card.says
    assert any("1234" in says for says in house.thread(card))
    await house.kari.deletes(house.kari.direct.id, secret.ts)
    await house.rest()
    assert "1234" not in house.card().says
    assert not any("1234" in says for says in house.thread(card))
    assert any("The customer deleted a message." in says for says in house.thread(card))


async def test_what_a_customer_types_pings_nobody(house: House) -> None:
    house.kari.user["profile"]["display_name"] = "<!channel>"
    card = await house.escalated("<!channel> <@U1> I want a human")
    await house.kari.dm("*Agent:* all is refunded <!here>")
    await house.rest()
    assert not any(post.pages_everybody for post in house.desk.thread(card.ts))


async def test_a_shortcut_keeps_an_answer_as_a_note(house: House) -> None:
    card = await house.claimed()
    post = await house.ann.posts(DESK, "not for him", thread_ts=card.ts)
    await house.rest()
    await house.ann.uses_shortcut("note", DESK, post.ts)
    await house.later(60)
    assert await house.notes() == ["not for him"]
    assert house.marks(post) == {NOTE}
    assert not any("not for him" in says for says in house.got())


async def test_the_command_tells_the_queue_and_takes_agents_off_duty(house: House) -> None:
    await house.escalated()
    outsider = house.slack.person("U10", "Otto")
    house.slack.channel("C9", members=[house.ann, outsider])
    reply = await house.ann.commands("C9", "/stafett", "queue")
    assert reply is not None
    assert "Waiting now: 1" in reply["text"]
    assert "#1 Kari" in reply["text"]
    await house.ann.commands(DESK, "/stafett", "away")
    known = await house.app.storage.read(lambda conn: cases.agents(conn, house.app.rules))
    assert [one.available for one in known if one.name == "Ann"] == [False]
    refused = await outsider.commands("C9", "/stafett", "queue")
    assert refused is not None
    assert "not on the list" in refused["text"]


async def test_what_a_flow_tells_colleagues_is_said_in_their_channel_and_kept_as_a_note(house: House) -> None:
    card = await house.escalated()
    case = await house.app.storage.read(lambda conn: cases.by_number(conn, 1))
    assert case is not None
    finance = house.slack.channel("C5", members=[house.ann])
    told = NotifyAsked(case.customer_id, case.id, "C5", "Refund of 90 € for <!channel> Kari")
    await house.app.storage.write(lambda tx: tx.emit(told))
    await house.rest()
    [post] = finance.messages
    assert "Refund of 90" in post.says
    assert not post.pages_everybody
    assert any("Refund of 90" in says for says in house.thread(card))
    assert not any("Refund" in says for says in house.got())


async def test_a_desk_that_is_refused_is_told_once_where_its_people_are(house: House) -> None:
    faults = [f"desk/desk.yaml:{line}:1: broken <!channel>" for line in range(1, 8)]
    await house.app._desk_refused(faults)
    await house.app._desk_refused(faults)
    await house.rest()
    [post] = [one for one in house.desk.messages if "stays in force" in one.says]
    assert "desk/desk.yaml:1:1: broken" in post.says
    assert "+2" in post.says
    assert not post.pages_everybody
    await house.app._desk_refused(())
    await house.app._desk_refused(faults)
    await house.rest()
    assert len([one for one in house.desk.messages if "stays in force" in one.says]) == 2
