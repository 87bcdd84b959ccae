"""POST /telegram/webhook: the secret, then the commit, then 200. aiogram's own answers before anything is handled."""

from __future__ import annotations

import hmac
import json

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from channels.telegram.intake import Intake

log = structlog.get_logger()
PATH = "/telegram/webhook"
HEADER = b"x-telegram-bot-api-secret-token"
MAX_BODY = 1024 * 1024  # bytes; an update is a few kB
RETRY_AFTER = "5"  # seconds; Telegram obeys up to 3,600


class Webhook:
    def __init__(self, secret: str, intake: Intake) -> None:
        self._secret = secret.encode()
        self._intake = intake
        self.forged = 0

    def routes(self) -> tuple[BaseRoute, ...]:
        return (Route(PATH, self._post, methods=["POST"]),)

    async def _post(self, request: Request) -> Response:
        if not self._is_telegram(request):
            self.forged += 1
            return Response(status_code=401)
        try:
            body = await read_body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return Response(status_code=413)
        try:
            await self._take(body)
        except Exception as error:  # noqa: BLE001 - not committed, so not acknowledged: Telegram will tell it again
            log.warning("telegram webhook: not taken", error=type(error).__name__)
            return Response(status_code=503, headers={"Retry-After": RETRY_AFTER})
        return Response(status_code=200)

    async def _take(self, body: bytes) -> None:
        try:
            update = json.loads(body)
        except (ValueError, RecursionError):
            await self._intake.drop(body, "not JSON that can be read")  # and 200: it would come again for a day
            return
        await self._intake.take(update)

    def _is_telegram(self, request: Request) -> bool:
        """In constant time, and on bytes: what is no ASCII is no secret, and no error either."""
        given = [value for name, value in request.scope["headers"] if name == HEADER]
        return len(given) == 1 and hmac.compare_digest(given[0], self._secret)


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes | None:
    """The body, or None if it is longer than `limit` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)
