"""Survey answers, reports, and what happens as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Response
from starlette.requests import Request
from starlette.responses import StreamingResponse

from bot.api.customers import cut
from bot.api.once import write
from bot.api.problems import BadRequest, Unprocessable, invalid
from bot.api.rooms import Rooms
from bot.api.shapes import (
    CsvFile,
    Done,
    ImportedShape,
    Nothing,
    Page,
    ReportQuery,
    Responses,
    ResponseShape,
    Talk,
)
from bot.errors import NotFound
from bot.events import TalkLogged
from bot.storage.tx import Tx

PARTS = ("scores", "times", "rates", "amounts", "escalations", "targets", "counts", "non_response")
"""Reports of one part; `summary` has them all."""
JSON: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"schema": {"type": "object"}}}}}
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
MOST_REFUSALS = 1_000  # of one file, in one answer
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

    @made.post("/surveys/responses", status_code=201, response_model=ImportedShape)
    async def import_responses(file: CsvFile, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """Answers from elsewhere, all or none: each refused row is told with its line. The same rows again add nothing."""
        refused = surveys.refusals(file.csv)
        if refused:
            return invalid([{"at": f"line {line}", "message": why} for line, why in refused[:MOST_REFUSALS]])
        return await write(storage, request, 201, lambda tx: ImportedShape(**surveys.take_in(tx, file.csv)))

    @made.get("/surveys/responses.csv", response_class=Response, responses=CSV)
    async def export_responses(_: Annotated[Nothing, Query()]) -> Response:
        """All answers as CSV, as they can be imported; what begins like a formula is guarded."""
        text = await storage.read_apart(surveys.as_csv)
        return Response(text, media_type="text/csv; charset=utf-8")

    @made.post("/surveys/talks", status_code=202, response_model=Done)
    async def log_talk(talk: Talk, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """An agent's talk with a customer elsewhere: on the phone, at the counter. A low score is looked after, too."""

        def unit(tx: Tx) -> Done:
            if talk.agent not in {one["id"] for one in rooms.cases.agents(tx.conn)}:
                raise Unprocessable("body.agent", "there is no such agent")
            said = talk.model_dump(exclude={"customer", "case", "agent"})
            tx.emit(TalkLogged(talk.agent, customer_id=talk.customer, case_id=talk.case, **said))
            return Done(done=True)

        return await write(storage, request, 202, unit)

    @made.get("/reports/{name}", response_class=Response, responses=JSON)
    async def get_report(name: str, asked: Annotated[ReportQuery, Query()]) -> Response:
        """A report: `summary`, or one part of it alone (`scores`, `times`, `rates`, `amounts`, `escalations`, `targets`,
        `counts`, `non_response`).

        As `stafett report --format json`. What is to be mended: `issues`, `unlabelled`, `problems`, `wishes`, `labels`,
        `drivers`, `churn`, `improvements`; the team: `quality`, `pulse`.
        """
        others = rooms.reports.get(name)
        if name != "summary" and name not in PARTS and others is None:
            raise NotFound(f"there is no such report; there are {', '.join(('summary', *PARTS, *rooms.reports))}")
        for given, of in (("by", asked.by), ("where", asked.where)):
            if others is not None and of:
                raise Unprocessable(f"query.{given}", f"the report {name} is not split or filtered")
        try:
            if others is not None:
                made_now = await storage.read_apart(lambda conn: others(conn, asked.since, asked.until))
                return Response(orjson.dumps(made_now), media_type="application/json")
            report = await storage.read_apart(
                lambda conn: surveys.report(conn, asked.since, asked.until, asked.by, asked.where)
            )
        except ValueError as error:
            at, _, told = str(error).partition(": ")
            raise Unprocessable(f"query.{at}", told) from error
        shown: dict[str, Any] = dict(report)
        if name in PARTS:
            shown = {
                key: value for key, value in shown.items() if key in {"from", "to", "by", "where", "pending", name}
            }
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
