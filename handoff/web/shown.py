"""What the page reads: cases, messages, relays and the brief as plain JSON. Pure, but for the two that read.

Whatever a customer typed passes `visible` on its way here: nothing hides in it, nothing turns around what stands
beside it. The record keeps it as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from bot.model import AuthorKind, CaseStatus, Customer, FileRef, Message
from bot.storage import customers, history
from channels.text import one_line, visible
from channels.web.frames import html
from handoff import brief as briefs
from handoff import clocks, persons, store, terms, verdicts
from handoff.case import AgentView, Case, Relay
from handoff.errands.verbs import META
from handoff.web import aside, helping
from handoff.web import store as own

PAGE = 150  # messages of a timeline at first
MOST = 3000  # … and at most


def listing(conn: store.Reader, desk: Any, view: str, me: AgentView) -> dict[str, Any]:
    """A view's cases, each with its customer's name and last line; and how many each view has."""
    found = own.listed(conn, view, me.id, me.team)
    lines = own.last_lines(conn, found)
    rows = []
    for case in found:
        who = customers.customer(conn, case.customer_id)
        last = lines.get(case.id)
        rows.append(case_row(conn, desk, case, who, me) | {"last": last_line(last) if last else None})
    return {"items": rows, "counts": own.counts(conn, me.id, me.team)}


def case_row(conn: store.Reader, desk: Any, case: Case, who: Customer | None, me: AgentView) -> dict[str, Any]:
    holder = case.agent_id if case.with_people else None
    return {
        "id": case.id,
        "number": case.number,
        "customer": {"id": case.customer_id, "name": one_line(who.name, 80) if who else ""},
        "status": str(case.status),
        "channel": case.channel,
        "locale": who.locale if who else case.locale,
        "team": terms.team_name(desk, case.team),
        "priority": case.priority,
        "agent": {"id": holder, "name": store.agent_name(conn, desk, holder)} if holder else None,
        "mine": holder == me.id,
        "over": not case.live,
        "may_act": case.live and (holder in {None, me.id} or me.leads),
        "topic": one_line(case.topic or "", 80),
        "outcome": case.outcome,
        "reason": visible(case.reason or ""),
        "opened_at": iso(case.opened_at),
        "resolved_at": iso(case.resolved_at or case.closed_at),
        "resolved_by": store.agent_name(conn, desk, case.last_agent_id) if case.resolved_by == "agent" else "",
        "last_customer_at": iso(case.last_customer_at),
        "waiting_since": iso(briefs.owed_since(case)),
        "due_at": iso(due.at if (due := clocks.next_due(desk, case)) else None),
        "snoozed_until": iso(case.next_action_at) if case.status is CaseStatus.SNOOZED else None,
        "reopened": case.reopened,
        "blocked": persons.is_blocked(who),
    }


def last_line(message: Message) -> dict[str, Any]:
    words = one_line(message.body.text, 160) or (one_line(message.body.files[0].name) if message.body.files else "")
    return {"by": str(message.author.kind), "name": message.author.name, "text": words, "at": iso(message.at)}


def whole(conn: store.Reader, desk: Any, case: Case, me: AgentView, limit: int = PAGE) -> dict[str, Any]:
    """A case with all that its agent needs: the brief, the customer's whole timeline, what is on its way to them."""
    who = customers.customer(conn, case.customer_id)
    found = history.latest(conn, case.customer_id, min(limit, MOST) + 1, notes=True)
    messages = found[-limit:]
    relays = {one.id: one for one in store.relays_of(conn, case.id)}
    marks = own.deliveries(conn, [one.id for one in messages if one.author.kind is not AuthorKind.CUSTOMER])
    return {
        "case": case_row(conn, desk, case, who, me),
        "brief": brief(conn, desk, case),
        "hints": helping.hints_of(conn, desk, case),
        "errands": aside.rows_of(conn, desk, case),
        "messages": [message_row(one, marks.get(one.id), relays) for one in messages],
        "relays": [relay_row(conn, desk, one) for one in relays.values() if one.state in {"waiting", "taken_back"}],
        "more": len(found) > len(messages),
        "me": me.id,
    }


def message_row(message: Message, mark: tuple[str, str | None] | None, relays: Mapping[str, Relay]) -> dict[str, Any]:
    relay = relays.get(str(message.meta.get("relay")))
    body = message.body
    seen = replace(message, body=replace(body, text=visible(body.text)))
    return {
        "id": message.id,
        "note": message.seq is None,
        "errand": message.meta.get(META),
        "case": message.case_id,
        "by": str(message.author.kind),
        "author": {"id": message.author.id, "name": one_line(message.author.name, 80)},
        "channel": message.channel,
        "text": seen.body.text,
        "html": html(seen) if body.text else "",
        "choices": [one_line(choice.label) for choice in body.choices] if body.survey is None else [],
        "survey": asdict(body.survey) if body.survey else None,
        "pressed": bool(message.meta.get("pressed")),
        "files": [file_row(file) for file in body.files],
        "at": iso(message.at),
        "edited": message.edited_at is not None,
        "deleted": message.deleted_at is not None,
        "delivery": {"state": mark[0], "fault": one_line(mark[1] or "", 200)} if mark else None,
        "not_said": relay.state if relay is not None and relay.state in {"refused", "note"} else None,
    }


def relay_row(conn: store.Reader, desk: Any, relay: Relay) -> dict[str, Any]:
    return {
        "id": relay.id,
        "ref": relay.ref,
        "by": {"id": relay.agent_id, "name": store.agent_name(conn, desk, relay.agent_id)},
        "desk": relay.desk,
        "text": relay.text,
        "files": [file_row(file) for file in relay.files],
        "state": relay.state,
        "due_at": iso(relay.due_at),
        "at": iso(relay.created_at),
    }


def brief(conn: store.Reader, desk: Any, case: Case) -> dict[str, Any]:
    made = briefs.read(conn, case, desk)
    who = customers.customer(conn, case.customer_id)
    return {
        "since": iso(made.waiting_since),
        "reason_code": made.reason_code,
        "reason": visible(made.reason),
        "team": made.team,
        "asked": [[one_line(name), one_line(value, 300)] for name, value in made.asked],
        "tried": [one_line(line, 300) for line in made.tried],
        "summary": [one_line(line, 300) for line in made.summary],
        "scores": [score_row(one) for one in made.scores],
        "bad_experience": score_row(made.bad_experience) if made.bad_experience else None,
        "earlier": [
            {
                "number": one.number,
                "at": iso(one.opened_at),
                "topic": one_line(one.topic or ""),
                "outcome": one.outcome,
                "agent": one.agent,
            }
            for one in made.earlier
        ],
        "identities": [
            {
                "channel": one.channel,
                "name": one_line(one.name, 80),
                "evidence": one.evidence,
                "reachable": one.reachable,
            }
            for one in customers.identities(conn, case.customer_id)
        ],
        "email": one_line(str(who.attributes.get("email") or "")) if who else "",
        "since_customer": iso(who.created_at) if who else None,
        "queue": store.position(conn, case),
        "reopened": made.reopened,
        "judged": verdicts.last(conn, case.id),
        "can_judge": verdicts.can_be_judged(case),
    }


def score_row(one: briefs.Score) -> dict[str, Any]:
    return {"instrument": one.instrument, "score": one.score, "comment": visible(one.comment or ""), "at": iso(one.at)}


def file_row(file: FileRef) -> dict[str, Any]:
    return {"id": file.id, "name": one_line(file.name, 120), "type": file.type, "size": file.size}


def agent_rows(found: Sequence[AgentView]) -> list[dict[str, Any]]:
    return [{"id": one.id, "name": one.name, "team": one.team, "available": one.available} for one in found]


def iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
