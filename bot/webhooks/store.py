"""The rows that webhooks tell of, and those that wait to tell."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from bot.storage import tables as t
from bot.storage.export import to_json
from bot.storage.outbox_rows import live
from bot.storage.tx import Tx

LOOK_BACK = 20  # newest rows of a lane among which one of this very transaction is looked for
CASE = ("id", "number", "status", "channel", "locale", "team", "topic", "outcome", "reason", "priority", "resolved_by",
        "reopened", "opened_at", "escalated_at", "claimed_at", "first_reply_at", "resolved_at")  # fmt: skip
ANSWER = ("id", "instrument", "score", "comment", "channel", "locale", "team", "topic", "source", "mode", "at")


def case(conn: Connection, case_id: str) -> dict[str, Any] | None:
    """As `GET /cases/{id}` has it, less the score."""
    row = conn.execute(select(t.cases).where(t.cases.c.id == case_id)).mappings().first()
    if row is None:
        return None
    why = (row["escalation"] or {}).get("reason") or (row["escalation"] or {}).get("reason_code")
    plain = {name: to_json(row[name]) for name in CASE}
    return plain | {"customer": row["customer_id"], "agent": row["agent_id"], "escalation": why}


def answer(conn: Connection, response_id: str) -> dict[str, Any] | None:
    """As `GET /surveys/responses` has it."""
    r = t.survey_responses
    row = conn.execute(select(r).where(r.c.id == response_id)).mappings().first()
    if row is None:
        return None
    plain = {name: to_json(row[name]) for name in ANSWER}
    whose = {"case": row["case_id"], "customer": row["customer_id"], "agent": row["agent_id"]}
    return plain | whose | {"reason": (row["extra"] or {}).get("reason"), "edited_at": to_json(row["edited_at"])}


def tell_anew(tx: Tx, lane: str, case_id: str, payload: dict[str, Any]) -> bool:
    """A case that this transaction has told of already is told as it is now, instead of twice; False: it was not told yet."""
    o = t.outbox
    newest = select(o.c.id, o.c.created_at, o.c.kind, o.c.payload).where(
        o.c.lane == lane, live(o.c.state), o.c.state == "ready"
    )
    for row in tx.conn.execute(newest.order_by(o.c.n.desc()).limit(LOOK_BACK)):
        if row.created_at == tx.now and row.kind == "case" and row.payload["body"]["data"]["id"] == case_id:
            tx.conn.execute(update(o).where(o.c.id == row.id).values(payload=payload))
            return True
    return False
