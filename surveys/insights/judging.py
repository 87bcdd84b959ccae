"""One improvement, judged: its metric before and after, the same elsewhere, by week, what it returned, and what to doubt.

Everything that `effect`, `interrupted`, `payback` and `doubts` need is read here and handed to them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from surveys.figures.shape import SHOWN_FROM
from surveys.insights import store
from surveys.insights.doubts import Doubt, Side, doubts, last_year, overlap, scopes_meet
from surveys.insights.effect import Difference, Nps, Sample, Share, Values, against, difference
from surveys.insights.interrupted import LEAST, Break, interrupted
from surveys.insights.payback import Return, payback
from surveys.insights.records.nouns import Improvement, Metric
from surveys.insights.store import AnswerFacts, CaseFacts, Reader
from surveys.insights.weeks import days_from, midnight
from surveys.survey import INSTRUMENTS

INSTRUMENTS_OF: Mapping[Metric, tuple[str, ...]] = {
    Metric.CSAT: ("csat5",),
    Metric.CES: ("ces7",),
    Metric.CES_GOOD: ("ces7",),
    Metric.NPS: ("nps",),
}
SERIES_WEEKS = 26
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Judgement:
    """`effect` is the comparison of the two sides; `beyond` what is left of it when what changed elsewhere is taken off.

    `runs` is False before the change. Times are compared by their logarithms: `value` of 0.7 is 0.7 times as long.
    """

    improvement: Improvement
    runs: bool
    days_after: int
    effect: Difference | None
    beyond: Difference | None
    series: Break | None
    returned: Return | None
    doubts: tuple[Doubt, ...]
    weeks: tuple[tuple[str, float | None], ...]

    @property
    def deciding(self) -> Difference | None:
        """Where there is a comparison group it decides."""
        return self.beyond or self.effect

    @property
    def is_shown(self) -> bool:
        """Whether there is evidence."""
        return self.deciding is not None and self.deciding.is_shown

    @property
    def helped(self) -> bool | None:
        """None without evidence."""
        found = self.deciding
        if found is None or not found.is_shown:
            return None
        return (found.value < 0) == self.improvement.metric.fewer_is_better


def judge(conn: Reader, one: Improvement, others: Sequence[Improvement], now: datetime, zone: tzinfo) -> Judgement:
    """The state of things now: after the change only what has been so far."""
    start, until = days_from(one.starts_on, one.days, zone)
    until = min(until, now)
    since = midnight(one.starts_on - timedelta(days=one.days), zone)
    runs = until > start
    before = _sample(conn, one, since, min(start, now))
    after = _sample(conn, one, start, until) if runs else None
    told = after is not None and _is_enough(one, before, after)
    effect = difference(before, after) if after is not None and told else None
    beyond = _beyond(conn, one, effect, before, (since, start, until)) if effect is not None else None
    series, weeks = _series(conn, one, now, zone)
    returned = None
    if (
        after is not None
        and told
        and one.cost is not None
        and one.unit_value is not None
        and one.metric is not Metric.TTR
    ):
        returned = payback(before, after, one.cost, one.unit_value, fewer_is_better=one.metric.fewer_is_better)
    days_after = max(0, (until - start).days)
    doubted = _doubts(conn, one, others, (since, start, until), weeks, zone) if runs else ()
    return Judgement(one, runs, days_after, effect, beyond, series, returned, doubted, tuple(weeks))


# ── samples ────────────────────────────────────────────────────────────────────────────────────────────────────────
def _is_enough(one: Improvement, *samples: Sample) -> bool:
    """No score of fewer than five answers is told, nor what could be reckoned back to one."""
    return not one.metric.by_survey or all(sample.n >= SHOWN_FROM for sample in samples)


def _sample(conn: Reader, one: Improvement, since: datetime, until: datetime, *, outside: bool = False) -> Sample:
    if one.metric.by_survey:
        named = INSTRUMENTS_OF[one.metric]
        return of_answers(one.metric, store.answer_facts(conn, named, one.scope, since, until, outside=outside))
    cases = store.case_facts(conn, one.scope, since, until, outside=outside)
    return of_cases(one.metric, cases, since, until)


def of_answers(metric: Metric, answers: Sequence[AnswerFacts]) -> Sample:
    """Pure."""
    asked = INSTRUMENTS[INSTRUMENTS_OF[metric][0]]
    scores = [one.score for one in answers]
    if metric is Metric.CES:
        return Values(tuple(scores))
    good = sum(score >= asked.good_from for score in scores)
    if metric is Metric.NPS:
        return Nps(good, sum(score <= asked.detractor_to for score in scores), len(scores))
    return Share(good, len(scores))


def of_cases(metric: Metric, cases: Sequence[CaseFacts], since: datetime, until: datetime) -> Sample:
    """Pure. Contacts are counted by whole weeks from `since` on; what is left over at the end is not."""
    match metric:
        case Metric.CONTACTS:
            full = max(0, (until - since).days // 7)
            counts = [0] * full
            for one in cases:
                week = (one.opened_at - since).days // 7
                if 0 <= week < full:
                    counts[week] += 1
            return Values(tuple(float(count) for count in counts))
        case Metric.TTR:
            return Values(tuple(math.log(one.ttr / HOUR + 1 / 60) for one in cases if one.ttr is not None))
        case Metric.ESCALATED:
            return Share(sum(one.escalated for one in cases), len(cases))
        case Metric.REOPENED:
            solved = [one for one in cases if one.solved]
            return Share(sum(one.reopened for one in solved), len(solved))
        case _:
            ended = [one for one in cases if one.solved]
            return Share(sum(one.unsolved for one in ended), len(ended))


def _beyond(
    conn: Reader, one: Improvement, effect: Difference, before: Sample, at: tuple[datetime, datetime, datetime]
) -> Difference | None:
    """What changed here beyond what changed in all other cases; None where the scope is everything."""
    if not one.scope:
        return None
    since, start, until = at
    other_before = _sample(conn, one, since, start, outside=True)
    other_after = _sample(conn, one, start, until, outside=True)
    if isinstance(other_before, Values) and isinstance(other_after, Values) and one.metric is Metric.CONTACTS:
        level = other_before.value
        if not level or before.value is None:
            return None
        scale = before.value / level  # elsewhere may be ten times as busy: it is its course that counts
        other_before = Values(tuple(value * scale for value in other_before.values))
        other_after = Values(tuple(value * scale for value in other_after.values))
    elsewhere = difference(other_before, other_after) if _is_enough(one, other_before, other_after) else None
    return against(effect, elsewhere) if elsewhere is not None else None


# ── by week ────────────────────────────────────────────────────────────────────────────────────────────────────────
def _series(
    conn: Reader, one: Improvement, now: datetime, zone: tzinfo
) -> tuple[Break | None, list[tuple[str, float | None]]]:
    """The metric in each week on both sides, counted from the day of the change; weeks that are not over are left out."""
    start = one.starts_on
    spans = []
    for week in range(-SERIES_WEEKS, SERIES_WEEKS):
        day = start + timedelta(weeks=week)
        since, until = days_from(day, 7, zone)
        if until <= now:
            spans.append((day.isoformat(), since, until))
    if not spans:
        return None, []
    values = _by_span(conn, one, spans)
    while values and values[0][1] in {None, 0.0}:  # before there was anything
        values.pop(0)
    before = [value for day, value in values if value is not None and day < start.isoformat()]
    after = [value for day, value in values if value is not None and day >= start.isoformat()]
    found = interrupted(before, after) if min(len(before), len(after)) >= LEAST else None
    return found, values


def _by_span(
    conn: Reader, one: Improvement, spans: Sequence[tuple[str, datetime, datetime]]
) -> list[tuple[str, float | None]]:
    first, last = spans[0][1], spans[-1][2]
    if one.metric.by_survey:
        answers = store.answer_facts(conn, INSTRUMENTS_OF[one.metric], one.scope, first, last)
        samples = [(day, of_answers(one.metric, [a for a in answers if s <= a.at < u])) for day, s, u in spans]
        return [(day, sample.value if _is_enough(one, sample) else None) for day, sample in samples]
    cases = store.case_facts(conn, one.scope, first, last)
    return [(day, of_cases(one.metric, [k for k in cases if s <= k.opened_at < u], s, u).value) for day, s, u in spans]


# ── doubts ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _doubts(
    conn: Reader,
    one: Improvement,
    others: Sequence[Improvement],
    at: tuple[datetime, datetime, datetime],
    weeks: Sequence[tuple[str, float | None]],
    zone: tzinfo,
) -> tuple[Doubt, ...]:
    since, start, until = at
    before, after = (_side(conn, one, *span) for span in ((since, start), (start, until)))
    year_ago = last_year(one.starts_on)
    then = midnight(year_ago, zone)
    moved = difference(
        _sample(conn, one, midnight(year_ago - timedelta(days=one.days), zone), then),
        _sample(conn, one, then, then + (until - start)),
    )
    meets = [
        other
        for other in others
        if other.id != one.id
        and scopes_meet(one.scope, other.scope)
        and overlap((one.starts_on, one.days), (other.starts_on, other.days))
    ]
    return doubts(
        before,
        after,
        weeks_before=[value for day, value in weeks if value is not None and day < one.starts_on.isoformat()][-13:],
        more_is_better=not one.metric.fewer_is_better,
        by_survey=one.metric.by_survey,
        moved_last_year=moved is not None and moved.is_shown,
        overlaps=bool(meets),
        chosen_late=one.chosen_late,
    )


def _side(conn: Reader, one: Improvement, since: datetime, until: datetime) -> Side:
    cases = store.case_facts(conn, one.scope, since, until)
    mix = {
        "channel": Counter(case.channel for case in cases),
        "topic": Counter(case.topic or "" for case in cases),
    }
    delivered, answered = 0, 0
    if one.metric.by_survey:
        delivered, answered = store.surveyed(conn, INSTRUMENTS_OF[one.metric], one.scope, since, until)
    return Side(mix, delivered, answered)
