"""What the API asks of this room (`bot.api.rooms.CaseRoom`): cases and agents as plain dicts, the verbs as a program's.

A program acts for an agent whom it names, or for nobody; that agent must be in desk.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.api.problems import Unprocessable
from bot.desk_folder.desk import Desk
from bot.errors import NotFound
from bot.model import Clock, Message
from bot.storage.tx import Tx
from handoff import cases, store
from handoff.case import Case
from handoff.errands import store as asked_rows
from handoff.errands import verbs as asking
from handoff.errands.errand import Errand
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

    def errands(self, conn: Reader, case_id: str) -> list[Mapping[str, Any]]:
        return [errand_shape(one) for one in asked_rows.of_case(conn, case_id)]

    def ask(self, tx: Tx, case_id: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        team, owner, until, text = asked["team"], asked["agent"], asked["due_at"], str(asked["text"])
        by = self._listed(tx, asked["by"]) if asked["by"] else None
        if (team is None) == (owner is None):
            raise Unprocessable("body", "name a team to ask, or the agent whose task it is")
        if team is not None:
            made = asking.consult(tx, case_id, by, team, text, desk=DESK, due_at=until)
        elif until is None:
            raise Unprocessable("body.due_at", "a task needs a time")
        else:
            made = asking.task(tx, case_id, by, self._listed(tx, owner), text, until, desk=DESK)
        return errand_shape(made)

    def answer(self, tx: Tx, case_id: str, errand_id: str, text: str, agent: str) -> Mapping[str, Any]:
        known = asked_rows.one(tx.conn, errand_id)
        if known is None or known.case_id != case_id:
            raise NotFound("nothing was asked by that name")
        return errand_shape(asking.answer(tx, errand_id, self._listed(tx, agent), text, desk=DESK))

    def resolve(
        self, tx: Tx, case_id: str, outcome: str, topic: str | None, reason: str | None, agent: str | None
    ) -> Mapping[str, Any]:
        who = self._listed(tx, agent) if agent else None
        return shape(cases.resolve(tx, case_id, who, outcome, topic, reason))

    def _listed(self, tx: Tx, agent: str) -> str:
        if all(one.id != agent for one in store.agents(tx.conn, self._desk())):
            raise Unprocessable("body.agent", "there is no such agent; GET /agents lists them")
        return agent


def errand_shape(one: Errand) -> Mapping[str, Any]:
    """What was asked, as the API tells it."""
    return {
        "id": one.id,
        "kind": one.kind,
        "case": one.case_id,
        "team": None if one.is_task else one.team,
        "agent": one.owner_id,
        "by": one.asked_by,
        "text": one.text,
        "state": one.state,
        "asked_at": one.asked_at,
        "due_at": one.due_at,
        "answered_by": one.answered_by,
        "ended_at": one.ended_at,
    }


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
