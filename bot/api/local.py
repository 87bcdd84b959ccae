"""The local door: commands of this machine that write, while this process holds the SQLite file.

    POST /api/local/{command}   Authorization: Bearer <token signed with STAFETT_SECRET, good for a minute>

Only from loopback and not through a proxy; only who can read the secret (the file beside the database has mode 0600) can
sign. Who does not gets 404, as for any path that is not there.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.api.problems import of_error, problem
from bot.errors import StafettError
from bot.settings import LOOPBACK
from bot.storage.engine import Storage
from bot.storage.tx import Tx

AUDIENCE = "stafett-commands"
LIFETIME = timedelta(minutes=1)
MOST_BYTES = 64 * 1024 * 1024  # a file of survey answers
Writes = Mapping[str, Callable[[Tx, Mapping[str, Any]], Mapping[str, Any]]]


def token(secret: str, now: datetime) -> str:
    claims = {"aud": AUDIENCE, "iat": int(now.timestamp()), "exp": int((now + LIFETIME).timestamp())}
    return jwt.encode(claims, _key(secret), algorithm="HS256")


def route(storage: Storage, secret: str, writes: Writes) -> Route:
    """The door as a route of the server."""

    async def answer(request: Request) -> Response:
        write = writes.get(request.path_params["command"])
        if write is None or not _may_enter(request, secret):
            return problem(404, "there is nothing here")
        try:
            body = await _body(request)
            done = await storage.write(lambda tx: write(tx, body))
        except StafettError as error:
            known = of_error(error)
            return known if known.status_code < 500 else problem(422, str(error))
        if request.path_params["command"] == "erase":
            await storage.truncate_log()
        return Response(orjson.dumps(done), media_type="application/json")

    return Route("/api/local/{command}", answer, methods=["POST"])


async def _body(request: Request) -> Mapping[str, Any]:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BYTES:
            msg = "the file is over 64 MB; stop the server, and run the same again"
            raise StafettError(msg)
    found = orjson.loads(bytes(raw))
    return found if isinstance(found, dict) else {}


def _may_enter(request: Request, secret: str) -> bool:
    forwarded = any(name in {"forwarded", "via"} or name.startswith("x-forwarded") for name in request.headers)
    if request.client is None or request.client.host not in LOOPBACK or forwarded:
        return False
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        jwt.decode(
            given, _key(secret), algorithms=["HS256"], audience=AUDIENCE, options={"require": ["aud", "iat", "exp"]}
        )
    except jwt.InvalidTokenError:
        return False
    return True


def _key(secret: str) -> bytes:
    return hmac.new(secret.encode(), b"commands", hashlib.sha256).digest()
