"""The FastAPI app: the calls, the OpenAPI page, and every error as a problem."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from bot.api import cases, customers, figures, notices
from bot.api.door import Door
from bot.api.problems import Unprocessable, invalid, of_error, problem, unexpected
from bot.api.rooms import Rooms
from bot.api.shapes import Problem
from bot.errors import StafettError

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": what,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, what in {
        400: "The request is broken",
        401: "No token, or a wrong one",
        403: "That agent may not do this",
        404: "There is no such thing",
        409: "Somebody was first, or the case has no such step",
        413: "The body is over 1 MiB",
        415: "The body is not application/json",
        422: "A field or filter is not valid",
    }.items()
}

SEVERAL = {"where"}  # filters that may be repeated


def build(rooms: Rooms, token: str) -> ASGIApp:
    """The API behind its door."""
    api = FastAPI(
        title="Stafett",
        version=_version(),
        description="Customers, cases, surveys and reports of one Stafett, for other programs.",
        docs_url=None,  # those pages load scripts from elsewhere
        redoc_url=None,
        responses=PROBLEMS,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="STAFETT_API_TOKEN")), Depends(_given_once)],
        redirect_slashes=False,
    )
    for room in (customers, cases, figures, notices):
        api.include_router(room.router(rooms))
    api.add_exception_handler(StafettError, _on_house_error)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(HTTPException, _on_http_error)
    api.add_exception_handler(Exception, _on_unexpected)
    _with_problems(api)
    return Door(api, token)


async def _given_once(request: Request) -> None:
    """Raises Unprocessable for a filter that stands there twice: FastAPI would silently take the last one."""
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if times > 1 and name not in SEVERAL:
            raise Unprocessable(f"query.{name}", "is given more than once")


def _version() -> str:
    try:
        return version("stafett")
    except PackageNotFoundError:  # a checkout
        return "0"


def _with_problems(api: FastAPI) -> None:
    """The page's schema of errors is ours, in place of FastAPI's own."""
    made = api.openapi

    def openapi() -> dict[str, Any]:
        page = made()
        schemas: dict[str, Any] = page.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas.setdefault("Problem", Problem.model_json_schema())
        return page

    api.openapi = openapi  # type: ignore[method-assign]


async def _on_house_error(_request: Request, error: Exception) -> Response:
    return of_error(error) if isinstance(error, StafettError) else unexpected(error)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    return invalid([{"at": ".".join(str(one) for one in each["loc"]), "message": _told(each)} for each in found])


def _told(error: Mapping[str, Any]) -> str:
    """Pydantic's sentence, which never repeats what was sent."""
    return str(error["msg"]).removeprefix("Value error, ")


async def _on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return unexpected(error)
    if error.status_code == 405:
        allowed = ", ".join(_methods(request))
        return problem(405, f"this call takes {allowed}", headers={"Allow": allowed})
    detail = "there is no such call" if error.status_code == 404 else error.detail
    return problem(error.status_code, detail, headers=error.headers)


def _methods(request: Request) -> list[str]:
    """What a path can be asked: each call is a route of its own, and the router knows only one of them."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    calls = request.app.openapi()["paths"].items()
    found = (methods for template, methods in calls if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path))
    known = {method.upper() for methods in found for method in methods}
    return sorted(known | ({"HEAD"} if "GET" in known else set()))


async def _on_unexpected(_request: Request, error: Exception) -> Response:
    return unexpected(error)
