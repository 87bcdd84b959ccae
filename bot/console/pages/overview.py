"""The first page: what does not work just now, what waits for somebody, the figures in short, what the desk is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from bot.console import store
from bot.console.page import Page, Visit
from bot.texts import babel_locale, known, number

FEWEST = 5  # below this a figure says nothing, and is not shown
RATES, TIMES = ("fcr", "contained", "response"), ("frt", "ttr")
"""The few that stand here beside the scores; all the others are on the page of figures."""
PLACES = {
    "console_waits_queue": "/desk",
    "console_waits_unhappy": "/desk",
    "console_waits_alarms": "/admin/issues",
    "console_waits_notices": "/admin/notices",
    "console_waits_problems": "/admin/problems",
    "console_waits_unsent": "/admin/trouble",
    "console_waits_drafts": "/admin/changes",
}
"""What waits, in the order in which it is told → where it is looked after."""


async def show(visit: Visit) -> Response:
    seen = dict(await visit.rooms.overview())
    storage = visit.rooms.storage
    today = storage.clock().astimezone(ZoneInfo(visit.rooms.rules.time_zone)).date().isoformat()
    found = await storage.read(lambda conn: store.waiting(conn, today))
    found |= {"console_waits_unsent": seen.pop("unsent", 0), "console_waits_drafts": visit.frame.drafts}
    waits = [(key, place, found[key]) for key, place in PLACES.items() if found[key]]
    rows = list(_rows(visit, seen.pop("report")))
    return await visit.page("overview.html", rows=rows, waits=waits, fewest=FEWEST, **seen)


def _rows(visit: Visit, report: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, str, str, int]]:
    """(name, value, 95 % interval, n) of the scores and of a few other figures, in the reader's language."""
    for one in report["scores"]:
        kind = "share" if one["instrument"].startswith("csat") else "score"
        yield from _row(visit, one["instrument"], one["n"], one["score"], one["interval"], kind)
    for one in _only(RATES, report["rates"], "rate"):
        yield from _row(visit, one["rate"], one["n"], one["share"], one["interval"], "share")
    for one in _only(TIMES, report["times"], "metric"):
        yield from _row(visit, one["metric"], one["n"], one["median_s"], one["median_interval_s"], "time")


def _only(wanted: Sequence[str], rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    found = {one[name]: one for one in rows}
    return [found[one] for one in wanted if one in found]


def _row(
    visit: Visit, metric: str, n: int, value: float | None, between: Sequence[float] | None, kind: str
) -> Iterator[tuple[str, str, str, int]]:
    key = f"figure_{metric}"
    if n < FEWEST or value is None or not known(key):
        return
    low, high = (_drawn(visit, one, kind) for one in between) if between is not None else ("", "")
    yield visit.t(key), _drawn(visit, value, kind), f"{low} – {high}" if low else "", n


def _drawn(visit: Visit, value: float, kind: str) -> str:
    if kind == "score":
        return number(value, visit.locale, 1)
    if kind == "share":
        from babel.numbers import format_percent

        return format_percent(value, locale=babel_locale(visit.locale))
    from babel.dates import format_timedelta

    return format_timedelta(timedelta(seconds=value), format="short", threshold=1.5, locale=babel_locale(visit.locale))


PAGES = (Page("/", show, menu="console_overview"),)
