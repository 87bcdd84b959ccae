"""A question answered: material in, figures out. Pure; where the material comes from is `surveys/rollups`.

Cases are counted by their opening, answers and decisions on asking by their own time, each with the channel, team, agent … that
it had in the end (a case) or at its closing (answers, decisions).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.storage.marks import ANSWERS, ASKS, CASES
from surveys import statistics
from surveys.figures import reduce, silence
from surveys.figures.catalogue import METRICS, Kind, Metric, chosen
from surveys.figures.columns import INVOLVED, Groups, among, asked_for, each_involved, grouped, times_each, whole
from surveys.figures.derived import DERIVED, Cases, Sorted
from surveys.figures.shape import SHOWN_FROM, Figure, Figures, Question, Silent
from surveys.rollups.blocks import Table
from surveys.rollups.facts import BACKLOG, LISTS, NAMES, SPANS, STEPS
from surveys.survey import INSTRUMENTS, Measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

ASKED = frozenset({"asked", "answered", "expired", "failed", "declined"})
"""States of an invitation that was sent, or was to be."""
_RUNS_ON = frozenset({"frt", "frt_business", "ttr", "ttr_business", "ttr_first", "ttr_first_business"})
"""Times beside which stands how many live cases' clocks still run."""


_OF_CASES = frozenset({*NAMES[CASES], *SPANS[CASES], *LISTS[CASES]}) - {"outcome", "spoke"}
"""Columns of cases that figures are made of. The others tell "what to mend" who may leave, and why."""


def answer(question: Question, tables: Mapping[str, Table], now: datetime) -> Figures:
    """As `_answer`. By who was involved a case counts for each of them, and in all of it once."""
    if INVOLVED not in question.by:
        return _answer(question, tables, now)
    all_of = _answer(replace(question, by=()), tables, now)
    apart = _answer(question, {family: each_involved(table) for family, table in tables.items()}, now)
    every = sorted(
        (*all_of.figures, *(one for one in apart.figures if one.by)), key=lambda one: list(METRICS).index(one.metric)
    )
    return replace(all_of, asked=question, figures=tuple(every))


def _answer(question: Question, tables: Mapping[str, Table], now: datetime) -> Figures:
    """`tables` are the families' facts, of the span at least. Raises ValueError for a metric that there is not.

    What is unknown until some time has passed is judged as of `now`, or of the end of the span if that is earlier.
    """
    wanted = chosen(question.metrics)
    at_any_time = replace(question, since=None, until=None)
    kept = {
        family: asked_for(table, at_any_time if family == BACKLOG else question) for family, table in tables.items()
    }
    found: list[Figure] = []
    parts = {
        family: (whole(table), grouped(table, question.by, question.zone) if question.by else None)
        for family, table in kept.items()
    }
    columns = Cases(kept[CASES], min(now, question.until or now))
    sorts = [Sorted(columns, groups) for groups in filter(None, parts[CASES])]
    for metric in wanted:
        for place, groups in enumerate(filter(None, parts[metric.family])):
            figures = _figures(metric, kept, columns, sorts[place], groups)
            of_agents = {"agent", INVOLVED} & set(question.by) and groups.places != ({},)
            found += _compared(figures, metric) if of_agents else figures
    silent = _silent(kept[ASKS])
    if not question.metrics:
        delivered = kept[ASKS].count("delivered") > 0
        answered = delivered & _is(kept[ASKS], "state", {"answered"})
        silent = silence.heard(kept[ASKS], silent, answered, delivered)
    bounds = {one.instrument: one.bounds for one in silent}
    found = [replace(one, bounds=bounds.get(one.metric)) if not one.by and not one.is_hidden else one for one in found]
    return Figures(question, tuple(found), _counts(kept, columns), _skipped(kept[ASKS]), silent)


def needed(question: Question) -> Mapping[str, frozenset[str] | None]:
    """Which columns of which family a question touches; None: all of them."""
    if not question.metrics:
        return {CASES: _OF_CASES, ANSWERS: None, ASKS: None}
    places = {*question.by, *(name for name, _ in question.where)}
    metrics = chosen(question.metrics)
    of_cases = {name for one in metrics if one.family == CASES for name in DERIVED.get(one.id, _plain(one))}
    return {
        CASES: frozenset(places | of_cases),
        ANSWERS: frozenset(places | {"instrument", "score"}),
        ASKS: frozenset(places | {"instrument", "state", "skip", "score"}),
    }


def _plain(metric: Metric) -> tuple[str, ...]:
    return tuple(filter(None, (metric.column, metric.hits, metric.trials)))


def _figures(metric: Metric, kept: Mapping[str, Table], cases: Cases, sorts: Sorted, groups: Groups) -> list[Figure]:
    import numpy as np

    match metric.kind:
        case Kind.MEAN | Kind.SHARE | Kind.NPS:
            answers = kept[ANSWERS]
            mine = np.flatnonzero(_is(answers, "instrument", {metric.id}))
            return reduce.scores(metric, answers.numbers["score"][mine], groups.of_rows(mine))
        case Kind.RATE if metric.family == ASKS:
            delivered = kept[ASKS].count("delivered") > 0
            answered = delivered & _is(kept[ASKS], "state", {"answered"})
            return reduce.rates(metric, groups.counted(answered), groups.counted(delivered), groups)
        case Kind.RATE if metric.family == STEPS:
            hits, trials = (groups.sums(kept[STEPS].numbers[name]) for name in (metric.hits, metric.trials))
            return reduce.rates(metric, [int(n) for n in hits], [int(n) for n in trials], groups)
        case Kind.RATE:
            return reduce.rates(metric, sorts.sums(metric.hits), sorts.sums(metric.trials), groups)
        case Kind.AMOUNT:
            return reduce.amounts(metric, cases.numbers(metric.column), groups)
        case Kind.TIME if metric.family == BACKLOG:
            return reduce.times(metric, kept[BACKLOG].numbers[metric.column], groups)
        case Kind.TIME:
            if metric.id in cases.table.lists:
                rows, values = cases.table.lists[metric.id]
                return reduce.times(metric, values, groups.of_rows(rows))
            values, running = cases.numbers(metric.column), None
            if metric.id in _RUNS_ON:
                running = groups.counted(cases.live & np.isnan(values))
            return reduce.times(metric, values, groups, running)


def _compared(figures: list[Figure], metric: Metric) -> list[Figure]:
    drawn = reduce.shrunk(figures, metric.kind)
    return [replace(one, shrunk=value) for one, value in zip(figures, drawn, strict=True)]


def _is(table: Table, column: str, texts: Collection[str]) -> Array:
    """Where a column has one of these texts."""
    return among(table.codes[column], table.names[column], texts)


def _silent(asks: Table) -> tuple[Silent, ...]:
    """For each instrument that enough answered. What its share could be among all: where it is one, or has one beside it."""
    import numpy as np

    found = []
    delivered = asks.count("delivered") > 0
    answered = np.flatnonzero(delivered & _is(asks, "state", {"answered"}))
    scores, of = asks.numbers["score"][answered], asks.codes["instrument"]
    for asked in INSTRUMENTS.values():
        if asked.id not in asks.names["instrument"]:
            continue
        mine = asks.names["instrument"].index(asked.id)
        given = scores[of[answered] == mine]
        if len(given) >= SHOWN_FROM:
            share, n = float((given >= asked.good_from).mean()), int(np.count_nonzero(delivered & (of == mine)))
            bounds = None if asked.measure is Measure.NPS else statistics.non_response_bounds(share, len(given) / n)
            found.append(Silent(asked.id, n, len(given), bounds))
    return tuple(found)


def _counts(kept: Mapping[str, Table], cases: Cases) -> dict[str, int]:
    asks = kept[ASKS]
    states = times_each(asks, "state")
    ended = cases.total("ended", cases=True)
    return {
        "cases": cases.table.n,
        "resolved": ended,
        "open": cases.table.n - ended,
        "escalated": cases.total("escalated", cases=True),
        "reopened": cases.total("ever_reopened", cases=True),
        "invited": sum(n for state, n in states.items() if state in ASKED),
        "delivered": int((asks.count("delivered") > 0).sum()),
        "failed": states.get("failed", 0),
        "answered": states.get("answered", 0),
        "responses": kept[ANSWERS].n,
    }


def _skipped(asks: Table) -> dict[str, int]:
    skipped = times_each(asks, "skip", _is(asks, "state", {"skipped"}))
    return dict(sorted((text or "unknown", n) for text, n in skipped.items()))
