"""Questions to a team, tasks and their answers in the page: verbs as in `verbs`, and how the page reads them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.errors import NotFound, StafettError
from bot.storage.tx import Tx
from channels.text import one_line, visible
from handoff import store
from handoff.case import Case
from handoff.errands import store as rows
from handoff.errands import verbs
from handoff.errands.errand import Errand
from handoff.web import asked
from handoff.web.asked import Body
from handoff.web.desk import NAME

if TYPE_CHECKING:
    from handoff.web.verbs import Unit

DOES = ("talk", "answer", "withdraw")


# ── what agents do ─────────────────────────────────────────────────────────────────────────────────────────────────
def consult(case_id: str, agent_id: str, body: Body) -> Unit:
    """`{"team", "text", "ref"}`, perhaps `due_at`."""
    team, words, ref, until = asked.needed(body, "team"), asked.words(body), asked.ref(body, agent_id), _moment(body)

    def unit(tx: Tx) -> dict[str, Any]:
        made = verbs.consult(tx, case_id, agent_id, team, words, desk=NAME, due_at=until, ref=ref)
        return {"errand": made.id, "state": made.state}

    return unit


def task(case_id: str, agent_id: str, body: Body) -> Unit:
    """`{"owner", "text", "due_at", "ref"}`."""
    owner, words, ref, until = asked.needed(body, "owner"), asked.words(body), asked.ref(body, agent_id), _moment(body)
    if until is None:
        raise StafettError("due_at is missing")
    due_at = until

    def unit(tx: Tx) -> dict[str, Any]:
        made = verbs.task(tx, case_id, agent_id, owner, words, due_at, desk=NAME, ref=ref)
        return {"errand": made.id, "state": made.state}

    return unit


def errand(case_id: str, agent_id: str, body: Body) -> Unit:
    """`{"errand", "do": talk | answer | withdraw}`, with `text` and `ref` for the first two."""
    which, does = asked.needed(body, "errand"), asked.needed(body, "do")
    if does not in DOES:
        raise StafettError(f"do is one of {', '.join(DOES)}")
    words, ref = ("", None) if does == "withdraw" else (asked.words(body), asked.ref(body, agent_id))

    def unit(tx: Tx) -> dict[str, Any]:
        known = rows.one(tx.conn, which)
        if known is None or known.case_id != case_id:
            raise NotFound("nothing was asked by that name")
        if does == "withdraw":
            done = verbs.withdraw(tx, which, agent_id, desk=NAME)
        else:
            say = verbs.talk if does == "talk" else verbs.answer
            done = say(tx, which, agent_id, words, desk=NAME, ref=ref)
        return {"errand": done.id, "state": done.state}

    return unit


# ── what the page reads ────────────────────────────────────────────────────────────────────────────────────────────
def rows_of(conn: store.Reader, desk: Any, case: Case) -> list[dict[str, Any]]:
    return [row(conn, desk, one) for one in rows.of_case(conn, case.id)]


def row(conn: store.Reader, desk: Any, one: Errand) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "of": one_line(verbs.name_of(conn, desk, one), 80),
        "team": one.team,
        "owner": one.owner_id,
        "by": {"id": one.asked_by, "name": one_line(store.agent_name(conn, desk, one.asked_by), 80)},
        "text": visible(one.text),
        "state": one.state,
        "at": _iso(one.asked_at),
        "due_at": _iso(one.due_at),
        "ended_at": _iso(one.ended_at),
        "reminders": one.reminders,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def _moment(body: Body) -> datetime | None:
    return asked.moment(body, "due_at") if body.get("due_at") is not None else None
