"""The figures of a span as people and programs get them, put together; `surveys/drawn.py` makes text of them.

What lives here: pure functions from figures to a report. What it must not know: the database (`surveys/rollups` reads it).

The report's JSON is public; its keys are promised in the command's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.intervals import Interval, wilson
from surveys.figures.answer import answer
from surveys.figures.catalogue import METRICS, Kind
from surveys.figures.shape import Figure, Figures, Question, Silent
from surveys.figures.silence import BY as STRATA
from surveys.figures.targets import Target, judged
from surveys.rollups.blocks import Table

Report = dict[str, Any]

NO_TARGETS: Mapping[str, float] = {}


# ── figures to a report ────────────────────────────────────────────────────────────────────────────────────────────
def build(
    question: Question,
    tables: Mapping[str, Table],
    now: datetime,
    pending: int = 0,
    targets: Mapping[str, float] = NO_TARGETS,
) -> Report:
    """The report that answers a question: every metric, in all and by each combination of its dimensions.

    `targets` are desk.yaml's. `pending`: how many cases, answers and decisions on asking the tables do not hold yet. Raises
    ValueError for a metric that there is not.
    """
    made = answer(question, tables, now)
    why = ("escalated", "escalation_precision")
    reasons = answer(replace(question, by=("reason",), metrics=why), tables, now)
    return {
        "from": question.since.isoformat() if question.since else None,
        "to": question.until.isoformat() if question.until else None,
        "by": list(question.by),
        "where": dict(question.where),
        "pending": pending,
        "scores": [_score(one) for one in made.figures if METRICS[one.metric].is_score and one.n],
        "times": [_time(one) for one in made.figures if METRICS[one.metric].kind is Kind.TIME],
        "rates": [_rate(one) for one in made.figures if METRICS[one.metric].kind is Kind.RATE],
        "amounts": [_amount(one) for one in made.figures if METRICS[one.metric].kind is Kind.AMOUNT],
        "escalations": _escalations(reasons),
        "targets": [_target(one) for one in judged(made, targets)],
        "counts": {**made.counts, "skipped": dict(made.skipped)},
        "non_response": [_silent(one) for one in made.silent],
    }


def _score(figure: Figure) -> Report:
    shares = {"share": _tidy(figure.share), "share_interval": _pair(figure.share_interval)}
    value = {"score": _tidy(figure.value), "interval": _pair(figure.interval)}
    return {"instrument": figure.metric, "by": dict(figure.by), "n": figure.n, **value, **shares, **_more(figure)}


def _silent(one: Silent) -> Report:
    """What the silent may mean for a score: its bounds, the post-stratified score, and who they are. Of `ttr` `of_answered` and
    `of_silent` are medians in seconds, else shares.
    """
    told = one.weighted
    return {
        "instrument": one.instrument,
        "reached": one.reached,
        "answered": one.answered,
        "response_rate": _tidy(one.response_rate),
        "bounds": _pair(one.bounds),
        "weighted": None
        if told is None
        else {
            "score": _tidy(told.value),
            "interval": _pair(told.interval),
            "by": list(STRATA),
            "strata": told.strata,
            "least": told.least,
        },
        "compared": [
            {
                "dimension": each.dimension,
                "value": each.value,
                "answered": each.answered,
                "silent": each.silent,
                "of_answered": _tidy(each.of_answered),
                "of_silent": _tidy(each.of_silent),
                "difference": _tidy(each.difference) if each.interval else None,
                "interval": _pair(each.interval),
                "noticeable": each.is_noticeable,
            }
            for each in one.compared
        ],
    }


def _target(one: Target) -> Report:
    """`goal`, `value`, `interval`, `gap` in the metric's unit: points, a share 0…1, seconds; a gap below zero is short of it."""
    figure = one.figure
    of = {"target": one.key, "metric": figure.metric, "goal": _tidy(one.goal), "verdict": str(one.verdict)}
    return {
        **of,
        "n": figure.n,
        "value": _tidy(figure.value),
        "interval": _pair(figure.interval),
        "gap": _tidy(one.gap),
    }


def _time(figure: Figure) -> Report:
    return {
        "metric": figure.metric,
        "by": dict(figure.by),
        "n": figure.n,
        "median_s": _tidy(figure.value),
        "median_interval_s": _pair(figure.interval),
        "mean_s": _tidy(figure.mean),
        "p90_s": _tidy(figure.p90),
        "open": figure.still,
        **_more(figure),
    }


def _rate(figure: Figure) -> Report:
    value = {"share": _tidy(figure.value), "interval": _pair(figure.interval)}
    return {"rate": figure.metric, "by": dict(figure.by), "n": figure.n, **value, **_more(figure)}


def _amount(figure: Figure) -> Report:
    value = {"mean": _tidy(figure.value), "interval": _pair(figure.interval)}
    return {"amount": figure.metric, "by": dict(figure.by), "n": figure.n, **value, **_more(figure)}


def _more(figure: Figure) -> Report:
    """How far it may be shown; among agents, what they are compared by."""
    return {"shown": str(figure.shown)} | ({} if figure.shrunk is None else {"shrunk": _tidy(figure.shrunk)})


def _escalations(made: Figures) -> list[Report]:
    """Why people were fetched, the commonest first; `precision`: of those judged, how many needed a person."""
    judged = {one.by["reason"]: one for one in made.groups("escalation_precision")}
    counted = {one.by["reason"]: round((one.value or 0.0) * one.n) for one in made.groups("escalated")}
    total, found = sum(counted.values()), []
    for reason, n in sorted(counted.items(), key=lambda item: (-item[1], item[0] or "")):
        verdicts = judged.get(reason, Figure("escalation_precision", {}, 0))
        if n:
            of_all = {"reason": reason, "n": n, "share": _tidy(n / total), "interval": _pair(wilson(n, total))}
            precision = {"precision": _tidy(verdicts.value), "precision_interval": _pair(verdicts.interval)}
            found.append({**of_all, "judged": verdicts.n, **precision})
    return found


def _tidy(value: float | None) -> float | None:
    """Six decimals: enough for any use, without the noise of binary fractions."""
    return None if value is None else round(value, 6) + 0.0


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [round(interval.low, 6) + 0.0, round(interval.high, 6) + 0.0]
