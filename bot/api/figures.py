"""Survey answers, reports, and what happens as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Response
from starlette.responses import StreamingResponse

from bot.api.customers import cut
from bot.api.problems import BadRequest, Unprocessable
from bot.api.rooms import Rooms
from bot.api.shapes import Nothing, Page, ReportQuery, Responses, ResponseShape
from bot.errors import NotFound

PARTS = ("scores", "times", "rates", "amounts", "escalations", "counts")
"""Reports of one part; `summary` has them all."""
JSON: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"schema": {"type": "object"}}}}}
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


def router(rooms: Rooms) -> APIRouter:
    made = APIRouter(tags=["figures"])
    storage, surveys = rooms.storage, rooms.surveys

    @made.get("/surveys/responses")
    async def list_responses(page: Annotated[Page, Query()]) -> Responses:
        """What customers answered, imported answers included."""
        rows = await storage.read(lambda conn: surveys.responses(conn, after=page.after, limit=page.limit + 1))
        found, more = cut([ResponseShape(**one) for one in rows], page.limit)
        return Responses(items=found, next=found[-1].id if more else None)

    @made.get("/reports/{name}", response_class=Response, responses=JSON)
    async def get_report(name: str, asked: Annotated[ReportQuery, Query()]) -> Response:
        """A report: `summary`, or one part of it alone (`scores`, `times`, `rates`, `amounts`, `escalations`, `counts`).

        As `stafett report --format json`.
        """
        if name != "summary" and name not in PARTS:
            raise NotFound(f"there is no such report; there are summary, {', '.join(PARTS)}")
        try:
            report = await storage.read_apart(
                lambda conn: surveys.report(conn, asked.since, asked.until, asked.by, asked.where)
            )
        except ValueError as error:
            at, _, told = str(error).partition(": ")
            raise Unprocessable(f"query.{at}", told) from error
        shown: dict[str, Any] = dict(report)
        if name in PARTS:
            shown = {key: value for key, value in shown.items() if key in {"from", "to", "by", "where", name}}
        return Response(orjson.dumps(shown), media_type="application/json")

    @made.get("/events", response_class=StreamingResponse, responses=STREAM)
    async def get_events(
        _: Annotated[Nothing, Query()], last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        """What happens, as server-sent events: `case` (complete; `Last-Event-ID` goes on), `message`, `survey`, `erased`."""
        after = _number(last_event_id)

        async def stream() -> AsyncIterator[bytes]:
            async for line in rooms.feed.stream(after):
                yield line

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)

    return made


def _number(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadRequest("Last-Event-ID: a number from this stream")
    return int(text)
