"""What a desk wants to reach, held against what there is. Pure.

A target is met, or missed, only where the whole 95 % interval lies on that side of it; else nobody can tell yet: more answers
are needed, and neither praise nor blame is due. A target of a time is one of its median.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from surveys.figures.catalogue import METRICS, Kind
from surveys.figures.shape import Figure, Figures

KEYS: Mapping[str, str] = {
    "ces7": "ces",
    "ces7_statement": "ces",
    "csat5": "csat",
    "csat2": "csat",
    "nps": "nps",
    "frt": "frt",
    "ttr": "ttr",
    "fcr": "fcr",
    "contained": "containment",
}
"""Metric → its key among desk.yaml's `targets`."""


class Verdict(StrEnum):
    MET = "met"
    MISSED = "missed"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Target:
    """`goal` is in the metric's own unit (a share 0…1, seconds), and so is `gap`: how far the figure is beyond it, below zero
    short of it; None where there is no figure to show.
    """

    key: str
    goal: float
    figure: Figure
    verdict: Verdict
    gap: float | None


def goal_of(metric: str, targets: Mapping[str, float]) -> float | None:
    """What a desk wants of a metric; desk.yaml has shares in percent. None: nothing."""
    goal = targets.get(KEYS.get(metric, ""))
    if goal is None:
        return None
    return goal / 100 if METRICS[metric].kind in {Kind.SHARE, Kind.RATE} else goal


def judge(figure: Figure, goal: float) -> Verdict:
    found = figure.interval
    if figure.value is None or found is None:
        return Verdict.UNSURE
    low, high = (found.low, found.high) if METRICS[figure.metric].better != "down" else (-found.high, -found.low)
    wanted = goal if METRICS[figure.metric].better != "down" else -goal
    if low >= wanted:
        return Verdict.MET
    return Verdict.MISSED if high < wanted else Verdict.UNSURE


def judged(figures: Figures, targets: Mapping[str, float]) -> Iterator[Target]:
    """Every target that there is anything to say of, in the order of the catalogue."""
    for metric, key in KEYS.items():
        goal, figure = goal_of(metric, targets), figures.of(metric)
        if goal is not None and figure.n:
            yield Target(key, goal, figure, judge(figure, goal), gap_of(figure, goal))


def gap_of(figure: Figure, goal: float) -> float | None:
    """How far the figure is beyond its goal, below zero short of it; None where there is no figure to show."""
    better = -1 if METRICS[figure.metric].better == "down" else 1
    return None if figure.value is None else better * (figure.value - goal)
