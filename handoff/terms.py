"""What the desk in force says about taking over, each with its default.

One place reads the desk folder, so that the rest of this package asks in its own words. No desk at all (None) gives
every default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot.desk_folder.desk import REACTIONS, Routing, Sla
from bot.staffing import people as staffing_terms
from bot.staffing.holidays import DaysOff
from bot.texts import Texts
from handoff.case import Case
from handoff.sla import WARN, Targets

if TYPE_CHECKING:
    from bot.desk_folder.desk import Agent, Desk, Team
    from bot.staffing.hours import Week

REOPEN = timedelta(hours=72)  # CONTRACT: unless the desk says otherwise
SILENCE = timedelta(hours=24)  # a conversation with the bot is over after so long without a word
IDLE = timedelta(hours=24)  # an agent's case without a word from anybody is shown again
NUDGE = timedelta(hours=24)  # a case that waits for its customer: they are asked whether that was all
GIVE_UP = timedelta(days=4)  # … and it ends
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


def opening(desk: Desk | None, team_id: str | None) -> tuple[tzinfo, Week | None, DaysOff]:
    """Opening hours as (time zone, week or None for always, days off), as `bot.staffing` reads them."""
    return staffing_terms.opening(desk, team_id) if desk else (UTC, None, DaysOff())


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


def nudge(desk: Desk | None) -> timedelta | None:
    """How long a case waits for the customer until they are asked whether that was all; None: never."""
    return _unless_off(desk.escalation.nudge if desk else None, NUDGE)


def give_up(desk: Desk | None) -> timedelta | None:
    """How long a case waits for the customer until it ends; None: never."""
    return _unless_off(desk.escalation.give_up if desk else None, GIVE_UP)


def _unless_off(said: timedelta | None, default: timedelta) -> timedelta | None:
    return default if said is None else said or None


def routing(desk: Desk | None) -> Routing:
    return desk.routing if desk else Routing()


def targets(desk: Desk | None, case: Case) -> Targets:
    """The service levels of a case: its flow's own, its priority's, the desk's."""
    found = {one.priority: one for one in (desk.sla if desk else ())}
    own, general = found.get(case.priority, Sla()), found.get("", Sla())
    by_flow = (case.escalation or {}).get("sla_s")
    return Targets(
        timedelta(seconds=by_flow) if by_flow else own.first_response or general.first_response,
        own.next_response or general.next_response,
        own.resolution or general.resolution,
        general.warn or WARN,
    )


def reactions(desk: Desk | None) -> Mapping[str, str]:
    """What a reaction on a case's card in Slack does: emoji → verb."""
    return desk.reactions if desk else REACTIONS


def idle(desk: Desk | None) -> timedelta:
    return (desk.escalation.idle if desk else None) or IDLE
