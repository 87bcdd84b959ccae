"""The case as the widget's WebSocket tells it (CONTRACT.md): what the customer may know of it, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.model import CaseStatus
from handoff import store
from handoff.case import Case

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


def case_frame(conn: store.Reader, case: Case, desk: Desk | None) -> dict[str, Any]:
    """`{"type", "id", "status", "position", "wait_s", "agent"}`. A snoozed case shows as pending.

    `position` and `wait_s` (seconds, as last told) only while queued; `agent` only while one holds it.
    """
    told = case.wait or {}
    queued = case.status is CaseStatus.QUEUED
    held = case.with_people and case.agent_id is not None
    return {
        "type": "case",
        "id": case.id,
        "status": str(CaseStatus.PENDING if case.status is CaseStatus.SNOOZED else case.status),
        "position": store.position(conn, case) if queued else None,
        "wait_s": told.get("wait_s") if queued else None,
        "agent": {"name": store.agent_name(conn, desk, case.agent_id)} if held else None,
    }
