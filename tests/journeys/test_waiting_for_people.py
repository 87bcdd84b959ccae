"""Waiting, in the customer's words: nobody is there, so the bot goes on meanwhile; or a contact is left; and "thanks" is thanks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.model import Message, Occurred
from bot.storage import history
from bot.texts import say
from handoff import cases, store
from handoff.case import Case
from tests.support.house import House, Visitor
from tests.unit.flows_house import DESK, desk_of

STAFF = """agents: [{id: ann, name: Ann, team: support}]
routing: {assign: round_robin, capacity: 1}
surveys: {instrument: off}
"""
ARTICLE = """---
title: Washing the tent
locale: en
questions: [How do I wash my tent?]
---
Wash the tent by hand in cold water, and let it dry in the shade.
"""
PARCEL = """\
flow: parcel
triggers: {phrases: {en: [my parcel], he: [החבילה שלי]}}
slots: {found: {type: object}}
steps:
  - {id: look, call: parcels.get, save: found, on: {timeout: sorry, error: sorry}}
  - {id: sorry, say: {en: "The parcel service does not answer.", he: "אין תשובה."}}
"""
REFUND = """\
flow: refund
triggers: {phrases: {en: [refund], he: [החזר]}}
slots: {email: {type: email, scope: customer}}
steps:
  - {id: person, escalate: {team: support}, text: {en: Somebody comes., he: בדרך.}, on: {no_agent: q_email}}
  - {id: q_email, ask: email, text: {en: "E-mail?", he: "מייל?"}}
  - {id: thanks, say: {en: "We write to {{ email }}", he: "{{ email }}"}}
"""
PATIENT = """\
flow: patient
triggers: {phrases: {en: [claim my money], he: [כסף]}}
slots: {email: {type: email, scope: customer}}
steps:
  - {id: person, escalate: {team: support}, text: {en: Somebody comes., he: בדרך.}, on: {no_agent: q_email}}
  - {id: q_email, ask: email, text: {en: "E-mail?", he: "מייל?"}, timeout: {after: 1h, then: no_email}}
  - {say: {en: "We write to {{ email }}", he: "{{ email }}"}, next: end}
  - {id: no_email, say: {en: "Then we answer here.", he: "כאן."}}
  - {id: paid, wait: {event: claim.paid, timeout: 1d, then: late}}
  - {say: {en: "It has been paid.", he: "שולם."}, next: end}
  - {id: late, say: {en: "It takes longer, sorry.", he: "סליחה."}}
"""
SENT = """\
flow: sent
triggers: {event: parcel.sent}
steps:
  - {say: {en: "Your parcel is on its way.", he: "בדרך."}}
"""
NOBODY_LISTENS = 'connectors:\n  parcels.get: {url: "http://127.0.0.1:9/"}\n'


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    (folder / "knowledge").mkdir(parents=True)
    (folder / "knowledge" / "wash.en.md").write_text(ARTICLE, encoding="utf-8")
    desk_of(folder, desk=DESK + STAFF)
    return folder


async def case_of(house: House) -> Case:
    def last(conn: Any) -> Case:
        return store.listing(conn)[-1]

    return await house.app.storage.read(last)


async def told_to(house: House, case: Case) -> list[str]:
    """What the customer was told, as it is stored."""
    said = await house.app.storage.read(lambda conn: history.messages(conn, case.customer_id))
    return [one.body.text for one in said if one.author.kind != "customer"]


async def is_there(house: House, here: bool) -> None:
    await house.app.storage.write(lambda tx: cases.set_available(tx, "ann", here))
    await house.settle()


async def waits(house: House) -> tuple[Visitor, dict[str, Any]]:
    await is_there(house, False)
    kari = await house.visitor()
    await kari.says("talk to a person")
    return kari, await kari.hears("Nobody is here right now")


async def test_who_waits_goes_on_with_the_bot_and_it_helps(tmp_path: Path, desk: Path) -> None:
    async with House(tmp_path, desk=desk) as house:
        kari, nobody = await waits(house)
        await kari.presses(nobody, "Go on with the bot")
        await kari.hears("You keep your place in the queue")
        await kari.says("How do I wash my tent?")
        answer = await kari.hears("cold water", "bot")
        assert (await case_of(house)).status == "queued"
        await kari.presses(answer, answer["choices"][0]["value"])
        await house.settle()
        ended = await case_of(house)
        assert (ended.status, ended.resolved_by, ended.confirmed) == ("resolved", "customer", True)
        told = await told_to(house, ended)
        await kari.says("👍")
        assert (await case_of(house)).status == "resolved"
        assert await told_to(house, ended) == told
        await kari.says("How do I wash my tent?")
        await kari.hears("cold water", "bot")
        again = await case_of(house)
        assert (again.id, again.status, again.reopened) == (ended.id, "bot", 1)


async def test_who_would_rather_wait_than_go_on_with_the_bot_hears_of_the_queue_alone(
    tmp_path: Path, desk: Path
) -> None:
    async with House(tmp_path, desk=desk) as house:
        kari, nobody = await waits(house)
        await kari.presses(nobody, "Go on with the bot")
        meanwhile = await kari.hears("You keep your place in the queue")
        before = await told_to(house, await case_of(house))
        await kari.presses(meanwhile, "I'll wait here")
        told = await told_to(house, await case_of(house))
        assert told[len(before) :] == ["All right, you are still in the queue."]


async def test_who_asks_for_people_again_after_going_on_with_the_bot_is_told_that_they_wait_on(
    tmp_path: Path, desk: Path
) -> None:
    async with House(tmp_path, desk=desk) as house:
        kari, nobody = await waits(house)
        await kari.presses(nobody, "Go on with the bot")
        await kari.hears("You keep your place in the queue")
        before = await told_to(house, await case_of(house))
        await kari.says("talk to a person")
        await kari.says("How do I wash my tent?")
        told = await told_to(house, await case_of(house))
        assert told[len(before) :] == ["All right, you are still in the queue."], "and the bot is silent from here on"


@pytest.mark.parametrize("is_held", [False, True])
async def test_who_names_another_language_while_they_wait_hears_the_rest_in_it(
    tmp_path: Path, desk: Path, is_held: bool
) -> None:
    async with House(tmp_path, desk=desk) as house:
        kari, _ = await waits(house)
        case = await case_of(house)
        if is_held:
            await house.app.storage.write(lambda tx: cases.claim(tx, case.id, "ann", desk="web"))
            await house.settle()
        before = await told_to(house, case)
        await kari.says("/language he")
        await house.settle()
        told = (await told_to(house, case))[len(before) :]
        assert told == ([] if is_held else [say("language_changed", "he")]), "nor does the bot talk over a person"
        (written,) = await with_text(house, "/language he")
        assert written.case_id == case.id
        if not is_held:
            await is_there(house, True)
            await kari.hears(say("agent_given", "he", agent="Ann"))


async def test_who_leaves_a_contact_is_found_by_the_agent_who_comes(tmp_path: Path, desk: Path) -> None:
    async with House(tmp_path, desk=desk) as house:
        kari, nobody = await waits(house)
        await kari.presses(nobody, "Contact me later")
        await kari.hears("Where can we reach you?")
        await kari.says("kari@example.org")
        await kari.hears("Noted: kari@example.org")
        await is_there(house, True)
        await kari.hears("Ann has your question now")
        held = await case_of(house)
        assert (held.agent_id, (held.escalation or {})["show"]) == ("ann", [["contact", "kari@example.org"]])
        await house.passes(minutes=3)
        await kari.hears("Ann is held up")
        assert (await case_of(house)).status == "queued"


async def test_a_connector_answers_who_goes_on_with_the_bot_and_what_they_say_meanwhile_is_not_lost(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "desk"
    desk_of(folder, PARCEL, desk=DESK.replace("connectors:\n", NOBODY_LISTENS) + STAFF)
    async with House(tmp_path, desk=folder) as house:
        kari, nobody = await waits(house)
        await kari.presses(nobody, "Go on with the bot")
        await kari.says("my parcel")
        await kari.hears("The parcel service does not answer.", "bot")
        await kari.says("then I wait")
        (written,) = await with_text(house, "then I wait")
        assert written.case_id == (await case_of(house)).id, "the people find it in the case that they will take"


async def test_a_question_from_before_an_agent_had_the_case_is_not_asked_on_when_it_waits_again(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    desk_of(folder, REFUND, desk=DESK + STAFF)
    async with House(tmp_path, desk=folder) as house:
        await is_there(house, False)
        kari = await house.visitor()
        await kari.says("refund")
        await kari.hears("E-mail?", "bot")
        case = await case_of(house)
        await house.app.storage.write(lambda tx: cases.claim(tx, case.id, "ann", desk="web"))
        await house.app.storage.write(lambda tx: cases.release(tx, case.id, "ann", desk="web"))
        await house.settle()
        assert (await case_of(house)).status == "queued"
        told = await told_to(house, case)
        await kari.says("when does your colleague come?")
        await house.settle()
        assert await told_to(house, case) == told, "the bot is silent"


@pytest.mark.parametrize("is_paid", [True, False])
async def test_a_flow_that_goes_on_while_they_wait_hears_that_time_is_over_and_what_happens(
    tmp_path: Path, is_paid: bool
) -> None:
    folder = tmp_path / "desk"
    desk_of(folder, PATIENT, desk=DESK + STAFF)
    async with House(tmp_path, desk=folder) as house:
        kari, case = await is_asked_while_nobody_is_there(house)
        await house.passes(hours=1)
        await kari.hears("Then we answer here.", "bot")
        if is_paid:
            await house.app.inbox.receive_answer(case.customer_id, "paid", Occurred("claim.paid", {}))
        await house.passes(days=1)
        await kari.hears("It has been paid." if is_paid else "It takes longer", "bot")
        told = await told_to(house, case)
        assert sum("paid" in one or "longer, sorry" in one for one in told) == 1
        assert (await case_of(house)).status == "queued"


async def test_a_flow_whose_time_is_over_says_nothing_over_a_person(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    desk_of(folder, PATIENT, desk=DESK + STAFF)
    async with House(tmp_path, desk=folder) as house:
        _, case = await is_asked_while_nobody_is_there(house)
        await house.app.storage.write(lambda tx: cases.claim(tx, case.id, "ann", desk="web"))
        await house.settle()
        told = await told_to(house, case)
        await house.passes(hours=1)
        await house.app.inbox.receive_answer(case.customer_id, "paid", Occurred("claim.paid", {}))
        await house.settle()
        assert await told_to(house, case) == told, "nor of an event"


@pytest.mark.parametrize("who", ["waits", "is asked", "waits for another event", "is held"])
async def test_an_event_begins_no_flow_while_people_have_the_case_and_they_are_told_of_it(
    tmp_path: Path, who: str
) -> None:
    folder = tmp_path / "desk"
    desk_of(folder, PATIENT, SENT, desk=DESK + STAFF)
    async with House(tmp_path, desk=folder) as house:
        kari = (await is_asked_while_nobody_is_there(house) if who != "waits" else await waits(house))[0]
        if who == "waits for another event":
            await house.passes(hours=1)
            await kari.hears("Then we answer here.", "bot")
        case = await case_of(house)
        if who == "is held":
            await house.app.storage.write(lambda tx: cases.claim(tx, case.id, "ann", desk="web"))
        await house.settle()
        told = await told_to(house, case)
        for event in ("parcel.sent", "weather.changed"):
            await house.app.inbox.receive_event(case.customer_id, event, Occurred(event, {}))
        await house.settle()
        assert await told_to(house, case) == told
        notes = await house.app.storage.read(lambda conn: history.of_case(conn, case.id))
        assert [one.body.text for one in notes if one.meta.get("key") == "event_begins_nothing"] == [
            say("event_begins_nothing", "en", event="parcel.sent")
        ]


async def test_a_flow_asks_nothing_more_of_whom_somebody_was_given_though_the_first_team_is_closed(
    tmp_path: Path,
) -> None:
    """Monday noon: support is there on Tuesdays only, billing always."""
    folder = tmp_path / "desk"
    by_day = DESK.replace("name: Support", 'name: Support, opening_hours: {tue: "09:00-17:00"}')
    staff = STAFF.replace("{id: ann, name: Ann, team: support}", "{id: bill, name: Bill, team: billing}")
    desk_of(folder, PATIENT.replace("team: support", "team: billing"), desk=by_day + staff)
    async with House(tmp_path, desk=folder) as house:
        kari = await house.visitor()
        await kari.says("claim my money")
        await kari.hears("Bill has your question")
        case = await case_of(house)
        told = await told_to(house, case)
        assert "Bill has your question" in told[-1]
        assert case.flow == "patient"
        await house.app.storage.write(lambda tx: cases.release(tx, case.id, "bill", desk="web"))
        await house.passes(hours=1)
        assert not any("answer here" in one for one in await told_to(house, case))


KIND = """\
flow: kind
triggers: {phrases: {en: [my order], he: [הזמנה]}}
slots: {about: {type: text, scope: customer}, email: {type: email, scope: customer}}
steps:
  - {id: q, ask: about, text: {en: "About?", he: "על?"}}
  - {id: person, escalate: {}, text: {en: Somebody comes., he: בדרך.}, on: {no_agent: q_email}}
  - {id: q_email, ask: email, text: {en: "E-mail?", he: "מייל?"}}
"""
BY_KIND = {
    "agents: [{id: ann, name: Ann, team: support}]": "agents: [{id: ann, name: Ann, team: support}, {id: bill, name: Bill, team: billing}]",
    "assign: round_robin": "assign: manual, rules: [{if: \"customer.about == 'money'\", team: billing}]",
}


@pytest.mark.parametrize(
    ("closed", "about", "heard"),
    [
        ("Billing", "money", ["E-mail?", "Nobody is here right now"]),
        ("Billing", "a tent", ["Somebody comes.", "number 1"]),
        ("Support", "money", ["Somebody comes.", "number 1"]),
        ("Support", "a tent", ["E-mail?", "Nobody is here right now"]),
    ],
)
async def test_a_flow_goes_on_while_nobody_is_there_of_the_team_to_which_the_case_goes(
    tmp_path: Path, closed: str, about: str, heard: list[str]
) -> None:
    """Monday noon: one team is there on Tuesdays only. A rule decides, by what they have said this moment."""
    folder, staff = tmp_path / "desk", STAFF
    for before, after in BY_KIND.items():
        staff = staff.replace(before, after)
    by_day = DESK.replace(f"name: {closed}", f'name: {closed}, opening_hours: {{tue: "09:00-17:00"}}')
    desk_of(folder, KIND, desk=by_day + staff)
    async with House(tmp_path, desk=folder) as house:
        kari = await house.visitor()
        await kari.says("my order")
        await kari.hears("About?", "bot")
        await kari.says(about)
        await house.settle()
        case = await case_of(house)
        told = await told_to(house, case)
        assert case.team == ("billing" if about == "money" else "support")
        assert [any(one in text for text in told) for one in heard] == [True, True], told
        assert any("E-mail?" in text for text in told) == (heard[0] == "E-mail?")


BY_FLOW = {
    **BY_KIND,
    "assign: round_robin": "assign: manual, rules: [{if: \"case.flow == 'refund'\", team: billing}]",
}


@pytest.mark.parametrize("closed", ["Billing", "Support"])
async def test_a_rule_for_a_flow_holds_where_that_flow_fetches_people_at_once(tmp_path: Path, closed: str) -> None:
    """Monday noon: one team is there on Tuesdays only. The flow, too, sees where the case will go."""
    folder, staff = tmp_path / "desk", STAFF
    for before, after in BY_FLOW.items():
        staff = staff.replace(before, after)
    by_day = DESK.replace(f"name: {closed}", f'name: {closed}, opening_hours: {{tue: "09:00-17:00"}}')
    desk_of(folder, REFUND, desk=by_day + staff)
    async with House(tmp_path, desk=folder) as house:
        kari = await house.visitor()
        await kari.says("refund")
        await house.settle()
        case = await case_of(house)
        assert (case.status, case.team, case.flow) == ("queued", "billing", "refund")
        told = await told_to(house, case)
        assert any("E-mail?" in text for text in told) == (closed == "Billing"), told


async def is_asked_while_nobody_is_there(house: House) -> tuple[Visitor, Case]:
    await is_there(house, False)
    kari = await house.visitor()
    await kari.says("claim my money")
    await kari.hears("E-mail?", "bot")
    return kari, await case_of(house)


async def with_text(house: House, text: str) -> list[Message]:
    case = await case_of(house)
    said = await house.app.storage.read(lambda conn: history.messages(conn, case.customer_id))
    return [one for one in said if one.body.text == text]


@pytest.mark.parametrize("restarted", [False, True])
async def test_who_waits_for_the_morning_is_served_when_the_desk_opens_earlier(tmp_path: Path, restarted: bool) -> None:
    folder = tmp_path / "desk"
    desk_of(folder, desk=DESK + STAFF + "opening_hours: {mon-sun: closed}\n")
    async with House(tmp_path, desk=folder) as house:
        await is_there(house, True)
        kari = await house.visitor()
        await kari.says("talk to a person")
        await kari.hears("Nobody is here right now")
        desk_of(folder, desk=DESK + STAFF)
        if not restarted:
            await house.app.desk.reload()
            await kari.hears("Ann")
    async with House(tmp_path, desk=folder) as house:
        await house.settle()
        assert (await case_of(house)).agent_id == "ann"


async def test_who_is_an_agent_no_more_is_called_by_their_name_not_by_an_id(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    desk_of(folder, desk=DESK + STAFF)
    async with House(tmp_path, desk=folder) as house:
        desk_of(folder, desk=DESK + STAFF.replace("name: Ann,", "name: Ann Lee,"))
        await house.app.desk.reload()
        desk_of(folder, desk=DESK + STAFF.replace("{id: ann, name: Ann, team: support}", "{id: bob, name: Bob}"))
        await house.app.desk.reload()

        def names(conn: Any) -> list[str]:
            return [store.agent_name(conn, house.app.rules, one) for one in ("ann", "bob", "nobody")]

        assert await house.app.storage.read(names) == ["Ann Lee", "Bob", "nobody"]
        listed = await house.app.storage.read(lambda conn: store.agents(conn, house.app.rules))
        assert [one.id for one in listed] == ["bob"], "who is kept by name alone is no agent"
