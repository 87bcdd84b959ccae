"""Moments as a reader of the console sees them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.console.page import Visit
from bot.texts import moment


def when(visit: Visit, at: datetime) -> str:
    """In the desk's time zone, in the reader's language: "Mon, Nov 3, 14:05"."""
    return moment(at, visit.locale, ZoneInfo(visit.rooms.rules.time_zone))
