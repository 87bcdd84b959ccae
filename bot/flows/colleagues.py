"""The people of a desk on the stage of a conversation test: who is there, who is given the case, who is called. Pure.

They act by the same rules as the house's (`bot.staffing.routing`), as far as a script names them: `agents: {ann: free, bob:
away, eve: 2}`. Who is not named is away; a number is how many cases somebody has in hand. A script that only says how many
agents there are (`agents: 2`) has nobody who could be given a case: its customers wait in the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bot.staffing import people, routing
from bot.staffing.hours import Hours, after_business, is_open_at, next_opening
from bot.staffing.routing import Choice, Colleague, Wanted

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

STATES = ("free", "away")
Said = tuple[str, Mapping[str, str]]
"""A sentence of the product that the customer hears: its key, and what is filled in."""


class Colleagues:
    """`agent` has the case; `called` are the groups and people whom the ladder called, in order."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.staff: dict[str, Colleague] = {}
        self.wanted = Wanted("case", None, "en")
        self.always_open = True
        self.agent: str | None = None
        self.called: list[str] = []
        self._since: datetime | None = None  # from when the ladder counts; None: nobody waits for an answer
        self._rung = 0
        self._offered_at: datetime | None = None

    def come(self, states: Mapping[str, Any]) -> str:
        """From here on these people are there as they are; what is wrong with that, or ""."""
        known = {one.id: people.colleague(self.desk, one) for one in self.desk.agents}
        unknown = next((one for one in states if one not in known), None)
        if unknown is not None:
            return f'there is no agent "{unknown}"; desk.yaml names {", ".join(known) or "none"}'
        away = {one: replace(colleague, available=False) for one, colleague in known.items()}
        for one, state in states.items():
            if state not in STATES and (not isinstance(state, int) or isinstance(state, bool) or state < 0):
                return f'agents: {one} is free, away, or a number of cases, not "{state}"'
            held = state if isinstance(state, int) else 0
            away[one] = replace(known[one], available=state != "away", holds=held)
        self.staff = away
        return ""

    @property
    def count(self) -> int:
        return sum(one.available for one in self.staff.values())

    @property
    def hours(self) -> Hours:
        return people.hours_of(self.desk, self.wanted.team)

    @property
    def team(self) -> str | None:
        return self.wanted.team

    def fetch(self, wanted: Wanted, now: datetime) -> list[Said]:
        """A case comes into a queue: what its customer hears, if somebody is given it."""
        self.wanted, self.agent, self.called = self.overflowing(wanted, now), None, []
        self._since, self._rung, self._offered_at = now, 0, None
        return self._give(now)

    def answer(self) -> None:
        """An agent's first word."""
        self._since = self._offered_at = None

    def accept(self) -> None:
        self._offered_at = None

    def next_at(self, now: datetime) -> datetime | None:
        """When something happens next, if nobody does anything."""
        found = [self._offer_ends(), self._rung_at()]
        if self._since is not None and self.agent is None and self.staff and not self._is_open(now):
            found.append(next_opening(self.hours, now))
        return min((at for at in found if at is not None), default=None)

    def ring(self, now: datetime) -> list[Said]:
        """What happens at that moment; what the customer hears of it."""
        said: list[Said] = []
        ends = self._offer_ends()
        if ends is not None and ends <= now and self.agent is not None:
            said.append(("offer_lapsed", {"agent": self._name(self.agent)}))
            self.wanted = replace(self.wanted, tried=self.wanted.tried | {self.agent})
            self.agent = self._offered_at = None
        at = self._rung_at()
        if at is not None and at <= now:
            rung = self.desk.routing.ladder[self._rung]
            self._rung += 1
            if rung.team is None:
                self.called.append(rung.group or rung.person or "")
            elif self.agent is None and self.has_staff(rung.team, now):
                self.wanted = replace(self.wanted, team=rung.team)
        return said + ([] if self.agent else self._give(now))

    def _give(self, now: datetime) -> list[Said]:
        choice = self._choice() if self._since is not None and self._is_open(now) else None
        if choice is None:
            return []
        last = max(one.given for one in self.staff.values()) + 1
        taker = self.staff[choice.agent]
        self.staff[choice.agent] = replace(taker, holds=taker.holds + 1, given=last)
        self.agent, self._offered_at = choice.agent, now
        return [("agent_given", {"agent": self._name(choice.agent)})]

    def _choice(self) -> Choice | None:
        return routing.choose(self.wanted, list(self.staff.values()), self.desk.routing.assign)

    def overflowing(self, wanted: Wanted, now: datetime) -> Wanted:
        """To the team that takes the overflow, while nobody of this one is there."""
        return replace(wanted, team=people.overflowing(self.desk, wanted.team, lambda one: self.has_staff(one, now)))

    def has_staff(self, team: str | None, now: datetime) -> bool:
        there = any(one.available and one.team in {None, team} for one in self.staff.values()) or not self.staff
        return there and (self.always_open or is_open_at(people.hours_of(self.desk, team), now))

    def _is_open(self, now: datetime) -> bool:
        return self.always_open or is_open_at(self.hours, now)

    def _offer_ends(self) -> datetime | None:
        if self._offered_at is None or self._since is None:
            return None
        return self._after(self._offered_at, self.desk.routing.answer_within)

    def _rung_at(self) -> datetime | None:
        ladder = self.desk.routing.ladder
        if self._since is None or self._rung >= len(ladder):
            return None
        return self._after(self._since, ladder[self._rung].after)

    def _after(self, since: datetime, span: timedelta) -> datetime | None:
        return since + span if self.always_open else after_business(self.hours, since, span)

    def _name(self, agent: str) -> str:
        return next((one.name for one in self.desk.agents if one.id == agent), agent)
