"""One improvement, judged: its metric before and after, the same elsewhere, by week, what it returned, and what to doubt.

Everything that `effect`, `interrupted`, `payback` and `doubts` need is read here and handed to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from surveys.figures.shape import SHOWN_FROM
from surveys.insights import happened
from surveys.insights.doubts import Doubt, Side, doubts, last_year, overlap, scopes_meet
from surveys.insights.effect import Difference, Nps, Sample, Share, Values, against, difference, one_step_off
from surveys.insights.happened import TOPIC, Rows
from surveys.insights.interrupted import LEAST, Break, interrupted
from surveys.insights.payback import Return, payback
from surveys.insights.records.nouns import Improvement, Metric
from surveys.insights.store import Reader
from surveys.insights.weeks import days_from, midnight
from surveys.rollups.facts import micros
from surveys.survey import INSTRUMENTS

INSTRUMENTS_OF: Mapping[Metric, tuple[str, ...]] = {
    Metric.CSAT: ("csat5",),
    Metric.CES: ("ces7",),
    Metric.CES_GOOD: ("ces7",),
    Metric.NPS: ("nps",),
}
SERIES_WEEKS = 26
SUMMER = timedelta(hours=1)
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


@dataclass(frozen=True, slots=True)
class Past:
    """What improvements are judged by, read once for all of them: from a moment before the first of them on."""

    cases: Rows
    answers: Rows
    asks: Rows


def past(conn: Reader, improvements: Sequence[Improvement], now: datetime, zone: tzinfo) -> Past:
    """All that judging these may look at."""
    first = min((last_year(one.starts_on) - timedelta(days=one.days) for one in improvements), default=now.date())
    since = midnight(min(first, now.date()) - timedelta(days=1), zone)
    return Past(*(read(conn, since, now) for read in (happened.cases, happened.answers, happened.asks)))


def judge(seen: Past, one: Improvement, others: Sequence[Improvement], now: datetime, zone: tzinfo) -> Judgement:
    """The state of things now: after the change only what has been so far."""
    start, until = days_from(one.starts_on, one.days, zone)
    until = min(until, now)
    since = midnight(one.starts_on - timedelta(days=one.days), zone)
    runs = until > start
    here = _scoped(seen, one)
    before = _sample(here, one, since, min(start, now))
    after = _sample(here, one, start, until) if runs else None
    told = after is not None and _is_enough(one, before, after)
    effect = difference(before, after) if after is not None and told else None
    beyond = _beyond(seen, one, effect, before, (since, start, until)) if effect is not None else None
    series, weeks = _series(here, one, now, zone)
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
    doubted = _doubts(here, one, others, (since, start, until), weeks, zone) if runs else ()
    return Judgement(one, runs, days_after, effect, beyond, series, returned, doubted, tuple(weeks))


def _scoped(seen: Past, one: Improvement, *, outside: bool = False) -> Past:
    """What lies in its scope: answers only where they decide, with its own question."""
    named = INSTRUMENTS_OF.get(one.metric, ())
    answers, asks = (rows.kept(rows.of("instrument", *named)) for rows in (seen.answers, seen.asks))
    return Past(*(rows.scoped(one.scope, outside=outside) for rows in (seen.cases, answers, asks)))


# ── samples ────────────────────────────────────────────────────────────────────────────────────────────────────────
def _is_enough(one: Improvement, *samples: Sample) -> bool:
    """No score of fewer than five answers is told, nor what could be reckoned back to one."""
    return not one.metric.by_survey or all(sample.n >= SHOWN_FROM for sample in samples)


def _sample(seen: Past, one: Improvement, since: datetime, until: datetime) -> Sample:
    if one.metric.by_survey:
        return of_answers(one.metric, seen.answers.between(since, until))
    return of_cases(one.metric, seen.cases.between(since, until), since, until)


def of_answers(metric: Metric, answers: Rows) -> Sample:
    """Pure."""
    asked = INSTRUMENTS[INSTRUMENTS_OF[metric][0]]
    scores = answers["score"]
    if metric is Metric.CES:
        return Values(scores, one_step_off(len(scores)))
    good = int((scores >= asked.good_from).sum())
    if metric is Metric.NPS:
        return Nps(good, int((scores <= asked.detractor_to).sum()), len(scores))
    return Share(good, len(scores))


def of_cases(metric: Metric, cases: Rows, since: datetime, until: datetime) -> Sample:
    """Pure. Contacts are counted by whole weeks from `since` on; what is left over at the end is not. A week in which summer
    begins is one, though it is an hour short.
    """
    import numpy as np

    match metric:
        case Metric.CONTACTS:
            full = max(0, (until - since + SUMMER) // timedelta(weeks=1))
            starts = [micros(since + timedelta(weeks=week)) for week in range(full + 1)]
            counts = np.diff(cases.at.searchsorted(starts)).astype(float)
            return Values(counts, float(counts.mean()) if full else 0.0)
        case Metric.TTR:
            lasted = cases["ttr"].astype(float)
            return Values(np.log(lasted[~np.isnan(lasted)] / HOUR + 1 / 60))
        case Metric.ESCALATED:
            return Share(int(cases["escalated"].sum()), len(cases))
        case Metric.REOPENED:
            return Share(int((cases["reopened"] & cases["solved"]).sum()), int(cases["solved"].sum()))
        case _:
            return Share(int((cases["unsolved"] & cases["solved"]).sum()), int(cases["solved"].sum()))


def _beyond(
    seen: Past, one: Improvement, effect: Difference, before: Sample, at: tuple[datetime, datetime, datetime]
) -> Difference | None:
    """What changed here beyond what changed in all other cases; None where the scope is everything."""
    if not one.scope:
        return None
    since, start, until = at
    others = _scoped(seen, one, outside=True)
    other_before, other_after = _sample(others, one, since, start), _sample(others, one, start, until)
    if isinstance(other_before, Values) and isinstance(other_after, Values) and one.metric is Metric.CONTACTS:
        level = other_before.value
        if not level or before.value is None:
            return None
        scale = before.value / level  # elsewhere may be ten times as busy: it is its course that counts
        other_before, other_after = (
            Values([value * scale for value in one_of.values], one_of.least * scale**2)
            for one_of in (other_before, other_after)
        )
    elsewhere = difference(other_before, other_after) if _is_enough(one, other_before, other_after) else None
    return against(effect, elsewhere) if elsewhere is not None else None


# ── by week ────────────────────────────────────────────────────────────────────────────────────────────────────────
def _series(
    seen: Past, one: Improvement, now: datetime, zone: tzinfo
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
    values = _by_span(seen, one, spans)
    while values and values[0][1] in {None, 0.0}:  # before there was anything
        values.pop(0)
    before = [value for day, value in values if value is not None and day < start.isoformat()]
    after = [value for day, value in values if value is not None and day >= start.isoformat()]
    found = interrupted(before, after) if min(len(before), len(after)) >= LEAST else None
    return found, values


def _by_span(
    seen: Past, one: Improvement, spans: Sequence[tuple[str, datetime, datetime]]
) -> list[tuple[str, float | None]]:
    samples = [(day, _sample(seen, one, since, until)) for day, since, until in spans]
    return [(day, sample.value if _is_enough(one, sample) else None) for day, sample in samples]


# ── doubts ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _doubts(
    seen: Past,
    one: Improvement,
    others: Sequence[Improvement],
    at: tuple[datetime, datetime, datetime],
    weeks: Sequence[tuple[str, float | None]],
    zone: tzinfo,
) -> tuple[Doubt, ...]:
    since, start, until = at
    before, after = (_side(seen, one, *span) for span in ((since, start), (start, until)))
    year_ago = last_year(one.starts_on)
    then = midnight(year_ago, zone)
    moved = difference(
        _sample(seen, one, midnight(year_ago - timedelta(days=one.days), zone), then),
        _sample(seen, one, then, then + (until - start)),
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


def _side(seen: Past, one: Improvement, since: datetime, until: datetime) -> Side:
    cases = seen.cases.between(since, until)
    mix = {"channel": cases.counted("channel"), "topic": cases.counted(TOPIC)}
    asked = seen.asks.between(since, until)
    return Side(mix, len(asked), int(asked["answered"].sum())) if one.metric.by_survey else Side(mix)
