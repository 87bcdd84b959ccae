"""What agents do in the page: `POST /desk/api/cases/{id}/{verb}`, one small function each. The table is at the end.

Each checks its body (StafettError, one line) and gives a unit for one transaction; what it returns is the answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bot.errors import Conflict, NotFound, StafettError
from bot.model import FileRef
from bot.storage.tx import Tx
from channels.text import clean
from channels.web.channel import text_of
from handoff import cases, store
from handoff.case import Case
from handoff.web import persons
from handoff.web import store as own
from handoff.web.desk import NAME
from handoff.web.shown import relay_row

MAX_TEXT = 16_000  # characters, as in the widget
MAX_FILES = 10
MAX_TOPIC = 120

Body: TypeAlias = Mapping[str, Any]
Unit: TypeAlias = Callable[[Tx], dict[str, Any]]
Verb: TypeAlias = Callable[[str, str, Body], Unit]
"""(case id, agent id, body) → what to do in a transaction."""


def claim(case_id: str, agent_id: str, _body: Body) -> Unit:
    return lambda tx: _moved(cases.claim(tx, case_id, agent_id, desk=NAME))


def release(case_id: str, agent_id: str, _body: Body) -> Unit:
    return lambda tx: _moved(cases.release(tx, case_id, agent_id, desk=NAME))


def snooze(case_id: str, agent_id: str, body: Body) -> Unit:
    until = _moment(body, "until")
    return lambda tx: _moved(cases.snooze(tx, case_id, agent_id, until, desk=NAME))


def wake(case_id: str, agent_id: str, _body: Body) -> Unit:
    def unit(tx: Tx) -> dict[str, Any]:
        case = store.held(tx, case_id)
        if case.agent_id != agent_id:
            raise Conflict(f"case {case.number} is not yours to wake")
        return _moved(cases.wake(tx, case))

    return unit


def assign(case_id: str, agent_id: str, body: Body) -> Unit:
    to = _needed(body, "agent")
    return lambda tx: _moved(cases.assign(tx, case_id, to, desk=NAME, by=agent_id))


def transfer(case_id: str, agent_id: str, body: Body) -> Unit:
    team = _needed(body, "team")
    return lambda tx: _moved(cases.transfer(tx, case_id, agent_id, team, desk=NAME))


def resolve(case_id: str, agent_id: str, body: Body) -> Unit:
    outcome = _needed(body, "outcome")
    topic, reason = (clean(text_of(body, name) or "").strip() or None for name in ("topic", "reason"))
    if topic and len(topic) > MAX_TOPIC:
        raise StafettError(f"a topic is at most {MAX_TOPIC} characters")
    _not_too_long(reason or "")
    return lambda tx: _moved(cases.resolve(tx, case_id, agent_id, outcome, topic, reason))


def reply(case_id: str, agent_id: str, body: Body) -> Unit:
    """Through the undo window. `ref` is the page's own id for it: sent twice, it is one reply."""
    words, ref, ids = _words(body), _ref(body, agent_id), _file_ids(body)

    def unit(tx: Tx) -> dict[str, Any]:
        made = cases.draft(tx, case_id, agent_id, words, _files(tx, ids, agent_id), desk=NAME, ref=ref)
        return {"relay": relay_row(tx.conn, tx.wiring.desk(), made)}

    return unit


def take_back(case_id: str, agent_id: str, body: Body) -> Unit:
    """`as_note`: it stays in the case as a note. `gone` false: the customer already has it, for good."""
    ref, as_note = _ref(body, agent_id), body.get("as_note") is True

    def unit(tx: Tx) -> dict[str, Any]:
        known = store.relay(tx.conn, NAME, ref)
        if known is None or known.case_id != case_id:
            raise NotFound("there is no such reply")
        if known.state == "said" and as_note:
            return {"gone": False}
        return {"gone": cases.take_back(tx, NAME, ref, as_note=as_note)}

    return unit


def note(case_id: str, agent_id: str, body: Body) -> Unit:
    words, ref, ids = _words(body), _ref(body, agent_id), _file_ids(body)

    def unit(tx: Tx) -> dict[str, Any]:
        made = cases.note(tx, case_id, agent_id, words, _files(tx, ids, agent_id), desk=NAME, ref=ref)
        return {"message": made.id}

    return unit


VERBS: Mapping[str, Verb] = {
    "claim": claim,
    "release": release,
    "snooze": snooze,
    "wake": wake,
    "assign": assign,
    "transfer": transfer,
    "resolve": resolve,
    "reply": reply,
    "take-back": take_back,
    "note": note,
    **persons.VERBS,
}


def _moved(case: Case) -> dict[str, Any]:
    return {"id": case.id, "status": str(case.status)}


def _needed(body: Body, name: str) -> str:
    value = text_of(body, name)
    if value is None:
        raise StafettError(f"{name} is missing")
    return value


def _words(body: Body) -> str:
    words = clean(text_of(body, "text") or "")
    _not_too_long(words)
    return words


def _not_too_long(words: str) -> None:
    if len(words) > MAX_TEXT:
        raise StafettError(f"a text is at most {MAX_TEXT} characters")


def _ref(body: Body, agent_id: str) -> str:
    """The page's id, made the agent's own: nobody can name another's."""
    try:
        return f"{agent_id}:{uuid.UUID(_needed(body, 'ref'))}"
    except ValueError as error:
        raise StafettError("ref is a UUID made by the page") from error


def _file_ids(body: Body) -> list[str]:
    ids = body.get("files") or []
    if not isinstance(ids, list) or len(ids) > MAX_FILES or not all(isinstance(one, str) for one in ids):
        raise StafettError(f"files is a list of at most {MAX_FILES} ids")
    return ids


def _files(tx: Tx, ids: Sequence[str], agent_id: str) -> list[FileRef]:
    found = own.uploads(tx.conn, ids, agent_id)
    if len(found) != len(ids):
        raise NotFound("a file is not there, or not yours; upload it again")
    return found


def _moment(body: Body, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(_needed(body, name))
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise StafettError(f"{name} is a time such as 2026-01-31T09:00:00Z") from error
