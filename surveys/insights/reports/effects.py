"""Improvements: what they changed, what they returned, and what to doubt."""

from __future__ import annotations

import math
from collections.abc import Callable

from surveys.insights.effect import Difference
from surveys.insights.judging import Judgement, judge, past
from surveys.insights.records import store as records
from surveys.insights.records.nouns import Improvement, Metric
from surveys.insights.reports.shape import Report, Setting, at_text, day_text, pair, tidy
from surveys.insights.store import Reader


def improvements(conn: Reader, at: Setting) -> Report:
    """Each record with its effect so far; those that returned most first, then by the size of what they touch."""
    found = records.improvements(conn)
    seen = past(conn, found, at.now, at.zone)
    judged = [judge(seen, one, found, at.now, at.zone) for one in found]
    judged.sort(key=_weight, reverse=True)
    return {"items": [judgement(one) for one in judged]}


def _weight(one: Judgement) -> tuple[float, float]:
    """The backlog's order: effect × volume, by the returned units where they are known."""
    units = abs(one.returned.units) if one.returned is not None and one.is_shown else 0.0
    deciding = one.deciding
    volume = abs(deciding.value) * deciding.n_after if deciding is not None else 0.0
    return units, volume


def judgement(one: Judgement) -> Report:
    record = one.improvement
    return {
        "id": record.id,
        "title": record.title,
        "what": record.what,
        "starts_on": day_text(record.starts_on),
        "days": record.days,
        "scope": dict(record.scope),
        "metric": record.metric.value,
        "metric_fixed_at": at_text(record.metric_fixed_at),
        "fewer_is_better": record.metric.fewer_is_better,
        "cost": record.cost,
        "currency": record.currency,
        "effect": _difference(one.effect, record),
        "beyond_elsewhere": _difference(one.beyond, record),
        "series": None
        if one.series is None
        else {
            "weeks_before": one.series.weeks_before,
            "weeks_after": one.series.weeks_after,
            "step": tidy(one.series.level),
            "interval": pair(one.series.level_interval),
            "shown": one.series.is_shown,
        },
        "return": None
        if one.returned is None
        else {
            "units": tidy(one.returned.units),
            "units_interval": pair(one.returned.units_interval),
            "gain": tidy(one.returned.gain),
            "roi": tidy(one.returned.roi),
            "interval": pair(one.returned.interval),
        },
        "doubts": [doubt.value for doubt in one.doubts],
        "evidence": one.is_shown,
        "helped": one.helped,
        "more_needed": one.deciding.more_needed if one.deciding is not None else None,
        "says": said_of(one),
        "weeks": [{"from": day, "value": tidy(_shown(value, record))} for day, value in one.weeks],
    }


def said_of(one: Judgement) -> str:
    """In a line of English, for a terminal and for programs; the pages say it in the reader's language."""
    if not one.runs:
        return "not begun"
    if one.deciding is None:
        return "too few cases to compare"
    if one.is_shown:
        return "it helped" if one.helped else "it got worse"
    more = one.deciding.more_needed
    return f"no evidence yet; about {more} more cases needed" if more else "no evidence yet"


def _difference(found: Difference | None, record: Improvement) -> Report | None:
    """Times are geometric means in hours, and their difference is a ratio."""
    if found is None:
        return None
    is_time = record.metric is Metric.TTR
    change: Callable[[float], float] = math.exp if is_time else float
    return {
        "before": tidy(_shown(found.before, record)),
        "after": tidy(_shown(found.after, record)),
        "n_before": found.n_before,
        "n_after": found.n_after,
        "difference": tidy(change(found.value)),
        "interval": [tidy(change(found.interval.low)), tidy(change(found.interval.high))],
        "is_ratio": is_time,
        "more_needed": found.more_needed,
    }


def _shown(value: float | None, record: Improvement) -> float | None:
    return math.exp(value) if value is not None and record.metric is Metric.TTR else value
