"""What the page of figures draws, made of figures. Pure: no database, no HTML.

An arrow stands only where the intervals of now and before do not overlap: that is stricter than a test of the difference, and
never cries at noise. Perception (NPS) and interaction (CES, CSAT) are two rows, and never one index.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from bot.texts import say
from surveys.figures.catalogue import METRICS, Kind
from surveys.figures.shape import Compared, Figure, Figures, Series, Shown, weeks
from surveys.figures.targets import goal_of, judge
from surveys.pages import shown
from surveys.survey import INSTRUMENTS, RELATIONSHIP

INTERACTION = tuple(one for one in INSTRUMENTS if one not in RELATIONSHIP)
ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("interaction", INTERACTION),
    ("perception", RELATIONSHIP),
    ("speed", ("frt", "next_response", "ttr", "queue_wait", "wait_error")),
    (
        "solved",
        ("fcr", "goal_met", "reopened", "bot_confirmed", "bot_assumed", "contained_no_return", "escalated", "effort"),
    ),
    (
        "kept",
        (
            "response",
            "promises_kept",
            "sla_first_response",
            "sla_next_response",
            "sla_resolution",
            "escalation_precision",
        ),
    ),
)
PARTS: Mapping[str, tuple[str, ...]] = {"frt": ("frt_business",), "ttr": ("ttr_business", "waiting")}
"""What is told below a figure, not beside it: the same time by another clock, and a part of it."""
COLUMNS = ("escalated", "frt", "ttr", "fcr", "reopened", "effort", "response")
"""Of the table by groups, beside the score. `escalated` rests on all cases, so its n is theirs."""
LINES = 6  # topics drawn over time
STEPS_OF_HEAT = 5


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure as it is looked at: places on its scale, 0…100. `may` is what a share could be among all who were asked."""

    at: float
    low: float
    high: float
    may: tuple[float, float] | None = None
    before: float | None = None
    goal: float | None = None


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, in words and as a gauge. `trend` is better | worse | "" (no clear change, or nothing to compare with);
    `verdict` on its goal met | missed | unsure | "" (it has none, or is hidden).
    """

    metric: str
    name: str
    value: str
    n: int
    interval: str
    shown: str
    beside: str = ""
    before: str = ""
    trend: str = ""
    goal: str = ""
    verdict: str = ""
    gauge: Gauge | None = None
    parts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Apart:
    """How those who answered differ from the silent, in words: their parts (or medians), and the standardised difference."""

    dimension: str
    name: str
    answered: int
    of_answered: str
    silent: int
    of_silent: str
    difference: str
    interval: str
    noticeable: bool


@dataclass(frozen=True, slots=True)
class Answering:
    """`strata` of at least `least` answers weigh the score; 0: there are too few answers to weigh."""

    answered: int
    reached: int
    strata: int
    least: int
    rows: Sequence[Apart]


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    n: int
    share: float


@dataclass(frozen=True, slots=True)
class Path:
    """A flow as its funnel shows it: its file, its title, and (id, what it says) of the steps that customers notice."""

    file: str
    title: str
    steps: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Funnel:
    """A flow's steps in order: how many came to each, and their part of the most 0…1."""

    path: Path
    steps: Sequence[Bar]


# ── tiles ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def tiles(now: Figures, before: Figures, targets: Mapping[str, float], locale: str) -> list[tuple[str, list[Tile]]]:
    """The rows of tiles that there is anything for: (the row's name, its tiles)."""
    rows = []
    for row, metrics in ROWS:
        found = [_tile(now, now.of(one), before.of(one), targets, locale) for one in metrics if now.of(one).n]
        if found:
            rows.append((row, found))
    return rows


def _tile(all_of: Figures, now: Figure, before: Figure, targets: Mapping[str, float], locale: str) -> Tile:
    goal = goal_of(now.metric, targets)
    return Tile(
        now.metric,
        shown.name(now.metric, locale),
        shown.value(now, locale),
        now.n,
        shown.interval(now, locale),
        now.shown,
        beside(now, locale),
        shown.value(before, locale),
        trend(now, before),
        "" if goal is None else shown.amount(METRICS[now.metric], goal, locale),
        "" if goal is None or now.value is None else judge(now, goal),
        gauge(now, before, goal),
        [
            *_weighted(all_of, now, locale),
            *(
                f"{shown.name(part.metric, locale)}: {shown.value(part, locale)}"
                for part in map(all_of.of, PARTS.get(now.metric, ()))
                if part.value is not None and part.value != now.value
            ),
        ],
    )


def _weighted(all_of: Figures, now: Figure, locale: str) -> list[str]:
    """The score had all kinds of cases answered alike."""
    found = next((one.weighted for one in all_of.silent if one.instrument == now.metric and one.weighted), None)
    if found is None or now.is_hidden:
        return []
    of = METRICS[now.metric]
    span = shown.between(of, found.interval, locale)
    return [say("figures_weighted", locale, value=shown.amount(of, found.value, locale), span=span)]


def answering(figures: Figures, score: str, names: Mapping[str, Mapping[str, str]], locale: str) -> Answering | None:
    """Who answered the question of a score, beside those who did not; None where too few did either."""
    found = next((one for one in figures.silent if one.instrument == score and one.compared), None)
    if found is None:
        return None
    rows = [
        Apart(
            one.dimension,
            "" if one.dimension == "ttr" else names.get(one.dimension, {}).get(one.value or "", one.value or "–"),
            one.answered,
            _part(one, one.of_answered, locale),
            one.silent,
            _part(one, one.of_silent, locale),
            _apart(one.difference, locale),
            "" if one.interval is None else f"{_apart(one.interval.low, locale)} – {_apart(one.interval.high, locale)}",
            one.is_noticeable,
        )
        for one in sorted(found.compared, key=lambda one: -abs(one.difference))
    ]
    least = found.weighted.least if found.weighted else 0
    return Answering(found.answered, found.reached, found.weighted.strata if found.weighted else 0, least, rows)


def _part(one: Compared, found: float, locale: str) -> str:
    return shown.span(found, locale) if one.dimension == "ttr" else shown.percent(found, locale)


def _apart(difference: float, locale: str) -> str:
    """With its sign and two decimals: a standardised difference."""
    if math.isinf(difference):
        return "∞" if difference > 0 else "−∞"
    return shown.hundredths(difference, locale)


def gauge(now: Figure, before: Figure, goal: float | None) -> Gauge | None:
    """Where the figure lies on its scale; one without an end reaches a little beyond all that is marked on it."""
    if now.value is None or now.interval is None:
        return None
    whole = scale(now.metric)
    marks = [now.value, now.interval.high, *(one for one in (before.value, goal) if one is not None)]
    start = whole["min"]
    end = whole["max"] if whole["max"] is not None else 1.1 * max(marks)
    unit = 0.01 if whole["unit"] == "%" else 1.0  # shares are kept 0…1, and their axis is drawn in percent
    length = end - start

    def place(value: float) -> float:
        return round(min(100.0, max(0.0, 100 * (value / unit - start) / length)), 1) if length > 0 else 0.0

    may = None if now.bounds is None else (place(now.bounds.low), place(now.bounds.high))
    was = None if before.value is None else place(before.value)
    aim = None if goal is None else place(goal)
    return Gauge(place(now.value), place(now.interval.low), place(now.interval.high), may, was, aim)


def beside(figure: Figure, locale: str) -> str:
    """What stands beside the figure: a CES's share of 5–7, a time's 90th percentile, what a share could be among all asked, what
    effort counts.
    """
    if figure.share is not None:
        return say("figures_share", locale, share=shown.percent(figure.share, locale))
    if figure.p90 is not None:
        return say("figures_p90", locale, time=shown.span(figure.p90, locale))
    if figure.bounds is not None:
        return say("figures_bounds", locale, span=shown.between(METRICS[figure.metric], figure.bounds, locale))
    return say("figures_effort", locale) if figure.metric == "effort" else ""


def trend(now: Figure, before: Figure) -> str:
    better = METRICS[now.metric].better
    if now.interval is None or before.interval is None or better == "neither":
        return ""
    if now.interval.low > before.interval.high:
        return "better" if better == "up" else "worse"
    if now.interval.high < before.interval.low:
        return "worse" if better == "up" else "better"
    return ""


def main_score(figures: Figures, wanted: str) -> str:
    """The score that the page is about: the wanted one, else that with most answers."""
    return wanted or max(INSTRUMENTS, key=lambda one: figures.of(one).n)


def spread(figure: Figure) -> list[Bar]:
    """How many gave each score of the scale, also those that nobody gave; [] where hidden."""
    if figure.spread is None:
        return []
    asked = INSTRUMENTS[figure.metric]
    counted = {int(score): many for score, many in figure.spread.items()}
    return [Bar(str(one), counted.get(one, 0), counted.get(one, 0) / max(1, figure.n)) for one in asked.scores]


# ── over time ──────────────────────────────────────────────────────────────────────────────────────────────────────
def axis(first: date, last: date) -> tuple[str, ...]:
    return weeks(first, last)


def band(line: Series, locale: str) -> dict[str, Any]:
    """A line with its 95 % band, for the script that draws it, and as a table's rows."""
    points = line.points
    return {
        "kind": "band",
        "labels": [week_name(one) for one in line.axis],
        "values": [_drawn(one) for one in points],
        "low": [None if one.interval is None else _scaled(one, one.interval.low) for one in points],
        "high": [None if one.interval is None else _scaled(one, one.interval.high) for one in points],
        "grey": [one.shown is not Shown.FIRM for one in points],
        "n": [one.n for one in points],
        "scale": scale(line.metric),
        "rows": [
            (week_name(at), one.n, shown.value(one, locale), shown.interval(one, locale)) for at, one in _pairs(line)
        ],
        "name": shown.name(line.metric, locale),
    }


def week_name(week: str) -> str:
    """The day that a week begins with: 2026-W11 → 2026-03-09."""
    year, number = week.split("-W")
    return date.fromisocalendar(int(year), int(number), 1).isoformat()


def scale(metric: str) -> dict[str, Any]:
    """The ends of an axis, and its unit: a scale is drawn whole, so that small changes look small."""
    found = METRICS[metric]
    if metric in INSTRUMENTS and found.kind is Kind.MEAN:
        return {"min": INSTRUMENTS[metric].min, "max": INSTRUMENTS[metric].max, "unit": ""}
    if found.kind in {Kind.SHARE, Kind.RATE}:
        return {"min": 0, "max": 100, "unit": "%"}
    if found.kind is Kind.NPS:
        return {"min": -100, "max": 100, "unit": ""}
    return {"min": 0, "max": None, "unit": "h" if found.unit == "s" else ""}


def counts(lines: Sequence[Series], names: Mapping[str, str], moments: Sequence[str]) -> dict[str, Any]:
    """How many cases of each topic a week: the largest lines."""
    ranked = sorted(lines, key=lambda one: -sum(point.n for point in one.points))[:LINES]
    return {
        "kind": "lines",
        "labels": [week_name(one) for one in moments],
        "lines": [{"name": _named(line.by, names), "values": [point.n for point in line.points]} for line in ranked],
        "scale": {"min": 0, "max": None, "unit": ""},
    }


def _named(by: Mapping[str, str | None], names: Mapping[str, str]) -> str:
    value = next(iter(by.values()), None)
    return names.get(value or "", value or "–")


def _drawn(figure: Figure) -> float | None:
    return None if figure.value is None else _scaled(figure, figure.value)


def _scaled(figure: Figure, value: float) -> float:
    """In the unit of the axis: shares in percent, times in hours."""
    metric = METRICS[figure.metric]
    if metric.kind in {Kind.SHARE, Kind.RATE}:
        return round(value * 100, 2)
    return round(value / shown.HOUR, 3) if metric.unit == "s" else round(value, 3)


def _pairs(line: Series) -> list[tuple[str, Figure]]:
    return list(zip(line.axis, line.points, strict=True))


# ── the week's load ────────────────────────────────────────────────────────────────────────────────────────────────
def load(figures: Figures, metric: str) -> tuple[list[list[tuple[int, int]]], int]:
    """Seven days (Monday first) of 24 hours: (cases, their heat 0…5); and the most in one hour."""
    found = {(str(one.by["weekday"]), str(one.by["hour"])): one.n for one in figures.groups(metric)}
    most = max(found.values(), default=0)
    days = [[found.get((str(day), f"{hour:02}"), 0) for hour in range(24)] for day in range(1, 8)]
    return [[(n, -(-n * STEPS_OF_HEAT // most) if most else 0) for n in day] for day in days], most


def weekdays(locale: str) -> list[str]:
    from babel.dates import get_day_names

    from bot.texts import babel_locale

    names = get_day_names("abbreviated", locale=babel_locale(locale))
    return [str(names[day]) for day in range(7)]


# ── groups ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def table(figures: Figures, by: str, score: str, names: Mapping[str, str], locale: str) -> list[dict[str, Any]]:
    """A row for each group, the largest first: its name, its value for a filter, its cases, and a cell for each column."""
    columns = (score, *COLUMNS)
    cells: dict[str | None, dict[str, Figure]] = {}
    for metric in columns:
        for one in figures.groups(metric):
            cells.setdefault(one.by[by], {})[metric] = one
    rows = [
        {
            "value": value,
            "name": names.get(value or "", value or "–"),
            "cases": found.get("escalated", Figure("escalated", {}, 0)).n,
            "cells": [_cell(found.get(metric, Figure(metric, {}, 0)), locale) for metric in columns],
        }
        for value, found in cells.items()
        if any(one.n for one in found.values())
    ]
    return sorted(rows, key=lambda row: (-row["cases"], row["name"])) if by != "week" else sorted(rows, key=_week_first)


def _week_first(row: Mapping[str, Any]) -> str:
    return str(row["value"] or "")


def _cell(figure: Figure, locale: str) -> dict[str, Any]:
    return {
        "value": shown.value(figure, locale),
        "interval": shown.interval(figure, locale),
        "n": figure.n,
        "shown": str(figure.shown),
        "shrunk": "" if figure.shrunk is None else shown.amount(METRICS[figure.metric], figure.shrunk, locale),
    }


def funnels(counted: Mapping[str, Mapping[str, int]], paths: Mapping[str, Path]) -> list[Funnel]:
    """`counted`: flow → step → how many came. `paths`: flow → what it shows. Flows with most first."""
    found = []
    for flow, path in paths.items():
        came = [(says, many) for step, says in path.steps if (many := counted.get(flow, {}).get(step, 0))]
        most = max((many for _, many in came), default=0)
        if came:
            found.append(Funnel(path, [Bar(says, many, many / most) for says, many in came]))
    return sorted(found, key=lambda one: -max(bar.n for bar in one.steps))


def exported(figures: Figures, by: Sequence[str]) -> list[list[Any]]:
    """Every figure as a row, the first one the names of the columns. Hidden ones keep their n and nothing else."""
    head = ["metric", *by, "n", "value", "low", "high", "share", "mean", "p90", "shown"]
    rows: list[list[Any]] = [head]
    for one in figures.figures:
        low, high = (None, None) if one.interval is None else (one.interval.low, one.interval.high)
        places = [one.by.get(name) or "" if one.by else "*" for name in by]
        rows.append([one.metric, *places, one.n, one.value, low, high, one.share, one.mean, one.p90, str(one.shown)])
    return rows


def spans(today: date) -> list[tuple[str, date, date]]:
    """What is often asked for: (a text's name, first day, last day)."""
    return [
        ("week", today - timedelta(days=6), today),
        ("month", today - timedelta(days=29), today),
        ("quarter", today - timedelta(days=83), today),
        ("year", today - timedelta(days=364), today),
    ]
