"""What the API asks of this room (`bot.api.rooms.CaseRoom`): cases and agents as plain dicts, the verbs as a program's.

A program acts for an agent whom it names, or for nobody; that agent must be in desk.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.api.problems import Unprocessable
from bot.desk_folder.desk import Desk
from bot.model import Clock, Message
from bot.storage.tx import Tx
from handoff import cases, store
from handoff.case import Case
from handoff.store import Reader

DESK = "api"


class CasesForApi:
    """`desk` is the desk in force."""

    def __init__(self, desk: Callable[[], Desk], clock: Clock) -> None:
        self._desk = desk
        self._clock = clock

    def listed(self, conn: Reader, *, after: str | None, limit: int, **filters: str | None) -> list[Mapping[str, Any]]:
        return [shape(one) for one in store.listing(conn, after=after, limit=limit, **filters)]

    def one(self, conn: Reader, case_id: str) -> Mapping[str, Any] | None:
        found = store.case(conn, case_id)
        return None if found is None else shape(found)

    def live(self, conn: Reader, customer_id: str) -> str | None:
        found = store.live_case(conn, customer_id)
        return None if found is None else found.id

    def agents(self, conn: Reader) -> list[Mapping[str, Any]]:
        return [
            {
                "id": one.id,
                "name": one.name,
                "team": one.team,
                "available": one.available,
                "role": one.role,
                "locales": list(one.locales),
            }
            for one in store.agents(conn, self._desk(), self._clock())
        ]

    def assign(self, tx: Tx, case_id: str, agent: str) -> Mapping[str, Any]:
        return shape(cases.assign(tx, case_id, self._listed(tx, agent), desk=DESK))

    def reply(self, tx: Tx, case_id: str, text: str, agent: str | None) -> Message:
        who = self._listed(tx, agent) if agent else None
        return cases.reply(tx, case_id, who, text, desk=DESK, markdown=False, assign_if_needed=True)

    def note(self, tx: Tx, case_id: str, text: str, agent: str | None) -> Message:
        return cases.note(tx, case_id, self._listed(tx, agent) if agent else None, text, desk=DESK)

    def resolve(
        self, tx: Tx, case_id: str, outcome: str, topic: str | None, reason: str | None, agent: str | None
    ) -> Mapping[str, Any]:
        who = self._listed(tx, agent) if agent else None
        return shape(cases.resolve(tx, case_id, who, outcome, topic, reason))

    def _listed(self, tx: Tx, agent: str) -> str:
        if all(one.id != agent for one in store.agents(tx.conn, self._desk())):
            raise Unprocessable("body.agent", "there is no such agent; GET /agents lists them")
        return agent


def shape(case: Case) -> Mapping[str, Any]:
    """A case as the API tells it."""
    fetched = case.escalation or {}
    return {
        "id": case.id,
        "number": case.number,
        "customer": case.customer_id,
        "status": case.status,
        "channel": case.channel,
        "locale": case.locale,
        "team": case.team,
        "agent": case.agent_id,
        "topic": case.topic,
        "outcome": case.outcome,
        "reason": case.reason,
        "priority": case.priority,
        "escalation": fetched.get("reason") or fetched.get("reason_code"),
        "opened_at": case.opened_at,
        "escalated_at": case.escalated_at,
        "claimed_at": case.claimed_at,
        "first_reply_at": case.first_reply_at,
        "resolved_at": case.resolved_at,
        "resolved_by": case.resolved_by,
        "reopened": case.reopened,
    }
