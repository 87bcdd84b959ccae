"""Before anything is parsed: who asks, and whether the body may be read at all.

An ASGI layer around the whole API. 401 without the token, whatever the path. A body is at most 1 MiB, not compressed, JSON,
at most 64 levels deep, without duplicate keys, NaN or Infinity: else 413, 415 or 400, and nothing has happened. The calls
within know GET; HEAD is made of it here.
"""

from __future__ import annotations

import hmac
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import strict_json
from bot.api.problems import BadRequest, of_error, problem, unexpected
from bot.errors import StafettError

MOST_BYTES = 1024 * 1024
WITH_BODY = {"POST", "PUT", "PATCH"}


class Door:
    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # neither sockets nor a lifespan of its own
        headers = Headers(scope=scope)
        if not self._knows(headers):
            detail = "give the API token: Authorization: Bearer …"
            await problem(401, detail, headers={"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        try:
            if b"%00" in scope.get("raw_path", b"") or b"%00" in scope["query_string"]:
                raise BadRequest("a NUL character, which no id and no filter has")
            body = await _body(headers, receive) if scope["method"] in WITH_BODY else None
        except StafettError as error:
            await of_error(error)(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _first_of(send)
        await self._answer(scope, receive if body is None else _again(body, receive), send)

    def _knows(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return hmac.compare_digest(given.strip().encode(), self._token) and scheme.lower() == "bearer"

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What nobody foresaw is answered here, once: the server around us need not know."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if started:
                raise
            await unexpected(error)(scope, receive, send)


async def _body(headers: Headers, receive: Receive) -> bytes:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise BadRequest("compressed bodies are not taken", 415)
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 9 or int(length) > MOST_BYTES):
        raise BadRequest("the body is over 1 MiB", 413)
    chunks, size = [], 0
    async for chunk in _chunks(receive):
        size += len(chunk)
        if size > MOST_BYTES:
            raise BadRequest("the body is over 1 MiB", 413)
        chunks.append(chunk)
    raw = b"".join(chunks)
    if raw and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadRequest("send JSON, with Content-Type: application/json", 415)
    if raw:
        _is_strict(raw)
    return raw


def _is_strict(raw: bytes) -> None:
    try:
        strict_json.loads(raw)
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {str(error)[:100]}") from None


def _first_of(send: Send) -> Send:
    """HEAD is GET without a body (RFC 9110 9.3.2), which the server cuts off; a stream, which would never end, ends at once."""
    is_over = False

    async def send_first(message: Message) -> None:
        nonlocal is_over
        if message["type"] == "http.response.start":
            await send(message)
        elif not is_over:
            is_over = True
            await send({**message, "more_body": False})

    return send_first


async def _chunks(receive: Receive) -> Any:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the body ended too early")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand the body that was read to whoever reads next; after it, what the server says (a disconnect)."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
