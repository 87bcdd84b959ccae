"""Scorecards: which cases are looked at, and what two raters made of them. Pure.

A sample is drawn by hash: cases in the order of sha256(seed, id), so the same seed over the same cases draws the same ones, on
any machine, and whoever draws can't choose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from bot.intervals import Interval
from surveys.statistics import t_interval
from surveys.team.kappa import LEAST, Agreement, cohen, together
from surveys.team.rubric import Rubric

RATERS = 2


@dataclass(frozen=True, slots=True)
class Review:
    case_id: str
    rater: str
    marks: Mapping[str, int]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """`score` 0…1 is the mean over reviewed cases, each case the mean of its raters. `agreement` by criterion, where there are
    enough pairs; `together` over all marks, as sure as the cases of which both gave at least one of the same.
    """

    cases: int
    reviewed: int
    by_two: int
    score: float | None
    interval: Interval | None
    by_criterion: Mapping[str, float] = field(default_factory=dict)
    agreement: Mapping[str, Agreement] = field(default_factory=dict)
    together: Agreement | None = None


def drawn(case_ids: Iterable[str], seed: int, size: int) -> list[str]:
    """`size` of the cases by seed, in the order in which they are to be looked at."""
    return sorted(set(case_ids), key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest())[:size]


def waits_for(rater: str, cases: Sequence[tuple[str, Sequence[str]]], reviews: Iterable[Review]) -> list[str]:
    """Cases that this rater may look at next: (id, agents who had a hand in it). Those with one review go first.

    Nobody rates a case of their own, nor one twice, nor one that has its two raters.
    """
    by_case: dict[str, set[str]] = {}
    for review in reviews:
        by_case.setdefault(review.case_id, set()).add(review.rater)
    open_to = [
        (case_id, by_case.get(case_id, set()))
        for case_id, agents in cases
        if rater not in agents and rater not in by_case.get(case_id, set()) and len(by_case.get(case_id, ())) < RATERS
    ]
    return [case_id for case_id, raters in sorted(open_to, key=lambda one: -len(one[1]))]


def summed(rubric: Rubric, cases: Sequence[str], reviews: Sequence[Review]) -> Quality:
    """What the raters made of a sample."""
    by_case: dict[str, list[Review]] = {}
    for review in sorted(reviews, key=lambda one: (one.case_id, one.rater)):
        by_case.setdefault(review.case_id, []).append(review)
    scores = [
        fmean(given)
        for own in by_case.values()
        if (given := [score for one in own if (score := rubric.score(one.marks)) is not None])
    ]
    both = [(own[0].marks, own[1].marks) for own in by_case.values() if len(own) >= RATERS]
    pairs = {
        one.id: [(a[one.id], b[one.id]) for a, b in both if one.id in a and one.id in b] for one in rubric.criteria
    }
    agreed = {name: found for name, own in pairs.items() if len(own) >= LEAST and (found := cohen(own)) is not None}
    compared = sum(not a.keys().isdisjoint(b) for a, b in both)
    return Quality(
        cases=len(cases),
        reviewed=len(by_case),
        by_two=len(both),
        score=fmean(scores) if scores else None,
        interval=t_interval(scores, 0, 1),
        by_criterion={
            one.id: fmean(marks)
            for one in rubric.criteria
            if (marks := [(r.marks[one.id] - one.low) / (one.high - one.low) for r in reviews if one.id in r.marks])
        },
        agreement=agreed,
        together=together(list(pairs.values()), compared) if sum(map(len, pairs.values())) >= LEAST else None,
    )
