"""The optional language model: any server with OpenAI's chat API, asked through the outbox like every other system.

    ModelClient(url, model, key).complete(messages, ...) -> Completion       never raises: whatever happens is an outcome
    Models(client, answer)                                                   the sender of `via` "model"

Off unless STAFETT_LLM_URL and STAFETT_LLM_MODEL are set. A request carries public passages and one question; nobody but the
answer's reader (`bot.answers.grounded`) decides whether it is told. A model that fails is left alone for a while.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

from bot.errors import Refused
from bot.model import Answered
from channels.connectors import read_up_to
from channels.port import Delivery, Sent
from channels.text import clean

TIMEOUT = 20.0  # seconds for a whole answer
MAX_ANSWER = 256 * 1024  # bytes; an answer of 2,000 tokens has some 10 kB
MOST_AT_ONCE = 4
FAILURES = 3  # in a row, after which the model is left alone …
REST = 60.0  # … for so many seconds; then one request may try

Answer = Callable[[str, str, Answered], Awaitable[None]]
"""(customer id, key, answer): `Inbox.receive_answer`."""


@dataclass(frozen=True, slots=True)
class Completion:
    """`outcome` is ok | off | busy | timeout | error; `tokens` what was spent, as the server counts or as we guess."""

    outcome: str
    text: str = ""
    tokens: int = 0


class ModelClient:
    """`url` is the server's base, with or without `/v1`'s `/chat/completions` behind it; without url or model it is off."""

    def __init__(
        self,
        url: str | None,
        model: str | None,
        key: str | None = None,
        *,
        timeout: float = TIMEOUT,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        base = (url or "").rstrip("/")
        self._url = base if base.endswith("/chat/completions") else f"{base}/chat/completions"
        self._model = model or ""
        self._headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._timeout = timeout
        self._seconds = seconds
        self._client: Any = None
        self._at_once = 0
        self._failures = 0
        self._rests_until = 0.0
        self.on = bool(base and model)

    async def complete(
        self, messages: Sequence[Mapping[str, str]], most_tokens: int, timeout: float = TIMEOUT
    ) -> Completion:
        """One answer. Neither retried nor streamed: who asks has something else to say when it fails."""
        if not self.on:
            return Completion("off")
        if self._at_once >= MOST_AT_ONCE or self._seconds() < self._rests_until:
            return Completion("busy")
        self._at_once += 1
        try:
            found = await self._ask(messages, most_tokens, min(timeout, self._timeout))
        finally:
            self._at_once -= 1
        self._failures = 0 if found.outcome == "ok" else self._failures + 1
        if self._failures >= FAILURES:
            self._rests_until = self._seconds() + REST
            self._failures = FAILURES - 1  # the next one that fails opens it again
        return found

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _ask(self, messages: Sequence[Mapping[str, str]], most_tokens: int, timeout: float) -> Completion:
        import httpx2

        if self._client is None:
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
            self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False, cookies=no_cookies)
        body = {
            "model": self._model,
            "messages": [dict(one) for one in messages],
            "max_tokens": most_tokens,
            "temperature": 0,
            "stream": False,
        }
        request = {"method": "POST", "url": self._url, "headers": self._headers, "json": body}
        try:
            async with asyncio.timeout(timeout), self._client.stream(**request, timeout=timeout) as response:
                raw = await read_up_to(response, MAX_ANSWER)
        except (TimeoutError, httpx2.TimeoutException):
            return Completion("timeout")
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, Refused):
            return Completion("error")
        if response.status_code != 200:
            return Completion("error")
        return completion_of(raw, sum(len(one["content"]) for one in messages))


def completion_of(raw: bytes, asked: int) -> Completion:
    """A server's JSON, by OpenAI's form; what is not in that form, or was cut short, is an error. `asked` in characters."""
    try:
        answer = json.loads(raw)
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        usage = answer.get("usage") or {}
        tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Completion("error")
    if not isinstance(text, str) or choice.get("finish_reason") not in {None, "stop"}:
        return Completion("error")
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not 0 <= tokens < 10**9:
        tokens = (asked + len(text)) // 3
    return Completion("ok", clean(text), tokens)


class Models:
    """The sender of `via` "model": asks, and hands the answer in as a turn of its own, once."""

    via = "model"

    def __init__(self, client: ModelClient, answer: Answer) -> None:
        self._client = client
        self._answer = answer

    async def send(self, delivery: Delivery) -> Sent:
        payload = delivery.payload
        found = await self._client.complete(payload["messages"], payload["most_tokens"], payload["timeout_s"])
        value = {"text": found.text, "tokens": found.tokens}
        answered = Answered(payload["token"], found.outcome, value)
        await self._answer(delivery.customer_id or "", delivery.id, answered)
        return Sent(data={"outcome": found.outcome})

    async def resolve(self, delivery: Delivery) -> Sent:
        """After a crash: asked again. Nobody has seen the first answer: the one that is handed in first is the answer."""
        return await self.send(delivery)
