"""Sends what flows ask of other systems: HTTP requests written in desk.yaml. The answer comes back as a turn.

A request is a row of the outbox like any other send. A GET, or one with an idempotency key (`once:`), may be sent again
after an unknown outcome; any other is *unknown*, not failed: its flow goes the way of `timeout`, and a human looks.

Only hosts that the desk itself names are called, without redirects (they could lead anywhere), and answers are read up
to MAX_ANSWER bytes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from bot.errors import Refused
from bot.model import Answered
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
            self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False)
        timeout = min(float(payload.get("timeout_s") or 10), MAX_TIMEOUT)
        try:
            request = to_request(connector, payload["values"], payload.get("once"))
            async with self._client.stream(**request, timeout=timeout) as response:
                body = await read_up_to(response, MAX_ANSWER)
        except httpx2.TimeoutException:
            return "timeout", None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, Refused):
            return "error", None
        return outcome_of(response.status_code), as_value(body)


def to_request(connector: Connector, values: Mapping[str, Any], once: str | None) -> dict[str, Any]:
    """The request of a connector, filled in: values are quoted into the URL, and never rendered again."""
    from urllib.parse import quote

    url = _PLACE.sub(lambda m: quote(str(values.get(m[1], "")), safe=""), secrets_in(connector.url))
    headers = {name: secrets_in(fill(value, values)).replace("\n", " ") for name, value in connector.headers.items()}
    if once:
        headers["Idempotency-Key"] = once
    request: dict[str, Any] = {"method": connector.method.upper(), "url": url, "headers": headers}
    if connector.body is not None:
        request["json"] = filled(connector.body, values)
    return request


def filled(body: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(body, str):
        whole = _PLACE.fullmatch(body.strip())
        return values.get(whole[1]) if whole else fill(body, values)
    if isinstance(body, Mapping):
        return {name: filled(value, values) for name, value in body.items()}
    if isinstance(body, list | tuple):
        return [filled(value, values) for value in body]
    return body


def fill(template: str, values: Mapping[str, Any]) -> str:
    return _PLACE.sub(lambda m: str(values.get(m[1], "")), template)


def secrets_in(template: str) -> str:
    """`${NAME}` from the environment."""
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
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")[:10_000]
