"""Taking over, on both databases: one live case, one holder, no word lost, none said twice, the bot never over a human."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from bot import outbox
from bot.desk_folder.desk import SlackAccount, Team
from bot.errors import Conflict, NotAllowed, NotFound
from bot.events import (
    CaseReopened,
    CaseResolved,
    CloseAsked,
    EscalationAsked,
    ReachabilityChanged,
    TurnFailed,
)
from bot.model import BOT, Body, CaseStatus
from bot.outbox import settle
from bot.storage import customers, flow_rows, history, merging
from bot.storage import tables as t
from bot.storage.tx import Tx
from bot.timers import set_timer
from handoff import brief, cases, store
from handoff.case import Case
from handoff.for_bot import CasesForBot
from handoff.frame import case_frame
from handoff.slack.agents import Who, remember
from tests.unit.handoff_house import House, an_agent, build


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


async def sends(house: House, case: Case) -> list[tuple[str, str, int | None]]:
    """(text, state, epoch) of what was queued for a customer."""
    o = t.outbox
    query = select(o).where(o.c.customer_id == case.customer_id).order_by(o.c.n)
    rows = await house.storage.read(lambda conn: conn.execute(query).all())
    return [(row.payload.get("text", ""), row.state, row.epoch) for row in rows]


async def epoch(house: House, case: Case) -> int:
    return (await house.look(customers.conversation, case.customer_id)).epoch


# ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_f45_two_first_messages_make_one_case(either: House) -> None:
    """F45: also when they come at the same moment."""
    kari = await either.newcomer()
    both = await asyncio.gather(*(either.do(cases.ensure_open, kari, "web") for _ in range(4)))
    assert len({case.id for case in both}) == 1
    assert [one.status for one in await either.look(store.of_customer, kari)] == ["bot"]


async def test_cases_are_numbered_for_people(either: House) -> None:
    people = [await either.newcomer(name) for name in ("Ada", "Bea", "Cid")]
    opened = await asyncio.gather(*(either.do(cases.ensure_open, one, "web") for one in people))
    numbers = sorted(case.number or 0 for case in opened)
    assert numbers[0] == 1
    assert len(set(numbers)) == 3
    if either.storage.is_sqlite:  # a node among several takes some at a time, and waits for nobody's commit
        assert numbers == [1, 2, 3]
    later = [(await either.do(cases.ensure_open, await either.newcomer(f"N{one}"), "web")).number for one in range(30)]
    assert len({*numbers, *later}) == 33


async def test_the_customers_message_is_in_the_case(house: House) -> None:
    kari = await house.newcomer()
    assert await house.writes(kari, "Where is my order?") is False
    case = await house.look(store.live_case, kari)
    assert case is not None
    assert [one.body.text for one in await house.look(history.of_case, case.id)] == ["Where is my order?"]
    assert case.last_customer_at == house.now


async def test_within_the_window_the_case_is_reopened_and_knows_who_helped(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.resolve, case.id, "ann", "resolved")
    await house.later(hours=71, minutes=59)
    again = await house.do(cases.ensure_open, case.customer_id, "web")
    assert (again.id, again.status, again.reopened) == (case.id, "bot", 1)
    assert (again.agent_id, again.last_agent_id) == (None, "ann")
    assert again.first_resolved_at is not None
    assert CaseReopened(case.id, case.customer_id) in house.heard


async def test_a_reopened_case_goes_on_in_the_language_that_its_customer_has_come_to_speak(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.resolve, case.id, "ann", "resolved")
    await house.do(customers.set_locale, case.customer_id, "he")
    assert (await house.do(cases.ensure_open, case.customer_id, "web")).locale == "he"


async def test_a_reopened_case_concerns_those_whom_it_waited_for_though_nobody_came(house: House) -> None:
    case = await house.queued()
    await house.do(cases.resolve, case.id, None, "resolved")
    await house.do(cases.ensure_open, case.customer_id, "web")
    assert (await house.case(case)).concerns_people
    assert not (await house.do(cases.ensure_open, await house.newcomer("Ola"), "web")).concerns_people


async def test_a_flows_comparison_knows_of_people_who_were_fetched_before_a_reopening(either: House) -> None:
    fetched = await either.queued()
    alone = await either.do(cases.ensure_open, await either.newcomer("Ola"), "web")
    for case in (fetched, alone):
        await either.do(lambda tx, one=case: store.change(tx, one, flow="orders", flow_version="v1"))
        await either.do(cases.resolve, case.id, None, "resolved")
    again = await either.do(cases.ensure_open, fetched.customer_id, "web")
    await either.do(cases.resolve, again.id, None, "resolved")
    assert (await either.case(fetched)).escalated_at is None
    assert await either.look(flow_rows.arms, "orders", ["v1"], fetched.opened_at) == {"v1": (2, 2, 1)}


async def test_after_the_window_there_is_a_new_case_and_the_old_one_is_closed(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.resolve, case.id, "ann", "resolved")
    await house.later(hours=72)
    assert (await house.case(case)).status is CaseStatus.CLOSED
    new = await house.do(cases.ensure_open, case.customer_id, "web")
    assert new.id != case.id
    assert new.number == 2


async def test_the_window_holds_even_before_the_timer_has_rung(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.resolve, case.id, "ann", "resolved")
    house.now += timedelta(hours=72)
    assert (await house.do(cases.ensure_open, case.customer_id, "web")).id != case.id


# ── escalation ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_customer_hears_that_a_human_is_coming_and_their_place(either: House) -> None:
    first, second = await either.queued("Kari"), await either.queued("Ola")
    assert [first.status, second.status] == ["queued", "queued"]
    heard = await either.said(second.customer_id)
    assert heard[0].startswith("I'm fetching a colleague.")
    assert heard[1] == "You are number 2 in the queue; it takes about 3 minutes."  # two places, three agents on duty
    assert (await either.case(second)).wait == {
        "position": 2, "wait_s": 180, "at": either.now.isoformat(), "broken": 0,
    }  # fmt: skip


async def test_asking_again_changes_nothing(house: House) -> None:
    case = await house.queued()
    before = await house.said(case.customer_id)
    again = await house.do(cases.on_escalation, EscalationAsked(case.customer_id, "asked", text="Again"))
    assert again.id == case.id
    assert await house.said(case.customer_id) == before


async def test_what_the_bot_said_before_it_gave_up_the_baton_still_leaves(house: House) -> None:
    kari = await house.newcomer()
    await house.bot_says(kari, "I can't find that order.")
    case = await house.do(cases.on_escalation, EscalationAsked(kari, "asked", text="I'll get **someone**."))
    now = await epoch(house, case)
    assert [(state, at) for _, state, at in await sends(house, case)] == [("ready", now)] * 3
    assert (await house.said(kari))[1] == "I'll get **someone**."


async def test_material_for_the_card_is_kept(house: House) -> None:
    show = (("order_no", "AB123456"),)
    case = await house.queued(reason="angry", show=show, tried=["order status"], priority="high", team="billing")
    card = await house.look(brief.read, await house.case(case), house.desk)
    assert (card.customer, card.channel, card.locale, card.team) == ("Kari", "web", "en", "Billing")
    assert (card.asked, card.tried, card.priority) == (show, ("order status",), "high")
    assert card.summary == ("Kari has lost a parcel",)
    assert card.waiting_since == house.now


async def test_an_urgent_case_goes_before_and_each_team_has_its_queue(house: House) -> None:
    normal, urgent = await house.queued("Kari"), await house.queued("Ola", priority="urgent")
    other = await house.queued("Per", team="billing")
    assert [one.id for one in await house.look(store.queue, "support")] == [urgent.id, normal.id]
    assert await house.look(store.position, await house.case(normal)) == 2
    assert await house.look(store.position, await house.case(other)) == 1


async def test_when_nobody_is_here_the_customer_hears_that_instead(house: House) -> None:
    for agent in ("ann", "bob", "lea"):
        await house.do(store.set_available, agent, False)
    case = await house.queued()
    assert (await house.said(case.customer_id))[1].startswith("Nobody is here right now.")
    await house.do(store.set_available, "bob", True)
    await house.later(minutes=3)
    assert (await house.said(case.customer_id))[2] == "You are number 1 in the queue; it takes about 3 minutes."


async def test_out_of_hours_the_customer_hears_when_people_are_back(house: House) -> None:
    house.desk = replace(house.desk, hours={"tue": ((time(9), time(17)),)})
    case = await house.queued()
    said = await house.said(case.customer_id)
    assert "we are back Tue, Mar 10 9:00" in said[1]
    await house.later(hours=21)
    assert "number 1" in (await house.said(case.customer_id))[2]


async def test_a_broken_promise_is_told_at_three_and_six_minutes(house: House) -> None:
    """R14."""
    case = await house.queued()
    await house.later(minutes=7)
    updates = [text for text in await house.said(case.customer_id) if "longer than we said" in text]
    assert len(updates) == 2


async def test_when_one_is_taken_the_next_hears_at_once(house: House) -> None:
    first, second = await house.queued("Kari"), await house.queued("Ola")
    await house.do(cases.claim, first.id, "ann", desk="wall")
    await house.later(seconds=1)
    assert (await house.said(second.customer_id))[-1].startswith("You're next")


# ── claiming ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_f47_of_two_who_claim_together_one_wins_and_the_other_is_told_who(either: House) -> None:
    """F47."""
    case = await either.queued()
    results = await asyncio.gather(
        either.do(cases.claim, case.id, "ann", desk="wall"),
        either.do(cases.claim, case.id, "bob", desk="wall"),
        return_exceptions=True,
    )
    winner = next(one for one in results if isinstance(one, Case))
    loser = next(one for one in results if isinstance(one, Conflict))
    assert str(loser) == f"already taken by {(winner.agent_id or '').capitalize()}"
    assert winner.status is CaseStatus.OPEN
    joined = [text for text in await either.said(case.customer_id) if "is here and has read everything" in text]
    assert len(joined) == 1


async def test_claiming_ones_own_case_again_is_no_fault(house: House) -> None:
    case = await house.taken("ann")
    assert (await house.do(cases.claim, case.id, "ann", desk="wall")).handoffs == 1


async def test_bot_words_that_had_not_left_expire_at_the_claim(house: House) -> None:
    case = await house.queued()
    await house.bot_says(case.customer_id, "By the way …")
    await house.do(cases.claim, case.id, "ann", desk="wall")
    now = await epoch(house, case)
    by_text = {text: at for text, _, at in await sends(house, case)}
    assert by_text["By the way …"] != now
    assert by_text["Ann is here and has read everything."] == now


async def test_who_is_not_an_agent_is_refused(house: House) -> None:
    case = await house.queued()
    with pytest.raises(NotAllowed, match="mallory is not an agent"):
        await house.do(cases.claim, case.id, "mallory", desk="wall")
    with pytest.raises(NotFound):
        await house.do(cases.claim, "none", "ann", desk="wall")


async def test_a_lead_gives_a_case_to_somebody_else(house: House) -> None:
    case = await house.taken("ann")
    with pytest.raises(NotAllowed, match="Ann holds case 1"):
        await house.do(cases.assign, case.id, "bob", desk="wall", by="bob")
    given = await house.do(cases.assign, case.id, "bob", desk="wall", by="lea")
    assert (given.agent_id, given.last_agent_id, given.agents, given.handoffs) == ("bob", "ann", ("ann", "bob"), 2)
    assert (await house.said(case.customer_id))[-1].startswith("Bob takes over")


async def test_given_back_it_waits_in_the_queue_again(house: House) -> None:
    case = await house.taken("ann")
    back = await house.do(cases.release, case.id, "ann", desk="wall")
    assert (back.status, back.agent_id, back.last_agent_id) == ("queued", None, "ann")
    left, place = (await house.said(case.customer_id))[-2:]
    assert left.startswith("Ann had to leave.")
    assert place.startswith("You are number 1")


async def test_transferred_it_is_in_the_other_teams_queue(house: House) -> None:
    case = await house.taken("ann")
    with pytest.raises(NotFound, match=r"there is no team sales; desk\.yaml names support, billing"):
        await house.do(cases.transfer, case.id, "ann", "sales", desk="wall")
    there = await house.do(cases.transfer, case.id, "ann", "billing", desk="wall")
    assert (there.status, there.team) == ("queued", "billing")


async def test_snoozed_it_wakes_at_its_time_or_when_the_customer_writes(house: House) -> None:
    case, other = await house.taken("ann"), await house.taken("bob", "Ola")
    for one, agent in ((case, "ann"), (other, "bob")):
        await house.do(cases.snooze, one.id, agent, house.now + timedelta(hours=2), desk="wall")
    assert (await house.look(case_frame, await house.case(case), house.desk))["status"] == "pending"
    assert await house.writes(other.customer_id, "Any news?") is True
    assert (await house.case(other)).status is CaseStatus.OPEN
    await house.later(hours=2)
    assert (await house.case(case)).status is CaseStatus.OPEN
    assert await house.notes(case) == ["The time of snoozing is over."]
    assert await house.notes(other) == []


# ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_only_the_holders_words_go_out(house: House) -> None:
    case = await house.queued()
    with pytest.raises(Conflict, match="claim case 1 first"):
        await house.do(cases.reply, case.id, "ann", "Hello", desk="wall")
    await house.do(cases.claim, case.id, "ann", desk="wall")
    with pytest.raises(Conflict, match="already taken by Ann"):
        await house.do(cases.reply, case.id, "bob", "Hello", desk="wall")
    with pytest.raises(Conflict, match="nothing to send"):
        await house.do(cases.reply, case.id, "ann", "  ", desk="wall")
    message = await house.do(cases.reply, case.id, "ann", "Hello, Kari", desk="wall")
    after = await house.case(case)
    assert (message.author.name, message.seq is not None) == ("Ann", True)
    assert (after.status, after.first_reply_at) == ("pending", house.now)
    assert ("Hello, Kari", "ready", None) in await sends(house, case)


async def test_a_program_answers_as_the_first_agent_on_duty(house: House) -> None:
    """CONTRACT: POST /cases/{id}/messages without `agent`."""
    await house.do(store.set_available, "ann", False)
    case = await house.queued()
    await house.do(cases.reply, case.id, None, "On its way", desk="api", assign_if_needed=True)
    assert ((await house.case(case)).agent_id, (await house.said(case.customer_id))[-1]) == ("bob", "On its way")
    await house.do(cases.reply, case.id, None, "Really", desk="api", assign_if_needed=True)
    assert (await house.case(case)).agents == ("bob",)


async def test_words_wait_out_the_undo_window_and_then_are_said_once(house: House) -> None:
    case = await house.taken("ann")
    relay = await house.do(cases.draft, case.id, "ann", "On its way", desk="wall", ref="p1")
    again = await house.do(cases.draft, case.id, "ann", "On its way", desk="wall", ref="p1")
    assert (relay.id, relay.state) == (again.id, "waiting")
    await house.later(seconds=4)
    assert "On its way" not in await house.said(case.customer_id)
    await house.later(seconds=1)
    assert (await house.said(case.customer_id)).count("On its way") == 1
    said = await house.look(store.relay, "wall", "p1")
    assert said is not None
    assert (said.state, said.delivery) == ("said", "pending")
    assert ("relay", "said/pending") in house.wall.seen


async def test_taken_back_in_time_nobody_ever_reads_it(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.draft, case.id, "ann", "Silly customer", desk="wall", ref="p1")
    await house.do(cases.draft, case.id, "ann", "Ask billing", desk="wall", ref="p2")
    assert await house.do(cases.take_back, "wall", "p1") is True
    assert await house.do(cases.take_back, "wall", "p2", as_note=True) is True
    await house.later(minutes=1)
    said = await house.said(case.customer_id)
    assert "Silly customer" not in said
    assert "Ask billing" not in said
    assert await house.notes(case) == ["Ask billing"]


async def test_what_was_said_meanwhile_is_not_taken_back_for_a_note(house: House) -> None:
    """Whoever pressed saw that it waited. The customer has it now, and there would be no note."""
    case = await house.taken("ann")
    await house.do(cases.draft, case.id, "ann", "Ask billing", desk="wall", ref="p1")
    await house.later(minutes=1)
    assert await house.do(cases.take_back, "wall", "p1", as_note=True) is False
    assert "Ask billing" in await house.said(case.customer_id)


async def test_taken_back_at_the_last_moment_the_ring_that_was_under_way_says_nothing(house: House) -> None:
    """Its timer was in another node's hands when the words were taken back: what the relay says then counts."""
    case = await house.taken("ann")
    relay = await house.do(cases.draft, case.id, "ann", "Silly customer", desk="wall", ref="p1")
    assert await house.do(cases.take_back, "wall", "p1") is True
    where = {"customer_id": relay.customer_id, "case_id": relay.case_id}
    await house.do(set_timer, "relay", "again", house.now, **where, data={"relay": relay.id})
    await house.later(minutes=1)
    assert "Silly customer" not in await house.said(case.customer_id)
    after = await house.look(store.relay, "wall", "p1")
    assert after is not None
    assert after.state == "taken_back"


async def test_an_edit_in_the_window_changes_the_draft_and_later_the_customers_copy(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.draft, case.id, "ann", "Tuseday", desk="wall", ref="p1")
    assert await house.do(cases.edit_relay, "wall", "p1", "Tuesday") is True
    await house.later(seconds=5)
    assert (await house.said(case.customer_id))[-1] == "Tuesday"
    assert await house.do(cases.edit_relay, "wall", "p1", "Wednesday") is True
    assert (await house.said(case.customer_id))[-1] == "Wednesday"
    with pytest.raises(Conflict):
        await house.do(cases.edit_relay, "wall", "unknown", "…")


@pytest.mark.parametrize("how", ["assign", "release", "transfer"])
async def test_words_in_their_window_are_not_said_by_someone_who_lost_the_case(house: House, how: str) -> None:
    case = await house.taken("ann")
    await house.do(cases.draft, case.id, "ann", "Let me look", desk="wall", ref="p1")
    if how == "assign":
        await house.do(cases.assign, case.id, "bob", desk="wall", by="lea")
        await house.later(seconds=5)
        assert await house.notes(case) == ["Let me look"]
        relay = await house.look(store.relay, "wall", "p1")
        assert relay is not None
        assert relay.state == "refused"
        assert "Let me look" not in await house.said(case.customer_id)
    else:
        verb = cases.release if how == "release" else cases.transfer
        args = () if how == "release" else ("billing",)
        await house.do(verb, case.id, "ann", *args, desk="wall")
        said = await house.said(case.customer_id)
        assert said.index("Let me look") < next(i for i, text in enumerate(said) if "had to leave" in text)


async def test_whoever_passes_a_case_on_to_a_colleague_in_the_window_has_said_their_words_first(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.draft, case.id, "ann", "Bob knows more", desk="wall", ref="p1")
    await house.do(cases.assign, case.id, "bob", desk="wall", by="ann")
    await house.later(minutes=1)
    said = await house.said(case.customer_id)
    assert said[-2] == "Bob knows more"
    assert said.count("Bob knows more") == 1
    assert await house.notes(case) == []


async def test_words_of_who_left_the_desk_in_their_window_hold_up_nobody(house: House) -> None:
    """They stay as a note, and the case ends, or goes back into the queue."""
    first, second = await house.taken("ann"), await house.taken("ann", "Ola")
    for case, ref in ((first, "p1"), (second, "p2")):
        await house.do(cases.draft, case.id, "ann", "Goodbye all", desk="wall", ref=ref)
    house.desk = replace(house.desk, agents=house.desk.agents[1:])
    await house.do(cases.resolve, first.id, None, "resolved")
    await house.do(cases.release, second.id, None, desk="watchdog")
    assert [(await house.case(one)).status for one in (first, second)] == ["resolved", "queued"]
    assert await house.notes(first) == await house.notes(second) == ["Goodbye all"]
    assert "Goodbye all" not in await house.said(first.customer_id)


async def test_a_transfer_that_is_pressed_twice_is_told_to_the_customer_once(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.transfer, case.id, "ann", "billing", desk="wall")
    said, routing = await house.said(case.customer_id), (await house.case(case)).routing
    house.now += timedelta(seconds=3)
    again = await house.do(cases.transfer, case.id, "ann", "billing", desk="wall")
    assert (again.team, again.routing) == ("billing", routing)
    assert await house.said(case.customer_id) == said


@pytest.mark.parametrize("held", [(), ("shouting",)])
async def test_a_case_put_aside_in_the_window_stays_aside_and_the_words_are_said_first(
    house: House, held: tuple[str, ...]
) -> None:
    """What waits for a second look waits on."""
    case, until = await house.taken("ann"), house.now + timedelta(hours=20)
    await house.do(cases.draft, case.id, "ann", "I look into it", desk="wall", ref="p1", held=held)
    await house.do(cases.snooze, case.id, "ann", until, desk="wall")
    relay = await house.look(store.relay, "wall", "p1")
    assert relay is not None
    assert relay.state == ("waiting" if held else "said")
    await house.later(hours=1)
    after = await house.case(case)
    assert (after.status, after.next_action_at) == ("snoozed", until)
    assert ("I look into it" in await house.said(case.customer_id)) is not bool(held)
    await house.later(hours=20)
    assert "wake" in await house.events(case)


async def test_resolving_in_the_window_says_the_words_first(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.draft, case.id, "ann", "It is fixed", desk="wall", ref="p1")
    await house.do(cases.resolve, case.id, "ann", "resolved")
    await house.later(minutes=1)
    said = await house.said(case.customer_id)
    assert said[-2] == "It is fixed"
    assert said.count("It is fixed") == 1


async def test_a_note_is_for_colleagues_only_and_counted_once(house: House) -> None:
    case = await house.taken("ann")
    for _ in range(2):
        await house.do(cases.note, case.id, "bob", "Be kind", desk="wall", ref="p9")
    assert await house.notes(case) == ["Be kind"]
    assert "Be kind" not in await house.said(case.customer_id)
    assert all("Be kind" not in text for text, _, _ in await sends(house, case))
    await house.do(cases.edit_relay, "wall", "p9", "Be very kind")
    assert await house.notes(case) == ["Be very kind"]


async def test_what_was_not_delivered_is_marked_and_noted(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.reply, case.id, "ann", "Hello", desk="wall", ref="p1")
    o = t.outbox
    row = await house.storage.read(
        lambda conn: conn.execute(select(o).where(o.c.kind == "text").order_by(o.c.n.desc())).first()
    )
    assert row is not None
    await house.do(settle, row.id, "failed", error="the customer blocked us")
    relay = await house.look(store.relay, "wall", "p1")
    assert relay is not None
    assert (relay.delivery, relay.fault) == ("failed", "the customer blocked us")
    assert await house.notes(case) == ["Not delivered: the customer blocked us"]
    assert house.wall.seen[-2] == ("relay", "said/failed")


async def test_what_may_have_arrived_twice_is_told_to_the_agents(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.reply, case.id, "ann", "Hello", desk="wall", ref="p1")
    o = t.outbox
    last = select(o.c.id, o.c.via).where(o.c.kind == "text").order_by(o.c.n.desc())
    row = await house.storage.read(lambda conn: conn.execute(last).first())
    assert row is not None
    await house.do(lambda tx: tx.conn.execute(update(o).where(o.c.id == row.id).values(doubled=True)))
    await house.do(settle, row.id, "sent", ext_id="42:7")
    (note,) = await house.notes(case)
    assert note.startswith("Perhaps delivered twice: ")
    assert row.via.capitalize() in note


async def test_also_what_the_bot_said_twice_in_peoples_case_is_told(house: House) -> None:
    case = await house.taken("ann")
    said = await house.do(outbox.say, case.customer_id, Body(text="You are next"), author=BOT, case_id=case.id)
    o = t.outbox
    row_id = await house.storage.read(
        lambda conn: conn.execute(select(o.c.id).where(o.c.message_id == said.id)).scalar()
    )
    await house.do(lambda tx: tx.conn.execute(update(o).where(o.c.id == row_id).values(doubled=True)))
    await house.do(settle, row_id, "sent", ext_id="42:7")
    (note,) = await house.notes(case)
    assert note.startswith("Perhaps delivered twice: ")


async def test_what_waits_for_longer_than_a_minute_is_told_to_the_agents_once_for_all_of_it(house: House) -> None:
    case = await house.taken("ann")
    for text in ("one", "two"):
        await house.do(cases.reply, case.id, "ann", text, desk="wall")
    o = t.outbox
    query = select(o.c.n).where(o.c.kind == "text", o.c.case_id == case.id)
    waiting = await house.storage.read(lambda conn: conn.execute(query).scalars().all())
    for _ in range(2):
        await house.do(outbox.delayed, waiting)
    (note,) = await house.notes(case)
    assert note.startswith("Delayed: ")
    kinds = [one.kind for one in await house.look(store.events, case.id)]
    assert kinds.count("delayed") == len(waiting)


# ── the customer, meanwhile ────────────────────────────────────────────────────────────────────────────────────────
async def test_while_people_hold_it_the_bot_is_silent_and_they_are_told(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.reply, case.id, "ann", "Which order?", desk="wall")
    before = await house.said(case.customer_id)
    assert await house.writes(case.customer_id, "AB123456") is True
    assert await house.said(case.customer_id) == before
    assert (await house.case(case)).status is CaseStatus.OPEN
    assert house.wall.seen[-1] == ("customer", "AB123456")


async def test_the_desk_hears_of_the_case_before_its_messages(house: House) -> None:
    await house.taken("ann")
    kinds = [kind for kind, _ in house.wall.seen]
    first_queued = house.wall.seen.index(("case", "queued"))
    assert not {"bot", "system", "note"} & set(kinds[:first_queued])


async def test_whoever_holds_the_case_hears_that_the_customer_cannot_be_reached(house: House) -> None:
    case = await house.taken("ann")
    where = (await house.look(customers.identities, case.customer_id))[0]
    await house.do(cases.on_unreachable, ReachabilityChanged(where, False))
    assert len(await house.notes(case)) == 1
    assert (await house.notes(case))[0].startswith("The customer has blocked us")


async def test_a_message_that_could_not_be_handled_is_shown_to_whoever_holds_the_case(house: House) -> None:
    case = await house.taken("ann")
    await house.storage.write(lambda tx: tx.emit(TurnFailed(case.customer_id, None, "boom")))
    assert (await house.notes(case))[0].startswith("Something went wrong")


# ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_f48_the_second_to_resolve_is_told_that_it_is_over(either: House) -> None:
    """F48: also at the same moment; the customer is thanked once, and asked once."""
    case = await either.taken("ann")
    results = await asyncio.gather(
        either.do(cases.resolve, case.id, "ann", "resolved", "parcel"),
        either.do(cases.resolve, case.id, "lea", "no_solution", None, "Lost at sea."),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Case) for one in results) == 1
    refused = next(one for one in results if not isinstance(one, Case))
    assert str(refused) == "case 1 is already over (resolved)"
    assert sum(isinstance(event, CaseResolved) for event in either.heard) == 1


async def test_without_a_solution_the_customer_is_owed_a_reason(house: House) -> None:
    """R16."""
    case = await house.taken("ann")
    for reason in (None, "  "):
        with pytest.raises(Conflict, match="owed a reason"):
            await house.do(cases.resolve, case.id, "ann", "no_solution", None, reason)
    with pytest.raises(Conflict, match="outcome 'meh' is not known; use one of resolved"):
        await house.do(cases.resolve, case.id, "ann", "meh")
    await house.do(cases.resolve, case.id, "ann", "no_solution", None, "Lost at sea.")
    assert "Lost at sea." in (await house.said(case.customer_id))[-1]


async def test_the_bot_resumes_with_a_clean_slate(house: House) -> None:
    case = await house.taken("ann")
    await house.do(customers.set_bot_state, case.customer_id, {"flow": {"frames": ["half"]}})
    ended = await house.do(cases.resolve, case.id, "ann", "resolved", "parcel")
    assert (ended.status, ended.topic, ended.resolved_by) == ("resolved", "parcel", "agent")
    assert (await house.look(customers.conversation, case.customer_id)).bot_state == {}
    assert await house.writes(case.customer_id, "One more thing") is False
    kinds = [type(event).__name__ for event in house.heard]
    assert kinds.index("CaseResolved") > kinds.index("CaseChanged")


async def test_spam_is_ended_without_a_word(house: House) -> None:
    case = await house.queued()
    before = await house.said(case.customer_id)
    await house.do(cases.resolve, case.id, "bob", "spam")
    assert await house.said(case.customer_id) == before


async def test_what_the_bot_says_when_it_closes_still_leaves(house: House) -> None:
    kari = await house.newcomer()
    case = await house.do(cases.ensure_open, kari, "web")
    await house.bot_says(kari, "Glad to help!")
    ended = await house.do(cases.on_close_asked, CloseAsked(kari, "resolved", "orders", survey={"instrument": "csat5"}))
    assert ended is not None
    assert (ended.status, ended.resolved_by, ended.survey) == ("resolved", "flow", {"instrument": "csat5"})
    assert await sends(house, case) == [("Glad to help!", "ready", await epoch(house, case))]


async def test_the_bot_cannot_close_what_people_hold(house: House) -> None:
    case = await house.taken("ann")
    assert await house.do(cases.on_close_asked, CloseAsked(case.customer_id, "resolved")) is None
    assert (await house.case(case)).status is CaseStatus.OPEN


async def test_after_a_day_of_silence_the_bots_case_is_over_without_noise(house: House) -> None:
    kari = await house.newcomer()
    await house.writes(kari, "hello")
    await house.later(hours=23)
    await house.writes(kari, "still there?")
    await house.later(hours=23)
    case = await house.look(store.live_case, kari)
    assert case is not None
    await house.later(hours=1)
    ended = await house.case(case)
    assert (ended.status, ended.outcome, ended.resolved_by) == ("resolved", "abandoned", "silence")
    assert await house.said(kari) == []


async def test_a_case_that_its_agent_forgot_is_shown_again(house: House) -> None:
    """R21."""
    case = await house.taken("ann")
    await house.later(hours=49)
    assert (await house.events(case)).count("idle") == 2


async def test_every_live_case_always_has_a_next_action(house: House) -> None:
    """R21: whatever happens to it."""
    case = await house.queued()
    steps = [
        lambda: house.do(cases.claim, case.id, "ann", desk="wall"),
        lambda: house.do(cases.reply, case.id, "ann", "Hi", desk="wall"),
        lambda: house.writes(case.customer_id, "Hi"),
        lambda: house.do(cases.snooze, case.id, "ann", house.now + timedelta(hours=1), desk="wall"),
        lambda: house.later(hours=3),
        lambda: house.do(cases.release, case.id, "ann", desk="wall"),
        lambda: house.do(cases.assign, case.id, "bob", desk="wall"),
        lambda: house.do(cases.transfer, case.id, "bob", "billing", desk="wall"),
        lambda: house.later(hours=2),
        lambda: house.comes_back(days=3),
    ]
    for step in steps:
        await step()
        assert await house.look(store.unwatched, house.now, timedelta(0)) == []


# ── one customer of two ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("people_have", ["winner", "loser"])
async def test_f45_f46_merged_customers_keep_the_case_that_people_hold(either: House, people_have: str) -> None:
    """F46, F45: never two live cases, and nobody is asked about the one that was closed."""
    held = await either.taken("ann", "Kari")
    other = await either.newcomer("Kari2", "telegram")
    await either.writes(other, "hello from Telegram")
    bots = await either.look(store.live_case, other)
    assert bots is not None
    pair = (held.customer_id, other) if people_have == "winner" else (other, held.customer_id)
    await either.do(cases.draft, held.id, "ann", "Let me see", desk="wall", ref="p1")
    await either.do(merging.merge, *pair, "linked")
    live = await either.look(store.live_case, pair[0])
    assert live is not None
    assert (live.id, live.agent_id) == (held.id, "ann")
    closed = await either.case(bots)
    assert (closed.status, closed.outcome, closed.customer_id) == ("closed", "duplicate", pair[0])
    assert not [event for event in either.heard if isinstance(event, CaseResolved)]
    await either.later(seconds=5)
    assert "Let me see" in await either.said(pair[0])


async def test_the_case_of_two_who_became_one_goes_on_in_the_language_of_the_one_who_stays(either: House) -> None:
    queued, stays = await either.queued("Kari"), await either.newcomer("Kari2", "telegram")
    await either.do(customers.set_locale, stays, "he")
    await either.do(merging.merge, stays, queued.customer_id, "linked")
    case = await either.case(queued)
    assert (case.customer_id, case.status, case.locale) == (stays, "queued", "he")


@pytest.mark.parametrize("people_have", ["winner", "loser"])
async def test_what_the_bot_had_asked_one_of_two_is_not_asked_on_in_the_case_that_an_agent_holds(
    either: House, people_have: str
) -> None:
    held = await either.taken("ann", "Kari")
    other = await either.newcomer("Kari2", "telegram")
    await either.writes(other, "where is my order")
    bots = await either.look(store.live_case, other)
    assert bots is not None
    asks = {"case": bots.id, "flow": {"frames": [{"flow": "order_status", "step_id": "q_order"}]}}
    await either.do(customers.set_bot_state, other, asks)
    pair = (held.customer_id, other) if people_have == "winner" else (other, held.customer_id)
    await either.do(merging.merge, *pair, "linked")
    assert (await either.look(customers.conversation, pair[0])).bot_state == {}


async def test_who_comes_back_after_a_merge_finds_the_case_that_people_had_not_the_one_that_was_closed(
    house: House,
) -> None:
    held = await house.taken("ann", "Kari")
    await house.later(minutes=1)
    other = await house.newcomer("Kari2", "telegram")
    await house.writes(other, "hello from Telegram")  # opened later, closed as a duplicate
    await house.do(merging.merge, held.customer_id, other, "linked")
    await house.do(cases.resolve, held.id, "ann", "resolved")
    assert await house.do(CasesForBot(lambda: house.desk).recently_resolved, held.customer_id)
    await house.writes(held.customer_id, "It broke again")
    live = await house.look(store.live_case, held.customer_id)
    assert live is not None
    assert (live.id, live.reopened, live.last_agent_id) == (held.id, 1, "ann")


# ── what others ask ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_widget_is_told_what_the_contract_says(house: House) -> None:
    await house.queued("Kari")
    case = await house.queued("Ola")
    frame = await house.look(case_frame, await house.case(case), house.desk)
    assert frame == {"type": "case", "id": case.id, "status": "queued", "position": 2, "wait_s": 180, "agent": None}
    await house.do(cases.claim, case.id, "ann", desk="wall")
    frame = await house.look(case_frame, await house.case(case), house.desk)
    assert frame == {
        "type": "case", "id": case.id, "status": "open", "position": None, "wait_s": None, "agent": {"name": "Ann"},
    }  # fmt: skip
    ended = await house.do(cases.resolve, case.id, "ann", "resolved")
    assert (await house.look(case_frame, ended, house.desk))["agent"] is None


async def test_cases_are_listed_by_what_people_ask_for(house: House) -> None:
    first, second = await house.taken("ann"), await house.queued("Ola", team="billing")
    assert [one.id for one in await house.look(store.listing, agent="ann")] == [first.id]
    assert [one.id for one in await house.look(store.listing, team="billing", status="queued")] == [second.id]
    assert [one.id for one in await house.look(store.listing, after=first.id)] == [second.id]
    assert await house.look(store.listing, status=["resolved", "closed"]) == []
    assert await house.look(store.count_by_status) == {"open": 1, "queued": 1}


async def test_agents_come_in_the_order_of_the_desk_and_may_be_away(house: House) -> None:
    await house.do(store.set_available, "ann", False, away_until=house.now + timedelta(hours=1))
    agents = await house.look(store.agents, house.desk, house.now)
    assert [(one.id, one.available) for one in agents][:2] == [("ann", False), ("bob", True)]
    house.now += timedelta(hours=1)
    assert (await house.look(store.agents, house.desk, house.now))[0].available
    await house.do(store.remember_agent, "T1:U7", name="Zoë", team="support", slack_user="T1:U7")
    assert [one.name for one in await house.look(store.agents, house.desk)][-1] == "Zoë"
    house.desk = replace(house.desk, agents=(an_agent("ann", slack=SlackAccount("T1", "U1")),))
    assert "Zoë" not in [one.name for one in await house.look(store.agents, house.desk)]


async def test_members_of_a_teams_user_group_are_agents_beside_those_that_are_listed(house: House) -> None:
    for user, team in (("U7", "billing"), ("U8", "support")):
        agent_id = f"slack:T1:{user}"
        await house.do(store.remember_agent, agent_id, name=user, team=team, slack_user=f"T1:{user}")
    group = Team("billing", "Billing", slack_group="S0000001")
    for listed in (an_agent("ann"), an_agent("ann", slack=SlackAccount("T1", "U1"))):
        desk = replace(house.desk, agents=(listed,), teams=(Team("support", "Support"), group))
        found = await house.look(store.agents, desk)
        assert [(one.id, one.team) for one in found] == [("ann", "support"), ("slack:T1:U7", "billing")]


async def test_what_agents_do_outside_their_teams_channel_leaves_them_in_their_team(house: House) -> None:
    zoe = Who("slack:T1:U7", "Zoë", "U7", "T1:U7", listed=False)
    shop = Team("shop", "Shop", slack_channel="C2")
    desk = replace(house.desk, agents=(), teams=(Team("support", "Support", slack_channel="C1"), shop))
    for channel, team in (("", "support"), ("C2", "shop"), ("", "shop"), ("C9", "shop"), ("C1", "support")):
        await house.do(remember, zoe, desk, channel)
        [known] = await house.look(store.agents, desk)
        assert (known.team, known.name) == (team, "Zoë"), channel


async def test_the_bot_asks_through_its_own_door(house: House) -> None:
    door = CasesForBot(lambda: house.desk)
    kari = await house.newcomer()
    case = await house.do(door.ensure_open, kari, "web")
    await house.do(door.count_question, case.id)
    await house.do(door.began_flow, case.id, "refund", "abc")
    after = await house.case(case)
    assert (after.questions, after.flow, after.flow_version) == (1, "refund", "abc")
    assert (await house.do(door.live, kari)) == after
    assert await house.do(door.recently_resolved, kari) is False

    def on_duty(tx: Tx) -> int:
        return door.agents_available(tx, tx.now)

    assert (await house.do(on_duty), door.is_open(house.now)) == (4, True)


async def test_an_agents_name_is_kept_without_touching_whether_they_are_there(house: House) -> None:
    await house.do(cases.set_available, "ann", False)
    await house.do(store.keep_names, house.desk.agents)
    renamed = [replace(one, name=one.name.upper()) for one in house.desk.agents]
    await house.do(store.keep_names, renamed)
    gone = replace(house.desk, agents=())
    names = [await house.look(store.agent_name, gone, one.id) for one in renamed]
    assert names == [one.name for one in renamed]
    there = {one.id: one.available for one in await house.look(store.agents, house.desk)}
    assert there == {one.id: one.id != "ann" for one in renamed}


async def test_every_step_leaves_a_line(house: House) -> None:
    case = await house.taken("ann")
    await house.do(cases.reply, case.id, "ann", "Hi", desk="wall")
    await house.do(cases.resolve, case.id, "ann", "resolved")
    assert await house.events(case) == ["open", "escalate", "claim", "reply", "resolve"]
