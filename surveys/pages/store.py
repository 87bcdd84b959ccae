"""What the pages of figures read besides figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from bot.storage import tables as t
from bot.storage.marks import CASES
from surveys.figures.columns import times_each
from surveys.rollups.facts import EPOCH
from surveys.rollups.keeping import happened
from surveys.rollups.store import is_far_behind
from surveys.timing import EDIT_WINDOW

EVER = datetime(2200, 1, 1, tzinfo=UTC)
HAD = ("topic", "channel", "team", "agent")
Reader = Connection
"""What queries run on. Files outside the fence around SQLAlchemy know it by this name."""


def mark(conn: Reader, now: datetime) -> str:
    """Another text whenever a case took a step, or somebody answered or edited an answer: whether a page is still right."""
    e, r = t.case_events.c, t.survey_responses.c
    since = now - EDIT_WINDOW - timedelta(hours=1)
    steps = conn.execute(select(func.max(e.n))).scalar()
    lately = select(func.count(), func.max(r.at), func.max(r.edited_at)).where(r.at > since)
    many, answered, edited = conn.execute(lately).one()
    whole = "" if is_far_behind(conn) else "."  # once all is counted, a page is to be drawn anew
    return f"{steps or 0}.{many}.{_stamp(answered)}.{_stamp(edited)}{whole}"


def _stamp(at: datetime | None) -> str:
    return "" if at is None else f"{at.timestamp():.6f}"


def came(conn: Reader, first: str, last: str) -> dict[str, dict[str, int]]:
    """Flow → step → how many came to it on these days of the desk ("2026-03-09", both within)."""
    s = t.step_counts.c
    query = select(s.flow, s.step, func.sum(s.reached)).where(s.day >= first, s.day <= last).group_by(s.flow, s.step)
    found: dict[str, dict[str, int]] = {}
    for flow, step, many in conn.execute(query):
        found.setdefault(flow, {})[step] = int(many)
    return found


def values(conn: Reader) -> dict[str, list[str]]:
    """What can be filtered by, where the desk does not say it, or no more: what cases have had, most frequent first."""
    table = happened(conn, CASES, EPOCH, EVER, set(HAD))
    found = {}
    for name in HAD:
        counted = times_each(table, name)
        found[name] = sorted(filter(None, counted), key=lambda text: (-counted[text], text))[:100]
    return found


def agents(conn: Reader) -> dict[str, str]:
    """The names of all agents whom this desk has ever had, also of those who left."""
    s = t.agent_states.c
    rows = conn.execute(select(s.agent_id, s.name).where(s.name != "").order_by(s.name, s.agent_id))
    return {row.agent_id: row.name for row in rows}
