"""The optional language model, against a real server on loopback that has OpenAI's chat API, and its bad days."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bot.model import Answered
from channels.model import FAILURES, MAX_ANSWER, MOST_AT_ONCE, Completion, ModelClient, Models, completion_of
from channels.port import Delivery
from tests.support.rooms import NOON
from tests.unit.test_connectors import Shop, reply, shop  # noqa: F401 - a fixture

ASKED = [{"role": "system", "content": "be short"}, {"role": "user", "content": "hello"}]


def says(text: object, **more: Any) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
    return reply(json.dumps({"choices": [choice], "usage": {"total_tokens": 42}}).encode())


def client(server: Shop, **more: Any) -> ModelClient:
    return ModelClient(f"{server.url}/v1/", "tiny", "a key", **more)


async def test_one_request_in_openais_form_and_its_answer(shop: Shop) -> None:  # noqa: F811
    shop.answers = [says("Within 30 days [1].")]
    model = client(shop)
    assert await model.complete(ASKED, 300) == Completion("ok", "Within 30 days [1].", 42)
    await model.close()
    (asked,) = shop.asked
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.headers["authorization"] == "Bearer a key"
    body = json.loads(asked.body)
    assert body["model"] == "tiny"
    assert body["messages"] == ASKED
    assert body["max_tokens"] == 300
    assert body["stream"] is False


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"oops", "500 Internal Server Error"),
        reply(b'{"error": {"message": "no such model"}}', "404 Not Found"),
        reply(b"", "302 Found", "Location: http://169.254.169.254/secrets"),
        reply(b"x" * 2_000_000),
        reply(b"x" * (MAX_ANSWER + 1)),
        reply(b"<html>"),
        reply(b"[" * 100_000),
        reply(b"{}"),
        reply(b'{"choices": []}'),
        reply(b'{"choices": [null]}'),
        reply(b'{"choices": [{"message": {"content": null}}]}'),
        says(["a", "list"]),
        says("cut in the mid", finish_reason="length"),
        says("filtered", finish_reason="content_filter"),
        b"garbage\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=lambda raw: repr(raw[:24] + raw[-20:]),
)
async def test_whatever_the_server_does_is_an_outcome(shop: Shop, answer: bytes) -> None:  # noqa: F811
    shop.answers = [answer]
    model = client(shop)
    assert await model.complete(ASKED, 300) == Completion("error")
    await model.close()


async def test_who_never_answers_is_a_timeout_and_nobody_there_an_error(shop: Shop) -> None:  # noqa: F811
    shop.answers = [None]
    slow = client(shop, timeout=0.05)
    assert await slow.complete(ASKED, 300) == Completion("timeout")
    await slow.close()
    nobody = ModelClient("http://127.0.0.1:9", "tiny")
    assert await nobody.complete(ASKED, 300) == Completion("error")
    await nobody.close()


@pytest.mark.parametrize(("url", "name"), [(None, "tiny"), ("", "tiny"), ("http://127.0.0.1:9", None)])
async def test_without_an_address_or_a_name_nobody_is_asked(url: str | None, name: str | None) -> None:
    model = ModelClient(url, name)
    assert not model.on
    assert await model.complete(ASKED, 300) == Completion("off")


async def test_a_model_that_fails_is_left_alone_and_then_tried_once(shop: Shop) -> None:  # noqa: F811
    now = [0.0]
    model = client(shop, seconds=lambda: now[0])
    shop.answers = [*[reply(b"", "500 Oops")] * (FAILURES + 1), *[says("well again")] * 2]
    assert [(await model.complete(ASKED, 9)).outcome for _ in range(FAILURES)] == ["error"] * FAILURES
    assert (await model.complete(ASKED, 9)).outcome == "busy"
    assert len(shop.asked) == FAILURES
    now[0] = 61
    assert (await model.complete(ASKED, 9)).outcome == "error"
    assert (await model.complete(ASKED, 9)).outcome == "busy"
    now[0] = 122
    assert [(await model.complete(ASKED, 9)).outcome for _ in range(2)] == ["ok", "ok"]
    await model.close()


async def test_only_a_few_are_asked_at_once(shop: Shop) -> None:  # noqa: F811
    shop.answers = [None] * MOST_AT_ONCE
    model = client(shop, timeout=30)
    waiting = [asyncio.create_task(model.complete(ASKED, 9)) for _ in range(MOST_AT_ONCE)]
    await asyncio.sleep(0)
    assert (await model.complete(ASKED, 9)).outcome == "busy"
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await model.close()


@pytest.mark.parametrize(
    "usage", [None, {}, [], {"total_tokens": "many"}, {"total_tokens": -5}, {"total_tokens": True}]
)
def test_a_server_that_does_not_count_is_counted_for(usage: object) -> None:
    raw = json.dumps({"choices": [{"message": {"content": "a" * 30}}], "usage": usage}).encode()
    assert completion_of(raw, 60) == Completion("ok", "a" * 30, 30)


async def test_an_answer_comes_back_as_a_turn_and_after_a_crash_it_is_asked_again(shop: Shop) -> None:  # noqa: F811
    heard: list[tuple[str, str, Answered]] = []

    async def answer(customer_id: str, key: str, what: Answered) -> None:
        heard.append((customer_id, key, what))

    shop.answers = [says("one"), says("two")]
    models = Models(client(shop), answer)
    payload = {"token": "T1", "messages": ASKED, "most_tokens": 9, "timeout_s": 5}
    delivery = Delivery("o1", "model", "chat", payload, "l", 1, "c1", None, None, NOON, NOON)
    await models.send(delivery)
    await models.resolve(delivery)
    assert [one[:2] for one in heard] == [("c1", "o1")] * 2  # the same key: the inbox takes the first
    assert heard[0][2] == Answered("T1", "ok", {"text": "one", "tokens": 42})
    await models._client.close()
