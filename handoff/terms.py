"""What the desk in force says about taking over, each with its default.

One place reads the desk folder, so that the rest of this package asks in its own words. A desk is a
`bot.desk_folder.Desk`; None (no desk at all) gives every default.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from bot.texts import Texts

REOPEN = timedelta(hours=72)  # CONTRACT: unless the desk says otherwise
SILENCE = timedelta(hours=24)  # a conversation with the bot is over after so long without a word
IDLE = timedelta(hours=24)  # an agent's case without a word from anybody is shown again
QUEUE_EVERY = timedelta(minutes=3)  # a customer in the queue is told no oftener than this
UNDO = timedelta(seconds=5)  # an agent's words wait so long, and can be taken back
DEFAULT_WAIT_S = 180  # while nothing has been measured


def texts(desk: Any) -> Texts | None:
    """The desk's own wording, `key → {locale: text}`."""
    found: Texts | None = getattr(desk, "texts", None)
    return found


def locales(desk: Any) -> Sequence[str]:
    return tuple(getattr(desk, "locales", None) or ("en",))


def agents_locale(desk: Any) -> str:
    """The language that agents read: the desk's first."""
    return locales(desk)[0]


def zone(desk: Any) -> tzinfo:
    found = getattr(desk, "time_zone", None) or "UTC"
    return ZoneInfo(found) if isinstance(found, str) else found


def teams(desk: Any) -> Sequence[Any]:
    """Each has `id`, `name`, and perhaps `hours`."""
    return tuple(getattr(desk, "teams", None) or ())


def team(desk: Any, team_id: str | None) -> Any:
    return next((one for one in teams(desk) if one.id == team_id), None)


def team_name(desk: Any, team_id: str | None) -> str:
    found = team(desk, team_id)
    return str(getattr(found, "name", None) or team_id or "")


def opening(desk: Any, team_id: str | None) -> tuple[tzinfo, Any, Sequence[Any]]:
    """Opening hours as (time zone, week or None for always, holidays): the team's own where it has them."""
    own = team(desk, team_id)
    week = getattr(own, "hours", None) or getattr(desk, "hours", None)
    holidays = tuple(getattr(desk, "holidays", None) or ()) + tuple(getattr(own, "holidays", None) or ())
    return zone(desk), week, holidays


def default_team(desk: Any) -> str | None:
    known = teams(desk)
    return _escalation(desk, "team", None) or (known[0].id if known else None)


def listed_agents(desk: Any) -> Sequence[Any]:
    """Who is in desk.yaml: `id`, `name`, `team`, `role`, `locales` …"""
    return tuple(getattr(desk, "agents", None) or ())


def reopen_window(desk: Any) -> timedelta:
    return _span(getattr(desk, "reopen_window", None), REOPEN)


def undo(desk: Any) -> timedelta:
    return _span(getattr(desk, "undo", None), UNDO)


def queue_every(desk: Any) -> timedelta:
    return _span(_escalation(desk, "queue_updates", None), QUEUE_EVERY)


def silence(desk: Any) -> timedelta:
    return _span(_escalation(desk, "silence", None), SILENCE)


def idle(desk: Any) -> timedelta:
    return _span(_escalation(desk, "idle", None), IDLE)


def _escalation(desk: Any, name: str, default: Any) -> Any:
    return getattr(getattr(desk, "escalation", None), name, default)


def _span(value: Any, default: timedelta) -> timedelta:
    """A duration as the desk gives it: a timedelta, or seconds."""
    if value is None:
        return default
    return value if isinstance(value, timedelta) else timedelta(seconds=float(value))
