"""Forms of other rooms at the web desk (`bot/sheets.py`): the pulse, a review, a label on a case; and a talk held elsewhere.

GET  /desk/api/sheets/{kind}    {"sheet": {id, title, lead, material, questions, submit}}, or {"told": why there is none}
POST /desk/api/sheets           {"id", "given": {question: answer}} → {"wrong": {question: why}}; empty: it is kept;
                                or {"wrong": {}, "sheet"}: the one that comes next
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.errors import NotFound, StafettError
from bot.events import TalkLogged
from bot.sheets import Question, Sheet, Sheets
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from bot.texts import say
from channels.text import clean
from channels.web.channel import json_object
from handoff import store
from handoff.web import pages

if TYPE_CHECKING:
    from handoff.web.routes import Seat

TALK = "talk"
NUMBER, WORDS, MODE = "number", "words", "mode"
MODES = ("phone", "in_person", "email")
LONGEST = 4000  # characters of a talk
MOST = 20  # answers of a sheet

Add = Callable[[str, Callable[[Request, Any], Awaitable[Response]], str], Route]


def routes(add: Add, storage: Storage, sheets: Callable[[], Sheets]) -> Sequence[Route]:
    """`add(path, handler, method)` makes a route that only agents with a seat reach."""

    async def opened(request: Request, seat: Seat) -> Response:
        kind, room = request.path_params["kind"], sheets()
        if kind == TALK:
            return pages.answer({"sheet": drawn(of_talk(seat.locale))})
        if kind not in room.kinds:
            raise NotFound(kind)
        found = await storage.read(lambda conn: room.open(conn, kind, seat.agent.id, seat.locale))
        return pages.answer({"told": found} if isinstance(found, str) else {"sheet": drawn(found)})

    async def filled(request: Request, seat: Seat) -> Response:
        sheet_id, given = answers(await json_object(request))
        room = sheets()
        if sheet_id.partition(":")[0] not in {TALK, *room.kinds}:
            raise NotFound(sheet_id)
        fill = fill_talk if sheet_id == TALK else room.fill

        def unit(tx: Tx) -> Mapping[str, str] | Sheet:
            return fill(tx, sheet_id, seat.agent.id, given, seat.locale)

        found = await storage.write(unit)
        return pages.answer(
            {"wrong": {}, "sheet": drawn(found)} if isinstance(found, Sheet) else {"wrong": dict(found)}
        )

    return (add("/desk/api/sheets/{kind}", opened, "GET"), add("/desk/api/sheets", filled, "POST"))


def drawn(sheet: Sheet) -> dict[str, Any]:
    """A sheet as the page draws it."""
    return {
        "id": sheet.id,
        "title": sheet.title,
        "lead": sheet.lead,
        "submit": sheet.submit,
        "material": [{"who": who, "said": said} for who, said in sheet.material],
        "questions": [
            {
                "id": one.id,
                "label": one.label,
                "options": [{"value": value, "label": label} for value, label in one.options],
                "optional": one.optional,
                "longest": one.longest,
            }
            for one in sheet.questions
        ],
    }


def answers(body: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """What was filled in. Raises StafettError in one line."""
    sheet_id, given = body.get("id"), body.get("given")
    texts = isinstance(given, dict) and all(isinstance(one, str) for one in given.values())
    if not isinstance(sheet_id, str) or not isinstance(given, dict) or not texts or len(given) > MOST:
        raise StafettError(f"a sheet has its id and at most {MOST} answers, each a text")
    if any(len(one) > LONGEST for one in given.values()):
        raise StafettError(f"a text is at most {LONGEST} characters")
    return sheet_id, {name: clean(one) for name, one in given.items()}


# ── a talk ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def of_talk(locale: str) -> Sheet:
    """What a customer said on the phone or at the counter; by its number in which case."""
    questions = (
        Question(WORDS, say("desk_talk_words", locale), longest=LONGEST),
        Question(
            MODE, say("desk_talk_mode", locale), tuple((one, say(f"desk_talk_{one}", locale)) for one in MODES), True
        ),
        Question(NUMBER, say("desk_talk_number", locale), optional=True, longest=10),
    )
    return Sheet(
        TALK, say("desk_talk_title", locale), say("desk_talk_lead", locale), questions, say("team_submit", locale)
    )


def fill_talk(tx: Tx, _sheet_id: str, who: str, given: Mapping[str, str], locale: str) -> Mapping[str, str]:
    text, mode = given.get(WORDS, "").strip(), given.get(MODE, "")
    number = given.get(NUMBER, "").strip().lstrip("#")
    if not text:
        return {WORDS: say("desk_talk_empty", locale)}
    case = store.by_number(tx.conn, int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
    if number and case is None:
        return {NUMBER: say("refused_no_case", locale)}
    whose = (case.customer_id, case.id) if case else (None, None)
    tx.emit(TalkLogged(who, text, mode=mode if mode in MODES else None, customer_id=whose[0], case_id=whose[1]))
    return {}
