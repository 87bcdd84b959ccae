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
from surveys.figures import reduce
from surveys.figures.catalogue import Kind, Metric, chosen
from surveys.figures.columns import Groups, among, asked_for, grouped, whole
from surveys.figures.derived import DERIVED, Cases
from surveys.figures.shape import SHOWN_FROM, Figure, Figures, Question, Silent
from surveys.rollups.blocks import Table
from surveys.rollups.facts import BACKLOG, STEPS
from surveys.survey import INSTRUMENTS, Measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

ASKED = frozenset({"asked", "answered", "expired", "failed", "declined"})
"""States of an invitation that was sent, or was to be."""
_RUNS_ON = frozenset({"frt", "frt_business", "ttr", "ttr_business", "ttr_first", "ttr_first_business"})
"""Times beside which stands how many live cases' clocks still run."""


def answer(question: Question, tables: Mapping[str, Table], now: datetime) -> Figures:
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
    for metric in wanted:
        for groups in filter(None, parts[metric.family]):
            figures = _figures(metric, kept, columns, groups)
            found += _compared(figures, metric) if "agent" in question.by and groups.places != ({},) else figures
    silent = _silent(kept[ASKS])
    bounds = {one.instrument: one.bounds for one in silent}
    found = [replace(one, bounds=bounds.get(one.metric)) if not one.by and not one.is_hidden else one for one in found]
    return Figures(question, tuple(found), _counts(kept, columns), _skipped(kept[ASKS]), silent)


def needed(question: Question) -> Mapping[str, frozenset[str] | None]:
    """Which columns of which family a question touches; None: all of them."""
    if not question.metrics:
        return dict.fromkeys((CASES, ANSWERS, ASKS))
    places = {*question.by, *(name for name, _ in question.where)}
    metrics = chosen(question.metrics)
    of_cases = {name for one in metrics if one.family == CASES for name in DERIVED.get(one.id, _plain(one))}
    always = {"solved", "ended", "escalated", "ever_reopened"}  # the counts
    return {
        CASES: frozenset(places | of_cases | always),
        ANSWERS: frozenset(places | {"instrument", "score"}),
        ASKS: frozenset(places | {"instrument", "state", "skip", "delivered", "score"}),
    }


def _plain(metric: Metric) -> tuple[str, ...]:
    return tuple(filter(None, (metric.column, metric.hits, metric.trials)))


def _figures(metric: Metric, kept: Mapping[str, Table], cases: Cases, groups: Groups) -> list[Figure]:
    import numpy as np

    match metric.kind:
        case Kind.MEAN | Kind.SHARE | Kind.NPS:
            answers = kept[ANSWERS]
            mine = _is(answers, "instrument", {metric.id})
            return reduce.scores(metric, answers.numbers["score"][mine], Groups(groups.of[mine], groups.places))
        case Kind.RATE if metric.family == ASKS:
            asks = kept[ASKS]
            delivered = asks.numbers["delivered"] > 0
            return reduce.rates(metric, delivered & _is(asks, "state", {"answered"}), delivered, groups)
        case Kind.RATE if metric.family == STEPS:
            numbers = kept[STEPS].numbers
            return reduce.rates(metric, numbers[metric.hits], numbers[metric.trials], groups)
        case Kind.RATE:
            return reduce.rates(metric, cases[metric.hits], cases[metric.trials], groups)
        case Kind.AMOUNT:
            return reduce.amounts(metric, cases[metric.column], groups)
        case Kind.TIME if metric.family == BACKLOG:
            return reduce.times(metric, kept[BACKLOG].numbers[metric.column], groups)
        case Kind.TIME:
            if metric.id in cases.table.lists:
                rows, values = cases.table.lists[metric.id]
                return reduce.times(metric, values, Groups(groups.of[rows], groups.places))
            values, running = cases[metric.column], None
            if metric.id in _RUNS_ON:
                runs = (cases["ended"] == 0) & np.isnan(values)
                running = np.bincount(groups.of[runs], minlength=groups.count)
            return reduce.times(metric, values, groups, running)


def _compared(figures: list[Figure], metric: Metric) -> list[Figure]:
    drawn = reduce.shrunk(figures, metric.kind)
    return [replace(one, shrunk=value) for one, value in zip(figures, drawn, strict=True)]


def _is(table: Table, column: str, texts: Collection[str]) -> Array:
    """Where a column has one of these texts."""
    return among(table.codes[column], table.names[column], texts)


def _silent(asks: Table) -> tuple[Silent, ...]:
    """For each instrument whose score is a share, or has one beside it, and that enough answered."""
    found = []
    for asked in INSTRUMENTS.values():
        reached = (asks.numbers["delivered"] > 0) & _is(asks, "instrument", {asked.id})
        given = asks.numbers["score"][reached & _is(asks, "state", {"answered"})]
        if asked.measure is not Measure.NPS and len(given) >= SHOWN_FROM:
            share, n = float((given >= asked.good_from).mean()), int(reached.sum())
            found.append(Silent(asked.id, n, len(given), statistics.non_response_bounds(share, len(given) / n)))
    return tuple(found)


def _counts(kept: Mapping[str, Table], cases: Cases) -> dict[str, int]:
    asks = kept[ASKS]
    ended = int((cases["ended"] > 0).sum())
    return {
        "cases": cases.table.n,
        "resolved": ended,
        "open": cases.table.n - ended,
        "escalated": int((cases["escalated"] > 0).sum()),
        "reopened": int((cases["ever_reopened"] > 0).sum()),
        "invited": int(_is(asks, "state", ASKED).sum()),
        "delivered": int((asks.numbers["delivered"] > 0).sum()),
        "failed": int(_is(asks, "state", {"failed"}).sum()),
        "answered": int(_is(asks, "state", {"answered"}).sum()),
        "responses": kept[ANSWERS].n,
    }


def _skipped(asks: Table) -> dict[str, int]:
    import numpy as np

    skipped = asks.codes["skip"][_is(asks, "state", {"skipped"})]
    counted = np.bincount(skipped, minlength=len(asks.names["skip"])).tolist()
    named = {text or "unknown": n for text, n in zip(asks.names["skip"], counted, strict=True) if n}
    return dict(sorted(named.items()))
