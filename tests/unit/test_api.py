"""The REST API, asked as other programs ask it: over ASGI, with a real database behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.routing import Mount

from bot.api import create_api
from bot.api.door import MOST_BYTES
from bot.api.feed import Feed
from bot.api.rooms import Rooms
from bot.desk_folder.desk import Agent, Desk, Team
from bot.events import EscalationAsked, TalkLogged, TimelineGrew
from bot.inbox import Inbox
from bot.model import Author, AuthorKind, Body, Sender
from bot.outbox import enqueue
from bot.outreach.telling import Notices
from bot.storage import alert_rows, customers, history, merging, schema
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.tx import Tx, Wiring
from handoff import cases
from handoff.for_api import CasesForApi
from handoff.watch import subscribers
from surveys import store as surveys_store
from surveys.for_api import SurveysForApi
from surveys.outside import talks
from surveys.responses import ResponseRow

TOKEN = "a-token-for-tests"
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
DESK = Desk(
    "Acme",
    ("en",),
    teams=(Team("support", "Support"),),
    agents=(Agent("ann", "Ann", "support"), Agent("bob", "Bob", "support")),
)


@dataclass
class House:
    storage: Storage
    http: httpx2.AsyncClient
    feed: Feed

    async def customer(self, name: str = "Kari", text: str = "Where is my order?") -> str:
        """Somebody who has written once."""

        def unit(tx: Tx) -> str:
            who, _ = customers.create(tx, Sender("web", f"visitor-{name}", f"visitor-{name}", name, "en"), "en")
            author = Author(AuthorKind.CUSTOMER, name)
            message = history.append(tx, who.id, Body(text), author=author, channel="web")
            cases.ensure_open(tx, who.id, "web", message.id)
            return who.id

        return await self.storage.write(unit)

    async def case(self, customer_id: str, *, queued: bool = True) -> str:
        if queued:
            await self.storage.write(
                lambda tx: cases.on_escalation(tx, EscalationAsked(customer_id, "asked", "a human"))
            )
        items = (await self.http.get("/cases", params={"customer": customer_id})).json()["items"]
        return str(items[-1]["id"])


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    await schema.upgrade(database_url)
    storage = Storage(database_url, lambda: NOW)
    feed = Feed(storage)
    heard: dict[type, list[Any]] = {event: list(who) for event, who in subscribers([]).items()}
    for event, one in feed.subscribers().items():
        heard.setdefault(event, []).append(one)
    heard[TalkLogged] = [talks.on_talk]
    storage.wiring = Wiring(subscribers=heard, desk=lambda: DESK)
    await storage.open()
    clock, desk = storage.clock, lambda: DESK
    rooms = Rooms(
        storage,
        CasesForApi(desk, clock),
        SurveysForApi(desk, clock),
        feed,
        Notices(desk),
        occurred=Inbox(storage, ()).occurred,
    )
    app = Starlette(routes=[Mount("/api/v1", app=create_api(rooms, TOKEN))])
    headers = {"Authorization": f"Bearer {TOKEN}"}
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test/api/v1", headers=headers) as http:
        yield House(storage, http, feed)
    await storage.close()


def is_problem(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    return body


# ── the door ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("header", [None, "Bearer wrong", TOKEN, f"Basic {TOKEN}", "Bearer ", "Bearer é"])
@pytest.mark.parametrize("path", ["/customers", "/openapi.json", "/nothing"])
async def test_without_the_token_every_path_is_401(house: House, header: str | None, path: str) -> None:
    house.http.headers.pop("authorization")
    headers = {"Authorization": header.encode()} if header is not None else {}
    answer = await house.http.get(path, headers=headers)
    is_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_what_is_not_there_and_what_is_not_allowed_are_problems(house: House) -> None:
    is_problem(await house.http.get("/nothing"), 404)
    is_problem(await house.http.get("/customers/none"), 404)
    is_problem(await house.http.get("/customers/none/messages"), 404)
    is_problem(await house.http.delete("/customers/none"), 404)
    is_problem(await house.http.get("/cases/none"), 404)
    is_problem(await house.http.post("/cases/none/notes", json={"text": "x"}), 404)
    is_problem(await house.http.get("/reports/none"), 404)
    is_problem(await house.http.get("/notices/none"), 404)
    is_problem(await house.http.post("/notices/none/approve"), 404)
    answer = await house.http.put("/customers", json={})
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"
    assert (await house.http.put("/customers/x", json={})).headers["allow"] == "DELETE, GET, HEAD"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'{"text": "a", "text": "b"}', 400),
        (b'{"text": NaN}', 400),
        (b'{"text": ' + b"[" * 65 + b"]" * 65 + b"}", 400),
        (b"[" * 100_000, 400),
        (b'{"text": ' + b"1" * 5_000 + b"}", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b" " * (MOST_BYTES + 1), 413),
        (b'{"text": ' + b"1" * 401 + b"}", 422),
        (b'["text"]', 422),
        (b"", 422),
        (b"{}", 422),
        (b'{"text": 5}', 422),
        (b'{"text": " \\n"}', 422),
        (b'{"text": "x", "agent": "ann"}', 422),
        (json.dumps({"text": "x" * 16_001}).encode(), 422),
    ],
)
async def test_a_body_that_can_t_be_meant_is_refused_and_changes_nothing(house: House, raw: bytes, status: int) -> None:
    customer = await house.customer()
    headers = {"Content-Type": "application/json"}
    answer = await house.http.post(f"/customers/{customer}/messages", content=raw, headers=headers)
    is_problem(answer, status)
    assert len((await house.http.get(f"/customers/{customer}/messages")).json()["items"]) == 1


async def test_only_plain_json_is_read(house: House) -> None:
    customer = await house.customer()
    path, raw = f"/customers/{customer}/messages", b'{"text": "x"}'
    is_problem(await house.http.post(path, content=raw, headers={"Content-Type": "text/plain"}), 415)
    zipped = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    is_problem(await house.http.post(path, content=raw, headers=zipped), 415)


async def test_a_wrong_field_is_named_and_what_was_sent_is_not_repeated(house: House) -> None:
    customer = await house.customer()
    body = {"text": "hi", "verified_by_s3cret": True}
    body = is_problem(await house.http.post(f"/customers/{customer}/messages", json=body), 422)
    assert body["errors"] == [{"at": "body.verified_by_s3cret", "message": "Extra inputs are not permitted"}]
    long = await house.http.post(f"/customers/{customer}/messages", json={"text": "x" * 16_001})
    assert is_problem(long, 422)["errors"] == [
        {"at": "body.text", "message": "String should have at most 16000 characters"}
    ]
    told = (await house.http.get("/cases", params={"status": "s3cret"})).text
    assert "s3cret" not in told


async def test_what_no_database_keeps_never_reaches_one(house: House) -> None:
    customer = await house.customer()
    raw = rb'{"text": "a\u0000b\ud800c\r\nd"}'
    headers = {"Content-Type": "application/json"}
    said = (await house.http.post(f"/customers/{customer}/messages", content=raw, headers=headers)).json()
    assert said["text"] == "ab\ufffdc\nd"
    is_problem(await house.http.get("/customers/%00"), 400)
    is_problem(await house.http.get("/cases?team=%00"), 400)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limt=5", "after=", "status=done", "limit=1e400", "offset=1"]
)
async def test_a_filter_with_an_error_is_told_never_passed_over(house: House, query: str) -> None:
    is_problem(await house.http.get(f"/cases?{query}"), 422)


async def test_a_filter_given_twice_is_told_and_neither_is_taken(house: House) -> None:
    told = is_problem(await house.http.get("/cases?status=queued&status=open"), 422)
    assert told["errors"] == [{"at": "query.status", "message": "is given more than once"}]
    is_problem(await house.http.get("/reports/summary?by=team&by=agent"), 422)
    is_problem(await house.http.get("/nothing?a=1&a=2"), 404)
    repeated = await house.http.get("/reports/summary?where=channel=web&where=channel=slack")
    assert repeated.status_code == 200


# ── lists ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("limit", [1, 2, 3, 200])
async def test_a_list_is_whole_when_read_page_by_page(house: House, limit: int) -> None:
    made = [await house.customer(name) for name in ("Kari", "Ola", "Noa")]
    for path, expected in (("/customers", made), ("/cases", None), ("/agents", ["ann", "bob"])):
        seen: list[str] = []
        after: str | None = None
        while True:
            page = (await house.http.get(path, params={"limit": limit} | ({"after": after} if after else {}))).json()
            assert set(page) == {"items", "next"}
            assert len(page["items"]) <= limit
            seen += [one["id"] for one in page["items"]]
            after = page["next"]
            if after is None:
                break
        assert len(set(seen)) == len(seen) == len(expected or made)
        assert expected is None or seen == expected


async def test_messages_come_in_order_of_seq_and_notes_never(house: House) -> None:
    customer = await house.customer()
    case = await house.case(customer)
    await house.http.post(f"/cases/{case}/notes", json={"text": "he is cross"})
    await house.http.post(f"/cases/{case}/messages", json={"text": "On its way."})
    page = (await house.http.get(f"/customers/{customer}/messages")).json()
    assert [one["seq"] for one in page["items"]] == list(range(1, len(page["items"]) + 1))
    assert "he is cross" not in str(page)
    last = page["items"][-1]
    assert last["author"] == {"kind": "agent", "name": "Ann", "id": "ann"}
    assert (last["text"], last["channel"], last["files"], last["case"]) == ("On its way.", "web", [], case)
    assert last["at"] == "2026-03-09T12:00:00Z"
    rest = await house.http.get(f"/customers/{customer}/messages", params={"after": 1, "limit": 1})
    assert rest.json()["items"][0]["seq"] == 2
    assert rest.json()["next"] == "2"


# ── customers ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_customer_has_their_addresses(house: House) -> None:
    customer = await house.customer()
    told = (await house.http.get(f"/customers/{customer}")).json()
    address = {"channel": "web", "external_id": "visitor-Kari", "evidence": "platform"}
    assert (told["id"], told["name"], told["locale"]) == (customer, "Kari", "en")
    assert address.items() <= told["identities"][0].items()


async def test_a_program_speaks_to_a_customer_in_the_bot_s_name(house: House) -> None:
    customer = await house.customer()
    answer = await house.http.post(f"/customers/{customer}/messages", json={"text": "Your *parcel* has left."})
    assert answer.status_code == 201
    assert answer.json()["author"]["kind"] == "bot"
    assert answer.json()["text"] == "Your *parcel* has left."
    page = (await house.http.get(f"/customers/{customer}/messages")).json()["items"]
    assert page[-1] == answer.json()


# ── cases ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_answer_of_nobody_s_case_is_the_first_agent_s_who_then_holds_it(house: House) -> None:
    customer = await house.customer()
    case = await house.case(customer)
    told = (await house.http.get(f"/cases/{case}")).json()
    assert (told["status"], told["team"], told["agent"], told["customer"]) == ("queued", "support", None, customer)
    answer = await house.http.post(f"/cases/{case}/messages", json={"text": "Ann here."})
    assert answer.status_code == 201
    assert answer.json()["author"]["id"] == "ann"
    told = (await house.http.get(f"/cases/{case}")).json()
    assert (told["status"], told["agent"], told["first_reply_at"]) == ("pending", "ann", "2026-03-09T12:00:00Z")


async def test_the_answer_of_a_held_case_is_its_holder_s_and_nobody_else_s(house: House) -> None:
    case = await house.case(await house.customer())
    assert (await house.http.post(f"/cases/{case}/assign", json={"agent": "bob"})).json()["agent"] == "bob"
    answer = await house.http.post(f"/cases/{case}/messages", json={"text": "Me."})
    assert answer.json()["author"]["id"] == "bob"
    is_problem(await house.http.post(f"/cases/{case}/messages", json={"text": "Me.", "agent": "ann"}), 409)


async def test_an_agent_who_is_none_is_refused(house: House) -> None:
    case = await house.case(await house.customer())
    for path, body in (
        ("assign", {}),
        ("messages", {"text": "x"}),
        ("notes", {"text": "x"}),
        ("resolve", {"outcome": "resolved"}),
    ):
        told = is_problem(await house.http.post(f"/cases/{case}/{path}", json={**body, "agent": "eve"}), 422)
        assert told["errors"][0]["at"] == "body.agent"


async def test_a_case_ends_once(house: House) -> None:
    case = await house.case(await house.customer())
    body = {"outcome": "resolved", "topic": "delivery"}
    told = (await house.http.post(f"/cases/{case}/resolve", json=body)).json()
    assert (told["status"], told["outcome"], told["topic"]) == ("resolved", "resolved", "delivery")
    assert told["resolved_at"] == "2026-03-09T12:00:00Z"
    is_problem(await house.http.post(f"/cases/{case}/resolve", json=body), 409)
    is_problem(await house.http.post(f"/cases/{case}/messages", json={"text": "too late"}), 409)
    is_problem(await house.http.post(f"/cases/{case}/assign", json={"agent": "ann"}), 409)


@pytest.mark.parametrize(
    "body", [{"outcome": "won"}, {"outcome": "no_solution"}, {"outcome": "no_solution", "reason": " "}]
)
async def test_an_end_without_its_outcome_or_reason_is_refused(house: House, body: dict[str, str]) -> None:
    case = await house.case(await house.customer())
    is_problem(await house.http.post(f"/cases/{case}/resolve", json=body), 422)


async def test_filters_pick_cases(house: House) -> None:
    one, two = await house.customer("Kari"), await house.customer("Ola")
    queued, with_bot = await house.case(one), await house.case(two, queued=False)

    async def ids(**filters: str) -> list[str]:
        return [found["id"] for found in (await house.http.get("/cases", params=filters)).json()["items"]]

    assert await ids(status="queued") == [queued]
    assert await ids(status="bot", customer=two) == [with_bot]
    assert await ids(team="support") == [queued]
    assert await ids(agent="ann") == []
    assert await ids(channel="telegram") == []
    assert await ids(customer="x' OR '1'='1") == []


# ── once ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_same_key_again_is_an_echo(house: House) -> None:
    customer = await house.customer()
    path, key = f"/customers/{customer}/messages", {"Idempotency-Key": "k-1"}
    first = await house.http.post(path, json={"text": "once"}, headers=key)
    again = await house.http.post(
        path, content=b'{ "text" : "once" }', headers=key | {"Content-Type": "application/json"}
    )
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    is_problem(await house.http.post(path, json={"text": "another"}, headers=key), 409)
    case = await house.case(customer, queued=False)
    is_problem(await house.http.post(f"/cases/{case}/notes", json={"text": "once"}, headers=key), 409)
    texts = [one["text"] for one in (await house.http.get(path)).json()["items"]]
    assert texts.count("once") == 1
    assert "another" not in texts
    is_problem(await house.http.post(path, json={"text": "x"}, headers={"Idempotency-Key": "k" * 256}), 400)


async def test_a_refused_write_may_be_tried_again_with_its_key(house: House) -> None:
    case = await house.case(await house.customer())
    await house.http.post(f"/cases/{case}/assign", json={"agent": "bob"})
    key = {"Idempotency-Key": "k-2"}
    body = {"text": "hello", "agent": "ann"}
    is_problem(await house.http.post(f"/cases/{case}/messages", json=body, headers=key), 409)
    await house.http.post(f"/cases/{case}/assign", json={"agent": "ann"})
    assert (await house.http.post(f"/cases/{case}/messages", json=body, headers=key)).status_code == 201


# ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def events(house: House) -> int:
    inbox = t.inbox.c
    query = select(func.count()).where(inbox.source == "event")
    return await house.storage.read(lambda conn: conn.execute(query).scalar_one())


async def test_an_event_is_one_also_after_its_customer_was_merged_into_another(house: House) -> None:
    """Whoever tells it again knows them by their old name, or by the new one."""
    old, new = await house.customer("Kari"), await house.customer("Ola")
    body = {"name": "parcel.delivered", "id": "p-1"}
    assert (await house.http.post(f"/customers/{old}/events", json=body)).json() == {"id": "p-1", "customer": old}
    await house.storage.write(lambda tx: merging.merge(tx, new, old, "linked"))
    who = (await house.http.get(f"/customers/{old}")).json()["id"]
    assert who == new
    for name in (old, new):
        assert (await house.http.post(f"/customers/{name}/events", json=body)).json() == {"id": "p-1", "customer": who}
    assert await events(house) == 1
    await house.http.post(f"/customers/{old}/events", json=body | {"id": "p-2"})
    assert await events(house) == 2


async def test_a_key_that_is_used_again_after_its_day_is_another_event(house: House) -> None:
    customer, key = await house.customer(), {"Idempotency-Key": "k-3"}
    body = {"name": "parcel.delivered"}
    for _ in range(2):
        assert (await house.http.post(f"/customers/{customer}/events", json=body, headers=key)).status_code == 202
    assert await events(house) == 1
    long_ago = t.idempotency_keys.update().values(at=NOW - timedelta(hours=25))
    await house.storage.write(lambda tx: tx.conn.execute(long_ago))
    assert (await house.http.post(f"/customers/{customer}/events", json=body, headers=key)).status_code == 202
    assert await events(house) == 2


# ── surveys ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_answers_from_elsewhere_come_in_whole_or_not_at_all_and_go_out_again(house: House) -> None:
    wrong = "respondent,instrument,score,time\nkari,ces7,6,2026-03-01\nola,ces7,8,2026-03-01\nkari,ces7,6,2026-03-01\n"
    refused = is_problem(await house.http.post("/surveys/responses", json={"csv": wrong}), 422)
    assert [one["at"] for one in refused["errors"]] == ["line 3", "line 4"]
    assert "from 1 to 7" in refused["errors"][0]["message"]
    assert (await house.http.get("/surveys/responses")).json()["items"] == []
    file = (
        "respondent,instrument,score,comment,time,source,mode,plan\n"
        "kari,ces7,6,=1+1,2026-03-01,shop,phone,gold\n"
        "ola,,,the app is fine,2026-03-02,forum,,\n"
    )
    for new in (2, 0):
        done = await house.http.post("/surveys/responses", json={"csv": file})
        assert (done.status_code, done.json()) == (201, {"rows": 2, "new": new})
    (row,) = (await house.http.get("/surveys/responses")).json()["items"]
    assert (row["score"], row["source"], row["mode"]) == (6, "shop", "phone")
    out = await house.http.get("/surveys/responses.csv")
    assert out.headers["content-type"] == "text/csv; charset=utf-8"
    assert "'=1+1" in out.text
    assert (await house.http.post("/surveys/responses", json={"csv": out.text})).json() == {"rows": 2, "new": 0}


async def test_an_agent_logs_a_talk_with_or_without_a_score(house: House) -> None:
    kari = await house.customer()
    body = {"agent": "ann", "text": "Called us: the box was empty", "customer": kari, "mode": "phone"}
    assert (await house.http.post("/surveys/talks", json=body)).status_code == 202
    for wrong, status in (
        ("0001-01-01T00:00:00+23:00", 422),
        ("2026-03-01T10:00:00", 422),
        ("2126-01-01T00:00:00Z", 409),
        ("0202-03-01T10:00:00Z", 409),
        ("9999-12-31T23:59:59Z", 422),
    ):
        is_problem(await house.http.post("/surveys/talks", json={**body, "at": wrong}), status)
    scored = {**body, "instrument": "csat5", "score": 1}
    assert (await house.http.post("/surveys/talks", json=scored)).status_code == 202
    (row,) = (await house.http.get("/surveys/responses")).json()["items"]
    assert (row["score"], row["customer"], row["mode"], row["source"], row["agent"]) == (
        1,
        kari,
        "phone",
        "talk",
        "ann",
    )
    (alert,) = await house.storage.read(alert_rows.listed)
    assert (alert.customer_id, alert.score) == (kari, 1)
    out = (await house.http.get("/surveys/responses.csv")).text
    assert out.count("the box was empty") == 2
    for wrong, status in (
        ({"score": 6, "instrument": "csat5"}, 409),
        ({"score": 3}, 422),
        ({"agent": "nobody"}, 422),
        ({"customer": "nobody"}, 404),
        ({"case": "none"}, 404),
        ({"at": "2026-03-01T10:00:00"}, 422),
    ):
        is_problem(await house.http.post("/surveys/talks", json={**body, **wrong}), status)
    await house.http.delete(f"/customers/{kari}")
    assert "box was empty" not in (await house.http.get("/surveys/responses.csv")).text


async def test_answers_and_reports(house: House) -> None:
    rows = [ResponseRow("ces7", 6, NOW, id=f"r{n}", channel="web", locale="en") for n in range(6)]
    await house.storage.write(lambda tx: surveys_store.add_imported(tx.conn, rows))
    page = (await house.http.get("/surveys/responses", params={"limit": 5})).json()
    assert page["next"] == "r4"
    expected = {
        "id": "r0",
        "case": None,
        "instrument": "ces7",
        "score": 6.0,
        "comment": None,
        "at": "2026-03-09T12:00:00Z",
    }
    assert expected.items() <= page["items"][0].items()
    summary = (await house.http.get("/reports/summary")).json()
    assert (summary["scores"][0]["n"], summary["scores"][0]["score"]) == (6, 6.0)
    alone = (
        await house.http.get("/reports/scores", params={"from": "2026-03-09", "to": "2026-03-09", "by": "channel"})
    ).json()
    assert [one["by"] for one in alone["scores"]] == [{}, {"channel": "web"}]
    assert "times" not in alone
    empty = (await house.http.get("/reports/scores", params={"to": "2026-03-08"})).json()
    assert empty["scores"] == []


@pytest.mark.parametrize("query", ["from=yesterday", "by=mood", "from=2026-03-02&to=2026-03-01", "to=9999-12-31T99:00"])
async def test_a_report_of_no_span_or_dimension_is_refused(house: House, query: str) -> None:
    is_problem(await house.http.get(f"/reports/summary?{query}"), 422)


async def test_the_score_stands_beside_its_case(house: House) -> None:
    case = await house.case(await house.customer())
    row = {"id": "r", "case_id": case, "instrument": "ces7", "score": 6.0, "extra": {}, "at": NOW}
    await house.storage.write(lambda tx: tx.conn.execute(t.survey_responses.insert().values(**row)))
    answer = await house.http.get(f"/cases/{case}")
    assert answer.json()["survey"]["instrument"] == "ces7"
    assert '"score":6,' in answer.text
    assert '"score":6,' in (await house.http.get("/surveys/responses")).text


# ── the stream ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_stream_tells_what_happens_and_goes_on_where_it_broke(house: House) -> None:
    def at(seconds: int) -> None:  # on PostgreSQL steps are told two seconds later: see bot/api/store.py
        house.storage.clock = lambda: NOW + timedelta(seconds=seconds)

    customer = await house.customer()
    at(5)
    stream = house.feed.stream(0)
    assert await anext(stream) == b": listening\n\n"
    opened = (await anext(stream)).decode()
    assert opened.startswith("id: 1\nevent: case\n")
    assert json.loads(opened.partition("data: ")[2])["customer"] == customer
    case = await house.case(customer)
    await house.http.post(f"/cases/{case}/messages", json={"text": "hello"})
    at(10)
    seen: list[str] = []
    while len(seen) < 12 and (not seen or '"kind":"reply"' not in seen[-1]):
        seen.append((await anext(stream)).decode())
    assert any("event: message\n" in one for one in seen)
    kinds = [json.loads(one.partition("data: ")[2])["kind"] for one in seen if "event: case\n" in one]
    assert kinds == ["escalate", "claim", "reply"]
    house.feed.close()
    assert [one async for one in stream] == []


async def test_who_heard_more_than_there_is_hears_what_comes_now(house: House) -> None:
    """A backup was put back: its steps are numbered on from where it was made."""
    await house.customer()
    stream = house.feed.stream(1_000)
    assert await anext(stream) == b": listening\n\n"
    await house.case(await house.customer("Ola"))
    house.storage.clock = lambda: NOW + timedelta(seconds=5)
    while b"event: case" not in (line := await anext(stream)):
        assert b"still here" not in line
    await stream.aclose()


async def test_who_listens_and_stands_still_is_not_kept_up_with(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.api.feed.WAITING", 3)
    stream = house.feed.stream(0)
    assert await anext(stream) == b": listening\n\n"

    def unit(tx: Tx) -> None:
        for seq in range(10):
            tx.emit(TimelineGrew("c", seq))

    await house.storage.write(unit)
    (listener,) = house.feed._listeners
    assert len(listener.told) == 4
    assert b"event: message" not in b"".join([one async for one in stream])


# ── forgetting ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_erased_customer_leaves_no_trace_and_others_stay(house: House) -> None:
    gone, stays = await house.customer("Kari", "my s3cret order"), await house.customer("Ola", "hello")
    case = await house.case(gone)
    await house.http.post(f"/cases/{case}/messages", json={"text": "s3cret answer"}, headers={"Idempotency-Key": "k"})
    await house.storage.write(
        lambda tx: enqueue(
            tx, via="telegram", lane="telegram:s3cret", kind="text", payload={"t": "s3cret"}, customer_id=gone
        )
    )
    before = (await house.http.get(f"/customers/{stays}/messages")).json()
    answer = await house.http.delete(f"/customers/{gone}")
    assert answer.status_code == 200
    assert answer.json()["customer"] == gone
    is_problem(await house.http.get(f"/customers/{gone}"), 404)
    is_problem(await house.http.get(f"/cases/{case}"), 404)
    is_problem(await house.http.delete(f"/customers/{gone}"), 404)
    assert (await house.http.get(f"/customers/{stays}/messages")).json() == before

    def everything(conn: Any) -> str:
        return "\n".join(
            str(tuple(row))
            for one in t.metadata.sorted_tables
            if one.name != "audit"
            for row in conn.execute(one.select())
        )

    left = await house.storage.read(everything)
    assert all(word not in left for word in ("s3cret", "Kari", gone, case))
    assert "Ola" in left
    lines = await house.storage.read(lambda conn: conn.execute(t.audit.select()).all())
    assert [(line.what, line.who) for line in lines] == [("customer erased", "api")]
    assert "s3cret" not in str(lines)
    assert "Kari" not in str(lines)
    if house.storage.is_sqlite:
        files = Path(house.storage.path).parent.iterdir()
        assert all(b"s3cret" not in file.read_bytes() for file in files)


async def test_a_send_on_its_way_finds_its_row_but_nothing_in_it(house: House) -> None:
    gone = await house.customer()

    def unit(tx: Tx) -> str:
        sent = enqueue(tx, via="telegram", lane="telegram:42", kind="text", payload={"text": "x"}, customer_id=gone)
        tx.conn.execute(t.outbox.update().values(state="sending", lease_owner="me"))
        return sent

    outbox_id = await house.storage.write(unit)
    await house.http.delete(f"/customers/{gone}")
    row = await house.storage.read(lambda conn: conn.execute(t.outbox.select()).one())
    assert (row.id, row.state, row.payload, row.lane, row.customer_id) == (outbox_id, "expired", {}, "erased", None)


# ── what colleagues are asked ──────────────────────────────────────────────────────────────────────────────────────
async def test_a_program_asks_colleagues_once_and_hears_their_answer(house: House) -> None:
    customer = await house.customer("hello")
    case = await house.case(customer)
    body = {"text": "is it paid?", "team": DESK.teams[0].id}
    first = await house.http.post(f"/cases/{case}/errands", json=body, headers={"Idempotency-Key": "e1"})
    again = await house.http.post(f"/cases/{case}/errands", json=body, headers={"Idempotency-Key": "e1"})
    assert (first.status_code, again.json()) == (201, first.json())
    made = first.json()
    assert (made["kind"], made["state"], made["by"]) == ("consult", "open", None)
    agent = DESK.agents[0].id
    told = await house.http.post(f"/cases/{case}/errands/{made['id']}/answer", json={"text": "yes", "agent": agent})
    assert (told.status_code, told.json()["state"], told.json()["answered_by"]) == (200, "answered", agent)
    assert [one["state"] for one in (await house.http.get(f"/cases/{case}/errands")).json()["items"]] == ["answered"]
    said = (await house.http.get(f"/customers/{customer}/messages")).text
    assert "is it paid" not in said
    for wrong, status in (
        ({"text": "x"}, 422),
        ({"text": "x", "agent": agent}, 422),
        ({"text": "x", "team": "none"}, 404),
        ({"text": "x", "agent": agent, "due_at": "2020-01-01T00:00:00Z"}, 409),
        ({"text": "x", "team": "a", "secret": 1}, 422),
    ):
        is_problem(await house.http.post(f"/cases/{case}/errands", json=wrong), status)
    answer = {"text": "x", "agent": agent}
    is_problem(await house.http.post(f"/cases/{case}/errands/none/answer", json=answer), 404)
    is_problem(await house.http.post(f"/cases/{case}/errands/{made['id']}/answer", json=answer), 409)


# ── the page ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_openapi_page_lists_every_call_of_the_contract(house: House) -> None:
    page = (await house.http.get("/openapi.json")).json()
    calls = {f"{method.upper()} {path}" for path, methods in page["paths"].items() for method in methods}
    assert calls == {
        "GET /customers",
        "GET /customers/{customer_id}",
        "GET /customers/{customer_id}/messages",
        "POST /customers/{customer_id}/events",
        "POST /customers/{customer_id}/messages",
        "DELETE /customers/{customer_id}",
        "GET /cases",
        "GET /cases/{case_id}",
        "POST /cases/{case_id}/assign",
        "POST /cases/{case_id}/messages",
        "POST /cases/{case_id}/notes",
        "GET /cases/{case_id}/errands",
        "POST /cases/{case_id}/errands",
        "POST /cases/{case_id}/errands/{errand_id}/answer",
        "POST /cases/{case_id}/resolve",
        "GET /agents",
        "GET /surveys/responses",
        "POST /surveys/responses",
        "GET /surveys/responses.csv",
        "POST /surveys/talks",
        "GET /reports/{name}",
        "GET /events",
        "GET /notices",
        "GET /notices/{notice_id}",
        "POST /notices",
        "POST /notices/{notice_id}/approve",
        "POST /notices/{notice_id}/cancel",
    }
    assert page["servers"] == [{"url": "/api/v1"}]
    assert "HTTPValidationError" not in json.dumps(page)


# ── notices ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_notice_is_told_from_now_on_or_waits_for_its_approval(house: House) -> None:
    body = {"text": "Parcels are late", "audience": {"everyone": True}, "draft": True}
    draft = await house.http.post("/notices", json=body, headers={"Idempotency-Key": "n1"})
    assert draft.status_code == 202
    made = draft.json()
    assert made["state"] == "draft"
    assert made["texts"] == {DESK.locales[0]: "Parcels are late"}
    assert (made["title"], made["told"], made["waiting"], made["skipped"]) == ("Parcels are late", 0, 0, {})
    again = await house.http.post("/notices", json=body, headers={"Idempotency-Key": "n1"})
    assert again.json()["id"] == made["id"]
    approved = (await house.http.post(f"/notices/{made['id']}/approve")).json()
    assert (approved["state"], approved["approved_by"]) == ("approved", "api")
    is_problem(await house.http.post(f"/notices/{made['id']}/approve"), 409)
    assert (await house.http.post(f"/notices/{made['id']}/cancel")).json()["state"] == "cancelled"
    assert [one["id"] for one in (await house.http.get("/notices")).json()["items"]] == [made["id"]]


async def test_a_language_by_its_old_name_is_the_one_that_customers_have(house: House) -> None:
    texts = {"en": "Late", "no": "Forsinket", "iw": "מאחר"}
    body = {"texts": texts, "audience": {"everyone": True, "locale": "no"}, "draft": True}
    made = (await house.http.post("/notices", json=body)).json()
    assert made["texts"] == {"en": "Late", "nb": "Forsinket", "he": "מאחר"}
    assert made["audience"] == {"everyone": True, "locale": "nb"}


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"text": "x", "audience": {}}, "body.audience"),
        ({"text": "x", "audience": {"everyone": True, "topic": "parcel"}}, "body.audience"),
        ({"text": "x", "audience": {"everyone": True}, "flow": "none"}, "body.flow"),
        ({"text": "x" * 3501, "audience": {"everyone": True}}, "body.text"),
        ({"audience": {"everyone": True}}, "body"),
        ({"text": "x", "texts": {"en": "y"}, "audience": {"everyone": True}}, "body"),
    ],
)
async def test_a_notice_that_cannot_be_told_is_refused_with_its_place(house: House, body: Any, at: str) -> None:
    problem = is_problem(await house.http.post("/notices", json=body), 422)
    assert problem["errors"][0]["at"] == at
    assert (await house.http.get("/notices")).json()["items"] == []
