"""Sends what happened to other systems: signed, at least once, with patience. What is told stands in `bot/webhooks`.

    POST url
    Stafett-Signature: t=<seconds since 1970>,v1=<hex HMAC-SHA256 of "t.body" under the webhook's secret>
    Stafett-Delivery: <the same id, however often it is sent>

An answer of 2xx within 10 seconds is the receipt; its body is not read, redirects are not followed. Everything else is tried
again, 5 seconds later, then 10, 20 … 30 minutes, TRIES times in all (two hours); then it is a trouble that `stafett audit`
shows and can send again. 410 ends it at once. What may have arrived is sent again: the receiver knows it by its id.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from bot.errors import NotSent, Refused
from bot.model import Clock
from channels.port import Delivery, Sent, Verdict

TIMEOUT = 10.0  # seconds
FIRST_WAIT, LONGEST_WAIT = 5.0, 1_800.0  # seconds
TRIES = 12
LARGEST = 256 * 1024  # bytes of a body


class Webhook(Protocol):
    """What desk.yaml says of one. `secret` names the environment's variable that holds it."""

    @property
    def url(self) -> str: ...
    @property
    def secret(self) -> str: ...


class Webhooks:
    """The sender of `via` "webhook". `find(id)` is the webhook of the desk in force; `allowed(host)` may be anywhere;
    `called(id)` is what a wish is called now.
    """

    via = "webhook"

    def __init__(
        self,
        find: Callable[[str], Webhook | None],
        allowed: Callable[[str], bool],
        called: Callable[[str], Awaitable[str]],
        clock: Clock,
    ) -> None:
        self._find = find
        self._allowed = allowed
        self._called = called
        self._clock = clock
        self._pool: Any = None

    async def send(self, delivery: Delivery) -> Sent:
        """Raises NotSent until its patience is at an end, then Refused."""
        hook = self._find(str(delivery.payload["hook"]))
        if hook is None:
            raise Refused(f"desk.yaml has no webhook {delivery.payload['hook']} any more")
        told = delivery.payload["body"]
        if delivery.kind == "wish":
            told = {**told, "data": {**told["data"], "title": await self._called(str(told["data"]["id"]))}}
        body = orjson.dumps({"id": delivery.id, **told})
        if len(body) > LARGEST:
            raise Refused(f"{len(body)} bytes; a webhook takes at most {LARGEST}")
        try:
            status, after = await self._post(hook, body, delivery)
        except Refused as error:
            raise self._later(delivery, str(error)) from error
        if 200 <= status < 300:
            return Sent(data={"status": status})
        if status == 410:
            raise Refused("the receiver wants no more of it (410)")
        raise self._later(delivery, f"the receiver answered {status}", after)

    async def resolve(self, delivery: Delivery) -> Verdict:  # noqa: ARG002 - whatever it was, it may be sent twice
        return Verdict.RESEND

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    async def _post(self, hook: Webhook, body: bytes, delivery: Delivery) -> tuple[int, float | None]:
        import httpcore2

        secret = os.environ.get(hook.secret, "")
        if not secret:
            raise Refused(f"the secret {hook.secret} is not set")
        if urlsplit(hook.url).scheme != "https" and not self._allowed(urlsplit(hook.url).hostname or ""):
            raise Refused("it is no https:// address; name its host in allow_hosts if that may be")
        headers = headers_for(body, secret, int(self._clock().timestamp()), delivery)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT)
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._connections().stream(
                    "POST", hook.url, headers=headers, content=body, extensions={"timeout": timeouts}
                ) as answer,
            ):
                return answer.status, retry_after(answer.headers)
        except TimeoutError:
            raise Refused(f"no answer within {TIMEOUT:g} seconds") from None
        except (
            *(httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError),
            *(httpcore2.UnsupportedProtocol, ssl.SSLError, OSError),
        ) as error:
            raise Refused(f"{type(error).__name__}: {error}"[:300]) from error

    def _connections(self) -> Any:
        if self._pool is None:
            import httpcore2

            from channels.guard import Guarded

            context = ssl.create_default_context()
            self._pool = httpcore2.AsyncConnectionPool(
                context, max_connections=20, keepalive_expiry=30.0, network_backend=Guarded(self._allowed)
            )
        return self._pool

    def _later(self, delivery: Delivery, why: str, after: float | None = None) -> NotSent | Refused:
        if delivery.attempts >= TRIES:
            return Refused(f"given up after {delivery.attempts} tries: {why}")
        return NotSent(why, max(after or 0.0, wait(delivery.attempts)))


def headers_for(body: bytes, secret: str, at: int, delivery: Delivery) -> list[tuple[bytes, bytes]]:
    """Who reads them: docs/webhooks.md."""
    named = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "User-Agent": "Stafett",
        "Stafett-Signature": f"t={at},v1={signature(body, secret, at)}",
        "Stafett-Delivery": delivery.id,
        "Stafett-Event": str(delivery.payload["body"]["event"]),
    }
    return [(name.encode(), value.encode()) for name, value in named.items()]


def signature(body: bytes, secret: str, at: int) -> str:
    return hmac.new(secret.encode(), str(at).encode() + b"." + body, hashlib.sha256).hexdigest()


def wait(attempts: int) -> float:
    """Seconds after so many tries."""
    return float(min(FIRST_WAIT * 2 ** max(attempts - 1, 0), LONGEST_WAIT))


def retry_after(headers: Any) -> float | None:
    """What the receiver asks for, in seconds, at most LONGEST_WAIT."""
    found: Mapping[bytes, bytes] = {name.lower(): value for name, value in headers}
    asked = found.get(b"retry-after", b"").strip()
    return min(float(asked), LONGEST_WAIT) if asked.isdigit() and len(asked) < 8 else None
