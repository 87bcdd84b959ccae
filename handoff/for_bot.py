"""What the bot asks of cases: `bot/dialogue`'s `Cases`, which `app.py` hands it. The bot must not know this room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.answers.rules import is_unhappy
from bot.events import EscalationAsked
from bot.model import CaseStatus
from bot.staffing import people
from bot.storage import marks
from bot.storage.tx import Tx
from handoff import cases, hours, meanwhile, routing, store, terms
from handoff.case import Case

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


class CasesForBot:
    def __init__(self, desk: Callable[[], Desk]) -> None:
        self._desk = desk
        self._opened: tuple[Desk, int, bool] | None = None  # what was found for a minute

    def ensure_open(self, tx: Tx, customer_id: str, channel: str) -> Case:
        return cases.ensure_open(tx, customer_id, channel)

    def live(self, tx: Tx, customer_id: str) -> Case | None:
        return store.live_now(tx, customer_id)

    def last(self, tx: Tx, customer_id: str) -> Case | None:
        """Their latest case, over or not."""
        return store.live_now(tx, customer_id) or store.last_case(tx.conn, customer_id)

    def recently_resolved(self, tx: Tx, customer_id: str) -> bool:
        """Whether their last case has ended, but could still be reopened."""
        last = store.last_case(tx.conn, customer_id)
        return last is not None and last.status is CaseStatus.RESOLVED

    def talks_with_bot(self, tx: Tx, customer_id: str) -> bool:
        """Whether they wait in the queue, and chose to go on with the bot meanwhile."""
        case = store.live_now(tx, customer_id)
        return case is not None and meanwhile.is_with_bot(case)

    def knew(self, tx: Tx, customer_id: str, topics: Sequence[str], since: datetime) -> str | None:
        """The agent who last had one of these topics with this customer in a case that ended after `since`."""
        return store.known_by(tx.conn, customer_id, topics, since)

    def was_unhappy(self, tx: Tx, customer_id: str) -> bool:
        """Whether the customer's last answer to a survey was a detractor's."""
        return any(is_unhappy(instrument, score) for instrument, score, *_ in store.scores(tx.conn, customer_id, 1))

    def agents_available(self, tx: Tx, now: datetime) -> int:
        """How many agents are there: available, and their team open."""
        desk = self._desk()
        there = store.on_duty(tx.conn, desk, None, now)
        return sum(hours.is_open(desk, one.team or terms.default_team(desk), now) for one in there)

    def is_staffed(self, tx: Tx, asked: EscalationAsked, customer: Mapping[str, Any], flow: str) -> bool:
        """Whether somebody is there where that escalation would go, of a customer whom a flow knows so by now.

        `flow` is the one that begins in this moment, else "".
        """
        case = self.last(tx, asked.customer_id)
        if case is None:
            return False
        team = case.team
        if not case.with_people:
            case = replace(case, flow=people.came_for(self._desk(), case.flow, flow))
            team, _ = routing.destination(tx, case, asked.team, asked.priority, asked.reason_code, customer)
        return routing.is_staffed(tx, self._desk(), team)

    def is_open(self, now: datetime) -> bool:
        desk, minute = self._desk(), int(now.timestamp()) // 60  # hours are given by the minute
        if self._opened is None or self._opened[0] is not desk or self._opened[1] != minute:
            begun = now.replace(second=0, microsecond=0)
            self._opened = desk, minute, hours.is_open(desk, terms.default_team(desk), begun)
        return self._opened[2]

    def opens_at(self, now: datetime) -> datetime | None:
        """When the desk's first team is there again (now, if it is); None: nobody knows."""
        return hours.next_open(self._desk(), terms.default_team(self._desk()), now)

    def count_question(self, tx: Tx, case_id: str) -> None:
        """One more question that the customer had to answer: effort."""
        store.count_question(tx, case_id)

    def began_flow(self, tx: Tx, case_id: str, flow: str, version: str) -> None:
        case = store.case_now(tx, case_id)
        if case is not None:
            store.change(tx, case, flow=flow, flow_version=version)
            marks.mark(tx.conn, marks.CASES, case_id)
