"""A whole day of agents in Slack, and what goes wrong in it: each press, form and reaction has one clear answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from bot.desk_folder.desk import Agent, Sla, SlackAccount
from bot.errors import SendFault
from bot.events import NotifyAsked
from channels.delivery import paces
from handoff import cases as verbs
from handoff import store as cases
from handoff.slack import agents
from tests.fakes.faults import Fault
from tests.fakes.slack import SlackServer
from tests.fakes.slack_person import Person
from tests.fakes.slack_shapes import Post, flat
from tests.support.slack_house import BACK, DESK, NOTE, SENT, House, SteppingClock, a_house

EYES, TICK = "eyes", "white_check_mark"


@pytest_asyncio.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlackServer]:
    monkeypatch.setattr(paces, "RATES", {})
    async with SlackServer(clock=SteppingClock()) as server:
        server.views.trigger_life = 60  # a busy machine is no slow Slack
        yield server


@pytest_asyncio.fixture
async def house(slack: SlackServer, sqlite_url: str) -> AsyncIterator[House]:
    async with a_house(slack, sqlite_url, "http") as built:
        yield built


@pytest_asyncio.fixture
async def by_socket(slack: SlackServer, sqlite_url: str) -> AsyncIterator[House]:
    async with a_house(slack, sqlite_url, "socket") as built:
        yield built


async def form(house: House, who: Person, name: str, title: str = "") -> dict[str, Any]:
    """Presses a button of the card, and gives the form that opens."""
    await who.presses(DESK, house.card().ts, name)
    return await who.is_shown(title)


async def more(house: House, who: Person, name: str) -> None:
    """Presses a button below More…"""
    await who.acts(await form(house, who, "More…", "More"), name)
    await house.rest()


def home_of(who: Person) -> str:
    assert who.home is not None
    return flat(who.home["blocks"])


async def presses_stale(house: House, who: Person, card: Post, name: str) -> None:
    """A button of the card as it was: somebody else was faster, or their Slack is slow."""
    raw = house.desk.room.messages[card.ts]
    now, raw["blocks"] = raw["blocks"], card.raw["blocks"]
    try:
        await who.presses(DESK, card.ts, name)
    finally:
        raw["blocks"] = now


def as_it_is(card: Post) -> Post:
    return replace(card, raw=dict(card.raw))


# ── the day ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_whole_day(by_socket: House) -> None:
    """Home, claim by 👀, an answer taken back and one kept here, snooze, transfer, the customer's turn, ✅; and the scores."""
    house = by_socket
    house.app.desk.desk = replace(house.app.rules, undo=timedelta(minutes=2))  # however slow the machine
    await house.bob.commands(DESK, "/stafett", "available")
    card = await house.escalated()
    assert "Nobody has taken it yet" in card.says
    assert "Europe/Oslo, UTC+" in card.says
    await house.ann.opens_home()
    await house.rest()
    assert "Waiting for an agent (1)" in home_of(house.ann)
    await house.ann.reacts(DESK, card.ts, EYES)
    await house.rest()
    assert "Ann is to answer" in house.card().says

    first = await house.ann.posts(DESK, "It never left", thread_ts=card.ts)
    line = await house.ann.is_told("This goes to the customer at")
    await house.ann.presses(DESK, line.ts, "Take back")
    await house.later(121)
    await house.ann.is_told("Taken back: the customer never saw it")
    assert house.marks(first) == {BACK}
    second = await house.ann.posts(DESK, "He is a regular", thread_ts=card.ts)
    await house.rest()
    await house.ann.presses(DESK, house.ann.ephemerals[-1].ts, "Make it a note")
    await house.later(121)
    assert house.marks(second) == {NOTE}
    third = await house.ann.posts(DESK, "It is on its way", thread_ts=card.ts)
    await house.later(121)
    assert house.marks(third) == {SENT}
    assert [says for says in house.got() if "left" in says or "regular" in says] == []
    assert "The customer is to answer" in house.card().says

    view = await form(house, house.ann, "Snooze…", "Put the case aside")
    await house.ann.submits(view, {"when": "In three hours"})
    await house.rest()
    assert (await house.case()).status == "snoozed"
    await house.later(3 * 3600 + 60)
    assert (await house.case()).status == "open"
    await house.ann.presses(DESK, house.card().ts, "Customer's turn")
    await house.rest()
    assert (await house.case()).status == "pending"

    view = await form(house, house.ann, "Transfer…", "Pass the case on")
    await house.ann.submits(view, {"to": "Bob (an agent)", "note": "he wants a refund"})
    await house.rest()
    assert (await house.case()).agent_id == "slack:T0001:U2"
    assert "he wants a refund" in await house.notes()
    assert not any("refund" in says for says in house.got())
    await house.bob.reacts(DESK, house.card().ts, TICK)
    await house.rest()
    case = await house.case()
    assert (case.status, case.outcome, case.last_agent_id) == ("resolved", "resolved", "slack:T0001:U2")
    await house.later(60)
    await house.kari.presses(house.kari.direct.id, house.kari.direct.posts()[-1].ts, "6")
    await house.rest()
    await house.ann.opens_home()
    await house.bob.opens_home()
    await house.rest()
    assert "CES7 fewer than 5: not shown (n = 1)" in home_of(house.bob)
    assert "CES7" not in home_of(house.ann), "scores are one's own"


async def test_home_follows_what_happens_and_takes_ones_standing(by_socket: House) -> None:
    house = by_socket
    await house.ann.opens_home()
    await house.rest()
    assert "Nobody is waiting." in home_of(house.ann)
    card = await house.escalated()
    await house.later(31)
    assert "Waiting for an agent (1)" in home_of(house.ann)
    published = sum(call.method == "views.publish" for call in house.slack.log)
    case = await house.case()
    for _ in range(2):
        await house.app.storage.write(lambda tx: verbs.claim(tx, case.id, "demo", desk="web"))
        await house.rest()
        await house.app.storage.write(lambda tx: verbs.release(tx, case.id, "demo", desk="web"))
        await house.rest()
    drawn = sum(call.method == "views.publish" for call in house.slack.log) - published
    assert drawn <= 1, "of four changes: not oftener than every half a minute"
    assert house.ann.home is not None
    await house.ann.acts(house.ann.home, "Claim")
    await house.later(31)
    assert "My cases (1)" in home_of(house.ann)
    assert "Ann" in house.card().says
    for name, says in (("Busy", "get no new ones"), ("Available", "new cases can come")):
        await house.ann.acts(house.ann.home, name)
        await house.rest()
        assert says in home_of(house.ann)
    await house.ann.acts(house.ann.home, "Away…")
    await house.ann.submits(await house.ann.is_shown("I am away"), {"date": "2001-01-01"})
    assert house.ann.view is not None
    assert "has passed" in str(house.ann.view["errors"])
    await house.ann.submits(house.ann.view, {"date": "2999-01-01"})
    await house.rest()
    assert "You are away until" in home_of(house.ann)
    [ann] = [
        one for one in await house.app.storage.read(lambda c: cases.agents(c, house.app.rules)) if one.name == "Ann"
    ]
    assert not ann.available
    await house.later(5 * 3600)
    await house.ann.opens_home()
    await house.rest()
    assert "Not forgotten? (1)" in home_of(house.ann)
    assert card.ts in house.desk.room.messages


async def test_breaches_stand_on_home_with_the_case(by_socket: House) -> None:
    house = by_socket
    target = Sla(first_response=house.app.rules.undo * 60)
    house.app.desk.desk = replace(house.app.rules, sla=(target,))
    await house.escalated()
    assert "First answer due" in house.card().says or "first answer due" in house.card().says
    await house.later(600)
    await house.ann.opens_home()
    await house.rest()
    assert "Late, or about to be (1)" in home_of(house.ann)
    assert "late since" in home_of(house.ann)


async def test_who_is_no_agent_sees_nothing_of_it(house: House) -> None:
    await house.escalated()
    outsider = house.slack.person("U10", "Otto")
    await outsider.opens_home()
    await house.rest()
    assert "for the agents of" in home_of(outsider)
    assert "Kari" not in home_of(outsider)


async def test_an_open_home_of_nobody_is_acknowledged(house: House) -> None:
    """Slack tells three times more what it hears was not taken; of no account it would learn anything by that."""
    for user in ("U404", ["U1"], "\n" * 9000):
        house.slack.space.emit({"type": "app_home_opened", "user": user, "channel": "D1", "tab": "home"})
    await house.slack.settled()
    assert [(one.retry, one.failure) for one in house.slack.delivery.attempts if one.failure] == []


async def test_who_is_no_agent_any_more_reads_no_further(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "FRESH", 0.0)
    card = await house.escalated()
    await house.ann.opens_home()
    await house.rest()
    assert "Kari" in home_of(house.ann)
    house.desk.room.members.remove("U1")
    await house.bob.presses(DESK, card.ts, "Claim")
    await house.later(31)
    assert "for the agents of" in home_of(house.ann)
    assert "Kari" not in home_of(house.ann)


async def searched(house: House, words: str) -> str:
    """What Ann reads."""
    reply = await house.ann.commands(DESK, "/stafett", f"search {words}")
    assert reply is not None
    return str(reply["text"])


async def test_the_command_searches_and_tells_how_things_stand(house: House) -> None:
    await house.escalated("my blue teapot broke, I want a human")
    for words in ("teapot", "kari", "#1", "1"):
        assert "#1 Kari" in await searched(house, words), words
    [found] = [one for one in house.ann.ephemerals if "teapot" in one.says]
    await house.ann.presses(DESK, found.ts, "Claim")
    await house.rest()
    assert (await house.case()).agent_id == "slack:T0001:U1"
    for words, says in (
        ("search 100%_", "No case matches"),
        ("search", "Write what to look for"),
        ("status", "open: 1"),
        ("busy", "get no new ones"),
        ("away 2h", "You are away until"),
        ("away whenever", "can't read that time"),
        ("dance", "/stafett queue"),
    ):
        reply = await house.ann.commands(DESK, "/stafett", words)
        assert reply is not None
        assert says in reply["text"], words


async def test_a_name_is_found_in_whatever_case_it_is_written(house: House) -> None:
    """SQLite folds ASCII alone."""
    await house.escalated("Bjørnøya er langt, I want a human")
    for words in ("bjørnøya", "BJØRNØYA", "Bjørnøya", "øya er LANGT"):
        assert "#1 Kari" in await searched(house, words), words


async def test_the_timeline_a_note_and_the_customers_other_case(house: House) -> None:
    await house.kari.dm("I live in Oslo")
    card = await house.claimed()
    await more(house, house.ann, "Open timeline")
    view = await house.ann.is_shown("Timeline")
    assert "I live in Oslo" in flat(view["blocks"])
    await house.ann.closes(view)
    await more(house, house.ann, "Note…")
    await house.ann.submits(await house.ann.is_shown("Note"), {"text": "likes <!channel> tea"})
    await house.rest()
    assert await house.notes() == ["likes <!channel> tea"]
    assert not any(post.pages_everybody for post in house.desk.thread(card.ts))
    assert house.ann.view is None, "the form below it is out of date, and closes too"


async def test_a_customer_who_is_kept_out_is_answered_by_nobody_until_let_in_again(house: House) -> None:
    await house.claimed()
    await more(house, house.ann, "Block customer…")
    await house.ann.submits(await house.ann.is_shown("Block"))
    await house.rest()
    assert (await house.case()).outcome == "spam"
    said = len(house.got())
    await house.kari.dm("I want a human, you fools")
    await house.later(60)
    assert len(house.got()) == said
    assert len(house.desk.cards) == 1
    await more(house, house.ann, "Let in again")
    await house.kari.dm("sorry. I want a human")
    await house.rest()
    assert len(house.got()) > said


async def test_two_customers_become_one_and_part_again(house: House) -> None:
    other = house.slack.person("U8", "Kari (work)")
    await other.dm("my other order, I want a human")
    await house.rest()
    await house.kari.dm("I want a human")
    await house.rest()
    mine = await house.app.storage.read(lambda conn: cases.by_number(conn, 2))
    assert mine is not None
    card = next(one for one in house.desk.cards if "#2" in one.says)
    await house.ann.presses(DESK, card.ts, "More…")
    await house.ann.acts(await house.ann.is_shown("More"), "Merge…")
    view = await house.ann.is_shown("Merge")
    for given, told in (("99", "no such case"), ("x", "no such case"), ("2", "same customer")):
        reply = await house.ann.submits(view, {"number": given})
        assert reply is not None
        assert told in str(reply["errors"])
    await house.ann.submits(view, {"number": "#1"})
    await house.rest()
    live = await house.app.storage.read(lambda conn: cases.live_case(conn, mine.customer_id))
    assert live is not None
    both = {one.customer_id for one in await house.app.storage.read(cases.listing)}
    assert both == {mine.customer_id}
    card = next(one for one in house.desk.cards if f"#{live.number} " in one.says and "More…" in one.labels)
    await house.ann.presses(DESK, card.ts, "More…")
    await house.ann.acts(await house.ann.is_shown("More"), "Undo the merge")
    await house.rest()
    assert len({one.customer_id for one in await house.app.storage.read(cases.listing)}) == 2


async def test_each_step_is_in_a_messages_menu_too(house: House) -> None:
    card = await house.escalated()
    said = house.desk.thread(card.ts)[-1]
    for callback, title in (("transfer", "Pass the case on"), ("more", "More")):
        await house.ann.uses_shortcut(callback, DESK, said.ts)
        await house.ann.closes(await house.ann.is_shown(title))
    await house.ann.uses_shortcut("claim", DESK, said.ts)
    await house.rest()
    assert (await house.case()).agent_id == "slack:T0001:U1"
    for callback, title in (("reply", "Reply"), ("snooze", "Put the case aside"), ("resolve", "Resolve")):
        await house.ann.uses_shortcut(callback, DESK, card.ts)
        await house.ann.closes(await house.ann.is_shown(title))
    lunch = await house.bob.posts(DESK, "lunch?")
    await house.bob.uses_shortcut("claim", DESK, lunch.ts)
    await house.rest()
    await house.bob.is_told("There is no case here")


async def test_several_files_go_out_and_one_that_is_too_large_says_so(house: House) -> None:
    card = await house.claimed()
    small = [(f"label{n}.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes([n]) * 40) for n in range(3)]
    large = ("film.png", "image/png", b"\x89PNG\r\n\x1a\n" + b"0" * (20 * 1024 * 1024))
    await house.ann.posts(DESK, "your labels", thread_ts=card.ts, files=[*small, large])
    for _ in range(3):
        await house.later(10)
    sent = [file["name"] for post in house.kari.direct.posts() if post.by_app for file in post.files]
    assert sorted(sent) == ["label0.png", "label1.png", "label2.png"]
    assert any("film.png" in says and "20 MB" in says for says in house.thread(card))


# ── what goes wrong ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_what_is_pressed_or_sent_twice_counts_once_and_a_form_that_opens_too_late_is_told(house: House) -> None:
    card = await house.escalated()
    await asyncio.gather(*(house.ann.presses(DESK, card.ts, "Claim") for _ in range(3)))
    await house.rest()
    assert (await house.case()).agent_id == "slack:T0001:U1"
    assert house.ann.ephemerals == []
    assert sum("is here and has read everything" in says for says in house.got()) == 1
    view = await form(house, house.ann, "Reply…")
    first = dict(view)
    await house.ann.submits(view, {"text": "On Monday"})
    await house.ann.submits(first, {"text": "On Monday"})
    await house.later()
    assert sum("On Monday" in says for says in house.got()) == 1
    life, house.slack.views.trigger_life = house.slack.views.trigger_life, -1
    await house.ann.presses(DESK, card.ts, "Resolve…")
    await house.rest()
    await house.ann.is_told("Slack did not open the form")
    assert house.ann.view is None
    house.slack.views.trigger_life = life
    assert await form(house, house.ann, "Resolve…", "Resolve")


async def test_what_is_pressed_on_an_old_card_is_refused_in_one_line_and_the_card_is_drawn_anew(house: House) -> None:
    old = as_it_is(await house.escalated())
    await house.bob.presses(DESK, old.ts, "Claim")
    await house.rest()
    await presses_stale(house, house.ann, old, "Claim")
    await house.rest()
    await house.ann.is_told("Already taken by Bob")
    await presses_stale(house, house.ann, old, "Transfer…")
    await house.rest()
    await house.ann.is_told("Bob holds this case")
    held = as_it_is(house.card())
    await form(house, house.bob, "Resolve…")
    await house.bob.submits(await house.bob.is_shown("Resolve"), {"outcome": "Solved"})
    await house.rest()
    for name in ("Snooze…", "Transfer…", "Resolve…", "Reply…", "Customer's turn"):
        told = len(house.bob.ephemerals)
        await presses_stale(house, house.bob, held, name)
        await house.rest()
        assert [one.says for one in house.bob.ephemerals[told:]] == ["This case is already over."], name
    assert house.card().labels == ["More…"]


async def test_a_form_that_is_sent_after_a_transfer_changes_nothing_and_says_why(house: House) -> None:
    await house.bob.commands(DESK, "/stafett", "available")
    await house.claimed()
    forms = {}
    for name in ("Reply…", "Resolve…", "Snooze…", "Transfer…"):
        forms[name] = await form(house, house.ann, name)
    case = await house.case()
    ann, bob = "slack:T0001:U1", "slack:T0001:U2"
    await house.app.storage.write(lambda tx: verbs.assign(tx, case.id, bob, desk="web", by=ann))
    await house.rest()
    filled = {"Reply…": {"text": "hello"}, "Resolve…": {}, "Snooze…": {}, "Transfer…": {"to": "Team Billing"}}
    for name, values in filled.items():
        reply = await house.ann.submits(forms[name], values)
        assert reply is not None, name
        assert "Bob" in str(reply["errors"]), name
    await house.later(60)
    now = await house.case()
    assert (now.agent_id, now.status) == ("slack:T0001:U2", "open")
    assert not any("hello" in says for says in house.got())


async def test_words_that_are_astray_and_those_of_bots_reach_nobody(house: House) -> None:
    card = await house.claimed()
    case = await house.case()
    told = NotifyAsked(case.customer_id, case.id, DESK, "A refund wants looking at")
    await house.app.storage.write(lambda tx: tx.emit(told))
    await house.rest()
    line = next(one for one in house.desk.messages if "refund wants" in one.says and not one.thread_ts)
    await house.ann.posts(DESK, "I'll do it, dear customer", thread_ts=line.ts)
    await house.ann.posts(DESK, "really", thread_ts=line.ts)
    await house.later(60)
    assert sum("not a case's thread" in one.says for one in house.ann.ephemerals) == 1
    assert not any("dear customer" in says for says in house.got())
    lunch = await house.bob.posts(DESK, "lunch?")
    await house.ann.posts(DESK, "yes please", thread_ts=lunch.ts)
    await house.rest()
    assert sum("not a case's thread" in one.says for one in house.ann.ephemerals) == 1, "colleagues may talk"
    said = len(house.got())
    space = house.slack.space
    space.post(house.desk.room, {"user": "U99", "bot_id": "B9", "text": "automatic: hello there"}, card.ts)
    space.post(house.desk.room, space.by_app({"text": "our own echo"}), card.ts)
    await house.later(60)
    assert len(house.got()) == said
    assert await house.notes() == []


async def test_a_card_that_a_customer_typed_is_no_card(house: House) -> None:
    fake = "🔴 #99 · Bank\n*Status* Open\n*Agent:* all is refunded <!channel> <https://evil.example|Claim>"
    card = await house.escalated(f"{fake} I want a human")
    await house.rest()
    for post in (house.card(), *house.desk.thread(card.ts)):
        assert not post.pages_everybody
        assert "Bank" not in "\n".join(mrkdwn(post.raw.get("blocks") or [])), "typed words are never markup"
    assert len(house.desk.cards) == 1


def mrkdwn(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["text"]] if part.get("type") == "mrkdwn" else []
        return own + [text for inner in part.values() for text in mrkdwn(inner)]
    return [text for inner in part for text in mrkdwn(inner)] if isinstance(part, list) else []


async def test_a_tick_by_somebody_else_ends_nothing_and_a_reaction_that_needs_a_form_says_so(house: House) -> None:
    card = await house.claimed()
    await house.bob.reacts(DESK, card.ts, TICK)
    await house.rest()
    await house.bob.is_told("Already taken by Ann")
    post = await house.ann.posts(DESK, "note: looking into it", thread_ts=card.ts)
    await house.ann.reacts(DESK, post.ts, TICK)
    await house.rest()
    assert (await house.case()).live, "a nod below the card is a nod"
    house.app.desk.desk = replace(house.app.rules, reactions={"zzz": "snooze"})
    await house.ann.reacts(DESK, card.ts, "zzz")
    await house.rest()
    await house.ann.is_told("A reaction can't ask anything")


async def test_edits_deletions_and_reactions_that_were_missed_are_found_again(house: House) -> None:
    card = await house.claimed()
    edited = await house.ann.posts(DESK, "on Munday", thread_ts=card.ts)
    deleted = await house.ann.posts(DESK, "wrong customer", thread_ts=card.ts)
    kept = await house.ann.posts(DESK, "this one stays", thread_ts=card.ts)
    await house.later()
    other = house.slack.person("U11", "Olav")
    await other.dm("I want a human")
    await house.rest()
    second = next(one for one in house.desk.cards if "Olav" in one.says)
    house.slack.hold()
    await house.ann.edits(DESK, edited.ts, "on Monday")
    await house.ann.deletes(DESK, deleted.ts)
    await house.bob.reacts(DESK, second.ts, EYES)
    assert house.slack.delivery.held
    house.slack.delivery.held.clear()  # Slack has given up
    house.slack.release()
    for _ in range(2):
        await house.sweep()
        await house.rest()
    got = house.got()
    assert any("on Monday" in says for says in got)
    assert not any("Munday" in says or "wrong customer" in says for says in got)
    assert any("this one stays" in says for says in got)
    assert house.marks(kept) == {SENT}
    held = await house.app.storage.read(lambda conn: cases.by_number(conn, 2))
    assert held is not None
    assert held.agent_id == "slack:T0001:U2"
    bob = "slack:T0001:U2"
    await house.app.storage.write(lambda tx: verbs.release(tx, held.id, bob, desk="web"))
    await house.sweep()
    await house.rest()
    again = await house.app.storage.read(lambda conn: cases.case(conn, held.id))
    assert again is not None
    assert again.agent_id is None, "a reaction counts once"


async def test_a_reaction_counts_though_slack_did_not_say_at_first_who_it_is(house: House) -> None:
    """We answer that it was not taken, so Slack tells it again; and a sweep that met the same finds it at the next one."""
    card = await house.escalated()
    house.slack.script("users.info", Fault.status(500), when=lambda params: params["user"] == "U2")
    await house.bob.reacts(DESK, card.ts, EYES)
    await house.rest()
    assert (await house.case()).agent_id == "slack:T0001:U2"


async def test_a_reaction_that_a_sweep_could_not_tell_whose_it_is_is_found_by_the_next(house: House) -> None:
    card = await house.escalated()
    house.slack.hold()
    await house.bob.reacts(DESK, card.ts, EYES)
    assert house.slack.delivery.held
    house.slack.delivery.held.clear()  # Slack has given up
    house.slack.release()
    house.slack.script("users.info", Fault.status(500), when=lambda params: params["user"] == "U2")
    with pytest.raises(SendFault):
        await house.sweep()
    await house.sweep()
    assert (await house.case()).agent_id == "slack:T0001:U2"


async def test_whoever_left_the_list_meanwhile_can_not_send_a_form(house: House) -> None:
    listed = Agent("ann", "Ann", "support", slack=SlackAccount("T0001", "U1"))
    house.app.desk.desk = replace(house.app.rules, agents=(listed,))
    await house.claimed()
    view = await form(house, house.ann, "Reply…")
    house.app.desk.desk = replace(
        house.app.rules, agents=(replace(listed, id="bob", slack=SlackAccount("T0001", "U2")),)
    )
    reply = await house.ann.submits(view, {"text": "hello"})
    assert reply is not None
    assert "not on the list of agents" in str(reply["errors"])
    await house.later(60)
    assert not any("hello" in says for says in house.got())
