"""Figures as people read them: numbers in words, in their language. Pure."""

from __future__ import annotations

from bot.intervals import Interval
from bot.texts import babel_locale, number, say
from surveys.figures.catalogue import METRICS, Kind, Metric
from surveys.figures.shape import Figure
from surveys.figures.targets import gap_of

MINUTE, HOUR, DAY = 60, 3600, 86_400


def name(metric: str, locale: str) -> str:
    return say(f"figure_{metric}", locale)


def value(figure: Figure, locale: str) -> str:
    """The figure itself: "5.3", "82 %", "+30", "2 h"; "" where there is none to show."""
    return "" if figure.value is None else amount(METRICS[figure.metric], figure.value, locale)


def amount(metric: Metric, found: float, locale: str) -> str:
    """A number of a metric's unit, in words."""
    if metric.kind in {Kind.SHARE, Kind.RATE}:
        return percent(found, locale)
    if metric.kind is Kind.NPS:
        return signed(found, locale)
    if metric.unit == "s":
        return span(found, locale)
    return tenths(found, locale)


def gap(figure: Figure, goal: float, locale: str) -> str:
    """How far it is from its goal: "5 points better", "12 min worse"; "" where it is right there, or there is no figure."""
    found = gap_of(figure, goal)
    if found is None:
        return ""
    metric, size = METRICS[figure.metric], abs(found)
    if metric.kind in {Kind.SHARE, Kind.RATE, Kind.NPS}:
        points = round(size if metric.kind is Kind.NPS else 100 * size)
        told, is_there = say("figures_points", locale, points=points), points == 0
    else:
        told, is_there = amount(metric, size, locale), round(size, 1) == 0
    return "" if is_there else say("figures_gap_better" if found > 0 else "figures_gap_worse", locale, gap=told)


def interval(figure: Figure, locale: str) -> str:
    """Its 95 % interval: "4.9–5.7"; "" where it has none."""
    found = figure.interval
    return "" if found is None else between(METRICS[figure.metric], found, locale)


def between(metric: Metric, found: Interval, locale: str) -> str:
    return f"{amount(metric, found.low, locale)} – {amount(metric, found.high, locale)}"


def percent(share: float, locale: str) -> str:
    from babel.numbers import format_percent

    return format_percent(share, locale=babel_locale(locale))


def tenths(found: float, locale: str) -> str:
    """Always with one decimal, so that 5.0 does not look rounder than 4.9."""
    from babel.numbers import format_decimal

    return format_decimal(found, format="#,##0.0", locale=babel_locale(locale))


def hundredths(found: float, locale: str) -> str:
    """With its sign and two decimals: +0.34."""
    from babel.numbers import format_decimal

    return format_decimal(round(found, 2) + 0.0, format="+0.00;-0.00", locale=babel_locale(locale))


def signed(points: float, locale: str) -> str:
    """With its sign, for an NPS of 30 is +30."""
    return ("+" if round(points) > 0 else "") + number(round(points), locale)


def span(seconds: float, locale: str) -> str:
    """A time to the two figures that matter: 45 s, 12 min, 3.4 h, 2.1 days."""
    from babel.units import format_unit

    size = abs(seconds)
    unit, scale = next(
        (unit, scale)
        for unit, scale, below in (
            ("second", 1, 90),
            ("minute", MINUTE, 90 * MINUTE),
            ("hour", HOUR, 48 * HOUR),
            ("day", DAY, float("inf")),
        )
        if size < below
    )
    found = seconds / scale
    shown = round(found) if abs(found) >= 10 or scale == 1 else round(found, 1)
    return format_unit(shown, f"duration-{unit}", length="short", locale=babel_locale(locale))
