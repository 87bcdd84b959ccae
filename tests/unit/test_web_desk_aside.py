"""What the web desk offers beside a case: colleagues are asked, saved replies filled in, rude words looked at again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest_asyncio

from bot.desk_folder.desk import Macro
from handoff import cases
from handoff.web import sign_in
from tests.unit.handoff_house import House, an_agent, build
from tests.unit.test_web_desk_sign_in import Browser, settings

MACROS = (Macro("hello", "Hello", "en", "Hello {{ customer.name }} from {{ agent.name }}: {{ order }}."),)
REF = "0198c0de-0000-7000-8000-00000000000"


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    built = await build(sqlite_url, macros=MACROS)
    yield built
    await built.storage.close()


async def seat(house: House, agent: str) -> Browser:
    browser = Browser(house, settings())
    await browser.join(await house.do(sign_in.invite, agent))
    assert await browser.enter()
    return browser


async def story(browser: Browser, case_id: str) -> Any:
    return (await browser.http.get(f"/desk/api/cases/{case_id}")).json()


async def test_a_team_is_asked_and_answers_at_the_web_desk_and_the_customer_hears_nothing(house: House) -> None:
    ann, bill, case = await seat(house, "ann"), await seat(house, "bill"), await house.taken("ann")
    before = await house.said(case.customer_id)
    asked = {"team": "billing", "text": "Is it paid?", "ref": REF + "1"}
    for _ in range(2):
        answer = await ann.post(f"api/cases/{case.id}/consult", asked)
        assert answer.status_code == 200, answer.text
    [errand] = (await story(ann, case.id))["errands"]
    assert (errand["of"], errand["text"], errand["state"], errand["by"]["name"]) == (
        "Billing",
        "Is it paid?",
        "open",
        "Ann",
    )
    listed = (await bill.http.get("/desk/api/cases", params={"view": "asked"})).json()
    assert ([one["id"] for one in listed["items"]], listed["counts"]["asked"]) == ([case.id], 1)
    told = {"errand": errand["id"], "do": "answer", "text": "Yes, on Monday", "ref": REF + "2"}
    for _ in range(2):
        assert (await bill.post(f"api/cases/{case.id}/errand", told)).status_code == 200
    seen = await story(ann, case.id)
    assert seen["errands"][0]["state"] == "answered"
    mine = [one["text"] for one in seen["messages"] if one["errand"] == errand["id"]]
    assert mine == ["🤝 Question to Billing\nIs it paid?", "🤝 Billing answered (Is it paid?)\nYes, on Monday"]
    assert all(one["note"] for one in seen["messages"] if one["errand"])
    await house.later(days=1)
    assert await house.said(case.customer_id) == before


async def test_a_refusal_is_told_in_the_language_of_the_agents_page(house: House) -> None:
    """Cor reads Dutch: what the code says in English is told in Dutch."""
    house.desk = replace(house.desk, agents=(*house.desk.agents, replace(an_agent("cor"), locales=("nl",))))
    cor, case = await seat(house, "cor"), await house.taken("cor")
    told = await cor.post(f"api/cases/{case.id}/resolve", {"outcome": "no_solution", "ref": REF + "8"})
    assert (told.status_code, told.json()["detail"]) == (
        409,
        "zonder oplossing is de klant een reden verschuldigd; geef er een",
    )


async def test_who_ends_a_case_has_read_what_the_customer_wrote_while_the_form_was_open(house: House) -> None:
    ann, case = await seat(house, "ann"), await house.taken("ann")
    await house.writes(case.customer_id, "Where is it?")
    page = await story(ann, case.id)
    seen = [one["id"] for one in page["messages"] if one["by"] == "customer"][-1]
    await house.writes(case.customer_id, "Wait, one more question!")
    end = {"outcome": "resolved", "seen": seen}
    refused = await ann.post(f"api/cases/{case.id}/resolve", end)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrote_meanwhile")
    assert (await house.case(case)).status == "open"
    page = await story(ann, case.id)
    seen = [one["id"] for one in page["messages"] if one["by"] == "customer"][-1]
    assert (await ann.post(f"api/cases/{case.id}/resolve", {**end, "seen": seen})).status_code == 200


async def test_who_writes_without_end_is_spam_all_the_same(house: House) -> None:
    ann, case = await seat(house, "ann"), await house.taken("ann")
    await house.writes(case.customer_id, "BUY NOW")
    assert (await ann.post(f"api/cases/{case.id}/resolve", {"outcome": "spam", "seen": "older"})).status_code == 200


async def test_a_task_has_an_owner_and_a_time_and_only_they_say_that_it_is_done(house: House) -> None:
    ann, bob, case = await seat(house, "ann"), await seat(house, "bob"), await house.taken("ann")
    due = (house.now + timedelta(hours=2)).isoformat()
    body = {"owner": "ann", "text": "Send it", "due_at": due, "ref": REF + "3"}
    made = (await ann.post(f"api/cases/{case.id}/task", body)).json()
    told = {"errand": made["errand"], "do": "answer", "text": "done", "ref": REF + "4"}
    assert (await bob.post(f"api/cases/{case.id}/errand", told)).status_code == 403
    other = await house.taken("ann", "Ola")
    assert (await ann.post(f"api/cases/{other.id}/errand", told)).status_code == 404, "another case's"
    gone = await ann.post(f"api/cases/{case.id}/errand", {"errand": made["errand"], "do": "withdraw"})
    assert gone.json()["state"] == "withdrawn"


async def test_what_is_missing_or_wrong_is_told_in_a_line(house: House) -> None:
    ann, case = await seat(house, "ann"), await house.taken("ann")
    for verb, body, status in (
        ("consult", {"team": "billing", "ref": REF + "5"}, 409),
        ("consult", {"text": "x", "ref": REF + "5"}, 400),
        ("consult", {"team": "legal", "text": "x", "ref": REF + "5"}, 404),
        ("task", {"owner": "ann", "text": "x", "ref": REF + "5"}, 400),
        ("task", {"owner": "ann", "text": "x", "due_at": "soon", "ref": REF + "5"}, 400),
        ("errand", {"errand": "none", "do": "talk", "text": "x", "ref": REF + "5"}, 404),
        ("errand", {"errand": "none", "do": "eat", "ref": REF + "5"}, 400),
    ):
        answer = await ann.post(f"api/cases/{case.id}/{verb}", body)
        assert answer.status_code == status, (verb, body, answer.text)


async def test_saved_replies_come_filled_in_for_this_case_and_agent(house: House) -> None:
    ann, case = await seat(house, "ann"), await house.taken("ann")
    found = (await ann.http.get(f"/desk/api/cases/{case.id}/macros", params={"q": "hel"})).json()["items"]
    assert [(one["text"], one["missing"]) for one in found] == [("Hello Kari from Ann: [order?].", ["order"])]
    assert (await ann.http.get(f"/desk/api/cases/{case.id}/macros", params={"q": "zzz"})).json() == {"items": []}
    assert (await ann.http.get("/desk/api/cases/none/macros")).status_code == 404


async def test_rude_or_unfinished_words_are_sent_only_when_their_agent_says_so(house: House) -> None:
    ann, case = await seat(house, "ann"), await house.taken("ann")
    body = {"ref": REF + "6", "text": "READ IT FIRST, YOU IDIOT [order?]"}
    refused = await ann.post(f"api/cases/{case.id}/reply", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "look_again")
    assert [(one["kind"], one["what"]) for one in refused.json()["warnings"]] == [
        ("shouting", ""),
        ("insult", "idiot"),
        ("open", "[order?]"),
    ]
    await house.later(minutes=1)
    assert not [one for one in await house.said(case.customer_id) if "IDIOT" in one]
    assert (await ann.post(f"api/cases/{case.id}/reply", {**body, "anyway": True})).status_code == 200
    assert (await ann.post(f"api/cases/{case.id}/reply", body)).status_code == 200, "sent twice, it is one reply"
    await house.later(minutes=1)
    assert len([one for one in await house.said(case.customer_id) if "IDIOT" in one]) == 1
    note = {"ref": REF + "7", "text": "HE IS SHOUTING AT ME AGAIN"}
    assert (await ann.post(f"api/cases/{case.id}/note", note)).status_code == 200, "colleagues may be shouted at"


async def test_the_page_is_told_what_seems_odd_while_words_are_written(house: House) -> None:
    ann, case = await seat(house, "ann"), await house.taken("ann")
    answer = await ann.post(f"api/cases/{case.id}/look", {"text": "Good morning"})
    assert answer.json() == {"customer": "en", "seems": None}


async def test_a_case_shows_how_its_customer_sounds(house: House) -> None:
    ann, case = await seat(house, "ann"), await house.taken("ann")
    await house.writes(case.customer_id, "WHERE IS MY ORDER, YOU IDIOTS")
    assert (await story(ann, case.id))["hints"]["mood"] == "angry"
    await house.do(cases.resolve, case.id, "ann", "resolved")
    assert (await story(ann, case.id))["hints"]["mood"] == ""
