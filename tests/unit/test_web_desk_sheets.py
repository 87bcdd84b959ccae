"""Other rooms' forms at the web desk: the same as in Slack, for agents alone, and nothing that is made up gets in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bot.events import TalkLogged
from handoff.web import sign_in
from surveys.insights.records import store as records
from surveys.outside import store as outside
from surveys.outside.talks import on_talk
from surveys.team.rounds import Pulse
from surveys.team.sheets import TeamSheets
from tests.unit.handoff_house import House, build
from tests.unit.test_web_desk_sign_in import SECRET, Browser, settings


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    made = await build(sqlite_url)
    made.storage.wiring.subscribers = {**made.storage.wiring.subscribers, TalkLogged: [on_talk]}
    yield made
    await made.storage.close()


@pytest_asyncio.fixture
async def ann(house: House) -> Browser:
    sheets = TeamSheets(lambda: house.desk, Pulse(lambda: house.desk, SECRET), lambda: house.now)
    browser = Browser(house, settings(), forms=lambda: sheets)
    await browser.join(await house.do(sign_in.invite, "ann"))
    assert await browser.enter()
    return browser


async def sent(browser: Browser, sheet_id: str, **given: str) -> Any:
    answer = await browser.post("api/sheets", {"id": sheet_id, "given": given})
    assert answer.status_code == 200, answer.text
    return answer.json()["wrong"]


async def test_a_case_is_labelled_at_the_web_desk_by_the_form_that_slack_has(house: House, ann: Browser) -> None:
    case = await house.taken("ann")
    sheet = (await ann.http.get("/desk/api/sheets/label")).json()["sheet"]
    assert [one["id"] for one in sheet["questions"]] == ["number", "kind", "area", "comment", "topic", "newest"]
    given = {"number": f"#{case.number}", "kind": "complaint", "area": "service", "comment": "Too slow", "topic": ""}
    assert await sent(ann, sheet["id"], **given) == {}
    (label,) = await house.look(records.labels)
    assert (label.kind, label.area, label.text, label.by) == ("complaint", "service", "Too slow", "ann")


async def test_the_label_that_was_looked_at_is_taken_away_and_no_other(house: House, ann: Browser) -> None:
    case = await house.taken("ann")
    given = {"number": str(case.number), "kind": "complaint", "area": "service", "comment": "Too slow"}
    assert await sent(ann, "label", **given) == {}
    away = {"id": "label", "given": {"number": str(case.number), "newest": "remove"}}
    sure = (await ann.post("api/sheets", away)).json()
    assert sure["wrong"] == {}
    assert sure["sheet"]["material"] == [{"who": "Complaint · Service", "said": "Too slow"}]
    assert len(await house.look(records.labels)) == 1
    later = {"number": str(case.number), "kind": "praise", "comment": "Thanks"}
    assert await sent(ann, "label", **later) == {}
    assert await sent(ann, sure["sheet"]["id"]) == {}
    assert [one.text for one in await house.look(records.labels)] == ["Thanks"]
    gone = (await ann.post("api/sheets", {"id": sure["sheet"]["id"], "given": {}})).json()["sheet"]
    assert (gone["id"], gone["lead"]) == ("label", "What you saw is not there any more; nothing was changed.")
    for strange in ("label:{", "label:7", "label:{}"):
        assert (await ann.post("api/sheets", {"id": strange, "given": {}})).json()["sheet"]["id"] == "label"


@pytest.mark.parametrize(
    ("more", "at"),
    [
        ({"number": "999999"}, "number"),
        ({"number": "9" * 30}, "number"),
        ({"kind": ""}, "kind"),
        ({"kind": "curse"}, "kind"),
        ({"area": "moon"}, "kind"),
        ({"newest": "burn"}, "kind"),
        ({"newest": "correct"}, "newest"),
        ({"kind": "", "newest": "remove"}, "newest"),
    ],
)
async def test_what_no_form_offers_is_not_kept(house: House, ann: Browser, more: dict[str, str], at: str) -> None:
    case = await house.taken("ann")
    given = {"number": str(case.number), "kind": "praise", "area": "", "comment": "", "topic": "", **more}
    assert list(await sent(ann, "label", **given)) == [at]
    assert await house.look(records.labels) == []


async def test_a_talk_is_logged_with_its_case_and_without(house: House, ann: Browser) -> None:
    case = await house.taken("ann")
    sheet = (await ann.http.get("/desk/api/sheets/talk")).json()["sheet"]
    assert sheet["id"] == "talk"
    assert await sent(ann, "talk", words="Rang: all is well", mode="phone", number=str(case.number)) == {}
    assert await sent(ann, "talk", words="At the counter", mode="", number="") == {}
    assert list(await sent(ann, "talk", words=" ", mode="", number="")) == ["words"]
    assert list(await sent(ann, "talk", words="x", mode="", number="999999")) == ["number"]
    kept = await house.look(outside.listed)
    assert sorted((one.comment, one.mode, one.customer_id) for one in kept) == [
        ("At the counter", None, None),
        ("Rang: all is well", "phone", case.customer_id),
    ]


async def test_a_form_that_nobody_offers_is_not_there_and_a_pulse_that_is_over_says_so(ann: Browser) -> None:
    assert (await ann.http.get("/desk/api/sheets/none")).status_code == 404
    assert (await ann.post("api/sheets", {"id": "none:1", "given": {}})).status_code == 404
    for wrong in ({}, {"id": "label"}, {"id": "label", "given": {"kind": 7}}, {"id": 1, "given": {}}):
        assert (await ann.post("api/sheets", wrong)).status_code == 400
    assert "told" in (await ann.http.get("/desk/api/sheets/pulse")).json()
    assert list(await sent(ann, "pulse:none", mood="5")) == [""]
    assert list(await sent(ann, "review:none:none", tone="3")) == [""]


async def test_who_has_no_seat_gets_no_form(house: House) -> None:
    stranger = Browser(house, settings(), forms=lambda: TeamSheets(lambda: house.desk, Pulse(lambda: house.desk, SECRET), lambda: house.now))  # fmt: skip
    assert (await stranger.http.get("/desk/api/sheets/label")).status_code == 401
    assert (await stranger.post("api/sheets", {"id": "talk", "given": {"words": "x"}})).status_code == 401
