"""What flows ask of other systems, against a real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from bot.model import Answered
from channels.connectors import MAX_ANSWER, Connectors, as_value, to_request
from channels.port import Delivery
from tests.support.rooms import NOON


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Shop:
    """Answers with raw bytes; None: never."""

    url: str = ""
    answers: list[bytes | None] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = head[0].split(" ")
            self.asked.append(Asked(method, path, headers, body))
            answer = self.answers.pop(0)
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def reply(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[Shop]:
    made = Shop()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
    await asyncio.gather(*made.serving)
    await server.wait_closed()


@dataclass
class Spec:
    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


async def ask(spec: Spec | None, resolve: bool = False, **payload: Any) -> Answered:
    heard: list[tuple[str, str, Answered]] = []

    async def answer(customer_id: str, key: str, what: Answered) -> None:
        heard.append((customer_id, key, what))

    connectors = Connectors(lambda _: spec, answer)
    given = {"connector": "shop", "token": "T1", "values": {}, **payload}
    delivery = Delivery("o1", "connector", "call", given, "l", 1, "c1", None, None, NOON, NOON)
    await (connectors.resolve if resolve else connectors.send)(delivery)
    await connectors.close()
    assert [one[:2] for one in heard] == [("c1", "o1")]
    return heard[0][2]


@pytest.mark.parametrize(
    ("answer", "outcome", "value"),
    [
        (reply(b'{"status": "shipped"}'), "ok", {"status": "shipped"}),
        (reply(b"", "204 No Content"), "ok", ""),
        (reply(b'{"error": "no such order"}', "404 Not Found"), "404", {"error": "no such order"}),
        (reply(b"<h1>oops</h1>", "500 Internal Server Error"), "500", "<h1>oops</h1>"),
        (reply(b'{"half": '), "ok", '{"half": '),
        (reply(b"", "302 Found", "Location: http://169.254.169.254/secrets"), "302", ""),
        (b"garbage\r\n\r\n", "error", None),
        (b"", "error", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "error", None),
        (reply(b"x" * (MAX_ANSWER + 1)), "error", None),
    ],
    ids=["json", "empty", "404", "500", "broken json", "redirect", "garbage", "hang-up", "cut", "oversized"],
)
async def test_f41_whatever_the_other_side_does_the_flow_gets_an_outcome(
    shop: Shop, answer: bytes, outcome: str, value: Any
) -> None:
    shop.answers = [answer]
    found = await ask(Spec(shop.url + "/orders"))
    assert (found.outcome, found.value, found.token) == (outcome, value, "T1")
    assert len(shop.asked) == 1


async def test_f41_who_never_answers_is_a_timeout(shop: Shop) -> None:
    shop.answers = [None]
    assert (await ask(Spec(shop.url), timeout_s=0.05)).outcome == "timeout"


async def test_nobody_there_and_no_such_connector_are_errors() -> None:
    assert (await ask(Spec("http://127.0.0.1:1/"))).outcome == "error"
    assert (await ask(Spec("nonsense"))).outcome == "error"
    assert (await ask(None)).outcome == "error"


async def test_what_customers_say_is_data_wherever_it_stands(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """No slot reaches another path, another header, or a secret of the environment."""
    monkeypatch.setenv("SHOP_KEY", "the-key")
    shop.answers = [reply(b"{}")]
    spec = Spec(
        shop.url + "/orders/{{ order }}?q={{word}}",
        "post",
        {"Authorization": "Bearer ${SHOP_KEY}", "X-Word": "{{word}}"},
        {"note": "{{word}}", "n": "{{n}}", "key": "${SHOP_KEY}", "deep": [{"of": "a {{order}}"}]},
    )
    evil = "${SHOP_KEY}{{n}}\n/../?&#"
    await ask(spec, values={"order": "1/2?x=&", "word": evil, "n": 7})
    asked = shop.asked[0]
    assert (asked.method, asked.path.split("?")[0]) == ("POST", "/orders/1%2F2%3Fx%3D%26")
    assert asked.headers["authorization"] == "Bearer the-key"
    assert asked.headers["x-word"] == "${SHOP_KEY}{{n}} /../?&#"
    assert json.loads(asked.body) == {"note": evil, "n": 7, "key": "the-key", "deep": [{"of": "a 1/2?x=&"}]}
    assert "the-key" not in asked.path


@pytest.mark.parametrize("value", [".", ".."])
async def test_a_value_cannot_climb_out_of_its_place(shop: Shop, value: str) -> None:
    assert (await ask(Spec(shop.url + "/orders/{{order}}"), values={"order": value})).outcome == "error"
    assert shop.asked == []


async def test_one_customers_cookies_are_not_anothers(shop: Shop) -> None:
    async def answer(*_: Any) -> None: ...

    shop.answers = [reply(b"{}", "200 OK", "Set-Cookie: session=karis"), reply(b"{}")]
    spec = Spec(shop.url)
    connectors = Connectors(lambda _: spec, answer)
    given = {"connector": "shop", "token": "T1", "values": {}}
    for number in range(2):
        await connectors.send(Delivery(f"o{number}", "connector", "call", given, "l", 1, "c", None, None, NOON, NOON))
    await connectors.close()
    assert "cookie" not in shop.asked[1].headers


async def test_the_same_request_again_carries_the_same_key(shop: Shop) -> None:
    shop.answers = [reply(b"{}"), reply(b"{}")]
    spec = Spec(shop.url, "POST")
    assert (await ask(spec, once="refund-7")).outcome == "ok"
    assert (await ask(spec, resolve=True, once="refund-7")).outcome == "ok"
    assert [one.headers["idempotency-key"] for one in shop.asked] == ["refund-7"] * 2


async def test_after_a_crash_a_get_is_asked_again_and_a_post_is_not(shop: Shop) -> None:
    shop.answers = [reply(b"{}")]
    assert (await ask(Spec(shop.url), resolve=True)).outcome == "ok"
    assert (await ask(Spec(shop.url, "POST"), resolve=True)).outcome == "timeout"
    assert len(shop.asked) == 1


def test_an_answer_is_made_storable() -> None:
    assert as_value(b'{"a\\u0000": "b\\u0000\\ud800", "n": NaN, "i": [Infinity, 1e999, 2]}') == {
        "a": "b\ufffd",
        "n": None,
        "i": [None, None, 2],
    }
    assert isinstance(as_value(b"[" * 100_000), str)
    assert isinstance(as_value(b"9" * 5_000), str)


def test_a_missing_secret_or_slot_is_empty() -> None:
    made = to_request(Spec("http://x/{{a.b}}", headers={"K": "${NOT_SET_ANYWHERE}"}), {}, None)
    assert (made["url"], made["headers"]["K"]) == ("http://x/", "")
