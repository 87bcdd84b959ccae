"""A low score in a running house: the team has it at once, the customer is asked, a case of its own follows, and the next
card remembers it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import select

from bot import timers
from bot.events import CaseResolved
from bot.model import CaseStatus
from bot.storage import merging
from bot.storage import tables as t
from bot.storage.tx import Tx
from handoff import cases, store
from handoff.case import Case, CaseEvent
from tests.support.house import Agent, House, Visitor


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as made:
        yield made


async def helped(house: House, outcome: str = "resolved") -> tuple[Visitor, Agent, str]:
    """A customer with a case that an agent has ended."""
    kari, ann = await house.visitor(), await house.agent()
    await kari.says("I want to talk to a human")
    (case,) = await ann.sees()
    await ann.does(case["id"], "claim")
    await ann.does(case["id"], "resolve", outcome=outcome)
    return kari, ann, str(case["id"])


async def posts(ann: Agent, path: str, **body: Any) -> httpx2.Response:
    answer = await ann.http.post(f"/desk/api/{path}", json=body)
    await ann.house.settle()
    return answer


async def one(house: House, case_id: str) -> Case:
    found = await house.app.storage.read(lambda conn: store.case(conn, case_id))
    assert found is not None
    return found


async def test_who_was_unhappy_is_looked_after_and_gets_a_case_of_their_own(house: House) -> None:
    kari, ann, case_id = await helped(house)
    await kari.presses(await kari.hears("How easy was it"), "2")
    (alert,) = (await ann.gets("alerts"))["items"]
    assert (alert["case"], alert["score"], alert["state"], alert["contact"]) == (case_id, 2, "open", None)
    assert (await posts(ann, f"alerts/{alert['id']}/claim")).json()["agent"]["name"] == "Robin"
    await kari.says("I had to repeat everything")
    await kari.presses(await kari.hears("May a colleague contact you"), "Yes, please")
    assert await kari.hears("A colleague will get back to you")
    (follow_up,) = await ann.sees()
    assert follow_up["id"] != case_id
    assert (await one(house, case_id)).status is CaseStatus.CLOSED
    shown = (await ann.opens(follow_up["id"]))["brief"]
    assert shown["reason"] == "CES7 2/7: “I had to repeat everything”"
    assert (shown["bad_experience"]["score"], shown["earlier"][0]["number"]) == (2, (await one(house, case_id)).number)
    (alert,) = (await ann.gets("alerts"))["items"]
    assert (alert["contact"], alert["follow_up"], alert["comment"]) == (
        True,
        follow_up["id"],
        "I had to repeat everything",
    )
    assert (await posts(ann, f"alerts/{alert['id']}/close", outcome="nonsense")).status_code == 409
    assert (await posts(ann, f"alerts/{alert['id']}/close", outcome="solved")).status_code == 200
    assert (await posts(ann, f"alerts/{alert['id']}/close", outcome="solved")).status_code == 409
    assert (await posts(ann, "alerts/none/claim")).status_code == 404
    assert (await ann.gets("alerts"))["items"] == []
    (done,) = (await ann.gets("alerts?closed=1"))["items"]
    assert (done["outcome"], done["state"]) == ("solved", "closed")


@pytest.mark.parametrize(
    "why", ["I am very disappointed", "terrible service", "nothing works", "no complaints about Robin"]
)
async def test_a_bad_mood_after_a_low_score_is_its_reason_and_no_new_case(house: House, why: str) -> None:
    kari, ann, case_id = await helped(house)
    await kari.presses(await kari.hears("How easy was it"), "2")
    await kari.says(why)
    assert await kari.hears("May a colleague contact you")
    (alert,) = (await ann.gets("alerts"))["items"]
    assert (alert["case"], alert["comment"]) == (case_id, why)
    assert not await ann.sees()


async def test_the_customers_no_stands_above_the_agents_solved(house: House) -> None:
    rules = {**(house.app.rules.surveys or {}), "goal": True}
    object.__setattr__(house.app.rules, "surveys", rules)
    kari, ann, case_id = await helped(house)
    await kari.presses(await kari.hears("Did you get what you came for"), "No")
    assert await kari.hears("We have reopened your case")
    (again,) = await ann.sees()
    assert (again["id"], again["status"], again["reopened"]) == (case_id, "queued", 1)
    await ann.does(case_id, "claim")
    await ann.does(case_id, "resolve", outcome="resolved")
    kari.rewinds()
    questions = [frame for frame in kari.frames if "Did you get what you came for" in frame.get("text", "")]
    await kari.presses(questions[-1], "Yes")
    await kari.presses(await kari.hears("How easy was it"), "7")
    assert (await one(house, case_id)).confirmed is True
    asked = await house.app.storage.read(lambda conn: conn.execute(select(t.survey_invitations)).all())
    assert [(row.case_id, row.state) for row in asked] == [(case_id, "answered")]


async def test_a_no_about_a_case_that_is_over_for_good_reopens_no_other_one(house: House) -> None:
    rules = {**(house.app.rules.surveys or {}), "goal": True, "throttle_days": 30}
    object.__setattr__(house.app.rules, "surveys", rules)
    kari, ann, case_id = await helped(house)
    about_it = await kari.hears("Did you get what you came for")
    await house.passes(days=4)
    await kari.says("I want to talk to a human")
    (other,) = await ann.sees()
    await ann.does(other["id"], "claim")
    await ann.does(other["id"], "resolve", outcome="resolved")
    await kari.presses(about_it, "No")
    (again,) = await ann.sees()
    assert again["id"] not in {case_id, other["id"]}
    ended = await one(house, other["id"])
    assert (ended.outcome, ended.reopened) == ("resolved", 0), "what was solved since stays solved"
    (about,) = [event for event in (await events(house, again["id"])) if event.kind == "follow_up"]
    assert about.data["of"] == case_id


async def test_of_two_who_became_one_a_no_reopens_the_case_that_it_is_about(house: House) -> None:
    rules = {**(house.app.rules.surveys or {}), "goal": True}
    object.__setattr__(house.app.rules, "surveys", rules)
    kari, ann, case_id = await helped(house)
    about_it = await kari.hears("Did you get what you came for")
    await house.passes(minutes=1)
    _, _, other_id = await helped(house)
    winner, loser = [(await one(house, of)).customer_id for of in (case_id, other_id)]
    await house.app.storage.write(lambda tx: merging.merge(tx, winner, loser, "agent"))
    await kari.presses(about_it, "No")
    (again,) = await ann.sees()
    assert again["id"] == case_id
    assert (await one(house, other_id)).status is CaseStatus.RESOLVED


async def events(house: House, case_id: str) -> list[CaseEvent]:
    return await house.app.storage.read(lambda conn: store.events(conn, case_id))


async def test_a_score_that_is_not_on_the_scale_or_not_theirs_is_refused_at_the_widget(house: House) -> None:
    kari, _, _ = await helped(house)
    question = await kari.hears("How easy was it")
    mallory = await house.visitor()
    await mallory.says("hello")
    for who, message, value in (
        (kari, question["id"], "8"),
        (kari, question["id"], "0"),
        (mallory, question["id"], "1"),
    ):
        frame = {"type": "choice", "id": str(uuid.uuid4()), "message": message, "value": value}
        await who.sends(frame)
        answer = await who.gets(partial(answers, frame["id"]))
        assert answer["type"] == "error"
    await house.settle()
    rows = await house.app.storage.read(lambda conn: conn.execute(select(t.survey_responses)).all())
    assert rows == []


def answers(client_id: str, frame: dict[str, Any]) -> bool:
    return frame["type"] in {"ack", "error"} and frame.get("id") == client_id


async def test_an_agent_logs_a_talk_at_the_desk(house: House) -> None:
    kari, ann, _ = await helped(house)
    who = await house.app.storage.read(lambda conn: conn.execute(select(t.customers.c.id)).scalar())
    assert (await posts(ann, "talks", text="Rang to say thanks", mode="phone", customer_id=who)).status_code == 201
    assert (await posts(ann, "talks", text="")).status_code == 400
    assert (await posts(ann, "talks", text="x", instrument="ces7", score=9)).status_code == 409
    assert (await posts(ann, "talks", text="x", instrument="ces7", score=5.5)).status_code == 400
    assert (await posts(ann, "talks", text="x", at="0001-01-01T00:00:00+23:00")).status_code == 400
    assert (await posts(ann, "talks", text="x", at="2126-01-01T00:00:00Z")).status_code == 409
    (row,) = await house.app.storage.read(lambda conn: conn.execute(select(t.outside_feedback)).all())
    assert (row.text, row.mode, row.source, row.customer_id) == ("Rang to say thanks", "phone", "talk", who)
    assert kari.frames


async def test_however_often_it_is_begun_each_ended_case_has_one_decision(tmp_path: Path) -> None:
    """What dies before its commit leaves neither the end of a case nor a decision; what is played again decides nothing anew."""
    async with House(tmp_path) as house:
        kari = await house.visitor()
        await kari.says("I want to talk to a human")
        (case,) = await house.app.storage.read(lambda conn: store.listing(conn, status="queued"))

        def dies(tx: Tx) -> None:
            cases.resolve(tx, case.id, None, "resolved")
            raise RuntimeError("the power went")

        with pytest.raises(RuntimeError):
            await house.app.storage.write(dies)
        assert await decisions(house) == []
        await house.app.storage.write(lambda tx: cases.resolve(tx, case.id, None, "resolved"))
        assert await decisions(house) in ([(case.id, "planned")], [(case.id, "asked")])
    async with House(tmp_path) as house:  # a second start, with the timer that the first one had
        await house.settle()
        again = CaseResolved(case.id, case.customer_id, "resolved", "agent")
        await house.app.storage.write(lambda tx: tx.emit(again))
        await house.app.storage.write(
            lambda tx: timers.set_timer(
                tx, "survey", f"survey:{case.id}", tx.now, customer_id=case.customer_id, case_id=case.id
            )
        )
        await house.settle()
        assert await decisions(house) == [(case.id, "asked")]
        said = await house.app.storage.read(lambda conn: conn.execute(select(t.messages.c.survey)).scalars().all())
        assert len([one for one in said if one]) == 1


async def decisions(house: House) -> list[tuple[str, str]]:
    i = t.survey_invitations.c
    rows = await house.app.storage.read(lambda conn: conn.execute(select(i.case_id, i.state)).all())
    return [(row.case_id, row.state) for row in rows]
