"""What the desk in force says about taking over, each with its default.

One place reads the desk folder, so that the rest of this package asks in its own words. No desk at all (None) gives
every default.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot.texts import Texts

if TYPE_CHECKING:
    from bot.desk_folder.desk import Agent, Desk, Team, Week

REOPEN = timedelta(hours=72)  # CONTRACT: unless the desk says otherwise
SILENCE = timedelta(hours=24)  # a conversation with the bot is over after so long without a word
IDLE = timedelta(hours=24)  # an agent's case without a word from anybody is shown again
QUEUE_EVERY = timedelta(minutes=3)  # a customer in the queue is told no oftener than this
UNDO = timedelta(seconds=5)  # an agent's words wait so long, and can be taken back
DEFAULT_WAIT_S = 180  # while nothing has been measured


def texts(desk: Desk | None) -> Texts | None:
    """The desk's own wording, `key → {locale: text}`."""
    return desk.texts if desk else None


def agents_locale(desk: Desk | None) -> str:
    """The language that agents read: the desk's first."""
    return desk.locales[0] if desk and desk.locales else "en"


def zone(desk: Desk | None) -> tzinfo:
    return ZoneInfo(desk.time_zone) if desk else UTC


def teams(desk: Desk | None) -> Sequence[Team]:
    return desk.teams if desk else ()


def team(desk: Desk | None, team_id: str | None) -> Team | None:
    return next((one for one in teams(desk) if one.id == team_id), None)


def team_name(desk: Desk | None, team_id: str | None) -> str:
    found = team(desk, team_id)
    return found.name if found else team_id or ""


def opening(desk: Desk | None, team_id: str | None) -> tuple[tzinfo, Week | None, frozenset[date]]:
    """Opening hours as (time zone, week or None for always, holidays): the team's own hours where it has them."""
    own = team(desk, team_id)
    week = own.hours if own is not None and own.hours is not None else desk.hours if desk else None
    holidays = (*(desk.holidays if desk else ()), *(own.holidays if own else ()))
    return zone(desk), week, frozenset(holidays)


def default_team(desk: Desk | None) -> str | None:
    """Where a case goes when the flow names no team: as the desk says, else its first."""
    if desk is None:
        return None
    return desk.escalation.team or (desk.teams[0].id if desk.teams else None)


def listed_agents(desk: Desk | None) -> Sequence[Agent]:
    return desk.agents if desk else ()


def reopen_window(desk: Desk | None) -> timedelta:
    return desk.reopen_window if desk else REOPEN


def undo(desk: Desk | None) -> timedelta:
    return desk.undo if desk else UNDO


def queue_every(desk: Desk | None) -> timedelta:
    return (desk.escalation.queue_updates if desk else None) or QUEUE_EVERY


def silence(desk: Desk | None) -> timedelta:
    return (desk.escalation.silence if desk else None) or SILENCE


def idle(desk: Desk | None) -> timedelta:
    return (desk.escalation.idle if desk else None) or IDLE
