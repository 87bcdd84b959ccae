"""Other systems are told what happens: signed, at least once, and nobody's messages wait for them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.desk_folder.starter import write_starter
from bot.errors import Refused
from bot.storage import history, trouble
from bot.storage import tables as t
from bot.storage.erasure import erase
from bot.webhooks import hooks
from channels.guard import Guarded, is_public
from channels.webhooks import LONGEST_WAIT, TRIES, wait
from handoff import cases, store
from surveys.insights.records import wishing
from tests.support.house import House, Visitor

SECRET = "a secret that both know"
HOOKS = """
webhooks:
  - {id: crm, url: "http://127.0.0.1:%d/hook", secret: "${CRM_SECRET}"}
  - {id: bi, url: "http://127.0.0.1:%d/answers", secret: "${CRM_SECRET}", events: [answer]}
"""


def documented() -> Any:
    """The function that docs/webhooks.md gives its readers."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], names)
    return names["is_from_stafett"]


class Receiver:
    """A server that keeps what it was told, and answers with the statuses that it is given, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []

    async def opens(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def closes(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.append((head[0].split()[1], headers, body))
        status = self.answers.pop(0) if self.answers else 200
        writer.write(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    def told(self, path: str = "/hook") -> list[dict[str, Any]]:
        return [json.loads(body) for where, _, body in self.got if where == path]


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    yield made
    await made.closes()


def desk(folder: Path, port: int, more: str = "allow_hosts: [127.0.0.1]\n") -> Path:
    made = folder / "desk"
    write_starter(made)
    yaml = made / "desk.yaml"
    yaml.write_text(yaml.read_text(encoding="utf-8") + HOOKS % (port, port) + more, encoding="utf-8")
    return made


async def solved(house: House, score: str) -> tuple[Visitor, str]:
    """A customer who is helped by an agent, and presses a score; and their case's id."""
    kari = await house.visitor()
    await kari.says("I want to talk to a human")
    (case,) = await house.app.storage.read(store.listing)
    agent = house.app.rules.agents[0].id
    for verb in (
        lambda tx: cases.claim(tx, case.id, agent, desk="test"),
        lambda tx: cases.note(tx, case.id, agent, "between us", desk="test"),
        lambda tx: cases.resolve(tx, case.id, agent, "resolved"),
    ):
        await house.app.storage.write(verb)
    await house.settle()
    await kari.presses(await kari.hears("How easy was it"), score)
    return kari, case.id


WISH = """\
schema: 1
flow: wish
version: 1
triggers: {commands: [/wish]}
slots: {wish: {type: text, ask_again: true}}
steps:
  - {id: q, ask: wish, text: "What?"}
  - {record: {kind: feature_request, text: "{{ wish }}", area: service}}
"""


async def test_a_wish_is_told_with_its_votes_and_once_more_when_it_is_there(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    folder = desk(tmp_path, await receiver.opens())
    (folder / "flows" / "wish.yaml").write_text(WISH, encoding="utf-8")
    async with House(tmp_path, desk=folder) as house:
        for who, times in ((await house.visitor(), 2), (await house.visitor(), 1)):
            for _ in range(times):  # said twice it is one vote, and told once
                await who.says("/wish")
                await who.says("A dark theme, please")
        asked = [one["data"] for one in receiver.told() if one["event"] == "wish.asked"]
        assert [(one["votes"], one["text"], one["area"]) for one in asked] == [
            (1, "A dark theme, please", "service"),
            (2, "A dark theme, please", "service"),
        ]
        assert len({one["customer"] for one in asked}) == 2
        wish = asked[0]["id"]
        await house.app.storage.write(lambda tx: wishing.ship(tx, house.app.outreach, wish, "test"))
        await house.settle()
        (changed,) = [one["data"] for one in receiver.told() if one["event"] == "wish.changed"]
        assert (changed["id"], changed["state"], changed["votes"], changed["customer"]) == (wish, "shipped", 2, None)
        assert not [one for one in receiver.told("/answers") if one["event"].startswith("wish")]


async def test_a_wish_is_told_in_its_order_and_as_it_is_called_when_it_is_told(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    folder = desk(tmp_path, await receiver.opens())
    (folder / "flows" / "wish.yaml").write_text(WISH, encoding="utf-8")
    async with House(tmp_path, desk=folder) as house:
        for words in ("Hansen wants green socks", "green socks, Hansen wants"):
            who = await house.visitor()
            await who.says("/wish")
            await who.says(words)
        first, second = [one["data"] for one in receiver.told() if one["event"] == "wish.asked"]
        assert first["title"] == second["title"] == "Hansen wants green socks"
        assert first["id"] == second["id"]
        receiver.answers = [503] * 20
        ola = await house.visitor()
        await ola.says("/wish")
        await ola.says("Hansen wants green socks")
        await house.app.storage.write(lambda tx: wishing.decline(tx, first["id"], "test"))
        await house.settle()
        rows = await house.app.storage.read(
            lambda conn: conn.execute(select(t.outbox).where(t.outbox.c.kind == "wish")).all()
        )
        assert {row.lane for row in rows} == {hooks.lane("crm", first["id"])}
        assert "title" not in {key for row in rows for key in row.payload["body"]["data"]}
        await house.app.storage.write(lambda tx: erase(tx, first["customer"], by="test"))
        receiver.answers = []
        await house.passes(seconds=LONGEST_WAIT)
        await house.passes(seconds=LONGEST_WAIT)
        later = [one for one in receiver.told() if one["event"].startswith("wish")][2:]
        assert [one["event"] for one in later][-2:] == ["wish.asked", "wish.changed"]
        assert {one["data"]["title"] for one in later[-2:]} == {"green socks, Hansen wants"}


async def test_messages_cases_and_answers_are_told_once_each_and_signed(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    async with House(tmp_path, desk=desk(tmp_path, await receiver.opens())) as house:
        _, case_id = await solved(house, "6")
        told = receiver.told()
        words = [one["data"] for one in told if one["event"] == "message.added"]
        assert [one["seq"] for one in words] == sorted(one["seq"] for one in words)
        last = await house.app.storage.read(lambda conn: history.last_seq(conn, words[0]["customer"]))
        assert [one["seq"] for one in words] == list(range(1, last + 1))
        assert "I want to talk to a human" in [one["text"] for one in words]
        assert all("between us" not in json.dumps(one) for one in told)
        steps = [one["data"]["status"] for one in told if one["event"] == "case.changed"]
        assert list(dict.fromkeys(steps)) == ["queued", "open", "resolved"]  # once a transaction
        assert {one["data"]["id"] for one in told if one["event"] == "case.changed"} == {case_id}
        (answer,) = receiver.told("/answers")
        assert (answer["event"], answer["data"]["score"], answer["data"]["case"]) == ("answer.given", 6, case_id)
        assert any(b'"score":6,' in body for *_, body in receiver.got), "a whole number, as the REST API has it"
        assert len({one["id"] for one in told}) == len(told)
        checked = documented()
        for _, headers, body in receiver.got:
            at, _, given = headers["stafett-signature"].removeprefix("t=").partition(",v1=")
            assert int(at) == int(house.now.timestamp())
            assert given == hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
            assert headers["stafett-delivery"] == json.loads(body)["id"]
            assert checked(SECRET, headers["stafett-signature"], body, tolerance=10**10)
            assert not checked(SECRET, headers["stafett-signature"], body + b" ", tolerance=10**10)
            assert not checked(SECRET, headers["stafett-signature"], body)  # it is a test's clock: long ago


async def test_a_receiver_that_fails_is_told_again_and_given_up_where_an_operator_sees_it(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    async with House(tmp_path, desk=desk(tmp_path, await receiver.opens())) as house:
        receiver.answers = [500, 302]
        kari = await house.visitor()
        await kari.says("hello")
        assert "seq" in await kari.says("and again")  # nobody waits for the receiver
        first = receiver.told()[0]
        await house.passes(seconds=6)
        await house.passes(seconds=11)
        assert [one["id"] for one in receiver.told()[:3]] == [first["id"]] * 3
        assert len({one["id"] for one in receiver.told()}) == len(receiver.told()) - 2
        receiver.answers = [503] * 1000
        receiver.got.clear()
        await kari.says("is anybody there")
        for _ in range(TRIES):
            await house.passes(seconds=LONGEST_WAIT + 1)
        (dead,) = [
            one
            for one in await house.app.storage.read(lambda conn: trouble.find(conn, house.now))
            if one.kind == "failed"
        ][:1]
        assert (dead.what, "given up after 12 tries: the receiver answered 503" in dead.why) == (
            "webhook message",
            True,
        )
        receiver.answers = []
        await house.app.storage.write(lambda tx: trouble.retry(tx, dead.id))
        await house.settle()
        assert dead.id in {one["id"] for one in receiver.told()}


async def test_a_private_address_is_refused_unless_the_desk_names_it(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    async with House(tmp_path, desk=desk(tmp_path, await receiver.opens(), "")) as house:
        await (await house.visitor()).says("hello")
        assert receiver.got == []
    guard = Guarded(lambda _host: False)
    with pytest.raises(Refused, match=r"localhost is at .*, inside a private network"):
        await guard.connect_tcp("localhost", 1)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.8", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1%eth0",
     "fd00::1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "no address"],
)  # fmt: skip
def test_no_address_inside_is_taken_for_a_public_one(address: str) -> None:
    assert not is_public(address)


def test_the_wait_doubles_up_to_half_an_hour() -> None:
    assert [wait(n) for n in (1, 2, 3, 12)] == [5, 10, 20, LONGEST_WAIT]
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")
