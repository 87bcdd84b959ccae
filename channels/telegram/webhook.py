"""POST /telegram/webhook: the secret, then the commit, then 200. aiogram's own answers before anything is handled."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from channels.telegram.inbound import load
from channels.telegram.intake import Intake

log = structlog.get_logger()
PATH = "/telegram/webhook"
HEADER = b"x-telegram-bot-api-secret-token"
MAX_BODY = 1024 * 1024  # bytes; an update is a few kB
RETRY_AFTER = b"5"  # seconds; Telegram obeys up to 3,600


class Webhook:
    """`heard` is called after each post whose update is committed."""

    def __init__(self, secret: str, intake: Intake, heard: Callable[[], Awaitable[None]]) -> None:
        self._secret = secret.encode()
        self._intake = intake
        self._heard = heard
        self.forged = 0

    def routes(self) -> tuple[BaseRoute, ...]:
        return (Route(PATH, self, methods=["POST"]),)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bare ASGI: whatever comes is answered here."""
        status = await self._post(scope, receive)
        headers = [(b"content-length", b"0"), *([(b"retry-after", RETRY_AFTER)] if status == 503 else [])]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    async def _post(self, scope: Scope, receive: Receive) -> int:
        """The status to answer with."""
        if not self._is_telegram(scope):
            self.forged += 1
            return 401
        try:
            body = await read_body(receive)
        except ClientDisconnect:
            return 400
        if body is None:
            return 413
        try:
            await self._take(body)
            await self._heard()
        except Exception as error:  # noqa: BLE001 - not committed, so not acknowledged: Telegram will tell it again
            log.warning("telegram webhook: not taken", error=type(error).__name__)
            return 503
        return 200

    async def _take(self, body: bytes) -> None:
        try:
            update = load(body)
        except (ValueError, RecursionError):
            await self._intake.drop(body, "not JSON that can be read")  # and 200: it would come again for a day
            return
        await self._intake.take(update)

    def _is_telegram(self, scope: Scope) -> bool:
        """In constant time, and on bytes: what is no ASCII is no secret, and no error either."""
        given = [value for name, value in scope["headers"] if name == HEADER]
        return len(given) == 1 and hmac.compare_digest(given[0], self._secret)


async def read_body(receive: Receive, limit: int = MAX_BODY) -> bytes | None:
    """The body, or None if it is longer than `limit` bytes. Raises ClientDisconnect."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)
