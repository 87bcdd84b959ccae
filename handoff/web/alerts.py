"""Low scores at the web desk: the list of those that somebody should look after, claim and close.

GET  /desk/api/alerts            those that wait, the most urgent first; `?closed=1` those that are done
POST /desk/api/alerts/{id}/claim · /desk/api/alerts/{id}/close  {"outcome": …}
POST /desk/api/talks             what a customer said elsewhere: see `bot.events.TalkLogged`
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot import alerts
from bot.errors import Refused, StafettError
from bot.events import TalkLogged
from bot.storage import alert_rows
from bot.storage.alert_rows import Alert
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.text import clean, one_line, visible
from channels.web.channel import json_object
from handoff import store
from handoff.web import pages, shown

if TYPE_CHECKING:
    from handoff.web.routes import Seat

MOST = 4000  # characters of a talk

Add = Callable[[str, Callable[[Request, Any], Awaitable[Response]], str], Route]


def routes(add: Add, storage: Storage, desk: Callable[[], Any]) -> Sequence[Route]:
    """`add(path, handler, method)` makes a route that only agents with a seat reach."""

    async def listed(request: Request, _seat: Seat) -> Response:
        closed = request.query_params.get("closed") == "1"

        def query(conn: store.Reader) -> list[dict[str, Any]]:
            return [row(conn, desk(), one) for one in alert_rows.listed(conn, closed=closed)]

        return pages.answer({"items": await storage.read(query), "now": shown.iso(storage.clock())})

    async def act(request: Request, seat: Seat) -> Response:
        alert_id, verb = request.path_params["alert_id"], request.path_params["verb"]
        if verb not in {"claim", "close"}:
            return pages.not_found()
        outcome = str((await json_object(request)).get("outcome") or "")

        def unit(tx: Tx) -> dict[str, Any]:
            me = seat.agent
            if verb == "claim":
                alerts.claim(tx, alert_id, me.id)
            else:
                alerts.close(tx, alert_id, me.id, outcome, leads=me.leads)
            return row(tx.conn, desk(), alerts.known(tx, alert_id))

        return pages.answer(await storage.write(unit))

    async def talked(request: Request, seat: Seat) -> Response:
        talk = talk_of(await json_object(request), seat.agent.id)
        await storage.write(lambda tx: tx.emit(talk))
        return pages.answer({}, 201)

    return (
        add("/desk/api/alerts", listed, "GET"),
        add("/desk/api/alerts/{alert_id}/{verb}", act, "POST"),
        add("/desk/api/talks", talked, "POST"),
    )


def row(conn: store.Reader, desk: Any, alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "case": alert.case_id,
        "number": alert.case_number,
        "customer": {"id": alert.customer_id, "name": one_line(alert.customer, 80)},
        "instrument": alert.instrument,
        "score": alert.score,
        "comment": visible(alert.comment or ""),
        "reason": alert.reason,
        "channel": alert.channel,
        "team": alert.team,
        "topic": one_line(alert.topic or "", 80),
        "state": alert.state,
        "agent": {"id": alert.agent_id, "name": store.agent_name(conn, desk, alert.agent_id)}
        if alert.agent_id
        else None,
        "outcome": alert.outcome,
        "contact": alert.contact,
        "follow_up": alert.follow_up,
        "reminded": alert.reminded,
        "opened_at": shown.iso(alert.opened_at),
        "due_at": shown.iso(alert.due_at),
        "closed_at": shown.iso(alert.closed_at),
    }


def talk_of(body: dict[str, Any], agent_id: str) -> TalkLogged:
    """What the form holds. Raises StafettError in one line for what is missing or no talk."""
    words = {name: _words(body, name) for name in WORDS}
    text = clean(words.pop("text") or "").strip()
    if not text:
        raise StafettError("text: write what the customer said")
    score = body.get("score")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or score % 1):
        raise StafettError("score is a whole number")
    if (score is None) != (words["instrument"] is None):
        raise StafettError("a score comes with its instrument, and an instrument with a score")
    try:
        at = datetime.fromisoformat(str(body["at"])) if body.get("at") else None
        if at is not None and at.tzinfo is None:
            raise StafettError("at needs its offset, or Z")
        at = at.astimezone(UTC) if at is not None else None
    except (ValueError, OverflowError):
        raise StafettError("at is no time; write 2026-03-01T14:05:00Z") from None
    source = words.pop("source") or "talk"
    return TalkLogged(agent_id, text, source, score=None if score is None else int(score), at=at, **words)


WORDS = ("text", "source", "mode", "customer_id", "case_id", "respondent", "instrument", "topic", "locale")


def _words(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MOST:
        raise Refused(f"{name} is a text of at most {MOST} characters")
    return value
