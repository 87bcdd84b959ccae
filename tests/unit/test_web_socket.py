"""The widget's WebSocket against a real server: acknowledged when stored, resumed without gap or double."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
import pytest_asyncio
import websockets

from bot.errors import DatabaseFault
from bot.model import BOT, Body, Choice
from bot.outbox import say
from bot.storage import customers, history, merging
from tests.support.house import House, Visitor

SITE = "the host site's secret, which is long enough"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, web_identity_secret=SITE) as made:
        yield made


def vouched(house: House, sub: str = "kari", **more: Any) -> str:
    now = house.now.timestamp()
    return jwt.encode({"sub": sub, "aud": "stafett", "iat": now, "exp": now + 300, **more}, SITE, algorithm="HS256")


def messages(visitor: Visitor) -> list[tuple[str, str]]:
    return [(one["author"]["kind"], one["text"]) for one in visitor.frames if one["type"] == "message"]


async def customer(house: House, visitor: Visitor) -> str:
    from channels.web.sessions import from_token

    session = from_token(visitor.token, house.app.secret, house.now)
    found = await house.app.storage.read(lambda conn: customers.identity(conn, "web", session.visitor))
    assert found is not None
    return found.customer_id


async def stored(house: House, visitor: Visitor) -> list[str]:
    who = await customer(house, visitor)
    found = await house.app.storage.read(lambda conn: history.messages(conn, who))
    return [one.body.text for one in found if one.author.kind == "customer"]


async def tab(house: House, visitor: Visitor) -> Visitor:
    """The same visitor in another tab."""
    other = await house.visitor(token=visitor.token)
    assert other.token
    return other


async def error(visitor: Visitor, frame: dict[str, Any] | str) -> dict[str, Any]:
    await visitor.sends(frame)
    return await visitor.gets(lambda one: one["type"] == "error")


# ── once ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_ack_comes_only_after_the_commit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    kari = await house.visitor()
    write, gate = house.app.storage.write, asyncio.Event()

    async def held(unit: Any, **how: Any) -> Any:
        await gate.wait()
        return await write(unit, **how)

    monkeypatch.setattr(house.app.storage, "write", held)
    client_id = str(uuid.uuid4())
    await kari.sends({"type": "message", "id": client_id, "text": "hello"})
    other = await house.visitor()  # a whole round trip through the same server
    assert other.ready["type"] == "ready"
    assert [one for one in kari.frames if one["type"] == "ack"] == []
    gate.set()
    ack = await kari.gets(lambda one: one["type"] == "ack")
    assert (ack["id"], ack["seq"]) == (client_id, 1)
    assert await stored(house, kari) == ["hello"]


async def test_what_could_not_be_stored_is_not_acknowledged_and_comes_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    kari = await house.visitor()

    async def fails(_unit: Any, **_how: Any) -> Any:
        msg = "disk full"
        raise DatabaseFault(msg)

    with monkeypatch.context() as patch:
        patch.setattr(house.app.storage, "write", fails)
        client_id = str(uuid.uuid4())
        assert (await error(kari, {"type": "message", "id": client_id, "text": "hello"}))["code"] == "unavailable"
        assert await kari.closed() == 1013
    await kari.connects()
    assert (await kari.says("hello", id_=client_id))["seq"] == 1
    assert await stored(house, kari) == ["hello"]


async def test_one_id_twice_is_one_message_and_other_words_are_a_conflict(house: House) -> None:
    kari = await house.visitor()
    client_id = str(uuid.uuid4())
    first = await kari.says("hello", id_=client_id)
    again = await kari.says("hello", id_=client_id)
    assert again["seq"] == first["seq"]
    conflict = await kari.says("other words", id_=client_id)
    assert (conflict["type"], conflict["code"]) == ("error", "conflict")
    second = await tab(house, kari)
    assert (await second.says("hello", id_=client_id.upper()))["seq"] == first["seq"]
    assert await stored(house, kari) == ["hello"]
    assert sum(one["type"] == "ack" and one["seq"] == 1 for one in kari.frames) == 2


async def test_the_id_of_a_message_that_the_bot_said_is_a_conflict_and_the_socket_lives(house: House) -> None:
    kari = await house.visitor()
    await kari.says("hello")
    bots = await kari.gets(lambda one: one["type"] == "message" and one["author"]["kind"] == "bot")
    assert (await kari.says("mine now", id_=bots["id"]))["code"] == "conflict"
    assert (await kari.says("still here"))["type"] == "ack"


# ── without gap or double ──────────────────────────────────────────────────────────────────────────────────────────
async def test_after_a_lost_connection_everything_missed_comes_once_and_in_order(house: House) -> None:
    kari = await house.visitor()
    await kari.says("one")
    who = await customer(house, kari)
    for round_ in range(3):
        await kari.leaves()
        for number in range(5):
            text = f"missed {round_}.{number}"
            await house.app.storage.write(lambda tx, text=text: say(tx, who, Body(text=text), author=BOT))
        await kari.connects()
        await kari.hears(f"missed {round_}.4")
    got = [one["seq"] for one in kari.frames if "seq" in one]
    assert got == list(range(1, len(got) + 1))


async def test_more_than_a_page_was_missed(house: House) -> None:
    kari = await house.visitor()
    await kari.says("one")
    who = await customer(house, kari)
    await kari.leaves()
    await asyncio.gather(
        *(house.app.storage.write(lambda tx, n=n: say(tx, who, Body(text=f"m{n}."), author=BOT)) for n in range(450))
    )
    fresh = await house.visitor(token=kari.token)
    await fresh.hears("m449.")
    got = [one["seq"] for one in fresh.frames if "seq" in one]
    assert got == list(range(1, len(got) + 1))
    assert len(got) > 450


async def test_several_tabs_stay_in_step_also_those_opened_before_the_first_message(house: House) -> None:
    one = await house.visitor()
    two, three = await tab(house, one), await tab(house, one)
    await one.says("from one")
    await two.hears("from one", "customer")
    await three.hears("from one", "customer")
    await two.says("from two")
    await one.hears("from two", "customer")
    await three.hears("from two", "customer")
    await house.settle()
    await asyncio.sleep(0)
    seqs = [
        sorted(frame["seq"] for frame in each.frames if frame["type"] in {"message", "ack"})
        for each in (one, two, three)
    ]
    longest = max(seqs, key=len)
    for each, got in zip((one, two, three), seqs, strict=True):
        if got != longest:
            last = longest[-1]
            await each.gets(lambda frame, last=last: frame.get("seq") == last)
    for each in (one, two, three):
        got = [frame["seq"] for frame in each.frames if frame["type"] in {"message", "ack"}]
        assert got == list(range(1, len(got) + 1))


async def test_a_hello_from_beyond_the_end_is_told_where_the_end_is(house: House) -> None:
    kari = await house.visitor()
    await kari.says("one")
    await kari.leaves()
    await kari.connects(after=10_000)
    assert kari.ready["last_seq"] == kari.last_seq
    assert (await kari.says("two"))["type"] == "ack"


async def test_a_pressed_button_is_acknowledged_and_shown_and_a_strange_one_is_gone(house: House) -> None:
    kari = await house.visitor()
    await kari.says("hello")
    who = await customer(house, kari)
    choices = (Choice("a", "Apple"), Choice("b", "Bread"))
    await house.app.storage.write(lambda tx: say(tx, who, Body(text="Which?", choices=choices), author=BOT))
    asked = await kari.hears("Which?")
    ack = await kari.presses(asked, "Bread")
    shown = await kari.hears("Bread", "customer")
    assert (ack["type"], shown["seq"], shown["pressed"]) == ("ack", ack["seq"], {"message": asked["id"], "value": "b"})
    for wrong in ({"message": asked["id"], "value": "c"}, {"message": str(uuid.uuid4()), "value": "a"}):
        assert (await error(kari, {"type": "choice", "id": str(uuid.uuid4()), **wrong}))["code"] == "gone"


# ── who may ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("token", ["", "abc", "a.b.c"])
async def test_a_bad_token_is_unauthorised_and_4401(house: House, token: str) -> None:
    visitor = Visitor(house)
    visitor.token = token
    await visitor.connects()
    assert visitor.ready["code"] == "unauthorised"
    assert await visitor.closed() == 4401


async def test_the_first_frame_must_be_hello_and_mistakes_do_not_close(house: House) -> None:
    visitor = Visitor(house)
    async with websockets.connect(house.url.replace("http", "ws") + "/api/web/ws", proxy=None) as socket:
        for frame in ('{"type":"typing"}', "{", '{"type":[]}'):
            await socket.send(frame)
            assert json.loads(await socket.recv())["code"] == "bad_frame"
        kari = await house.visitor()
        await socket.send(json.dumps({"type": "hello", "token": kari.token}))
        assert json.loads(await socket.recv())["type"] == "ready"
    assert visitor.frames == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.net", "http://localhost"])
async def test_a_foreign_page_gets_no_socket_no_session_no_upload(house: House, origin: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(house.url.replace("http", "ws") + "/api/web/ws", origin=origin, proxy=None):  # type: ignore[arg-type]
            pass
    assert refused.value.response.status_code == 403
    async with house.http(Origin=origin) as http:
        for answer in (await http.post("/api/web/session", json={}), await http.post("/api/web/files")):
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers


async def test_signing_in_gives_a_new_token_ends_the_old_one_and_keeps_the_words(house: House) -> None:
    anonymous = await house.visitor()
    await anonymous.says("my order is late")
    kari = await house.visitor(token=anonymous.token, identity=vouched(house, name="Kari"))
    assert kari.name == "Kari"
    assert kari.token != anonymous.token
    await kari.hears("my order is late", "customer")
    assert await anonymous.closed() == 4401
    stale = Visitor(house)
    stale.token = anonymous.token
    await stale.connects()
    assert stale.ready["code"] == "unauthorised"
    again = await house.visitor(token=anonymous.token)
    assert again.ready["last_seq"] == 0
    elsewhere = await house.visitor(identity=vouched(house))
    await elsewhere.hears("my order is late", "customer")


async def test_signing_in_ends_an_open_socket_that_had_said_nothing_yet(house: House) -> None:
    anonymous = await house.visitor()
    await house.visitor(token=anonymous.token, identity=vouched(house))
    assert await anonymous.closed() == 4401


async def test_an_identity_token_fails_closed(house: House) -> None:
    async with house.http() as http:
        forged = jwt.encode({"sub": "kari", "aud": "stafett", "iat": 0, "exp": 2**40}, "x" * 32, algorithm="HS256")
        for identity in (forged, "x", vouched(house, exp=house.now.timestamp() - 61), house.app.secret):
            assert (await http.post("/api/web/session", json={"identity": identity})).status_code == 401
        replayed = vouched(house)
        house.now = house.now.replace(year=2027)
        assert (await http.post("/api/web/session", json={"identity": replayed})).status_code == 401


async def test_a_joined_visitor_is_sent_away_and_comes_back_to_one_timeline(house: House) -> None:
    """Also when the clock has not moved between the merge and the new session."""
    kari, ola = await house.visitor(), await house.visitor()
    await kari.says("from kari")
    await ola.says("from ola")
    winner, loser = await customer(house, kari), await customer(house, ola)
    merge_id = await house.app.storage.write(lambda tx: merging.merge(tx, winner, loser, "agent"))
    assert await ola.closed() == 4401
    await kari.hears("from ola")
    back = await house.visitor(token=ola.token)
    await back.hears("from kari")
    await back.hears("from ola")
    await house.app.storage.write(lambda tx: merging.unmerge(tx, merge_id))
    assert await back.closed() == 4401
    alone = await house.visitor(token=back.token)
    await alone.hears("from ola")
    assert "from kari" not in alone.said()


async def test_a_dead_or_strange_token_gives_a_new_visitor(house: House) -> None:
    kari = await house.visitor()
    await kari.says("hello")
    house.now = house.now.replace(year=2027)
    for token in (kari.token, "nonsense", "a.b.c"):
        fresh = await house.visitor(token=token)
        assert fresh.ready["last_seq"] == 0


@pytest.mark.parametrize(
    "body", ["[]", "7", "{", '{"token": 7}', '{"identity": []}', '{"locale": {}}', "\x00", "[" * 100_000]
)
async def test_a_session_asked_for_badly_is_a_400(house: House, body: str) -> None:
    async with house.http() as http:
        answer = await http.post("/api/web/session", content=body)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


async def test_an_endless_body_is_cut_off(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 65_536

    async with house.http() as http:
        try:
            answer = await http.post("/api/web/session", content=endless())
            assert answer.status_code == 400
        except (httpx2.WriteError, httpx2.ReadError, httpx2.RemoteProtocolError):
            pass  # the server hung up while we wrote


# ── too much ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_too_many_messages_are_limited_and_the_socket_lives(house: House) -> None:
    kari = await house.visitor()
    for number in range(30):
        await kari.sends({"type": "message", "id": str(uuid.uuid4()), "text": f"m{number}"})
    limited = await kari.gets(lambda one: one["type"] == "error")
    assert limited["code"] == "rate_limited"
    assert limited["id"]
    await kari.sends({"type": "typing"})
    await kari.leaves()
    assert 20 <= len(await stored(house, kari)) <= 25


async def test_a_frame_too_long_is_an_error_and_one_far_too_long_closes(house: House) -> None:
    kari = await house.visitor()
    assert (await error(kari, " " * 65_537))["code"] == "too_long"
    assert (await error(kari, {"type": "message", "id": str(uuid.uuid4()), "text": "x" * 16_001}))["code"] == "too_long"
    assert (await kari.says("x" * 16_000))["type"] == "ack"
    await kari.sends(" " * 300_000)
    assert await kari.closed() == 1009


async def test_mangled_words_are_stored_clean(house: House) -> None:
    kari = await house.visitor()
    await kari.sends({"type": "message", "id": str(uuid.uuid4()), "text": "a\x00b\ud800c <b>x</b>"})
    await kari.gets(lambda one: one["type"] == "ack")
    assert await stored(house, kari) == ["ab\ufffdc <b>x</b>"]
    other = await tab(house, kari)
    shown = await other.hears("<b>", "customer")
    assert "<b>" not in shown["html"]


# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def upload(house: House, visitor: Visitor, data: bytes = b"hello", name: str = "a.txt") -> httpx2.Response:
    async with house.http(Authorization=f"Bearer {visitor.token}") as http:
        return await http.post("/api/web/files", files={"file": (name, data, "image/png")})


async def test_a_file_is_sent_seen_in_every_tab_and_fetched_by_its_owner_alone(house: House) -> None:
    kari, eve = await house.visitor(), await house.visitor()
    await eve.says("hi")
    other = await tab(house, kari)
    file = (await upload(house, kari, b"\x89PNG\r\n\x1a\nxx", "../bilde på.png")).json()
    assert (file["name"], file["type"], file["size"]) == ("bilde på.png", "image/png", 10)
    refused = await eve.says("look", files=(file["id"],))
    assert refused["code"] == "file_refused"
    assert (await kari.says("", files=(file["id"],)))["type"] == "ack"
    seen = await other.gets(lambda one: one["type"] == "message" and bool(one["files"]))
    assert seen["files"][0]["id"] == file["id"]
    path = f"/api/web/files/{file['id']}"
    async with house.http() as http:
        assert (await http.get(path)).status_code == 401
        assert (await http.get(path, headers={"Authorization": f"Bearer {eve.token}"})).status_code == 404
        mine = await http.get(path, headers={"Authorization": f"Bearer {kari.token}"})
        assert (mine.status_code, mine.content) == (200, b"\x89PNG\r\n\x1a\nxx")
        assert mine.headers["x-content-type-options"] == "nosniff"
        for strange in ("/api/web/files/nothing", "/api/web/files/%00", "/api/web/files/%D7%A9"):
            assert (await http.get(strange, headers={"Authorization": f"Bearer {kari.token}"})).status_code == 404


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"MZ\x90\x00", 415), (b"<html><script>", 415), (b"<svg/>", 415), (b"", 400), (b"x" * (20 * 2**20 + 1), 413)],
)
async def test_what_is_refused_says_why(house: House, data: bytes, status: int) -> None:
    kari = await house.visitor()
    answer = await upload(house, kari, data)
    assert (answer.status_code, answer.json()["code"]) == (status, "file_refused")


async def test_twenty_megabytes_pass(house: House) -> None:
    assert (await upload(house, await house.visitor(), b"x" * 20 * 2**20)).status_code == 200


async def test_a_day_has_its_quota(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.web.files.MAX_PER_DAY", 12)
    kari = await house.visitor()
    assert [(await upload(house, kari)).status_code for _ in range(3)] == [200, 200, 415]
    await house.passes(days=1, seconds=1)
    assert (await upload(house, kari)).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"x", "multipart/form-data"), (b"x", "multipart/form-data; boundary=b"), (b"{}", "application/json"), (b"", "")],
)
async def test_a_mangled_upload_is_a_400(house: House, content: bytes, kind: str) -> None:
    kari = await house.visitor()
    async with house.http(Authorization=f"Bearer {kari.token}") as http:
        answer = await http.post("/api/web/files", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 400


# ── many nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_widget_on_one_node_hears_what_another_node_says(tmp_path: Path, postgres_url: str) -> None:
    async with House(tmp_path, database_url=postgres_url) as one, House(tmp_path, database_url=postgres_url) as two:
        kari = await one.visitor()
        await kari.says("hello")
        who = await customer(one, kari)
        await two.app.storage.write(lambda tx: say(tx, who, Body(text="from the other node"), author=BOT))
        await one.app.web.look_around()
        await kari.hears("from the other node")


async def test_nul_and_strange_ids_are_no_trouble_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    async with House(tmp_path, database_url=postgres_url) as house:
        kari = await house.visitor()
        await kari.sends({"type": "message", "id": str(uuid.uuid4()), "text": "a\x00b\ud800"})
        await kari.gets(lambda one: one["type"] == "ack")
        choice = {"type": "choice", "id": str(uuid.uuid4()), "message": "m", "value": "v\x00"}
        assert (await error(kari, choice))["code"] == "bad_frame"
        async with house.http(Authorization=f"Bearer {kari.token}") as http:
            assert (await http.get("/api/web/files/%00")).status_code == 404
