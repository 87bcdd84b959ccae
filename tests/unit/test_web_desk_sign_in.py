"""Who gets in at the web desk, and whose requests count: rules, sessions, links, and the same answer for all that is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2 as httpx
import jwt
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from bot.errors import NotAllowed, NotFound
from bot.settings import Settings
from bot.sheets import Sheets
from channels.web.sessions import signing_key
from handoff import cases
from handoff.web import sign_in, store
from handoff.web.desk import WebDesk
from handoff.web.live import Live
from handoff.web.routes import WebDeskRoutes
from tests.unit.handoff_house import MONDAY, House, a_desk, build

SECRET = "a secret of this test"
OURS = {"origin": "http://localhost:8080", "sec-fetch-site": "same-origin"}


class Browser:
    """A program that speaks like a browser to the desk's routes. `forwarded` are headers that a proxy would add."""

    def __init__(
        self,
        house: House,
        settings: Settings,
        peer: str = "127.0.0.1",
        host: str = "localhost:8080",
        forms: Callable[[], Sheets] | None = None,
    ) -> None:
        self.house = house
        self.routes = WebDeskRoutes(house.storage, settings, SECRET, WebDesk(), lambda: house.desk, forms=forms)
        transport = httpx.ASGITransport(Starlette(routes=list(self.routes.routes())), client=(peer, 50_000))
        self.http = httpx.AsyncClient(transport=transport, base_url=f"http://{host}")
        self.csrf = ""

    async def enter(self, **headers: str) -> bool:
        """Open the desk; True: in."""
        answer = await self.http.get("/desk", headers=headers)
        me = await self.http.get("/desk/api/me", headers=headers)
        self.csrf = me.json().get("csrf", "")
        return "desk.js" in answer.text and me.status_code == 200

    async def join(self, token: str) -> httpx.Response:
        return await self.http.post("/desk/join", data={"token": token}, headers=OURS)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {
            **OURS,
            sign_in.CSRF_HEADER: self.csrf,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await self.http.post(f"/desk/{path}", json=body or {}, headers={k: v for k, v in sent.items() if v})


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    made = await build(sqlite_url)
    yield made
    await made.storage.close()


@pytest_asyncio.fixture
async def either(database_url: str) -> AsyncIterator[House]:
    """A house on each kind of database, for what is asked of it in SQL."""
    made = await build(database_url)
    yield made
    await made.storage.close()


@pytest_asyncio.fixture
async def demo(house: House) -> House:
    house.desk = replace(house.desk, is_builtin=True)
    return house


# ── by itself ──────────────────────────────────────────────────────────────────────────────────────────────────────
def alone(desk: Any = None, on_loopback: bool = True, peer: str | None = "127.0.0.1", **headers: str) -> bool:
    asked = {"host": "localhost:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
    desk = desk or replace(a_desk(), is_builtin=True)
    return sign_in.signs_in_by_itself(desk, on_loopback=on_loopback, peer=peer, headers=asked)


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:9999", "LOCALHOST:8080"])
def test_the_newcomer_at_their_own_machine_is_let_in(host: str) -> None:
    assert alone(host=host)
    assert alone(host=host, peer="::1")


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "localhost:x", "127.0.0.1.nip.io", "0.0.0.0:8080", "[::1]:8080",
     "user@localhost", "localhost@evil.example", "192.168.1.4:8080", "localhost/x", "127.1", "2130706433"],
)  # fmt: skip
def test_another_name_for_this_machine_is_not_enough(host: str) -> None:
    """A page elsewhere whose name is turned to 127.0.0.1 (DNS rebinding) keeps its own name in Host."""
    assert not alone(host=host)


@pytest.mark.parametrize(
    "header",
    ["x_forwarded_for", "x_forwarded_host", "x_forwarded_proto", "x_forwarded", "forwarded", "via", "x_real_ip"],
)
def test_a_sign_of_a_proxy_shuts_the_door(header: str) -> None:
    assert not alone(**{header: "127.0.0.1"})
    assert not alone(**{header: ""})


def test_another_desk_another_address_another_peer_do_not_let_in() -> None:
    assert not alone(desk=a_desk())
    assert not alone(on_loopback=False)
    assert not alone(peer="10.0.0.7")
    assert not alone(peer=None)


async def test_a_demo_session_lasts_only_while_the_reasons_do(demo: House) -> None:
    browser = Browser(demo, settings())
    assert await browser.enter()
    assert (await browser.http.get("/desk/api/me")).json()["demo"] is True
    assert (await browser.http.get("/desk/api/me", headers={"x-forwarded-for": "1.2.3.4"})).status_code == 401
    demo.desk = replace(demo.desk, is_builtin=False)
    assert (await browser.http.get("/desk/api/me")).status_code == 401
    assert "stafett agent invite" in (await browser.http.get("/desk")).text


@pytest.mark.parametrize(("given", "host", "peer"), [({"host": "0.0.0.0"}, "localhost:8080", "127.0.0.1"), ({}, "evil.example", "127.0.0.1"), ({}, "localhost", "10.0.0.7")])  # fmt: skip
async def test_whoever_is_not_at_the_machine_sees_the_door(
    demo: House, given: dict[str, str], host: str, peer: str
) -> None:
    browser = Browser(demo, settings(**given), peer, host)
    assert not await browser.enter()
    assert browser.http.cookies == {}


# ── sessions and links ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_link_opens_nothing_by_itself_works_once_and_for_a_day(either: House) -> None:
    house = either
    token = await house.do(sign_in.invite, "bob")
    ann = Browser(house, settings())
    for _ in range(3):
        opened = await ann.http.get("/desk/join", params={"token": token})
        assert opened.status_code == 200
        assert "Bob" in opened.text
    assert ann.http.cookies == {}
    assert (await ann.join(token)).status_code == 303
    assert await ann.enter()
    assert (await ann.http.get("/desk/api/me")).json()["agent"]["id"] == "bob"
    late = await house.do(sign_in.invite, "bob")
    assert (await Browser(house, settings()).join(token)).status_code == 404
    house.now = MONDAY + timedelta(hours=24, seconds=1)
    assert (await Browser(house, settings()).join(late)).status_code == 404


async def test_links_are_for_people_on_the_list(house: House) -> None:
    with pytest.raises(NotFound, match=r"desk\.yaml lists no agent zoe; it has ann"):
        await house.do(sign_in.invite, "zoe")
    token = await house.do(sign_in.invite, "bob")
    house.desk = replace(house.desk, agents=tuple(one for one in house.desk.agents if one.id != "bob"))
    assert (await Browser(house, settings()).join(token)).status_code == 404


async def test_the_link_is_not_kept_in_the_database(house: House) -> None:
    token = await house.do(sign_in.invite, "bob")
    rows = await house.look(lambda conn: conn.exec_driver_sql("SELECT * FROM sign_ins").all())
    assert len(rows) == 1
    assert token not in str(rows)


async def test_a_used_link_cannot_be_pressed_from_another_site(house: House) -> None:
    token = await house.do(sign_in.invite, "bob")
    browser = Browser(house, settings())
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert (await browser.http.post("/desk/join", data={"token": token}, headers=foreign)).status_code == 403
    assert (await browser.join(token)).status_code == 303


async def bobs(house: House) -> Browser:
    browser = Browser(house, settings())
    await browser.join(await house.do(sign_in.invite, "bob"))
    assert await browser.enter()
    return browser


async def test_who_is_taken_off_the_list_or_signs_out_is_out_at_once(house: House) -> None:
    bob, again = await bobs(house), await bobs(house)
    copy = dict(bob.http.cookies)
    assert (await bob.post("api/sign-out")).status_code == 200
    bob.http.cookies.update(copy)  # the cookie was copied before: it serves nobody
    assert (await bob.http.get("/desk/api/me")).status_code == 401
    house.desk = replace(house.desk, agents=tuple(one for one in house.desk.agents if one.id != "bob"))
    assert (await again.http.get("/desk/api/cases")).status_code == 401


async def test_a_session_ends_after_a_week_without_a_visit(house: House) -> None:
    bob = await bobs(house)
    house.now = MONDAY + timedelta(days=6)
    assert await bob.enter()
    house.now = MONDAY + timedelta(days=12)
    assert await bob.enter()
    house.now = MONDAY + timedelta(days=19, seconds=1)
    assert not await bob.enter()


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", jwt.encode({"sub": "ann"}, SECRET * 2, algorithm="HS256")])
async def test_a_cookie_that_we_did_not_sign_is_none(house: House, cookie: str) -> None:
    browser = Browser(house, settings())
    browser.http.cookies.set(sign_in.cookie_name("http://localhost:8080"), cookie)
    assert not await browser.enter()


def test_a_token_of_another_kind_or_without_a_signature_is_refused() -> None:
    claims = {"sub": "ann", "jti": "1", "aud": sign_in.AUDIENCE, "iat": MONDAY.timestamp(), "exp": 2_000_000_000}
    good = jwt.encode(claims, signing_key(SECRET, "desk"), algorithm="HS256")
    assert sign_in.from_token(good, SECRET, MONDAY).agent_id == "ann"
    bad = [
        jwt.encode(claims, signing_key(SECRET, "web session"), algorithm="HS256"),  # a customer's key
        jwt.encode({**claims, "aud": "stafett-web"}, signing_key(SECRET, "desk"), algorithm="HS256"),
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode({**claims, "exp": MONDAY.timestamp() - 1}, signing_key(SECRET, "desk"), algorithm="HS256"),
        jwt.encode({**claims, "iat": 1e30}, signing_key(SECRET, "desk"), algorithm="HS256"),
    ]
    for token in bad:
        with pytest.raises(NotAllowed):
            sign_in.from_token(token, SECRET, MONDAY)


async def test_the_cookie_is_for_this_host_and_no_script(house: House) -> None:
    plain = await Browser(house, settings()).join(await house.do(sign_in.invite, "bob"))
    assert plain.headers["set-cookie"].startswith("stafett_desk_8080=")
    secure = Browser(house, settings(public_url="https://help.example"), host="help.example")
    token = await house.do(sign_in.invite, "bob")
    answer = await secure.http.post("/desk/join", data={"token": token}, headers={"origin": "https://help.example"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-stafett_desk=")
    assert "Secure" in cookie
    for said in (plain.headers["set-cookie"], cookie):
        assert "HttpOnly" in said
        assert "SameSite=lax" in said
        assert "Path=/;" in said or said.endswith("Path=/") or "Path=/" in said


# ── requests that change something ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9090"},
        {"origin": "http://localhost:8080.evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "", "sec_fetch_site": ""},
        {"x_stafett_csrf": ""},
        {"x_stafett_csrf": "0" * 64},
    ],
)
async def test_a_change_comes_from_our_page_with_its_token(house: House, headers: dict[str, str]) -> None:
    bob, case = await bobs(house), await house.queued()
    answer = await bob.post(f"api/cases/{case.id}/claim", **headers)
    assert answer.status_code == 403
    assert (await house.case(case)).agent_id is None
    assert (await bob.post(f"api/cases/{case.id}/claim")).status_code == 200


async def test_the_token_of_another_session_does_not_serve(house: House) -> None:
    bob, other = await bobs(house), await bobs(house)
    bob.csrf = other.csrf
    assert (await bob.post("api/availability", {"available": False})).status_code == 403


async def test_a_get_changes_nothing(house: House) -> None:
    bob, case = await bobs(house), await house.queued()
    for verb in ("claim", "resolve", "typing"):
        assert (await bob.http.get(f"/desk/api/cases/{case.id}/{verb}")).status_code == 405


# ── what is not there ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_all_that_is_not_there_gets_the_same_answer(house: House) -> None:
    bob, case = await bobs(house), await house.queued()
    answers = [
        await bob.http.get("/desk/api/cases/nobody"),
        await bob.http.get("/desk/files/nothing", params={"case": case.id}),
        await bob.http.get("/desk/files/nothing", params={"case": "nobody"}),
        await bob.post("api/cases/nobody/claim"),
        await bob.post("api/cases/nobody/typing"),
        await bob.post(f"api/cases/{case.id}/no-such-verb"),
        await bob.post(f"api/cases/{case.id}/take-back", {"ref": "0198c0de-0000-7000-8000-000000000000"}),
    ]
    assert {one.status_code for one in answers} == {404}
    assert len({one.text for one in answers}) == 1


async def test_without_a_session_everything_is_shut(house: House) -> None:
    case = await house.queued()
    stranger = Browser(house, settings())
    for path in ("me", "texts", "cases", f"cases/{case.id}", "cases/nobody", "events"):
        assert (await stranger.http.get(f"/desk/api/{path}")).status_code == 401
    assert (await stranger.post(f"api/cases/{case.id}/claim")).status_code == 401
    assert (await stranger.http.get("/desk/files/x")).status_code == 401


async def test_a_file_is_read_in_its_own_customers_case_only(either: House) -> None:
    house = either
    bob, kari, ola = await bobs(house), await house.queued("Kari"), await house.queued("Ola")
    sent = await bob.http.post(
        "/desk/files", files={"file": ("a.txt", b"hello")}, headers={**OURS, sign_in.CSRF_HEADER: bob.csrf}
    )
    file_id = sent.json()["id"]
    assert (
        await bob.http.get(f"/desk/files/{file_id}", params={"case": kari.id})
    ).status_code == 404  # said nowhere yet
    ref = "0198c0de-0000-7000-8000-000000000001"
    assert (
        await bob.post(f"api/cases/{kari.id}/note", {"ref": ref, "text": "see", "files": [file_id]})
    ).status_code == 200
    assert (await bob.http.get(f"/desk/files/{file_id}", params={"case": kari.id})).content == b"hello"
    assert (await bob.http.get(f"/desk/files/{file_id}", params={"case": ola.id})).status_code == 404


async def test_an_agent_attaches_only_their_own_uploads(house: House) -> None:
    bob, kari = await bobs(house), await house.taken("bob")
    theirs = await house.do(store.add_upload, "ann", "a.txt", "text/plain", b"hers")
    body = {"ref": "0198c0de-0000-7000-8000-000000000002", "text": "x", "files": [theirs.id]}
    assert (await bob.post(f"api/cases/{kari.id}/reply", body)).status_code == 404


async def test_a_page_of_programs_is_refused(house: House) -> None:
    bob = await bobs(house)
    headers = {**OURS, sign_in.CSRF_HEADER: bob.csrf}
    for data in (b"MZ\x90", b"<!doctype html><script>", b"<svg onload=x>"):
        answer = await bob.http.post("/desk/files", files={"file": ("a.png", data)}, headers=headers)
        assert answer.status_code == 415


# ── the verbs, as the page presses them ────────────────────────────────────────────────────────────────────────────
async def test_a_refusal_says_why_as_a_code(house: House) -> None:
    bob, case = await bobs(house), await house.queued()
    ref = "0198c0de-0000-7000-8000-000000000003"
    first = await bob.post(f"api/cases/{case.id}/reply", {"ref": ref, "text": "Hi"})
    assert (first.status_code, first.json()["code"]) == (409, "claim_first")
    await house.do(cases.claim, case.id, "ann", desk="slack")
    second = await bob.post(f"api/cases/{case.id}/claim")
    assert (second.status_code, second.json()["code"], second.json()["agent"]) == (409, "taken", "Ann")
    await house.do(cases.resolve, case.id, "ann", "resolved")
    third = await bob.post(f"api/cases/{case.id}/claim")
    assert (third.status_code, third.json()["code"]) == (409, "over")


async def test_the_same_words_sent_twice_are_one_reply(house: House) -> None:
    bob, case = await bobs(house), await house.taken("bob")
    body = {"ref": "0198c0de-0000-7000-8000-000000000004", "text": "Once"}
    for _ in range(2):
        assert (await bob.post(f"api/cases/{case.id}/reply", body)).status_code == 200
    await house.later(seconds=6)
    assert (await house.said(case.customer_id)).count("Once") == 1


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("reply", {"text": "x"}),
        ("reply", {"ref": "no uuid", "text": "x"}),
        ("reply", {"ref": "0198c0de-0000-7000-8000-000000000005", "text": 5}),
        ("reply", {"ref": "0198c0de-0000-7000-8000-000000000005", "text": "x" * 16_001}),
        ("note", {"ref": "0198c0de-0000-7000-8000-000000000005", "text": "x", "files": "abc"}),
        ("note", {"ref": "0198c0de-0000-7000-8000-000000000005", "text": "x", "files": ["a"] * 11}),
        ("snooze", {"until": "tomorrow"}),
        ("snooze", {}),
        ("assign", {}),
        ("transfer", {"team": ["support"]}),
        ("resolve", {}),
        ("resolve", {"outcome": "resolved", "topic": "x" * 121}),
    ],
)
async def test_a_body_that_breaks_a_rule_is_refused_in_a_line(house: House, verb: str, body: Any) -> None:
    bob, case = await bobs(house), await house.taken("bob")
    answer = await bob.post(f"api/cases/{case.id}/{verb}", body)
    assert answer.status_code == 400
    assert 0 < len(answer.json()["detail"]) < 120


async def test_views_hold_what_they_say(either: House) -> None:
    house = either
    bob = await bobs(house)
    waiting, mine, done = await house.queued("Wai"), await house.taken("bob", "Min"), await house.taken("bob", "Don")
    await house.do(cases.resolve, done.id, "bob", "resolved")
    with_bot = await house.newcomer("Bot")
    await house.writes(with_bot, "hello")

    async def seen(view: str) -> set[str]:
        answer = (await bob.http.get("/desk/api/cases", params={"view": view})).json()
        assert answer["counts"] == {"queue": 1, "mine": 1, "asked": 0, "all": 3}
        return {row["customer"]["name"] for row in answer["items"]}

    assert await seen("queue") == {"Wai"}
    assert await seen("mine") == {"Min"}
    assert await seen("all") == {"Wai", "Min", "Bot"}
    assert await seen("resolved") == {"Don"}
    assert (await bob.http.get("/desk/api/cases", params={"view": "others"})).status_code == 400
    assert waiting.id != mine.id


async def test_a_case_shows_its_whole_story(either: House) -> None:
    """Notes, words in their undo window, and invisible characters made visible; the record is untouched."""
    house = either
    bob, case = await bobs(house), await house.taken("bob")
    await house.writes(case.customer_id, "pay\u202egpj.exe\u200b")
    await house.do(cases.note, case.id, "ann", "careful", desk="slack")
    ref = "0198c0de-0000-7000-8000-000000000006"
    await bob.post(f"api/cases/{case.id}/reply", {"ref": ref, "text": "wait"})
    story = (await bob.http.get(f"/desk/api/cases/{case.id}")).json()
    assert [(one["text"], one["note"]) for one in story["messages"][-2:]] == [
        ("pay[U+202E]gpj.exe[U+200B]", False),
        ("careful", True),
    ]
    assert [(one["text"], one["state"]) for one in story["relays"]] == [("wait", "waiting")]
    await bob.post(f"api/cases/{case.id}/take-back", {"ref": ref})
    story = (await bob.http.get(f"/desk/api/cases/{case.id}")).json()
    assert [one["state"] for one in story["relays"]] == ["taken_back"]
    await house.later(minutes=1)
    assert "wait" not in await house.said(case.customer_id)


@pytest.mark.parametrize(("locale", "word", "way"), [("en", "Queue", "ltr"), ("nl-BE", "Wachtrij", "ltr"), ("no", "Kø", "ltr"), ("iw", "תור", "rtl"), ("fr", "Queue", "ltr")])  # fmt: skip
async def test_the_words_come_in_the_agents_language(house: House, locale: str, word: str, way: str) -> None:
    bob = await bobs(house)
    found = (await bob.http.get("/desk/api/texts", params={"locale": locale})).json()
    assert (found["texts"]["desk_queue"], found["dir"]) == (word, way)
    assert "{{ agent }}" in found["texts"]["taken_by"]


# ── live ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_hints_name_the_case_and_never_what_was_said(house: House) -> None:
    desk = WebDesk()
    live = Live(desk.hub, None)

    async def still_in() -> bool:
        return True

    stream = live.stream(still_in)
    assert "hello" in await anext(stream)
    desk.hub.hint("c1", "message", case="k1", by="customer")
    assert await anext(stream) == 'data: {"customer": "c1", "kind": "message", "case": "k1", "by": "customer"}\n\n'
    for _ in range(500):  # a page that has gone to sleep is told to look at everything, not drowned
        desk.hub.hint("c1", "message", case="k1")
    live.close()
    assert len([event async for event in stream]) <= 200


async def test_a_stream_ends_with_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handoff.web.live.PING_S", 0.0)
    answers = iter([True, False])

    async def still_in() -> bool:
        return next(answers)

    live = Live(WebDesk().hub, None)
    assert [event async for event in live.stream(still_in)][1:] == [": still here\n\n"]
