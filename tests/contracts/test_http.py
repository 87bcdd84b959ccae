"""The public outside, held to its letter over real HTTP and WebSocket: sessions, frames, files, health, who is let in.

The frames are what other programs are written against: each sentence about them is a test here. One house serves all
tests of this page; each has visitors of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
import pytest_asyncio
import websockets

import bot
from bot import outbox
from bot.desk_folder.starter import write_starter
from bot.model import Author, AuthorKind, Body
from bot.storage import customers, history
from handoff import cases
from handoff import store as case_store
from surveys import store as surveys
from tests.support.house import House, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
ANN = Author(AuthorKind.AGENT, "Ann", "ann")
API_TOKEN = "an API token for tests"
MESSAGE = {"type", "seq", "id", "author", "channel", "text", "html", "choices", "files", "at", "survey"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with House(tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def kari(house: House) -> Visitor:
    return await house.visitor()


@pytest_asyncio.fixture(loop_scope="module")
async def http(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    async with house.http() as client:
        yield client


class Line:
    """A bare socket: what is sent is what a test says, and what comes is not interpreted."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def __aenter__(self) -> Self:
        url = self.house.url.replace("http", "ws") + "/api/web/ws"
        self.socket = await websockets.connect(url, origin=self.house.url, proxy=None)  # type: ignore[arg-type]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    async def sends(self, frame: Any) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def gets(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            found: dict[str, Any] = json.loads(await self.socket.recv())
            return found

    async def asks(self, frame: Any) -> dict[str, Any]:
        await self.sends(frame)
        return await self.gets()

    async def greets(self, token: str, after: int = 0) -> dict[str, Any]:
        return await self.asks({"type": "hello", "token": token, "after": after})

    async def closed(self) -> int:
        """Waits for the end; its code."""
        async with asyncio.timeout(10):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await self.socket.recv()
            return int(self.socket.close_code)


async def session(http: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await http.post("/api/web/session", json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def message(text: str = "hello", id_: str = "", **more: Any) -> dict[str, Any]:
    return {"type": "message", "id": id_ or str(uuid.uuid4()), "text": text, "files": [], **more}


async def customer_of(visitor: Visitor) -> str:
    import jwt

    name = jwt.decode(visitor.token, options={"verify_signature": False})["sub"]
    found = await visitor.house.app.storage.read(lambda conn: customers.identity(conn, "web", name))
    assert found is not None
    return found.customer_id


# ── sessions ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_session_has_a_token_its_end_a_name_and_a_language(house: House, http: httpx2.AsyncClient) -> None:
    made = await session(http, locale="nl")
    assert set(made) == {"token", "expires_at", "customer", "locale"}
    assert set(made["customer"]) == {"name"}
    assert made["locale"] == "nl"
    assert datetime.fromisoformat(made["expires_at"]) > house.now


@pytest.mark.parametrize(("asked", "given"), [("no", "nb"), ("iw", "he"), ("nb-NO", "nb"), ("zz", "en"), ("", "en")])
async def test_a_language_is_read_as_one_that_the_desk_speaks(http: httpx2.AsyncClient, asked: str, given: str) -> None:
    assert (await session(http, **({"locale": asked} if asked else {})))["locale"] == given


async def test_a_token_goes_on_and_a_dead_one_gives_a_new_visitor(http: httpx2.AsyncClient, kari: Visitor) -> None:
    await kari.says("hello")
    await caught_up(kari)
    again = await session(http, token=kari.token)
    new = await session(http, token="dead." + kari.token[5:])
    async with Line(kari.house) as line:
        assert (await line.greets(again["token"]))["last_seq"] == kari.last_seq
    async with Line(kari.house) as line:
        assert (await line.greets(new["token"]))["last_seq"] == 0


async def test_an_identity_that_nobody_can_vouch_for_is_401(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/api/web/session", json={"identity": "not.a.token"})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


def vouched(secret: str, iat: int, **claims: Any) -> str:
    """What the host site signs; a claim that is None is left out."""
    import jwt

    whole = {"sub": "kari-7", "aud": "stafett", "iat": iat, "exp": iat + 600, "name": "Kari", **claims}
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, secret, algorithm="HS256")


async def test_whom_the_host_site_vouches_for_has_a_name_and_keeps_their_conversation(tmp_path: Path) -> None:
    secret = "the host site's own secret, long enough"
    async with House(tmp_path, web_identity_secret=secret) as own, own.http() as http:
        now = int(own.now.timestamp())
        anonymous = await own.visitor()
        await anonymous.says("before I signed in")
        signed = await session(http, token=anonymous.token, identity=vouched(secret, iat=now))
        assert signed["customer"] == {"name": "Kari"}
        async with Line(own) as line:
            ready = await line.greets(signed["token"])
            assert ready["customer"] == {"name": "Kari"}
            assert (await line.gets())["text"] == "before I signed in"
        elsewhere = await session(http, identity=vouched(secret, iat=now))
        async with Line(own) as line:
            assert (await line.greets(elsewhere["token"]))["last_seq"] == ready["last_seq"]
        wrong = [
            vouched("another secret, and long enough, too", iat=now),
            vouched(secret, iat=now, aud="another"),
            vouched(secret, iat=now, exp=now - 60),
            *(vouched(secret, iat=now, **{name: None}) for name in ("sub", "aud", "exp")),
        ]
        for identity in wrong:
            assert (await http.post("/api/web/session", json={"identity": identity})).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[]", b'{"token": 7}', b'{"locale": []}', b'{"locale": "nl", "locale": "en"}', b'{"more": NaN}'),
        b'{"more": ' + b"[" * 64 + b"]" * 64 + b"}",
    ],
)
async def test_a_body_that_is_none_is_400_with_a_problem(http: httpx2.AsyncClient, body: bytes) -> None:
    answer = await http.post("/api/web/session", content=body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


async def test_only_named_origins_may_embed_the_widget(house: House) -> None:
    async with house.http(Origin="https://evil.example") as other:
        assert (await other.post("/api/web/session", json={})).status_code == 403
    url = house.url.replace("http", "ws") + "/api/web/ws"
    with pytest.raises(websockets.InvalidStatus, match="403"):
        await websockets.connect(url, origin="https://evil.example", proxy=None)  # type: ignore[arg-type]


# ── hello ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "first",
    [
        {"type": "message", "id": str(uuid.uuid4()), "text": "x"},
        {"type": "typing"},
        {"type": "read", "seq": 1},
        "{",
        "[]",
        {},
    ],
)
async def test_the_first_frame_is_hello_and_another_is_an_error_that_the_socket_survives(
    house: House, http: httpx2.AsyncClient, first: Any
) -> None:
    token = (await session(http))["token"]
    async with Line(house) as line:
        refused = await line.asks(first)
        assert (refused["type"], refused["code"]) == ("error", "bad_frame")
        assert refused["message"]
        assert (await line.greets(token))["type"] == "ready"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", None, 7])
async def test_a_bad_token_is_unauthorised_and_close_4401(house: House, token: Any) -> None:
    async with Line(house) as line:
        refused = await line.greets(token)
        assert (refused["type"], refused["code"]) == ("error", "unauthorised")
        assert await line.closed() == 4401


async def test_ready_says_who_which_case_and_how_far(house: House, http: httpx2.AsyncClient, kari: Visitor) -> None:
    async with Line(house) as line:
        fresh = await line.greets((await session(http))["token"])
        assert fresh == {"type": "ready", "customer": {"name": fresh["customer"]["name"]}, "case": None, "last_seq": 0}
    await kari.says("talk to a human")
    await caught_up(kari)
    async with Line(house) as line:
        ready = await line.greets(kari.token)
    assert ready["last_seq"] == kari.last_seq
    assert {name: ready["case"][name] for name in ("type", "status", "position")} == {
        "type": "case", "status": "queued", "position": ready["case"]["position"]
    }  # fmt: skip
    assert set(ready["case"]) >= {"id", "status", "position", "wait_s", "agent"}
    assert ready["case"]["position"] >= 1


async def test_hello_is_only_the_first_frame(house: House, http: httpx2.AsyncClient) -> None:
    token = (await session(http))["token"]
    async with Line(house) as line:
        await line.greets(token)
        assert (await line.greets(token))["code"] == "bad_frame"


async def test_after_hello_all_above_after_is_sent_again_in_order(house: House, kari: Visitor) -> None:
    for number in range(3):
        await kari.says(f"line {number}")
    await caught_up(kari)
    everything = [frame for frame in kari.frames if "seq" in frame and frame["type"] == "message"]
    mine = len([frame for frame in kari.frames if frame["type"] == "ack"])
    assert mine == 3
    for after in (0, 2, kari.last_seq):
        async with Line(house) as line:
            await line.greets(kari.token, after)
            came = [await line.gets() for _ in range(kari.last_seq - after)]
            assert [frame["seq"] for frame in came] == list(range(after + 1, kari.last_seq + 1))
            known = {frame["seq"]: frame for frame in everything}
            assert all(frame == known.get(frame["seq"], frame) for frame in came)
    async with Line(house) as line:
        assert (await line.asks({"type": "hello", "token": kari.token, "after": -1}))["code"] == "bad_frame"


# ── client → server ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_ack_comes_only_once_the_message_is_stored(house: House, http: httpx2.AsyncClient) -> None:
    token = (await session(http))["token"]
    async with Line(house) as line:
        await line.greets(token)
        frame = message("is it stored?")
        ack = await line.asks(frame)
        assert {"type": ack["type"], "id": ack["id"]} == {"type": "ack", "id": frame["id"]}
        stored = await house.app.storage.read(lambda conn: history.message(conn, frame["id"]))
        assert stored is not None
        assert (stored.body.text, stored.seq) == ("is it stored?", ack["seq"])


async def test_the_same_id_twice_is_one_message_and_with_another_text_a_conflict(kari: Visitor) -> None:
    id_ = str(uuid.uuid4())
    first = await kari.says("once", id_=id_)
    again = await kari.says("once", id_=id_)
    assert (first["type"], again["type"]) == ("ack", "ack")
    assert first["seq"] == again["seq"]
    other = await kari.says("twice", id_=id_)
    assert (other["type"], other["code"], other["id"]) == ("error", "conflict", id_)
    texts = [one.body.text for one in await kari.house.app.storage.read(_messages_of(await customer_of(kari)))]
    assert (texts.count("once"), texts.count("twice")) == (1, 0)


async def caught_up(visitor: Visitor) -> None:
    """Until the visitor was sent all that there is."""
    who = await customer_of(visitor)
    last = await visitor.house.app.storage.read(lambda conn: history.last_seq(conn, who))
    async with asyncio.timeout(10):
        while visitor.last_seq < last:
            visitor._news.clear()
            await visitor._news.wait()


def _messages_of(who: str) -> Any:
    return lambda conn: history.messages(conn, who)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "bad_frame"),
        ("null", "bad_frame"),
        (b"\xff\xfe", "bad_frame"),
        ("[" * 5000, "bad_frame"),
        ({"type": "sing"}, "bad_frame"),
        ({"type": "message", "text": "no id"}, "bad_frame"),
        ({"type": "message", "id": "not a uuid", "text": "x"}, "bad_frame"),
        (message(""), "bad_frame"),
        (message(7), "bad_frame"),  # type: ignore[arg-type]
        (message("x", files="x"), "bad_frame"),
        (message("x" * 16_001), "too_long"),
        (message("x", pad="y" * 65_536), "too_long"),
        (message("x", files=[str(uuid.uuid4())]), "file_refused"),
        ({"type": "choice", "id": str(uuid.uuid4()), "message": "m"}, "bad_frame"),
        ({"type": "read", "seq": "1"}, "bad_frame"),
        ({"type": "read", "seq": -1}, "bad_frame"),
    ],
)
async def test_a_frame_that_breaks_a_rule_gets_an_error_and_the_socket_lives(
    house: House, http: httpx2.AsyncClient, frame: Any, code: str
) -> None:
    async with Line(house) as line:
        await line.greets((await session(http))["token"])
        refused = await line.asks(frame)
        assert (refused["type"], refused["code"]) == ("error", code)
        assert set(refused) <= {"type", "code", "message", "id"}
        good = message("still here")
        assert (await line.asks(good))["id"] == good["id"]


@pytest.mark.parametrize("text", ["x" * 16_000, "ש" * 16_000, "🛒" * 16_000])
async def test_a_text_of_16000_characters_is_taken_whole(kari: Visitor, text: str) -> None:
    frame = message(text)
    await kari.sends(json.dumps(frame, ensure_ascii=False))
    ack = await kari.gets(lambda one: one.get("id") == frame["id"])
    assert ack["type"] == "ack", ack
    stored = await kari.house.app.storage.read(_messages_of(await customer_of(kari)))
    assert stored[0].body.text == text


async def test_too_many_at_once_are_rate_limited_by_id_and_the_socket_lives(
    house: House, http: httpx2.AsyncClient
) -> None:
    async with Line(house) as line:
        await line.greets((await session(http))["token"])
        sent = [message(f"n{number}") for number in range(40)]
        for frame in sent:
            await line.sends(frame)
        refused, taken = set(), set()
        while len(refused | taken) < len(sent):
            frame = await line.gets()
            if frame["type"] == "error":
                assert frame["code"] == "rate_limited"
                refused.add(frame["id"])
            elif frame["type"] == "ack":
                taken.add(frame["id"])
        assert refused
        assert taken
        assert (await line.asks({"type": "sing"}))["type"] in {"error", "message", "case"}
    await house.settle()


async def test_typing_and_read_get_no_answer(house: House, kari: Visitor) -> None:
    await kari.says("hello")
    await caught_up(kari)
    for frame in ({"type": "typing"}, {"type": "read", "seq": kari.last_seq}, "{"):
        await kari.sends(frame)
    await kari.gets(lambda frame: frame["type"] == "error")
    assert [frame["type"] for frame in kari.frames].count("error") == 1
    assert {frame["type"] for frame in kari.frames} <= {"ready", "ack", "message", "case", "error"}


async def test_a_choice_is_acknowledged_and_shown_as_the_customers_message(kari: Visitor) -> None:
    await kari.says("How long does delivery take?")
    answer = await kari.hears("Did this help?", "bot")
    assert {frozenset(one) for one in answer["choices"]} == {frozenset({"value", "label"})}
    yes = answer["choices"][0]
    ack = await kari.presses(answer, yes["value"])
    assert ack["type"] == "ack"
    shown = await kari.gets(lambda frame: frame["type"] == "message" and frame["seq"] == ack["seq"])
    assert (shown["author"]["kind"], shown["text"]) == ("customer", yes["label"])
    nobody = {"type": "choice", "id": str(uuid.uuid4()), "message": str(uuid.uuid4()), "value": "x"}
    await kari.sends(nobody)
    assert (await kari.gets(lambda frame: frame.get("id") == nobody["id"]))["type"] == "error"


# ── server → client ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_message_has_all_its_parts_and_its_html_is_ours(kari: Visitor) -> None:
    await kari.says("<img src=x onerror=alert(1)> **b**")
    who = await customer_of(kari)
    await kari.house.app.storage.write(
        lambda tx: outbox.say(tx, who, Body("**Hi** <script>x</script>", markdown=True), author=ANN)
    )
    agents = await kari.hears("Hi", "agent")
    assert set(agents) == MESSAGE
    assert agents["author"] == {"kind": "agent", "name": "Ann"}
    assert "<strong>Hi</strong>" in agents["html"]
    assert "<script" not in agents["html"]
    assert agents["channel"] == "web"
    assert agents["at"].endswith("Z")
    assert datetime.fromisoformat(agents["at"]) == kari.house.now
    assert (agents["choices"], agents["files"], agents["survey"]) == (None, [], None)
    async with Line(kari.house) as line:
        await line.greets(kari.token)
        own = await line.gets()
    assert (own["text"], own["author"]["kind"]) == ("<img src=x onerror=alert(1)> **b**", "customer")
    assert "<img" not in own["html"]
    assert "<strong" not in own["html"]


async def test_seq_counts_messages_edits_and_deletions_without_gaps_and_notes_have_none(kari: Visitor) -> None:
    await kari.says("hello")
    who, storage = await customer_of(kari), kari.house.app.storage
    said = await storage.write(lambda tx: outbox.say(tx, who, Body("Tomorow"), author=ANN))
    await storage.write(lambda tx: outbox.edit(tx, said, "Tomorrow"))
    edit = await kari.gets(lambda frame: frame["type"] == "edit")  # before it is deleted: then its words are gone
    case = await storage.read(lambda conn: case_store.last_case(conn, who))
    assert case is not None
    await storage.write(lambda tx: cases.note(tx, case.id, "demo", "he is angry", desk="web"))
    known = await storage.read(lambda conn: history.message(conn, said.id))
    assert known is not None
    await storage.write(lambda tx: outbox.delete(tx, known))
    assert edit == {"type": "edit", "seq": edit["seq"], "id": said.id, "text": "Tomorrow", "html": edit["html"]}
    gone = await kari.gets(lambda frame: frame["type"] == "delete")
    assert gone == {"type": "delete", "seq": edit["seq"] + 1, "id": said.id}
    assert kari.seqs == list(range(1, kari.last_seq + 1))
    assert "angry" not in str(kari.frames)
    again = Visitor(kari.house)
    await again.begins(token=kari.token)
    await again.gets(lambda frame: frame["type"] == "delete")
    assert again.seqs == kari.seqs
    assert "angry" not in str(again.frames)
    await again.leaves()


async def test_other_tabs_see_the_customers_own_messages_too(kari: Visitor) -> None:
    other = Visitor(kari.house)
    await other.begins(token=kari.token)
    ack = await kari.says("from the first tab")
    shown = await other.hears("from the first tab", "customer")
    assert shown["seq"] == ack["seq"]
    assert not [frame for frame in other.frames if frame["type"] == "ack"]
    await other.says("from the second tab")
    await kari.hears("from the second tab", "customer")
    await other.leaves()


async def test_the_case_is_told_as_it_moves(house: House, kari: Visitor) -> None:
    await kari.says("talk to a human")
    queued = await kari.gets(lambda frame: frame["type"] == "case" and frame["status"] == "queued")
    assert set(queued) == {"type", "id", "status", "position", "wait_s", "agent"}
    assert queued["position"] >= 1
    assert queued["agent"] is None
    agent = await house.agent()
    assert (await agent.does(queued["id"], "claim")).status_code == 200
    taken = await kari.gets(lambda frame: frame["type"] == "case" and frame["status"] == "open")
    assert (taken["position"], taken["wait_s"]) == (None, None)
    assert set(taken["agent"]) == {"name"}
    (await agent.http.post(f"/desk/api/cases/{queued['id']}/typing", json={})).raise_for_status()
    typing = await kari.gets(lambda frame: frame["type"] == "typing")
    assert typing["author"] == {"kind": "agent", "name": taken["agent"]["name"]}
    until = house.now.replace(hour=23).isoformat()
    assert (await agent.does(queued["id"], "snooze", until=until)).status_code == 200
    await kari.gets(lambda frame: frame["type"] == "case" and frame["status"] == "pending")
    assert (await agent.does(queued["id"], "resolve", outcome="resolved")).status_code == 200
    await kari.gets(lambda frame: frame["type"] == "case" and frame["status"] == "resolved")


async def test_a_surveys_choices_are_its_scale_and_a_second_press_edits_the_one_answer(
    house: House, kari: Visitor
) -> None:
    await kari.says("How long does delivery take?")
    await kari.presses(await kari.hears("Did this help?", "bot"), "Yes, thanks")
    asked = await kari.gets(lambda frame: frame["type"] == "message" and frame["survey"] is not None)
    assert set(asked["survey"]) == {"id", "instrument", "min", "max", "low", "high"}
    assert (asked["survey"]["instrument"], asked["survey"]["min"], asked["survey"]["max"]) == ("ces7", 1, 7)
    assert all(asked["survey"][end] for end in ("low", "high"))
    assert [one["value"] for one in asked["choices"]] == [str(score) for score in range(1, 8)]
    who = await customer_of(kari)
    for score in (6, 3):
        await kari.presses(asked, str(score))
        found = [one for one in await house.app.storage.read(surveys.responses) if one.customer_id == who]
        assert [one.score for one in found] == [score]
    await kari.says("it took three tries")
    (one,) = [one for one in await house.app.storage.read(surveys.responses) if one.customer_id == who]
    assert (one.score, one.comment) == (3, "it took three tries")


async def test_a_press_after_a_day_changes_nothing(tmp_path: Path) -> None:
    async with House(tmp_path) as own:
        kari = await own.visitor()
        await kari.says("How long does delivery take?")
        await kari.presses(await kari.hears("Did this help?", "bot"), "Yes, thanks")
        asked = await kari.gets(lambda frame: frame["type"] == "message" and frame["survey"] is not None)
        await kari.presses(asked, "6")
        await own.passes(hours=25)
        assert (await kari.presses(asked, "1"))["type"] == "ack"
        assert [one.score for one in await own.app.storage.read(surveys.responses)] == [6]


# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_file_is_uploaded_sent_and_seen_by_its_customer_only(
    http: httpx2.AsyncClient, house: House, kari: Visitor
) -> None:
    mine, others = ({"Authorization": f"Bearer {one}"} for one in (kari.token, (await house.visitor()).token))
    answer = await http.post("/api/web/files", files={"file": ("a.png", PNG)}, headers=mine)
    file = answer.json()
    assert file == {"id": file["id"], "name": "a.png", "type": "image/png", "size": len(PNG)}
    ack = await kari.says("look", files=(file["id"],))
    assert ack["type"] == "ack"
    async with Line(house) as line:
        await line.greets(kari.token, ack["seq"] - 1)
        shown = await line.gets()
    assert {name: shown["files"][0][name] for name in file} == file
    got = await http.get(shown["files"][0]["url"], headers=mine)
    assert (got.content, got.headers["x-content-type-options"]) == (PNG, "nosniff")
    assert (await http.get(shown["files"][0]["url"], headers=others)).status_code == 404
    assert (await http.get(shown["files"][0]["url"])).status_code == 401


@pytest.mark.parametrize(
    ("content", "status"), [(b"MZ program", 415), (b"<html><script>x</script>", 415), (b"<svg/>", 415), (b"", 400)]
)
async def test_files_that_are_refused_say_so_in_a_problem(
    http: httpx2.AsyncClient, kari: Visitor, content: bytes, status: int
) -> None:
    headers = {"Authorization": f"Bearer {kari.token}"}
    answer = await http.post("/api/web/files", files={"file": ("a.png", content)}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, "file_refused")


async def test_a_file_above_20_mb_is_413_and_one_without_a_session_401(http: httpx2.AsyncClient, kari: Visitor) -> None:
    headers = {"Authorization": f"Bearer {kari.token}"}
    large = PNG + b"0" * (20 * 1024 * 1024)
    assert (await http.post("/api/web/files", files={"file": ("a.png", large)}, headers=headers)).status_code == 413
    assert (await http.post("/api/web/files", files={"file": ("a.png", PNG)})).status_code == 401
    assert (await http.post("/api/web/files", content=b"no form", headers=headers)).status_code == 400


# ── pages, health, and who is let in ───────────────────────────────────────────────────────────────────────────────
async def test_the_demo_page_and_the_widget_are_served(http: httpx2.AsyncClient) -> None:
    page, widget = await http.get("/"), await http.get("/widget.js")
    assert page.status_code == 200
    assert "/widget.js" in page.text
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert widget.headers["content-type"].startswith("text/javascript")
    assert widget.headers["access-control-allow-origin"] == "*"


async def test_an_own_desk_has_a_plain_page_under_its_name(tmp_path: Path) -> None:
    write_starter(tmp_path / "desk")
    async with House(tmp_path, desk=tmp_path / "desk") as own, own.http() as http:
        page = await http.get("/")
        assert "<title>Stafett demo shop</title>" in page.text
        assert 'data-locales="en nl nb he"' in page.text
        assert "AB123456" not in page.text
        assert "'unsafe-inline'" not in page.headers["content-security-policy"]


async def test_health_readiness_and_figures(house: House, http: httpx2.AsyncClient) -> None:
    assert (await http.get("/healthz")).text == "ok"
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["ready"], ready.json()["reasons"]) == (200, True, [])
    figures = await http.get("/metrics")
    assert figures.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE outbox" in figures.text
    assert (await http.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})).status_code == 401


async def test_a_house_that_can_not_work_is_not_ready_and_says_why(tmp_path: Path, house: House) -> None:
    worker = house.app.workers["outbox"]
    worker.fault = "outbox: disk full"
    try:
        async with house.http() as http:
            answer = await http.get("/readyz")
            assert (answer.status_code, answer.json()["reasons"]) == (503, ["outbox: disk full"])
            assert (await http.get("/healthz")).status_code == 200
    finally:
        worker.fault = None


async def test_the_demo_agent_is_let_in_on_loopback_and_nobody_else(http: httpx2.AsyncClient) -> None:
    through_a_proxy = await http.get("/desk", headers={"X-Forwarded-For": "203.0.113.9"})
    assert "set-cookie" not in through_a_proxy.headers
    assert (await http.get("/desk", headers={"Host": "evil.example"})).headers.get("set-cookie") is None
    assert (await http.get("/desk/api/cases")).status_code == 401
    assert "set-cookie" in (await http.get("/desk")).headers


async def test_the_console_asks_for_its_password_and_opens_with_it(house: House) -> None:
    async with house.http(Origin=house.url) as http:
        door = await http.get("/admin")
        assert "password" in door.text
        assert "survey answers" not in door.text
        for guess in ("", "wrong", "open sesam"):
            await http.post("/admin/sign-in", data={"password": guess})
            assert "survey answers" not in (await http.get("/admin")).text


async def test_a_desk_of_ones_own_lets_nobody_in_by_itself(tmp_path: Path) -> None:
    import shutil

    desk = tmp_path / "desk"
    shutil.copytree(Path(bot.__file__).parent / "demo_desk", desk)
    async with House(tmp_path, desk=desk) as own, own.http() as http:
        answer = await http.get("/desk")
        assert "set-cookie" not in answer.headers
        assert (await http.get("/desk/api/me")).status_code == 401


async def test_without_a_token_the_api_is_off_and_says_so(http: httpx2.AsyncClient) -> None:
    for path in ("/api/v1", "/api/v1/customers", "/api/v1/openapi.json"):
        answer = await http.get(path, follow_redirects=True)
        assert answer.status_code == 404
        assert "STAFETT_API_TOKEN" in answer.json()["detail"]


async def test_with_a_token_the_api_opens_to_it_alone(tmp_path: Path) -> None:
    async with House(tmp_path, api_token=API_TOKEN) as own, own.http() as http:
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {API_TOKEN}"}):
            answer = await http.get("/api/v1/customers", headers=header)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        token = {"Authorization": f"Bearer {API_TOKEN}"}
        assert (await http.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9", **token})).status_code == 200
        answer = await http.get("/api/v1/customers", headers=token)
        assert answer.json() == {"items": [], "next": None}
        kari = await own.visitor()
        await kari.says("hello")
        whole = (await http.get("/api/v1/customers", headers={"Authorization": f"Bearer {API_TOKEN}"})).json()
        assert [one["identities"][0]["channel"] for one in whole["items"]] == ["web"]


async def test_head_is_answered_as_get_is_without_its_body(tmp_path: Path) -> None:
    """RFC 9110 9.3.2; the stream of events, which would never end, ends with its headers."""
    token = {"Authorization": f"Bearer {API_TOKEN}", "Accept-Encoding": "identity"}
    async with House(tmp_path, api_token=API_TOKEN) as own, own.http(**token) as http:
        for path in (
            "/api/v1/agents",
            "/api/v1/openapi.json",
            "/api/v1/reports/summary",
            "/api/v1/customers/none",
            "/",
        ):
            got, head = await http.get(path), await http.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-length"] == got.headers["content-length"]
        stream = await http.head("/api/v1/events")
        assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert (await http.head("/api/v1/surveys/talks")).headers["allow"] == "POST"
        assert (await http.head("/api/v1/agents", headers={"Authorization": "Bearer wrong"})).status_code == 401


async def test_an_unknown_path_is_404_and_a_wrong_method_405(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/nothing/here")).status_code == 404
    assert (await http.get("/api/web/session")).status_code == 405
    assert (await http.post("/telegram/webhook")).status_code in {404, 405}


async def test_every_answer_forbids_sniffing(http: httpx2.AsyncClient) -> None:
    for path in ("/", "/healthz", "/desk", "/admin", "/nothing", "/api/v1/customers"):
        assert (await http.get(path)).headers["x-content-type-options"] == "nosniff"
