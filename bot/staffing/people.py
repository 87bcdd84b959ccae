"""What a desk says about a team's hours and its people, in the words of `bot.staffing`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot.staffing.holidays import DaysOff
from bot.staffing.hours import Hours, Week
from bot.staffing.routing import Colleague, team_for

if TYPE_CHECKING:
    from bot.desk_folder.desk import Agent, Desk, RoutingRule, Team
    from bot.flows.expressions import Scope


def team_of(desk: Desk, team_id: str | None) -> Team | None:
    return next((one for one in desk.teams if one.id == team_id), None)


def default_team(desk: Desk) -> str | None:
    """Where a case goes when nothing names a team: as the desk says, else its first."""
    return desk.escalation.team or (desk.teams[0].id if desk.teams else None)


def opening(desk: Desk, team_id: str | None) -> tuple[tzinfo, Week | None, DaysOff]:
    """Opening hours as (time zone, week or None for always, days off): the team's own where it has them.

    Own days off are added to the desk's; a country of its own stands in the place of the desk's.
    """
    own = team_of(desk, team_id)
    week = own.hours if own is not None and own.hours is not None else desk.hours
    zone = ZoneInfo((own.time_zone if own else None) or desk.time_zone)
    off, mine = desk.holidays, own.holidays if own else None
    if mine is not None:
        off = DaysOff(off.dates | mine.dates, mine.public or off.public, off.open_on | mine.open_on)
    return zone, week, off


def hours_of(desk: Desk, team_id: str | None) -> Hours:
    return Hours(*opening(desk, team_id))


def destination(desk: Desk, asked: str | None, locale: str, scope: Scope) -> tuple[str | None, RoutingRule | None]:
    """The team that a case goes to, and the first rule that holds for it.

    The rule's team goes before what a flow asked for (`case.team` in the rule's condition); then the desk's default, or the
    first team that has the language and the skills which that one lacks.
    """
    rule = next((one for one in desk.routing.rules if one.condition.holds(scope)), None)
    if rule is not None and rule.team:
        return rule.team, rule
    if asked and team_of(desk, asked) is not None:
        return asked, rule
    able = [(team.id, team.locales, _skills(desk, team)) for team in desk.teams]
    return team_for(locale, rule.skills if rule else (), default_team(desk), able), rule


def overflowing(desk: Desk, team_id: str | None, is_staffed: Callable[[str | None], bool]) -> str | None:
    """The first team that is there, from this one over those that take the overflow, one after the other; this one if none is."""
    there, seen = team_id, set[str | None]()
    while not is_staffed(there):
        seen.add(there)
        own = team_of(desk, there)
        there = own.overflow if own else None
        if there is None or there in seen:
            return team_id
    return there


def came_for(desk: Desk, before: str | None, began: str) -> str | None:
    """The flow that the desk's rules see as `case.flow`: the one that begins now (else ""), after `before`. People are not
    fetched for the flow that fetches them, but for what was tried.
    """
    return before if began in {"", desk.human_flow} else began


def _skills(desk: Desk, team: Team) -> tuple[str, ...]:
    """A team can do what it says, and what its agents say."""
    return (*team.skills, *(skill for agent in desk.agents if agent.team == team.id for skill in agent.skills))


def colleague(desk: Desk, agent: Agent) -> Colleague:
    """An agent as desk.yaml lists them: there, with nothing in hand."""
    team = team_of(desk, agent.team)
    capacity = agent.capacity or (team.capacity if team else None) or desk.routing.capacity
    skills = (*agent.skills, *(team.skills if team else ()))
    locales = agent.locales or (team.locales if team else ())
    return Colleague(agent.id, agent.team, locales, skills, capacity=capacity)


def as_they_are(colleague: Colleague, held: Mapping[str, int], given: Mapping[str, int], *, here: bool) -> Colleague:
    """That colleague with what they hold now, and the number of the last case that they were given."""
    return replace(colleague, holds=held.get(colleague.id, 0), given=given.get(colleague.id, 0), available=here)
