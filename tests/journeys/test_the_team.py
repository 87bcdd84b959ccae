"""The team in Slack and in the console: a pulse that nobody can be read from, scorecards by two, records kept by an admin."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import insert, select

from bot.errors import Conflict
from bot.model import new_id
from bot.storage import tables as t
from channels.delivery import paces
from surveys.insights.records import labelling
from surveys.insights.records import store as records
from surveys.insights.records.nouns import LabelKind
from surveys.team import rounds, store
from surveys.team.rubric import USUAL
from tests.fakes.slack import SlackServer
from tests.support.house import House as WebHouse
from tests.support.slack_house import DESK, House, SteppingClock, a_house

ME = "console:password:Ann"


@pytest_asyncio.fixture
async def house(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> AsyncIterator[House]:
    monkeypatch.setattr(paces, "RATES", {})
    async with SlackServer(clock=SteppingClock()) as slack, a_house(slack, sqlite_url, "http") as made:
        yield made


async def row(house: House) -> dict[str, Any]:
    """The round as it lies in the database: all that is kept."""
    query = select(t.pulse_rounds)
    return dict((await house.app.storage.read(lambda conn: conn.execute(query).one()))._mapping)


async def test_the_pulse_is_answered_in_slack_once_by_agents_and_keeps_no_answer(house: House) -> None:
    assert "No pulse is open" in (await house.ann.commands(DESK, "/stafett", "pulse") or {})["text"]
    await house.app.storage.write(lambda tx: house.app.mending.pulse.open(tx, ME))
    await house.rest()
    post = next(one for one in house.desk.messages if "How is work?" in one.says)
    await house.ann.presses(DESK, post.ts, "Fill in")
    form = await house.ann.is_shown("How is work?")
    blocks = [one["block_id"] for one in form["blocks"] if one["type"] == "input"]
    assert blocks == ["workload", "tools", "learning", "support", "proud", "comment"]
    assert await house.ann.submits(form, {**dict.fromkeys(blocks[:-1], "4"), "comment": "More time"}) is not None
    twice = await house.ann.submits(form, dict.fromkeys(blocks[:-1], "4"))
    assert "You have answered this month." in str(twice), "as the desk says it, in its language"
    kept = await row(house)
    assert (kept["given"], kept["comments"]) == (1, ["More time"])
    assert kept["tally"] == {question: {"4": 1} for question in blocks[:-1]}
    assert not re.search(r"U1|ann", repr(kept), re.IGNORECASE)
    said = await house.ann.commands(DESK, "/stafett", "pulse")
    assert "answered this month" in (said or {})["text"]
    again = await house.bob.commands(DESK, "/stafett", "pulse")
    assert (again or {}).get("text") is None
    report = await house.app.storage.read(lambda conn: house.app.mending.reports()["pulse"](conn, None, None))
    assert report["items"][0]["results"] is None


async def test_a_case_is_reviewed_in_slack_by_who_did_not_have_it(house: House) -> None:
    card = await house.claimed()
    await house.ann.presses(DESK, card.ts, "Resolve…")
    await house.ann.submits(await house.ann.is_shown("Resolve"), {"outcome": "Solved", "topic": "delivery"})
    await house.rest()
    now = house.app.clock()
    span = now - timedelta(days=1), now + timedelta(days=1)
    sample = await house.app.storage.write(lambda tx: rounds.draw(tx, USUAL, 7, *span, ME))
    with pytest.raises(Conflict, match="already"):
        await house.app.storage.write(lambda tx: rounds.draw(tx, USUAL, 7, *span, ME))  # the form was sent twice
    own = await house.ann.commands(DESK, "/stafett", "review")
    assert "No case waits for you" in (own or {})["text"]
    await house.bob.commands(DESK, "/stafett", "review")
    form = await house.bob.is_shown("Case")
    assert any("I want a human" in repr(block) for block in form["blocks"])
    marks = {"understood": "3", "correct": "2", "complete": "3", "kind": "3", "effort": "na", "recorded": "1"}
    await house.bob.submits(form, marks)
    (given,) = await house.app.storage.read(lambda conn: store.reviews(conn, sample.id))
    assert (given.rater, given.marks) == (
        "slack:T0001:U2",
        {"understood": 3, "correct": 2, "complete": 3, "kind": 3, "recorded": 1},
    )
    assert "No case waits for you" in ((await house.bob.commands(DESK, "/stafett", "review")) or {})["text"]


async def test_an_agent_says_in_slack_what_a_case_told_us_and_what_it_was_about(house: House) -> None:
    await house.escalated()
    case = await house.case()
    await house.ann.commands(DESK, "/stafett", "label")
    form = await house.ann.is_shown("What a case told us")
    refused = await house.ann.submits(form, {"number": "99999", "kind": "Complaint"})
    assert "number" in (refused or {})["errors"]
    await house.ann.submits(
        form,
        {"number": f"#{case.number}", "kind": "Complaint", "area": "Process", "topic": "delivery", "comment": "slow"},
    )
    (label,) = await house.app.storage.read(lambda conn: records.labels(conn, kind="complaint", area="process"))
    assert (label.text, label.by, label.topic) == ("slow", "slack:T0001:U1", "delivery")
    assert (await house.case()).topic == "delivery"
    await house.ann.commands(DESK, "/stafett", "label")
    form = await house.ann.is_shown("What a case told us")
    changes = {"number": f"#{case.number}", "kind": "Praise", "What the case told us last": "is corrected to this"}
    await house.ann.submits(form, changes)
    sure = await house.ann.is_shown("What a case told us")
    shown = str(sure["blocks"])
    assert "Complaint · Process: slow" in shown
    assert "corrected to: Praise · Process" in shown
    (label,) = await house.app.storage.read(records.labels)
    assert label.kind == "complaint"  # not before they have looked at it
    await house.ann.submits(sure)
    (label,) = await house.app.storage.read(records.labels)
    assert (label.kind, label.area, label.text) == ("praise", "process", "slow")
    await house.ann.commands(DESK, "/stafett", "label")
    form = await house.ann.is_shown("What a case told us")
    away = {"number": f"#{case.number}", "kind": None, "What the case told us last": "is taken away"}
    await house.ann.submits(form, {name: value for name, value in away.items() if value})
    sure = await house.ann.is_shown("What a case told us")
    await house.app.storage.write(
        lambda tx: labelling.label(tx, case.id, case.customer_id, LabelKind.SUGGESTION, None, "a flow's", None)
    )
    await house.ann.submits(sure)
    (label,) = await house.app.storage.read(records.labels)
    assert label.text == "a flow's"  # it came meanwhile, and stays


# ── the console ────────────────────────────────────────────────────────────────────────────────────────────────────
class Admin:
    """Somebody in the console, who presses what the pages show."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def sees(self, path: str, status: int = 200) -> str:
        answer = await self.http.get(f"/admin{path}")
        assert answer.status_code == status
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "style=" not in answer.text
        assert "<Macro" not in answer.text
        return answer.text

    async def presses(self, path: str, **fields: str) -> httpx2.Response:
        page = await self.sees(path)
        token = re.search(r'name="csrf" value="(\w+)"', page)
        assert token
        return await self.http.post(f"/admin{path}", data={"csrf": token[1], **fields})


@pytest_asyncio.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebHouse]:
    async with WebHouse(tmp_path, api_token="a token long enough for it") as made:
        yield made


@pytest_asyncio.fixture
async def admin(web: WebHouse) -> AsyncIterator[Admin]:
    async with web.http(Origin=web.url) as http:
        await http.post("/admin/sign-in", data={"password": "open sesame"})
        yield Admin(http)


async def a_case(web: WebHouse, number: int) -> None:
    kari = await web.visitor()
    await kari.says("hello")
    customers = select(t.customers.c.id).order_by(t.customers.c.created_at.desc())
    who = await web.app.storage.read(lambda conn: conn.execute(customers).scalars().first())
    row = {"id": new_id(), "number": number, "customer_id": who, "status": "closed", "channel": "web", "locale": "en"}
    at = {"opened_at": web.now, "updated_at": web.now}
    await web.app.storage.write(lambda tx: tx.conn.execute(insert(t.cases).values(**row, **at, topic="refund")))


async def test_an_admin_keeps_problems_wishes_labels_and_improvements(web: WebHouse, admin: Admin) -> None:
    await a_case(web, 901)
    for locale in ("en", "he"):
        for page in ("issues", "issues/untagged", "problems", "wishes", "feedback", "improvements", "improvements/new"):
            assert f'lang="{locale}"' in await admin.sees(f"/{page}?lang={locale}")
    await admin.sees("/problems?lang=en")

    made = await admin.presses("/problems", title="Refunds fail <b>", topic="refund")
    place = made.headers["location"].removeprefix("/admin")
    words = {"title": "Refunds fail <b>", "topic": "refund", "cause": "a typo", "owner": "Bo", "due_on": "2026-03-12"}
    await admin.presses(place, do="save", **words, fix="", state="fixing", text_en="It works again.")
    await admin.presses(place, do="link", number="#901")
    page = await admin.sees(place)
    assert "Refunds fail &lt;b&gt;" in page
    assert "901" in page
    assert (await admin.presses(place, do="link", number="12345")).status_code == 409
    assert (await admin.presses(place, do="save", **{**words, "due_on": "soon"})).status_code == 409
    assert (await admin.presses(place, do="close")).status_code == 303
    assert "Told:" in await admin.sees(place)

    wish = (await admin.presses("/wishes", do="add", title="Excel")).headers["location"].removeprefix("/admin")
    await admin.presses(wish, do="save", title="Export to Excel", area="product", state="planned", text_en="")
    assert "Export to Excel" in await admin.sees("/wishes")

    await admin.presses("/feedback", do="add", number="901", kind="complaint", area="process", text="=1+1")
    assert "=1+1" in await admin.sees("/feedback?kind=complaint&area=process")
    assert "=1+1" not in await admin.sees("/feedback?kind=praise")
    file = await admin.http.get("/admin/feedback.csv?area=process")
    assert ",901,complaint,process,'=1+1,refund,web,agent" in file.text

    fields = {"title": "One press", "what": "", "starts_on": "2026-03-20", "days": "28", "topic": "refund"}
    rest = {"metric": "contacts", "cost": "1.200,5", "unit_value": "4", "currency": "EUR"}
    refused = await admin.presses("/improvements/new", do="save", **fields, **rest)
    assert refused.status_code == 409
    assert "One press" in refused.text
    kept = await admin.presses("/improvements/new", do="save", **fields, **{**rest, "cost": "1200,5"})
    assert "still to come" in await admin.sees(kept.headers["location"].removeprefix("/admin"))

    audit = await admin.sees("/audit")
    for line in ("recorded a problem", "closed a problem as fixed", "recorded a wish", "labelled a case"):
        assert line in audit


async def test_the_pages_of_scores_and_of_the_team_and_the_api_say_what_there_is(web: WebHouse, admin: Admin) -> None:
    for page in ("drivers", "leaving", "quality", "quality/review", "pulse"):
        await admin.sees(f"/{page}?lang=he")
    assert (await admin.presses("/pulse?lang=en", do="open")).status_code == 303
    await admin.sees("/pulse/answer", 403)  # who holds the password is nobody's colleague
    assert "Answers: 0" in await admin.sees("/pulse")
    asked = {"since": "2026-03-01", "until": "2026-03-09", "seed": "7"}
    assert (await admin.presses("/quality", **asked)).status_code == 409
    async with web.http(Authorization="Bearer a token long enough for it") as http:
        for name in ("issues", "problems", "wishes", "labels", "drivers", "churn", "improvements", "quality", "pulse"):
            assert (await http.get(f"/api/v1/reports/{name}")).status_code == 200
        assert (await http.get("/api/v1/reports/issues?from=nonsense")).status_code == 422
        for given in ("by=channel", "where=channel=web", "by=moon"):
            told = (await http.get(f"/api/v1/reports/issues?{given}")).json()["detail"]
            assert told == f"query.{given.partition('=')[0]}: the report issues is not split or filtered"
        assert (await http.get("/api/v1/reports/nothing")).status_code == 404
