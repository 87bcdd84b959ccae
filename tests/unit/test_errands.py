"""What colleagues are asked for a case: it comes back to the case, in time, and never reaches the customer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.errors import Conflict, NotAllowed, NotFound
from bot.events import EscalationAsked
from bot.model import CaseStatus
from bot.storage import belongings, erasure, merging
from bot.storage import tables as t
from handoff import cases, store
from handoff.case import Case, PeopleCalled
from handoff.errands import store as rows
from handoff.errands import verbs
from handoff.errands.errand import Errand, ErrandChanged
from tests.unit.handoff_house import House, build

HOURS = timedelta(hours=4)


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    built = await build(sqlite_url)
    yield built
    await built.storage.close()


async def asked(house: House, case: Case, text: str = "Is the refund out?", **more: Any) -> Errand:
    return await house.do(verbs.consult, case.id, "ann", "billing", text, desk="wall", **more)


async def test_a_question_goes_out_and_its_answer_returns_as_a_note_and_calls_who_holds_the_case(house: House) -> None:
    case = await house.taken()
    question = await asked(house, case)
    assert (question.state, question.team, question.due_at) == ("open", "billing", house.now + HOURS)
    done = await house.do(verbs.talk, question.id, "bill", "Yes, on Monday", desk="wall")
    assert (done.state, done.answered_by, done.ended_at) == ("answered", "bill", house.now)
    assert (await house.notes(case))[-2:] == [
        "🤝 Question to Billing\nIs the refund out?",
        "🤝 Billing answered (Is the refund out?)\nYes, on Monday",
    ]
    [called] = [one for one in house.heard if isinstance(one, PeopleCalled)]
    assert (called.person, called.why) == ("ann", "answer")
    kinds = [one.kind for one in await house.look(store.events, case.id)]
    assert kinds[-2:] == ["consult", "consult_answered"]
    assert [one.what for one in house.heard if isinstance(one, ErrandChanged)] == ["asked", "answered"]


async def test_the_same_asking_and_the_same_answer_twice_are_one(house: House) -> None:
    case = await house.taken()
    one = await asked(house, case, ref="view:1")
    two = await asked(house, case, ref="view:1")
    assert one.id == two.id
    for _ in range(2):
        await house.do(verbs.answer, one.id, "bill", "Yes", desk="wall", ref="C2:1.1")
    assert len(await house.notes(case)) == 2
    with pytest.raises(Conflict, match="answered before"):
        await house.do(verbs.answer, one.id, "bob", "No", desk="wall", ref="C2:1.2")


async def test_its_asker_may_add_something_without_answering_and_talk_goes_on_afterwards(house: House) -> None:
    case = await house.taken()
    question = await asked(house, case)
    after = await house.do(verbs.talk, question.id, "ann", "It is about June", desk="wall")
    assert after.is_open
    await house.do(verbs.talk, question.id, "bill", "Yes", desk="wall")
    await house.do(verbs.talk, question.id, "bill", "I mean July", desk="wall")
    assert [one.partition("\n")[2] or one for one in await house.notes(case)] == [
        "Is the refund out?",
        "It is about June",
        "Yes",
        "I mean July",
    ]


async def test_a_task_is_done_by_its_owner_who_asked_or_a_lead(house: House) -> None:
    case = await house.taken()
    task = await house.do(verbs.task, case.id, "ann", "bill", "Send it", house.now + HOURS, desk="wall")
    talked = await house.do(verbs.talk, task.id, "bill", "I am on it", desk="wall")
    assert talked.is_open, "a word is not yet the deed"
    with pytest.raises(NotAllowed, match="Bill's task"):
        await house.do(verbs.answer, task.id, "bob", "done", desk="wall")
    done = await house.do(verbs.answer, task.id, "bill", "Sent, number 7", desk="wall")
    assert done.state == "answered"
    assert (await house.notes(case))[-1] == "☑️ Done by Bill (Send it)\nSent, number 7"


@pytest.mark.parametrize("rest", ["snoozed", "pending"])
async def test_an_answer_makes_it_the_agents_turn_again(house: House, rest: str) -> None:
    case = await house.taken()
    question = await asked(house, case)
    if rest == "snoozed":
        await house.do(cases.snooze, case.id, "ann", house.now + timedelta(days=1), desk="wall")
    else:
        await house.do(cases.reply, case.id, "ann", "I ask my colleagues", desk="wall")
    assert (await house.case(case)).status == rest
    await house.do(verbs.talk, question.id, "bill", "Yes", desk="wall")
    assert (await house.case(case)).status is CaseStatus.OPEN


async def test_a_case_that_waits_for_colleagues_neither_nudges_its_customer_nor_gives_them_up(house: House) -> None:
    case = await house.taken()
    await house.do(cases.reply, case.id, "ann", "I ask my colleagues", desk="wall")
    await house.do(verbs.task, case.id, "ann", "bill", "Look", house.now + timedelta(days=9), desk="wall")
    said = await house.said(case.customer_id)
    await house.later(days=6)
    assert await house.said(case.customer_id) == said
    assert (await house.case(case)).status is CaseStatus.PENDING


async def test_who_does_not_answer_is_reminded_a_few_times_and_the_case_says_so(house: House) -> None:
    case = await house.taken()
    question = await asked(house, case)
    house.heard.clear()
    await house.later(hours=5)
    assert (await house.notes(case))[-1] == "⏰ Billing has not answered yet: Is the refund out?"
    [called] = [one for one in house.heard if isinstance(one, PeopleCalled)]
    assert called.person == "ann"
    await house.later(days=3)
    late = [one for one in await house.notes(case) if one.startswith("⏰")]
    assert len(late) == 3, "then no more"
    known = await house.look(rows.one, question.id)
    assert known is not None
    assert (known.state, known.reminders) == ("open", 3)


async def test_who_answered_is_not_reminded(house: House) -> None:
    case = await house.taken()
    question = await asked(house, case)
    await house.do(verbs.talk, question.id, "bill", "Yes", desk="wall")
    await house.later(hours=9)
    assert not [one for one in await house.notes(case) if one.startswith("⏰")]


async def test_what_is_open_when_its_case_ends_is_withdrawn_and_nobody_is_reminded(house: House) -> None:
    case = await house.taken()
    question = await asked(house, case)
    await house.do(cases.resolve, case.id, "ann", "resolved")
    gone = await house.look(rows.one, question.id)
    assert gone is not None
    assert gone.state == "withdrawn"
    await house.later(days=1)
    assert not [one for one in await house.notes(case) if one.startswith("⏰")]
    with pytest.raises(Conflict, match="withdrawn"):
        await house.do(verbs.answer, question.id, "bill", "late", desk="wall")
    with pytest.raises(Conflict, match="already over"):
        await asked(house, case)


async def test_who_asked_takes_it_back_and_strangers_do_not(house: House) -> None:
    case = await house.taken()
    question = await asked(house, case)
    with pytest.raises(NotAllowed):
        await house.do(verbs.withdraw, question.id, "bob", desk="wall")
    for _ in range(2):
        gone = await house.do(verbs.withdraw, question.id, "ann", desk="wall")
        assert gone.state == "withdrawn"
    assert len(await house.notes(case)) == 2


async def test_what_can_not_be_asked_is_refused_in_a_line(house: House) -> None:
    case = await house.taken()
    with pytest.raises(NotFound, match="no team legal"):
        await house.do(verbs.consult, case.id, "ann", "legal", "?", desk="wall")
    with pytest.raises(NotAllowed, match="nobody is not an agent"):
        await house.do(verbs.task, case.id, "ann", "nobody", "x", house.now + HOURS, desk="wall")
    with pytest.raises(NotAllowed, match="Ann holds"):
        await house.do(verbs.consult, case.id, "bob", "billing", "mine?", desk="wall")
    with pytest.raises(Conflict, match="time to come"):
        await house.do(verbs.task, case.id, "ann", "bill", "x", house.now, desk="wall")
    with pytest.raises(Conflict, match="nothing to ask"):
        await asked(house, case, " \n")
    assert await house.notes(case) == []


async def test_each_sees_what_is_asked_of_them_the_most_urgent_first(house: House) -> None:
    case = await house.taken()
    await asked(house, case, "first")
    await house.do(verbs.task, case.id, "ann", "bill", "soon", house.now + timedelta(hours=1), desk="wall")
    of_bill = await house.look(rows.asked_of, "bill", "billing")
    assert [one.text for one in of_bill] == ["soon", "first"]
    assert await house.look(rows.asked_of, "bob", "support") == []


async def test_of_two_cases_that_become_one_the_survivor_is_asked_for(house: House) -> None:
    ours = await house.taken(name="Kari")
    other = await house.queued("Ola")
    question = await house.do(verbs.consult, other.id, "bob", "billing", "which?", desk="wall")
    await house.do(merging.merge, ours.customer_id, other.customer_id, "agent")
    moved = await house.look(rows.one, question.id)
    assert moved is not None
    assert (moved.case_id, moved.customer_id, moved.state) == (ours.id, ours.customer_id, "open")
    await house.do(verbs.talk, question.id, "bill", "the second", desk="wall")
    assert "the second" in (await house.notes(ours))[-1]


async def test_erasing_a_customer_leaves_nothing_of_what_was_asked(house: House) -> None:
    case = await house.taken()
    await asked(house, case, "Kari's card ends in 4711")
    assert (await house.look(belongings.find, case.customer_id)) is not None
    await house.do(erasure.erase, case.customer_id, by="test")
    left = await house.storage.read(lambda conn: conn.execute(select(t.errands)).all())
    assert left == []


async def test_a_program_may_ask_without_an_agent(house: House) -> None:
    customer = await house.newcomer("Nils")
    await house.writes(customer, "hello there")
    case = await house.do(cases.on_escalation, EscalationAsked(customer, "asked"))
    question = await house.do(verbs.consult, case.id, None, "billing", "is it paid?", desk="api", ref="k")
    assert question.asked_by is None
    await house.do(verbs.talk, question.id, "bill", "it is", desk="wall")
    assert "it is" in (await house.notes(case))[-1]
