"""What goes with the score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from surveys.insights import store
from surveys.insights.drivers import Drivers, drivers
from surveys.insights.reports.shape import IsOpen, Report, Setting, pair, tidy
from surveys.insights.store import AnswerFacts, Reader

DRIVERS_OF = timedelta(days=180)
MOST = 5_000
"""Of more answers than this every second, third … is explained, by their time: a weight's interval is then some points wide."""
HOUR = 3600
SCORES = ("ces7", "csat5", "ces7_statement")
"""Instruments that can be explained; the one with most answers is."""


def key_drivers(conn: Reader, at: Setting) -> Report:
    """What goes with the score of the instrument that was answered most in half a year. `n` of its `answers` were looked at."""
    span = (at.now - DRIVERS_OF, at.now)
    counted = store.answered_about_cases(conn, SCORES, *span)
    chosen = max(SCORES, key=lambda name: (counted.get(name, 0), -SCORES.index(name)))
    nth = max(1, math.ceil(counted.get(chosen, 0) / MOST))
    found = of_answers(store.answer_facts(conn, chosen, *span, nth), at.is_open)
    return {
        "instrument": chosen,
        "n": found.n,
        "answers": counted.get(chosen, 0),
        "needed": found.needed,
        "r_squared": tidy(found.r_squared),
        "drivers": [
            {
                "driver": one.name,
                "share": tidy(one.share),
                "interval": pair(one.interval),
                "direction": {-1: "lower", 0: None, 1: "higher"}[one.direction],
            }
            for one in found.drivers
        ],
        "left_out": list(found.left_out),
        "means": "goes with",
    }


def of_answers(answers: Sequence[AnswerFacts], is_open: IsOpen | None) -> Drivers:
    """The drivers, from answers to one instrument. Times by their logarithm: the first hour weighs most. Pure."""
    human = [one.frt for one in answers if one.frt is not None]
    usual = sum(map(_hours, human)) / len(human) if human else 0.0  # where no person answered
    numbers: dict[str, Sequence[float]] = {
        "ttr": [_hours(one.ttr or 0.0) for one in answers],
        "frt": [usual if one.frt is None else _hours(one.frt) for one in answers],
        "handoffs": [float(one.handoffs) for one in answers],
        "questions": [float(one.questions) for one in answers],
        "reopened": [float(one.reopened > 0) for one in answers],
    }
    if is_open is not None:
        numbers["out_of_hours"] = [float(one.opened_at is not None and not is_open(one.opened_at)) for one in answers]
    kinds = {
        "channel": [one.channel or "" for one in answers],
        "topic": [one.topic or "" for one in answers],
    }
    return drivers([one.score for one in answers], numbers, kinds)


def _hours(seconds: float) -> float:
    return math.log1p(max(0.0, seconds) / HOUR)
