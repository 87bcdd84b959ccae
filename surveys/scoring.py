"""From answers and cases to figures: what is counted, in which group, and what is too few to show.

What lives here: the rows that figures are made of, grouping, scores, times, rates. What it must not know:
where rows come from, how figures are drawn. Figures are plain dicts, as `stafett report --format json` prints them.

Decisions. Metrics are computed anew from raw rows, never stored. A score is not shown under five answers, so
that nobody's single answer can be read from a report. Two instruments are never pooled, not even the two CES.
Times subtract nothing: `ttr` runs from opened to last solved, `ttr_first` to first solved, `frt` from opened to
the first *human* public reply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from statistics import fmean
from typing import Any, Protocol, TypeVar

from bot.model import LIVE
from surveys import statistics
from surveys.statistics import Interval
from surveys.survey import INSTRUMENTS, Instrument, Measure

SHOWN_FROM = 5
"""Under this many answers no score is shown."""
FIRM_FROM = 30
"""Under this many answers a figure is drawn grey."""
FCR_WINDOW = timedelta(days=7)
DIMENSIONS = ("channel", "agent", "team", "topic", "locale", "week")

Figure = dict[str, Any]


class Dimensioned(Protocol):
    """What can be grouped. `agent` is the last one who held the case; `at` decides the week."""

    @property
    def at(self) -> datetime: ...
    @property
    def channel(self) -> str | None: ...
    @property
    def agent(self) -> str | None: ...
    @property
    def team(self) -> str | None: ...
    @property
    def topic(self) -> str | None: ...
    @property
    def locale(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """One answer; `case_id` and `customer_id` are None where it was imported."""

    instrument: str
    score: float
    at: datetime
    id: str = ""
    case_id: str | None = None
    customer_id: str | None = None
    respondent: str | None = None
    comment: str | None = None
    channel: str | None = None
    agent: str | None = None
    team: str | None = None
    topic: str | None = None
    locale: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case, as far as figures need it."""

    id: str
    customer_id: str
    status: str
    opened_at: datetime
    escalated_at: datetime | None = None
    first_reply_at: datetime | None = None
    first_resolved_at: datetime | None = None
    resolved_at: datetime | None = None
    outcome: str | None = None
    reopened: int = 0
    channel: str | None = None
    agent: str | None = None
    team: str | None = None
    topic: str | None = None
    locale: str | None = None

    @property
    def at(self) -> datetime:
        return self.opened_at

    @property
    def ended_at(self) -> datetime | None:
        """When it was last solved; None while it is live, also once more after a reopening."""
        return None if self.status in LIVE else self.resolved_at


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """One decision on asking; `state` as in the table `survey_invitations`."""

    case_id: str
    state: str
    at: datetime
    skip_reason: str | None = None
    delivered: bool = False
    channel: str | None = None
    agent: str | None = None
    team: str | None = None
    topic: str | None = None
    locale: str | None = None


R = TypeVar("R", bound=Dimensioned)


def groups(rows: Iterable[R], by: Sequence[str], zone: tzinfo) -> list[tuple[dict[str, str | None], list[R]]]:
    """All rows under `{}`, then each combination of the dimensions `by`, in the order of their names.

    `week` is the ISO week in local time, "2026-W47". ValueError for a dimension that does not exist.
    """
    for name in by:
        if name not in DIMENSIONS:
            raise ValueError(f'no dimension "{name}": use {", ".join(DIMENSIONS)}')
    everything = list(rows)
    found: dict[tuple[str | None, ...], list[R]] = {}
    for row in everything if by else ():
        found.setdefault(tuple(_place(row, name, zone) for name in by), []).append(row)
    ordered = sorted(found.items(), key=lambda item: tuple((part is None, part or "") for part in item[0]))
    return [({}, everything), *((dict(zip(by, key, strict=True)), members) for key, members in ordered)]


def _place(row: Dimensioned, name: str, zone: tzinfo) -> str | None:
    if name == "week":
        year, week, _ = row.at.astimezone(zone).isocalendar()
        return f"{year}-W{week:02}"
    value: str | None = getattr(row, name)
    return value or None


def scores(rows: Sequence[ResponseRow], by: Sequence[str], zone: tzinfo) -> list[Figure]:
    """One figure for each instrument that was answered, in all and in each group."""
    return [
        {"instrument": asked.id, "by": place, **score(asked, [row.score for row in members])}
        for asked in INSTRUMENTS.values()
        for place, members in groups([row for row in rows if row.instrument == asked.id], by, zone)
        if members
    ]


def score(asked: Instrument, given: Sequence[float]) -> Figure:
    """`n`, `score`, `interval`; for CES also `share` of 5–7 and its interval. Nulls under five answers."""
    n = len(given)
    empty: Figure = {"n": n, "score": None, "interval": None, "share": None, "share_interval": None}
    if n < SHOWN_FROM:
        return empty
    good = sum(one >= asked.good_from for one in given)
    if asked.measure is Measure.NPS:
        bad = sum(one <= asked.detractor_to for one in given)
        return {
            **empty,
            "score": _tidy(statistics.nps(good, bad, n)),
            "interval": _pair(statistics.adjusted_wald_nps(good, bad, n)),
        }
    share, share_interval = _tidy(good / n), _pair(statistics.wilson(good, n))
    if asked.measure is Measure.SHARE:
        return {**empty, "score": share, "interval": share_interval}
    return {
        "n": n,
        "score": _tidy(fmean(given)),
        "interval": _pair(statistics.t_interval(given, asked.min, asked.max)),
        "share": share,
        "share_interval": share_interval,
    }


TIMES: Mapping[str, Callable[[CaseRow], datetime | None]] = {
    "ttr": lambda case: case.ended_at,
    "ttr_first": lambda case: case.first_resolved_at,
    "frt": lambda case: case.first_reply_at,
}
"""metric → when its clock, started at opening, stops; None: it still runs."""


def times(rows: Sequence[CaseRow], by: Sequence[str], zone: tzinfo) -> list[Figure]:
    """Each metric in all and in each group; `open` cases, whose clock still runs, are counted beside it."""
    return [
        {"metric": metric, "by": place, **time_figure(members, stop)}
        for metric, stop in TIMES.items()
        for place, members in groups(rows, by, zone)
        if place == {} or any(stop(case) for case in members)
    ]


def time_figure(cases: Sequence[CaseRow], stop: Callable[[CaseRow], datetime | None]) -> Figure:
    """Seconds from opening to `stop`. The mean has no interval: on skewed times none keeps its promise."""
    spans = [max(0.0, (end - case.opened_at).total_seconds()) for case in cases if (end := stop(case))]
    return {
        "n": len(spans),
        "median_s": _tidy(statistics.median(spans)),
        "median_interval_s": _pair(statistics.median_interval(spans)),
        "mean_s": _tidy(fmean(spans)) if spans else None,
        "p90_s": _tidy(statistics.p90(spans)),
        "open": sum(case.ended_at is None for case in cases),
    }


def rates(
    cases: Sequence[CaseRow], asked: Sequence[InvitationRow], by: Sequence[str], zone: tzinfo, now: datetime
) -> list[Figure]:
    """Reopened ÷ solved, solved at first contact ÷ known, answered ÷ delivered; each with Wilson's interval."""
    solved = [case for case in cases if case.resolved_at or case.first_resolved_at]
    first_contact = fcr(cases, now)
    delivered = [one for one in asked if one.delivered]
    return [
        *_rate("reopened", [(case, case.reopened > 0) for case in solved], by, zone),
        *_rate("fcr", [(case, first_contact[case.id]) for case in cases if case.id in first_contact], by, zone),
        *_rate("response", [(one, one.state == "answered") for one in delivered], by, zone),
    ]


def _rate(name: str, marked: Sequence[tuple[R, bool]], by: Sequence[str], zone: tzinfo) -> list[Figure]:
    hit = {id(row): mark for row, mark in marked}
    figures = []
    for place, members in groups([row for row, _ in marked], by, zone):
        hits, n = sum(hit[id(row)] for row in members), len(members)
        interval = _pair(statistics.wilson(hits, n))
        figures.append(
            {"rate": name, "by": place, "n": n, "share": _tidy(hits / n) if n else None, "interval": interval}
        )
    return figures


def fcr(cases: Sequence[CaseRow], now: datetime) -> dict[str, bool]:
    """By case id: solved at first contact: not reopened, and no case of that customer on that topic in 7 days.

    Cases that were solved less than 7 days ago are unknown, and not in the answer.
    """
    opened: dict[tuple[str, str | None], list[datetime]] = {}
    for case in cases:
        opened.setdefault((case.customer_id, case.topic), []).append(case.opened_at)
    known: dict[str, bool] = {}
    for case in cases:
        end = case.ended_at
        if end is None or now - end < FCR_WINDOW:
            continue
        again = any(end < at <= end + FCR_WINDOW for at in opened[case.customer_id, case.topic])
        known[case.id] = case.outcome == "resolved" and case.reopened == 0 and not again
    return known


def counts(cases: Sequence[CaseRow], answers: Sequence[ResponseRow], asked: Sequence[InvitationRow]) -> Figure:
    """What happened, in whole numbers; `skipped` is reason → how many."""
    skipped: dict[str, int] = {}
    for one in asked:
        if one.state == "skipped":
            skipped[one.skip_reason or "unknown"] = skipped.get(one.skip_reason or "unknown", 0) + 1
    return {
        "cases": len(cases),
        "resolved": sum(case.ended_at is not None for case in cases),
        "open": sum(case.ended_at is None for case in cases),
        "escalated": sum(case.escalated_at is not None for case in cases),
        "reopened": sum(case.reopened > 0 for case in cases),
        "invited": sum(one.state in {"asked", "answered", "expired", "failed"} for one in asked),
        "delivered": sum(one.delivered for one in asked),
        "failed": sum(one.state == "failed" for one in asked),
        "answered": sum(one.state == "answered" for one in asked),
        "responses": len(answers),
        "skipped": dict(sorted(skipped.items())),
    }


def _tidy(value: float | None) -> float | None:
    """Six decimals: enough for any use, without the noise of binary fractions."""
    return None if value is None else round(value, 6) + 0.0


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [round(interval.low, 6) + 0.0, round(interval.high, 6) + 0.0]
