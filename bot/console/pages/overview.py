"""The first page: what does not work just now, how much there is, the figures in short, what the desk is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from bot.console.page import Page, Visit
from bot.texts import babel_locale, known, number

FEWEST = 5  # below this a figure says nothing, and is not shown


async def show(visit: Visit) -> Response:
    seen = dict(await visit.rooms.overview())
    return await visit.page("overview.html", rows=list(_rows(visit, seen.pop("report"))), fewest=FEWEST, **seen)


def _rows(visit: Visit, report: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, str, str, int]]:
    """(name, value, 95 % interval, n) of each figure of the report, in the reader's language."""
    for one in report["scores"]:
        kind = "share" if one["instrument"].startswith("csat") else "score"
        yield from _row(visit, one["instrument"], one["n"], one["score"], one["interval"], kind)
    for one in report["rates"]:
        yield from _row(visit, one["rate"], one["n"], one["share"], one["interval"], "share")
    for one in report["times"]:
        yield from _row(visit, one["metric"], one["n"], one["median_s"], one["median_interval_s"], "time")


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
        return number(value, visit.locale, 2)
    if kind == "share":
        from babel.numbers import format_percent

        return format_percent(value, locale=babel_locale(visit.locale))
    from babel.dates import format_timedelta

    return format_timedelta(timedelta(seconds=value), format="short", threshold=1.5, locale=babel_locale(visit.locale))


PAGES = (Page("/", show, menu="console_overview"),)
