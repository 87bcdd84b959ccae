"""Errors as RFC 9457 problem+json: one clear line in `detail`, never what was sent, never a traceback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from starlette.responses import Response

from bot.errors import Conflict, DatabaseFault, NotAllowed, NotFound, StafettError
from bot.model import new_id

log = structlog.get_logger()
STATUS: Mapping[type[StafettError], int] = {NotFound: 404, Conflict: 409, NotAllowed: 403, DatabaseFault: 503}


class Unprocessable(StafettError):
    """What was sent is well-formed, and can't be meant. `at` says where, e.g. `body.agent`."""

    def __init__(self, at: str, message: str) -> None:
        super().__init__(message)
        self.at = at


class BadRequest(StafettError):
    """The request itself is broken."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    title = HTTPStatus(status).phrase.capitalize()
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Response(orjson.dumps(body), status, headers=headers, media_type="application/problem+json")


def of_error(error: StafettError) -> Response:
    """Our own exceptions, each with its status."""
    if isinstance(error, Unprocessable):
        return invalid([{"at": error.at, "message": str(error)}])
    if isinstance(error, BadRequest):
        return problem(error.status, str(error))
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    return problem(status, str(error)) if status != 500 else unexpected(error)


def invalid(errors: Sequence[Mapping[str, str]]) -> Response:
    first = errors[0] if errors else {"at": "body", "message": "is not valid"}
    return problem(422, f"{first['at']}: {first['message']}", errors=list(errors))


def unexpected(error: BaseException) -> Response:
    """What nobody foresaw: an id that the log knows too."""
    error_id = new_id()
    log.error("unexpected error in the API", error_id=error_id, exc_info=error)
    return problem(500, f"error {error_id}; the server's log says more")
