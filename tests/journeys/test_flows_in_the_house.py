"""What flows do that needs the whole house: articles as a step, events from elsewhere, the survey chosen before people came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.dialogue import moving
from bot.inbox import TRIES
from bot.model import Answered
from bot.storage import history
from bot.turn import Turn
from handoff import cases, persons
from handoff.availability import set_available
from handoff.meanwhile import BOT
from handoff.store import listing
from surveys import store as surveys
from surveys.figures.shape import Question
from tests.support.house import House

DESK = """\
schema: 1
name: Small shop
locales: [en]
teams: [{id: support, name: Support}]
agents: [{id: ann, name: Ann, team: support, role: admin}]
interrupts: [{id: human, run: handoff, phrases: {en: [human]}}]
surveys: {instrument: ces7, delay: 0, quiet_hours: off, throttle_days: 0, fatigue_after: 0, sample: 1}
"""
HANDOFF = """\
schema: 1
flow: handoff
version: 1
steps:
  - {id: person, escalate: {team: support}, text: Somebody comes.}
  - {survey: csat5}
  - {close: resolved}
"""
GUIDE = """\
schema: 1
flow: guide
version: 1
triggers: {phrases: {en: [guide]}}
slots: {q: {type: text}}
steps:
  - {id: q_what, ask: q, text: "What about?"}
  - {id: look, kb: "{{ q }}", collections: [costs], confirm: true, on: {unsure: nothing, none: nothing}}
  - {id: done, say: "Good to know.", next: end}
  - {id: nothing, say: "I know nothing of that."}
"""
PARCEL = """\
schema: 1
flow: parcel
version: 1
triggers: {event: parcel.sent}
slots: {carrier: {type: text}}
steps:
  - {say: "Your parcel is on its way with {{ carrier }}."}
  - {id: way, wait: {event: parcel.delivered, timeout: 2d, then: late}}
  - {say: "It has arrived.", next: end}
  - {id: late, say: "It is late, sorry."}
"""
GREETING = """\
schema: 1
flow: greeting
version: 1
triggers: {phrases: {en: [good morning]}}
steps:
  - {say: "Good morning to you."}
  - {close: resolved}
"""
CLAIM = """\
schema: 1
flow: claim
version: 1
triggers: {phrases: {en: [a claim]}}
steps:
  - {id: person, escalate: {team: support}, text: Somebody comes.}
"""
ARTICLE = """\
---
title: What delivery costs
locale: en
tags: [costs]
questions: [How much does delivery cost?, What are the shipping costs?]
---
It costs € 4.90.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "desk.yaml": DESK,
        "flows/handoff.yaml": HANDOFF,
        "flows/guide.yaml": GUIDE,
        "flows/parcel.yaml": PARCEL,
        "knowledge/costs.en.md": ARTICLE,
    }
    for name, text in files.items():
        path = tmp_path / "desk" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "desk"


async def test_a_flow_asks_the_articles_and_waits_for_the_words_of_a_language(tmp_path: Path, folder: Path) -> None:
    async with House(tmp_path, desk=folder) as house:
        visitor = await house.visitor()
        await visitor.says("guide")
        await visitor.hears("What about?")
        await visitor.says("how much does delivery cost?")  # no word of English is loaded yet: the turn waits for them
        await visitor.hears("€ 4.90")
        asked = await visitor.hears("Did this help?")
        await visitor.presses(asked, "yes")
        await visitor.hears("Good to know.")


async def test_something_that_happens_elsewhere_begins_a_flow_once_and_ends_its_wait(
    tmp_path: Path, folder: Path
) -> None:
    async with House(tmp_path, desk=folder, api_token="a token for the test") as house:
        visitor = await house.visitor()
        await visitor.says("hello")
        customer_id = await _customer(house)
        sent = {"name": "parcel.sent", "values": {"carrier": "PostNord"}, "id": "sent-1"}
        assert await _tells(house, customer_id, sent) == 202
        assert await _tells(house, customer_id, sent) == 202, "the other system repeats itself"
        await visitor.hears("on its way with PostNord")
        assert await _tells(house, customer_id, {"name": "weather.changed"}) == 202
        assert await _tells(house, "nobody", sent) == 404
        assert await _tells(house, customer_id, {"name": "No event"}) == 422
        assert await _tells(house, customer_id, {"name": "a", "values": {"carrier": ["a", "list"]}}) == 422
        assert await _tells(house, customer_id, {"name": "parcel.delivered"}) == 202
        await visitor.hears("It has arrived.")
        assert sum("on its way" in text for text in visitor.said()) == 1


@pytest.mark.parametrize("is_off", [True, False])
async def test_a_case_belongs_to_its_flow_also_where_that_ends_in_the_same_breath(
    tmp_path: Path, folder: Path, is_off: bool
) -> None:
    """So that desk.yaml can say for which flows nobody is asked, and figures by flow leave none out."""
    (folder / "flows" / "greeting.yaml").write_text(GREETING, encoding="utf-8")
    if is_off:
        own = DESK.replace("instrument: ces7", "instrument: ces7, flows: {greeting: off}")
        (folder / "desk.yaml").write_text(own, encoding="utf-8")
    async with House(tmp_path, desk=folder) as house:
        visitor = await house.visitor()
        await visitor.says("good morning")
        await visitor.hears("Good morning to you.")
        await house.passes(minutes=1)
        (case,) = await house.app.storage.read(listing)
        assert (case.status, case.flow) == ("resolved", "greeting")
        said = await house.app.storage.read(lambda conn: history.messages(conn, case.customer_id))
        assert any(one.meta.get("survey") for one in said) is not is_off


async def test_people_are_fetched_for_what_was_tried_before(tmp_path: Path, folder: Path) -> None:
    """The desk's rules see the flow before the one that fetches them, by which the case is counted, and asked about, in the end."""
    (folder / "flows" / "greeting.yaml").write_text(GREETING, encoding="utf-8")
    rules = "routing: {rules: [{if: \"case.flow == 'greeting'\", priority: high}]}\n"
    own = DESK.replace("instrument: ces7", "instrument: ces7, flows: {greeting: off}")
    (folder / "desk.yaml").write_text(own + rules, encoding="utf-8")
    async with House(tmp_path, desk=folder) as house:
        visitor = await house.visitor()
        for text, answer in (("good morning", "Good morning to you."), ("human", "Somebody comes.")):
            await visitor.says(text)
            await visitor.hears(answer)
        (case,) = await house.app.storage.read(listing)
        assert (case.priority, case.flow) == ("high", "handoff")


async def test_people_are_fetched_for_what_was_tried_also_where_they_are_asked_something_first(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "flows" / "greeting.yaml").write_text(GREETING, encoding="utf-8")
    asks = HANDOFF.replace(
        "steps:", "slots: {q: {type: text}}\nsteps:\n  - {id: q_why, ask: q, text: What is it about?}"
    )
    (folder / "flows" / "handoff.yaml").write_text(asks, encoding="utf-8")
    rules = "routing: {rules: [{if: \"case.flow == 'greeting'\", priority: high}]}\n"
    (folder / "desk.yaml").write_text(DESK + rules, encoding="utf-8")
    async with House(tmp_path, desk=folder) as house:
        visitor = await house.visitor()
        for text, answer in (
            ("good morning", "Good morning to you."),
            ("human", "about?"),
            ("Tents", "Somebody comes."),
        ):
            await visitor.says(text)
            await visitor.hears(answer)
        (case,) = await house.app.storage.read(listing)
        assert (case.priority, case.flow) == ("high", "handoff")


async def test_a_flow_in_place_of_one_that_asked_something_is_what_the_case_is_about(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "flows" / "claim.yaml").write_text(CLAIM, encoding="utf-8")
    guide = GUIDE.replace("{type: text}", "{type: number}")  # so that other words are no answer
    (folder / "flows" / "guide.yaml").write_text(guide, encoding="utf-8")
    rules = "routing: {rules: [{if: \"case.flow == 'claim'\", priority: high}]}\n"
    (folder / "desk.yaml").write_text(DESK + rules, encoding="utf-8")
    async with House(tmp_path, desk=folder) as house:
        visitor = await house.visitor()
        for text, answer in (("guide", "What about?"), ("a claim", "Somebody comes.")):
            await visitor.says(text)
            await visitor.hears(answer)
        (case,) = await house.app.storage.read(listing)
        assert (case.priority, case.flow) == ("high", "claim")


async def test_the_survey_that_a_flow_chooses_is_asked_when_the_people_are_done(tmp_path: Path, folder: Path) -> None:
    async with House(tmp_path, desk=folder, api_token="a token for the test") as house:
        visitor = await house.visitor()
        await visitor.says("human")
        await visitor.hears("Somebody comes.")
        async with house.http(Authorization="Bearer a token for the test") as http:
            (case,) = (await http.get("/api/v1/cases")).json()["items"]
            done = await http.post(f"/api/v1/cases/{case['id']}/resolve", json={"outcome": "resolved", "agent": "ann"})
        assert done.status_code < 300, done.text
        await house.settle()
        asked = await visitor.gets(lambda frame: frame["type"] == "message" and frame["survey"] is not None)
        assert asked["survey"]["instrument"] == "csat5"
        await visitor.presses(asked, "4")
        (response,) = await house.app.storage.read(surveys.responses)
        assert (response.instrument, response.score) == ("csat5", 4)


async def _tells(house: House, customer_id: str, event: dict[str, Any]) -> int:
    async with house.http(Authorization="Bearer a token for the test") as http:
        answer = await http.post(f"/api/v1/customers/{customer_id}/events", json=event)
    await house.settle()
    return answer.status_code


async def _customer(house: House) -> str:
    from sqlalchemy import select

    from bot.storage import tables as t

    found = await house.app.storage.read(lambda conn: conn.execute(select(t.customers.c.id)).scalars().all())
    (customer_id,) = found
    return str(customer_id)


async def test_a_conversation_goes_on_in_its_version_of_a_flow_after_a_restart(
    tmp_path: Path, folder: Path, database_url: str
) -> None:
    """The flow, its words and the step at which the customer waits have all gone from the desk meanwhile."""
    async with House(tmp_path, desk=folder, database_url=database_url) as house:
        visitor = await house.visitor()
        await visitor.says("guide")
        await visitor.hears("What about?")
        token = visitor.token

    guide = folder / "flows" / "guide.yaml"
    guide.write_text(
        GUIDE.replace("q_what", "q_new").replace("version: 1", "version: 2").replace("What about?", "What now?")
    )
    async with House(tmp_path, desk=folder, database_url=database_url) as house:
        visitor = await house.visitor(token=token)
        await visitor.says("how much does delivery cost?")
        asked = await visitor.hears("Did this help?")
        await visitor.presses(asked, "yes")
        await visitor.hears("Good to know.")
        await visitor.says("guide")
        await visitor.hears("What now?")


async def test_a_rule_of_the_desk_fetches_people_with_what_was_told_and_offers_them_before(
    tmp_path: Path, folder: Path
) -> None:
    async with House(tmp_path, desk=folder, api_token="a token for the test") as house:
        angry = await house.visitor()
        await angry.says("guide")
        await angry.says("you are useless")
        offer = await angry.hears("Shall I fetch a colleague?")
        assert [one["value"] for one in offer["choices"]] == ["human"]
        await angry.presses(offer, "human")
        await angry.hears("Somebody comes.")

        burnt = await house.visitor()
        await burnt.says("guide")
        await burnt.says("your charger caught fire")
        await burnt.hears("fetching a colleague at once")
        await burnt.gets(lambda frame: frame["type"] == "case" and frame["status"] == "queued")
        async with house.http(Authorization="Bearer a token for the test") as http:
            cases = (await http.get("/api/v1/cases")).json()["items"]
        assert [case["status"] for case in cases] == ["queued", "queued"]


async def test_who_comes_back_on_the_same_topic_goes_on_with_who_knows_it_and_sooner_if_they_were_unhappy(
    tmp_path: Path, folder: Path
) -> None:
    async with House(tmp_path, desk=folder, api_token="a token for the test") as house:
        visitor = await house.visitor()
        await visitor.says("guide")
        await visitor.says("human")
        await visitor.hears("Somebody comes.")
        await _resolved_by_ann(house)
        asked = await visitor.gets(lambda frame: frame["type"] == "message" and frame["survey"] is not None)
        await visitor.presses(asked, "1")
        await house.passes(days=5)
        await visitor.says("guide")
        await visitor.hears("a few days ago")
        latest = (await _cases(house))[-1]
        assert latest.status == "queued"
        assert latest.priority == "high", "their last score was a detractor's"
        assert latest.escalation["reason_code"] == "returned"
        assert latest.escalation["prefer_agent"] == "ann"
        assert ["priority", "detractor"] in [list(pair) for pair in latest.escalation["show"]]

        await _resolved_by_ann(house)
        await house.passes(days=15)
        await visitor.says("guide")
        await visitor.hears("What about?")
        assert (await _cases(house))[-1].status == "bot", "after two weeks it is a new question"


async def _resolved_by_ann(house: House) -> None:
    async with house.http(Authorization="Bearer a token for the test") as http:
        (case,) = (await http.get("/api/v1/cases?status=queued")).json()["items"]
        done = await http.post(f"/api/v1/cases/{case['id']}/resolve", json={"outcome": "resolved", "agent": "ann"})
    assert done.status_code < 300, done.text
    await house.settle()


async def _cases(house: House) -> Sequence[Any]:
    from sqlalchemy import select

    from bot.storage import tables as t

    found: Sequence[Any] = await house.app.storage.read(
        lambda conn: conn.execute(select(t.cases).order_by(t.cases.c.opened_at)).all()
    )
    return found


async def test_conversations_are_counted_by_version_and_moved_when_an_admin_says_so(
    tmp_path: Path, folder: Path, database_url: str
) -> None:
    async with House(tmp_path, desk=folder, database_url=database_url) as house:
        visitor = await house.visitor()
        await visitor.says("guide")
        await visitor.hears("What about?")
        token = visitor.token
    newer = GUIDE.replace("q_what", "q_new").replace("version: 1", "version: 2").replace("Good to know.", "Very good.")
    (folder / "flows" / "guide.yaml").write_text(newer + "migrate: {from: [1], rename: {q_what: q_new}}\n")
    async with House(tmp_path, desk=folder, database_url=database_url) as house:
        desk, storage = house.app.rules, house.app.storage
        old = {flow: list(found) for flow, found in (await storage.read(moving.live)).items()}
        assert [len(found) for found in old.values()] == [1]
        assert old["guide"] != [desk.flows["guide"].hash]
        dry = await storage.write(lambda tx: moving.move(tx, desk, "guide"))
        assert (len(dry.moved), dry.refused) == (1, {})
        assert {flow: list(found) for flow, found in (await storage.read(moving.live)).items()} == old
        done = await storage.write(lambda tx: moving.move(tx, desk, "guide", by="ann", dry=False))
        assert done.moved == dry.moved
        assert list((await storage.read(moving.live))["guide"]) == [desk.flows["guide"].hash]
        visitor = await house.visitor(token=token)
        await visitor.says("how much does delivery cost?")
        asked = await visitor.hears("Did this help?")
        await visitor.presses(asked, "yes")
        await visitor.hears("Very good.")


LOGGED = """\
schema: 1
flow: logged
version: 1
triggers: {phrases: {en: [all done]}}
slots: {happy: {type: bool}, written: {type: object}}
steps:
  - {id: q_happy, ask: happy, text: "Are you happy?"}
  - {close: resolved}
  - {id: log, call: crm.log, save: written, on: {timeout: sorry, error: sorry}}
  - {id: sorry, say: "It could not be written down."}
"""
NOBODY_LISTENS = 'connectors: {crm.log: {url: "http://127.0.0.1:9/"}}\n'
TENT = """\
---
title: Washing the tent
locale: en
questions: [How do I wash my tent?]
---
By hand, in cold water.
"""


async def test_a_connector_that_answers_late_reopens_nothing_and_a_flow_that_has_closed_its_case_still_hears_it(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "desk.yaml").write_text(DESK + NOBODY_LISTENS)
    (folder / "flows" / "logged.yaml").write_text(LOGGED)
    async with House(tmp_path, desk=folder, api_token="a token for the test") as house:
        visitor = await house.visitor()
        await visitor.says("human")
        await _resolved_by_ann(house)
        await house.app.inbox.receive_answer(await _customer(house), "late", Answered("of a flow that is over", "ok"))
        await house.settle()
        assert [(one.status, one.reopened) for one in await _cases(house)] == [("resolved", 0)]

        await visitor.says("all done")
        await visitor.hears("Are you happy?")
        await visitor.says("yes")
        await visitor.hears("It could not be written down.")
        assert [(one.status, one.reopened) for one in await _cases(house)] == [("resolved", 1)], "once, by words"


HELPED = """\
schema: 1
flow: helped
version: 1
triggers: {phrases: {en: [opening times]}}
slots: {good: {type: choice, ask_again: true}}
steps:
  - {say: "From nine to five."}
  - {id: q_good, ask: good, text: "Did that help?", options: [{value: "yes", label: "Yes"}, {value: "so", label: "So so"}]}
  - {close: resolved, confirmed: "good == 'yes'"}
"""


async def test_what_a_flow_solved_is_confirmed_only_after_a_yes(tmp_path: Path, folder: Path) -> None:
    (folder / "flows" / "helped.yaml").write_text(HELPED)
    async with House(tmp_path, desk=folder) as house:
        for answer in ("Yes", "So so", "Yes"):
            visitor = await house.visitor()
            await visitor.says("opening times")
            await visitor.presses(await visitor.hears("Did that help?"), answer)
        told = await house.app.rollups.ask(Question(metrics=("bot_confirmed", "bot_assumed")))
        assert [told.of(name).value for name in ("bot_confirmed", "bot_assumed")] == pytest.approx([2 / 3, 1 / 3])


async def test_figures_of_steps_are_of_questions_alone(tmp_path: Path, folder: Path) -> None:
    """Nobody answers where nothing is asked: a step that says or looks up something is no question that everybody left."""
    (folder / "flows" / "helped.yaml").write_text(HELPED)
    async with House(tmp_path, desk=folder, api_token="a token for the test") as house:
        for answers in (True, False, True):
            visitor = await house.visitor()
            await visitor.says("opening times")
            question = await visitor.hears("Did that help?")
            if answers:
                await visitor.presses(question, "Yes")
        await house.app.tally.flush()
        asked = Question(by=("step",), metrics=("step_answered",))
        told = (await house.app.rollups.ask(asked)).figures
        async with house.http(Authorization="Bearer a token for the test") as http:
            rates = (await http.get("/api/v1/reports/rates", params={"by": "step"})).json()["rates"]
    assert [(one.by.get("step"), one.n, one.value) for one in told] == [
        (None, 3, pytest.approx(2 / 3)),
        ("helped/q_good", 3, pytest.approx(2 / 3)),
    ]
    steps = [(one["by"], one["n"]) for one in rates if one["rate"] == "step_answered"]
    assert steps == [({}, 3), ({"step": "helped/q_good"}, 3)]


async def test_who_waits_and_went_on_with_the_bot_need_not_wait_any_more_once_a_flow_helped(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "flows" / "helped.yaml").write_text(HELPED)
    async with House(tmp_path, desk=folder) as house:
        visitor = await house.visitor()
        await visitor.says("human")
        await house.app.storage.write(lambda tx: set_available(tx, "ann", False))
        await house.passes(minutes=6)
        offer = await visitor.gets(lambda frame: bool(frame.get("choices")) and frame["type"] == "message")
        await visitor.presses(offer, BOT)
        await visitor.says("opening times")
        question = await visitor.hears("Did that help?")
        assert [one.status for one in await _cases(house)] == ["queued"]
        await visitor.presses(question, "Yes")
        assert [(one.status, one.confirmed) for one in await _cases(house)] == [("resolved", True)]


AFTERWARDS = """\
schema: 1
flow: afterwards
version: 1
triggers: {phrases: {en: [send it]}}
steps:
  - {say: "It is on its way."}
  - {close: resolved}
  - {id: way, wait: {event: parcel.delivered, timeout: 2d, then: late}}
  - {say: "It has arrived.", next: end}
  - {id: late, say: "It is late, sorry."}
"""


@pytest.mark.parametrize("has_arrived", [True, False])
async def test_a_flow_that_has_closed_its_case_still_hears_what_it_waits_for_and_reopens_nothing(
    tmp_path: Path, folder: Path, has_arrived: bool
) -> None:
    (folder / "flows" / "afterwards.yaml").write_text(AFTERWARDS)
    async with House(tmp_path, desk=folder, api_token="a token for the test") as house:
        visitor = await house.visitor()
        await visitor.says("send it")
        await visitor.hears("on its way")
        if has_arrived:
            assert await _tells(house, await _customer(house), {"name": "parcel.delivered"}) == 202
        await house.passes(days=2)
        await visitor.hears("It has arrived." if has_arrived else "It is late")
        assert sum("arrived" in text or "late" in text for text in visitor.said()) == 1
        assert [(one.status, one.reopened) for one in await _cases(house)] == [("resolved", 0)]


async def test_a_flow_that_waits_is_over_where_a_person_ends_the_case_or_keeps_its_customer_out(
    tmp_path: Path, folder: Path
) -> None:
    flow = AFTERWARDS.replace("  - {close: resolved}\n", "")
    (folder / "flows" / "before.yaml").write_text(flow.replace("afterwards", "before"))
    (folder / "flows" / "afterwards.yaml").write_text(AFTERWARDS.replace("send it", "bring it"))
    async with House(tmp_path, desk=folder) as house:
        ended, kept_out = await house.visitor(), await house.visitor()
        await ended.says("send it")
        await ended.hears("on its way")
        (case,) = await _cases(house)
        await house.app.storage.write(lambda tx: cases.resolve(tx, case.id, "ann", "resolved"))
        await kept_out.says("bring it")
        await kept_out.hears("on its way")
        latest = (await _cases(house))[-1]
        await house.app.storage.write(lambda tx: persons.block(tx, latest.id, "ann", desk="web"))
        await house.passes(days=2)
        assert not any("late" in text for text in (*ended.said(), *kept_out.said()))


async def test_a_button_of_what_is_over_reopens_no_case(tmp_path: Path, folder: Path) -> None:
    (folder / "desk.yaml").write_text(DESK + NOBODY_LISTENS)
    (folder / "flows" / "logged.yaml").write_text(LOGGED)
    async with House(tmp_path, desk=folder) as house:
        visitor = await house.visitor()
        await visitor.says("how much does delivery cost?")
        answer = await visitor.hears("Did this help?")
        await visitor.presses(answer, "kb:yes")
        await visitor.hears("glad")
        await visitor.presses(answer, "kb:yes")
        await visitor.presses(answer, "kb:no")
        assert [(one.status, one.reopened, one.confirmed) for one in await _cases(house)] == [("resolved", 0, True)]

        await visitor.says("all done")
        asked = await visitor.hears("Are you happy?")
        await visitor.presses(asked, "yes")
        await visitor.hears("It could not be written down.")
        await visitor.presses(asked, "yes")
        await visitor.hears("already been answered")
        assert [(one.status, one.reopened) for one in await _cases(house)] == [("resolved", 1)]
        await house.passes(days=30)
        await visitor.presses(asked, "no")
        await visitor.hears("already been answered")
        assert len(await _cases(house)) == 1


async def test_a_yes_below_an_earlier_article_confirms_no_later_one(tmp_path: Path, folder: Path) -> None:
    (folder / "knowledge" / "tent.en.md").write_text(TENT)
    async with House(tmp_path, desk=folder) as house:
        visitor = await house.visitor()
        await visitor.says("how much does delivery cost?")
        first = await visitor.hears("€ 4.90")
        await visitor.says("how do I wash my tent?")
        second = await visitor.hears("cold water")
        await visitor.presses(first, "kb:yes")
        assert [one.status for one in await _cases(house)] == ["bot"]
        await visitor.presses(second, "kb:yes")
        assert [(one.status, one.topic) for one in await _cases(house)] == [("resolved", "tent")]


async def test_who_asks_for_a_human_by_command_is_asked_nothing_more_by_the_flow_they_were_in(
    tmp_path: Path, folder: Path
) -> None:
    """Also on a desk that has no flow of its own for it."""
    plain = [one for one in DESK.splitlines(keepends=True) if not one.startswith("interrupts")]
    (folder / "desk.yaml").write_text("".join(plain) + NOBODY_LISTENS)
    (folder / "flows" / "handoff.yaml").unlink()
    (folder / "flows" / "logged.yaml").write_text(LOGGED)
    async with House(tmp_path, desk=folder) as house:
        visitor = await house.visitor()
        await visitor.says("all done")
        await visitor.hears("Are you happy?")
        await visitor.says("/human")
        customer_id = await _customer(house)
        await visitor.says("yes")
        assert [one.status for one in await _cases(house)] == ["queued"]
        told = await house.app.storage.read(lambda conn: history.messages(conn, customer_id))
        assert not any("written down" in one.body.text for one in told)


async def test_an_answer_that_no_turn_can_hear_fetches_people_and_they_find_what_was_said_meanwhile(
    tmp_path: Path, folder: Path
) -> None:
    """A fault of ours, five times over: the flow would wait for ever, and every word of the customer's with it."""
    (folder / "desk.yaml").write_text(DESK + NOBODY_LISTENS)
    (folder / "flows" / "logged.yaml").write_text(LOGGED.replace("  - {close: resolved}\n", ""))
    async with House(tmp_path, desk=folder) as house:

        def faulty(turn: Turn) -> bool:
            if turn.answered is not None:
                raise AssertionError("a fault of ours")
            return False

        house.app.inbox.takers = (faulty, *house.app.inbox.takers)
        visitor = await house.visitor()
        await visitor.says("all done")
        await visitor.hears("Are you happy?")
        await visitor.says("yes")
        await visitor.says("hello? anybody?")
        for _ in range(TRIES):
            await house.passes(seconds=20)
        (case,) = await _cases(house)
        assert (case.status, case.escalation["reason_code"]) == ("queued", "connector")
        said = await house.app.storage.read(lambda conn: history.messages(conn, case.customer_id))
        assert [one.case_id for one in said if one.body.text == "hello? anybody?"] == [case.id]
