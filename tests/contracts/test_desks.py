"""What every agents' desk promises, one suite over all of them: the web desk, Slack, and one agent at each.

The house is whole and shared by the tests of one desk; each test has a customer and a case of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from channels.delivery import paces
from tests.contracts.agents import API_TOKEN, DESKS, Office, staffed
from tests.contracts.customers import PNG
from tests.fakes.faults import Fault

pytestmark = pytest.mark.asyncio(loop_scope="module")
WINDOW = 6  # seconds; desk.yaml says `undo: 5s`
OUTCOMES = {
    "web": {"resolved": "resolved", "no_solution": "no_solution"},
    "slack": {"resolved": "Solved", "no_solution": "No solution"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(DESKS))
async def office(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paces, "RATES", {})
        async with staffed(request.param, tmp_path_factory.mktemp(request.param)) as built:
            yield built


async def said_to(kari: Any) -> str:
    """All that the customer was ever shown, in whatever form."""
    frames = str(kari.visitor.frames) if kari.channel == "web" else ""
    return "\n".join([frames, *await kari.texts()])


# ── taking over ────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("channel", ["web", "slack"])
async def test_an_agent_sees_all_that_is_needed_to_take_over(office: Office, channel: str) -> None:
    kari, case_id = await office.queued(channel)
    case = await office.case(case_id)
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None, f"{seat.name} does not see the case"
        card = view.card.casefold()
        assert channel in card
        assert "en" in card
        assert "AB123456" in view.card, "what was asked and told"
        waits = int(case.escalated_at.timestamp()) if case.escalated_at else 0
        assert str(waits) in view.card or case.escalated_at.isoformat().replace("+00:00", "Z") in view.card
        if channel == "slack":
            assert f"Kari {kari.number}" in view.card
        spoken = "\n".join(view.talk)
        told = ["where is my order?", "order number", "AB123456", "talk to a human"]
        assert [spoken.index(words) for words in told] == sorted(spoken.index(words) for words in told)
        assert view.actions >= {"claim", "resolve"}


async def test_why_a_human_was_fetched_stands_on_it(office: Office) -> None:
    kari = await office.platform.customer()
    await kari.writes("hello")
    case_id = await kari.asks_for_a_human()
    await office.rest()
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None
        assert "wants a human" in view.card


async def test_a_claim_is_won_once_and_the_loser_is_told_who(office: Office) -> None:
    kari, case_id = await office.queued()
    told = await asyncio.gather(office.ann.claims(case_id), office.bob.claims(case_id))
    case = await office.case(case_id)
    winner, loser = ("Ann", told[1]) if case.agent_id == "ann" else ("Bob", told[0])
    assert (case.status, case.agent_id) == ("open", winner.lower())
    assert sum(one is None for one in told) == 1
    assert loser is not None
    assert winner in loser
    await kari.hears("is here and has read everything")
    await office.rest()
    assert sum("is here and has read everything" in one for one in await kari.texts()) == 1


async def test_a_claimed_case_can_not_be_claimed_again_and_both_desks_show_its_holder(office: Office) -> None:
    _, case_id = await office.taken()
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None
        assert "Ann" in view.card
        assert "claim" not in view.actions


async def test_a_case_is_put_aside_left_to_the_customer_and_passed_on(office: Office) -> None:
    kari, case_id = await office.taken()
    assert await office.ann.leaves_to_customer(case_id) is None
    assert (await office.case(case_id)).status == "pending"
    assert await office.ann.snoozes(case_id) is None
    assert (await office.case(case_id)).status == "snoozed"
    await kari.writes("are you there?")
    await office.rest()
    assert (await office.case(case_id)).status == "open", "a snoozed case wakes when its customer writes"
    assert await office.ann.passes_on(case_id, "bob") is None
    assert (await office.case(case_id)).agent_id == "bob"
    refused = await office.ann.resolves(case_id, named(office.ann, "resolved")) if office.key == "web" else "Bob"
    assert refused is not None
    assert (await office.case(case_id)).live


async def test_a_customer_is_kept_out_and_let_in_again(office: Office) -> None:
    kari, case_id = await office.taken()
    assert await office.ann.keeps_out(case_id) is None
    assert (await office.case(case_id)).outcome == "spam"
    said = len(await kari.sees())
    await kari.writes("talk to a human, now")
    await office.passes(60)
    heard = [one for one in (await kari.sees())[said:] if one.raw["author"]["kind"] != "customer"]
    assert heard == []
    assert await office.ann.keeps_out(case_id, out=False) is None
    await kari.writes("talk to a human, please")
    await office.rest()
    assert (await office.case_of(kari)).status == "queued"


# ── what leaves the house, and what does not ───────────────────────────────────────────────────────────────────────
async def test_words_before_the_claim_never_reach_the_customer(office: Office) -> None:
    kari, case_id = await office.queued()
    await office.ann.writes(case_id, "oh no, him again")
    assert await office.ann.claims(case_id) is None
    await office.passes(60)
    assert "him again" not in await said_to(kari)


async def test_the_holders_words_leave_after_the_undo_window_and_not_before(office: Office) -> None:
    kari, case_id = await office.taken()
    written = await office.ann.writes(case_id, "It left Oslo this morning")
    assert await office.ann.mark(written) == "waiting"
    await office.passes(WINDOW - 2)
    assert "left Oslo" not in await said_to(kari)
    await office.passes(2)
    answer = await kari.hears("It left Oslo this morning")
    assert answer.raw["author"] == {"kind": "agent", "name": "Ann"}
    assert await office.ann.mark(written) == "sent"
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None
        assert sum("It left Oslo this morning" in one for one in view.talk) == 1, "shown once at every desk"


async def test_what_anybody_else_writes_stays_in_the_house(office: Office) -> None:
    kari, case_id = await office.taken()
    await office.bob.writes(case_id, "give him a voucher")
    await office.passes(60)
    assert "voucher" not in await said_to(kari)


async def test_notes_are_seen_by_agents_and_never_by_the_customer_nor_a_program(office: Office) -> None:
    kari, case_id = await office.taken()
    await office.ann.notes(case_id, "he sounds angry")
    await office.bob.notes(case_id, "he always is")
    await office.ann.writes(case_id, "One moment please")
    await office.passes(WINDOW)
    await kari.hears("One moment please")
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None
        assert "he sounds angry" in view.words
        assert "he always is" in view.words
    shown = await said_to(kari)
    async with office.house.http(Authorization=f"Bearer {API_TOKEN}") as http:
        answer = await http.get(f"/api/v1/customers/{await kari.id()}/messages")
    answer.raise_for_status()
    for words in ("sounds angry", "always is"):
        assert words not in shown
        assert words not in answer.text
    assert "One moment please" in answer.text
    assert kari.visitor.seqs == list(range(1, kari.visitor.last_seq + 1)), "a note takes no seq"


async def test_a_team_is_asked_beside_the_case_and_its_customer_never_hears_of_it(office: Office) -> None:
    kari, case_id = await office.taken()
    await office.ann.asks_billing(case_id, "is the refund out, between us?")
    await office.bob.answers_beside(case_id, "yes, on Monday, but keep it quiet")
    await office.passes(60)
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None
        told = [one for one in view.talk if "keep it quiet" in one]
        assert len(told) == 1
        assert "🔒" in told[0]
        assert "Billing" in told[0]
    shown = await said_to(kari)
    async with office.house.http(Authorization=f"Bearer {API_TOKEN}") as http:
        answer = await http.get(f"/api/v1/customers/{await kari.id()}/messages")
    for words in ("between us", "keep it quiet", "Billing"):
        assert words not in shown
        assert words not in answer.text


async def test_words_are_taken_back_within_the_window(office: Office) -> None:
    kari, case_id = await office.taken()
    written = await office.ann.writes(case_id, "the wrong window")
    await office.ann.takes_back(written)
    await office.passes(60)
    assert "wrong window" not in await said_to(kari)
    assert await office.ann.mark(written) == "taken_back"


async def test_words_are_taken_back_from_the_customer_too(office: Office) -> None:
    kari, case_id = await office.taken()
    written = await office.ann.writes(case_id, "the wrong customer")
    await office.passes(WINDOW)
    await kari.hears("the wrong customer")
    await office.ann.takes_back(written)
    await office.passes(1)
    assert not [one for one in await kari.texts() if "the wrong customer" in one]


async def test_an_answer_that_can_not_be_delivered_is_marked(office: Office) -> None:
    kari, case_id = await office.taken("slack")
    kari.meets(Fault.refusal("channel_not_found"))
    written = await office.ann.writes(case_id, "are you there?")
    await office.passes(WINDOW)
    assert await office.ann.mark(written) == "failed"
    assert not (await kari.identity()).reachable


# ── what the customer does meanwhile ───────────────────────────────────────────────────────────────────────────────
async def test_what_the_customer_says_afterwards_appears_at_every_desk(office: Office) -> None:
    kari, case_id = await office.taken()
    await kari.writes("it was a red parcel")
    await office.rest()
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None
        assert sum("it was a red parcel" in one for one in view.talk) == 1


async def test_a_customers_edit_and_deletion_appear(office: Office) -> None:
    kari, case_id = await office.taken("slack")
    first = await kari.writes("my order is 12")
    second = await kari.writes("my pin is hunter2")
    await kari.edits(first, "my order is 13")
    await kari.deletes(second)
    await office.rest()
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None
        assert "my order is 13" in view.words
        assert "hunter2" not in view.words


async def test_files_go_both_ways(office: Office) -> None:
    kari, case_id = await office.taken()
    await kari.sends_file("parcel.png", PNG)
    await office.rest()
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None
        assert ("parcel.png", PNG) in view.files
    await office.ann.sends_file(case_id, "label.png", PNG + b"1")
    await office.passes(WINDOW)
    files = [file for one in await kari.sees() for file in one.files]
    assert files == [("label.png", PNG + b"1")]


async def test_hostile_words_ping_nobody_at_any_desk(office: Office) -> None:
    kari, case_id = await office.taken()
    evil = "<!channel> <!here> *_[x](javascript:alert(1))_* <b>bold</b> <script>alert(1)</script>"
    await kari.writes(evil)
    await office.rest()
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is not None
        assert "<b>bold</b>" in view.words
    slack = office.platform.slack
    assert not [
        post for room in slack.space.rooms.values() for post in room.posts() if post.by_app and post.pages_everybody
    ]


# ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────────
def named(seat: Any, outcome: str) -> str:
    return OUTCOMES["slack" if "Slack" in type(seat).__name__ else "web"][outcome]


async def test_a_case_is_resolved_with_outcome_and_topic_and_the_customer_is_asked(office: Office) -> None:
    kari, case_id = await office.taken()
    assert await office.ann.resolves(case_id, named(office.ann, "resolved"), topic="delivery") is None
    await office.passes(60)
    case = await office.case(case_id)
    assert (case.status, case.outcome, case.topic, case.last_agent_id) == ("resolved", "resolved", "delivery", "ann")
    assert [one for one in await kari.sees() if one.labels[:7] == tuple("1234567")]
    for seat in (office.ann, office.bob):
        view = await seat.sees(case_id)
        assert view is None or not view.actions


async def test_no_solution_needs_its_reason(office: Office) -> None:
    _, case_id = await office.taken()
    refused = await office.ann.resolves(case_id, named(office.ann, "no_solution"))
    assert refused is not None
    assert "reason" in refused.casefold()
    assert (await office.case(case_id)).live
    assert await office.ann.resolves(case_id, named(office.ann, "no_solution"), reason="the parcel is lost") is None
    case = await office.case(case_id)
    assert (case.outcome, case.live) == ("no_solution", False)


async def test_words_after_the_end_stay_in_the_house(office: Office) -> None:
    kari, case_id = await office.taken()
    assert await office.ann.resolves(case_id, named(office.ann, "resolved")) is None
    await office.ann.writes(case_id, "glad that is over")
    await office.passes(60)
    assert "glad that is over" not in await said_to(kari)
