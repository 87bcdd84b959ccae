"""Sends what flows ask of other systems: HTTP requests written in desk.yaml. The answer comes back as a turn.

A request is a row of the outbox like any other send. A GET, or one with an idempotency key (`once:`), may be sent again
after an unknown outcome; any other is *unknown*, not failed: its flow goes the way of `timeout`, and a human looks.

Only hosts that the desk itself names are called, without redirects (they could lead anywhere), and answers are read up
to MAX_ANSWER bytes.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Protocol
from urllib.parse import quote

from bot.errors import Refused
from bot.model import Answered
from channels import text
from channels.port import Delivery, Sent

MAX_ANSWER = 1024 * 1024  # bytes
MAX_TIMEOUT = 60.0  # seconds
_PLACE = re.compile(r"\{\{\s*([A-Za-z_][\w.]*)\s*\}\}")
_SECRET = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


class Connector(Protocol):
    """What desk.yaml says of one."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> Any: ...


Answer = Callable[[str, str, Answered], Awaitable[None]]
"""(customer id, key, answer): `Inbox.receive_answer`."""


class Connectors:
    """The sender of `via` "connector"; `find(name)` gives the connector of the desk in force, or None."""

    via = "connector"

    def __init__(self, find: Callable[[str], Connector | None], answer: Answer) -> None:
        self._find = find
        self._answer = answer
        self._client: Any = None

    async def send(self, delivery: Delivery) -> Sent:
        """Ask, and hand the answer in. Whatever happens outside is an answer too: timeout, error, or an HTTP status."""
        payload = delivery.payload
        outcome, value = await self._ask(payload)
        await self._answer(delivery.customer_id or "", delivery.id, Answered(payload["token"], outcome, value))
        return Sent(data={"outcome": outcome})

    async def resolve(self, delivery: Delivery) -> Sent:
        """After a crash: ask again where that is harmless, else tell the flow that nobody knows."""
        connector = self._find(delivery.payload["connector"])
        if connector is not None and (connector.method.upper() == "GET" or delivery.payload.get("once")):
            return await self.send(delivery)
        answer = Answered(delivery.payload["token"], "timeout")
        await self._answer(delivery.customer_id or "", delivery.id, answer)
        return Sent(data={"outcome": "timeout"})

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _ask(self, payload: Mapping[str, Any]) -> tuple[str, Any]:
        import httpx2

        connector = self._find(payload["connector"])
        if connector is None:
            return "error", None
        if self._client is None:
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # one customer's are not another's
            self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False, cookies=no_cookies)
        timeout = min(float(payload.get("timeout_s") or 10), MAX_TIMEOUT)
        try:
            request = to_request(connector, payload["values"], payload.get("once"))
            async with asyncio.timeout(timeout), self._client.stream(**request, timeout=timeout) as response:
                body = await read_up_to(response, MAX_ANSWER)
        except (TimeoutError, httpx2.TimeoutException):  # the first for an answer that comes byte by byte
            return "timeout", None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, Refused):
            return "error", None
        return outcome_of(response.status_code), as_value(body)


def to_request(connector: Connector, values: Mapping[str, Any], once: str | None) -> dict[str, Any]:
    """The request of a connector, filled in: values are quoted into the URL, and never rendered again."""
    url = _PLACE.sub(lambda m: in_url(values.get(m[1], "")), secrets_in(connector.url))
    headers = {name: fill(secrets_in(value), values).replace("\n", " ") for name, value in connector.headers.items()}
    headers.setdefault("Accept-Encoding", "identity")  # MAX_ANSWER is of what we read, not of what it unpacks to
    if once:
        headers["Idempotency-Key"] = once
    request: dict[str, Any] = {"method": connector.method.upper(), "url": url, "headers": headers}
    if connector.body is not None:
        request["json"] = filled(connector.body, values)
    return request


def in_url(value: object) -> str:
    """A value as one piece of a URL. Raises ValueError for the two pieces that lead elsewhere."""
    if str(value) in {".", ".."}:
        msg = "a value would lead to another address"
        raise ValueError(msg)
    return quote(str(value), safe="")


def filled(body: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(body, str):
        whole = _PLACE.fullmatch(body.strip())
        return values.get(whole[1]) if whole else fill(secrets_in(body), values)
    if isinstance(body, Mapping):
        return {name: filled(value, values) for name, value in body.items()}
    if isinstance(body, list | tuple):
        return [filled(value, values) for value in body]
    return body


def fill(template: str, values: Mapping[str, Any]) -> str:
    return _PLACE.sub(lambda m: str(values.get(m[1], "")), template)


def secrets_in(template: str) -> str:
    """`${NAME}` from the environment: before the values are filled in, so that no customer can ask for one."""
    return _SECRET.sub(lambda m: os.environ.get(m[1], ""), template)


async def read_up_to(response: Any, limit: int) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            msg = f"the answer is longer than {limit} bytes"
            raise Refused(msg)
    return body


def outcome_of(status: int) -> str:
    return "ok" if 200 <= status < 300 else str(status)


def as_value(body: bytes) -> Any:
    """The answer as JSON that any database takes; else as text."""
    try:
        return storable(json.loads(body, parse_constant=lambda _: None))
    except (ValueError, RecursionError):
        return text.clean(body.decode("utf-8", "replace")[:10_000])


def storable(value: Any) -> Any:
    if isinstance(value, str):
        return text.clean(value)
    if isinstance(value, dict):
        return {text.clean(name): storable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [storable(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
