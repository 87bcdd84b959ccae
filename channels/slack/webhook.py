"""HTTP mode: events, interactivity and slash commands, all at POST /slack/events."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from channels.slack.signature import is_signed

if TYPE_CHECKING:
    from channels.slack.connection import SlackConnection

log = structlog.get_logger()
MAX_BODY = 1024 * 1024  # bytes; SECURITY S24
PATH = "/slack/events"


def routes(connection: SlackConnection) -> Sequence[BaseRoute]:
    async def receive(request: Request) -> Response:
        return await answer(connection, request)

    return (Route(PATH, receive, methods=["POST"]),)


async def answer(connection: SlackConnection, request: Request) -> Response:
    """Verify the raw bytes, then parse, then hand over; 200 only after the commit. A body is never logged."""
    try:
        body = await read(request)
    except ClientDisconnect:
        return Response(status_code=400)
    if body is None:
        return Response(status_code=413)
    secret = connection.settings.slack_signing_secret
    headers = dict(request.scope["headers"])
    timestamp = headers.get(b"x-slack-request-timestamp", b"")
    signature = headers.get(b"x-slack-signature", b"")
    if not is_signed(secret.get_secret_value().encode() if secret else b"", timestamp, signature, body, time.time()):
        connection.counters.forged += 1
        log.warning("slack request refused: no valid signature")
        return Response(status_code=401)
    text = readable(body, request.headers.get("content-type", ""))
    if text is None:
        connection.counters.foreign += 1
        return Response(status_code=200)  # signed, but nothing that we know: an error would count against the app
    parsed, content = text
    if parsed.get("type") == "url_verification":
        return JSONResponse({"challenge": str(parsed.get("challenge", ""))})
    status, reply = await connection.dispatch(
        content, {k.decode("latin-1"): v.decode("latin-1") for k, v in headers.items()}
    )
    return Response(status_code=status) if reply is None else JSONResponse(reply, status)


async def read(request: Request) -> bytes | None:
    """The raw body; None once it is too long."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            return None
    return bytes(content)


def readable(body: bytes, content_type: str) -> tuple[dict[str, object], str] | None:
    """The JSON object that Bolt will read out of this body, and the body as text; None if there is none."""
    try:
        text = body.decode("utf-8")
        if content_type.startswith("application/x-www-form-urlencoded"):
            form: dict[str, object] = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=200))
            parsed = json.loads(str(form["payload"])) if "payload" in form else form if "command" in form else None
        else:
            parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return (parsed, text) if isinstance(parsed, dict) else None
