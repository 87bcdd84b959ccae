"""The one shape of figures: what is asked, and what comes back. Plain frozen values; no numbers are made here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum

from bot.intervals import Interval

SHOWN_FROM = 5
"""Under this many answers no score is shown."""
NOTICEABLE = 0.1
"""From so many standard deviations on a difference is worth a thought (Austin 2009)."""
FIRM_FROM = 30
"""Under this many a figure is drawn grey."""
PLACES = ("channel", "team", "agent", "involved", "flow", "step", "topic", "locale", "reason")
"""What a case, an answer or a decision on asking can be grouped and filtered by. `agent` is the last one who held the case;
`involved` everybody who had a hand in it, so that one case stands in several groups and they add up to more than all; `step` is
`flow/step` where the bot's part ended, `reason` why people were fetched (cases only)."""
MOMENTS = ("day", "week", "month", "weekday", "hour")
"""… and by time, local to the desk: "2026-03-09", ISO week "2026-W11", "2026-03", "1" (Monday) to "7", "00" to "23"."""
DIMENSIONS = (*PLACES, *MOMENTS)

Place = Mapping[str, str | None]
"""Dimension → value; None: it has none. `{}` is all of it."""


class Shown(StrEnum):
    """How far a figure may be drawn."""

    FIRM = "shown"
    GREY = "grey"  # rests on few: rough
    HIDDEN = "hidden"  # a score of fewer than five: `n` is told, nothing else
    EMPTY = "empty"  # nothing to count


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric in one group.

    `value`: a score's mean, share or NPS · a rate's share 0…1 · a time's median in seconds · an amount's mean; with its 95 %
    `interval` where there is one. None where hidden or empty. `share` and `share_interval`: of a CES its part of 5–7. `mean`
    and `p90`: of a time, seconds; on skewed times no interval of a mean keeps its promise, so it has none. `spread`: of a
    score, how many gave each (None where hidden). `shrunk`: among agents, the value drawn towards all agents' by how little it
    rests on: compare agents by it or not at all. `still`: of a time, how many cases' clocks still run. `bounds`: of a share
    of answers, what it could be among all who were asked.
    """

    metric: str
    by: Place
    n: int
    value: float | None = None
    interval: Interval | None = None
    shown: Shown = Shown.EMPTY
    share: float | None = None
    share_interval: Interval | None = None
    mean: float | None = None
    p90: float | None = None
    spread: Mapping[float, int] | None = None
    shrunk: float | None = None
    still: int | None = None
    bounds: Interval | None = None

    @property
    def is_grey(self) -> bool:
        return self.shown is Shown.GREY

    @property
    def is_hidden(self) -> bool:
        return self.shown is Shown.HIDDEN


@dataclass(frozen=True, slots=True)
class Question:
    """`since` ≤ at < `until` (UTC): cases by their opening, answers and decisions on asking by their own time.

    `by`: group by these dimensions, in all their combinations. `where`: only what has these values ("" for none); several of
    one dimension: any of them. `metrics`: only these; () for all. `zone` says when a day begins. `asking`: the steps of flows, as
    `flow/step`, at which something is asked; None where nobody knows, and each step counts as one.
    """

    since: datetime | None = None
    until: datetime | None = None
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    metrics: tuple[str, ...] = ()
    zone: tzinfo = UTC
    asking: frozenset[str] | None = None

    def __post_init__(self) -> None:
        for name in (*self.by, *(dimension for dimension, _ in self.where)):
            if name not in DIMENSIONS:
                raise ValueError(f'by: "{name[:40]}" is none of {", ".join(DIMENSIONS)}')


@dataclass(frozen=True, slots=True)
class Compared:
    """Those who answered beside those who did not, by one value of a dimension: how many of each have it, and their share.

    Of `ttr` (its value is None) how many times there are, and their medians in seconds. `difference` is standardised, above
    zero where those who answered have more of it; infinite, without an interval, where nothing varies.
    """

    dimension: str
    value: str | None
    answered: int
    silent: int
    of_answered: float
    of_silent: float
    difference: float
    interval: Interval | None

    @property
    def is_noticeable(self) -> bool:
        """A tenth of a standard deviation or more, and no chance finding."""
        sure = self.interval is None or self.interval.low > 0 or self.interval.high < 0
        return abs(self.difference) >= NOTICEABLE and sure


@dataclass(frozen=True, slots=True)
class Weighted:
    """A score as it would be had each stratum answered as often as any other; `least` answers at the fewest in one."""

    value: float
    interval: Interval
    strata: int
    least: int


@dataclass(frozen=True, slots=True)
class Silent:
    """Of a question that reached so many: how many answered, and what their share could be among all, were the silent all
    unhappy, or all happy (of an NPS nothing).
    """

    instrument: str
    reached: int
    answered: int
    bounds: Interval | None
    compared: tuple[Compared, ...] = ()
    weighted: Weighted | None = None

    @property
    def response_rate(self) -> float:
        return self.answered / self.reached


@dataclass(frozen=True, slots=True)
class Figures:
    """What was asked, and every figure: of each metric first all of it (`by` is {}), then its groups in order."""

    asked: Question
    figures: tuple[Figure, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)  # cases, resolved, open, …: whole numbers of the span
    skipped: Mapping[str, int] = field(default_factory=dict)  # why customers were not asked → how many
    silent: tuple[Silent, ...] = ()
    pending: int = 0  # cases, answers and decisions on asking that are still to be counted, of whatever span

    def of(self, metric: str) -> Figure:
        """That metric over all of the span; an empty one where nothing was counted."""
        return next((one for one in self.figures if one.metric == metric and not one.by), Figure(metric, {}, 0))

    def groups(self, metric: str) -> tuple[Figure, ...]:
        """That metric's groups, without the whole."""
        return tuple(one for one in self.figures if one.metric == metric and one.by)

    def metrics(self) -> Iterator[str]:
        """The metrics that there are figures of, in the order of the catalogue."""
        return iter(dict.fromkeys(one.metric for one in self.figures))

    def series(self, metric: str, moments: Sequence[str] | None = None) -> tuple[Series, ...]:
        """One line for each group: `by` must have begun with a moment (day, week, month). No gaps: what is missing is empty.

        `moments` are all that are to stand on the axis; None: those that anything of this metric was found for.
        """
        if not self.asked.by or self.asked.by[0] not in MOMENTS:
            raise ValueError(f"a series is asked by one of {', '.join(MOMENTS)} first")
        moment = self.asked.by[0]
        found = self.groups(metric)
        axis = tuple(moments or sorted({str(one.by[moment]) for one in found}))
        lines: dict[tuple[tuple[str, str | None], ...], dict[str, Figure]] = {}
        for one in found:
            rest = tuple((key, value) for key, value in one.by.items() if key != moment)
            lines.setdefault(rest, {})[str(one.by[moment])] = one
        return tuple(
            Series(
                metric,
                dict(rest),
                axis,
                tuple(line.get(at, Figure(metric, {**dict(rest), moment: at}, 0)) for at in axis),
            )
            for rest, line in lines.items()
        )


@dataclass(frozen=True, slots=True)
class Series:
    """One line over time: `points[i]` is the figure of the moment `axis[i]`."""

    metric: str
    by: Place
    axis: tuple[str, ...]
    points: tuple[Figure, ...]


def weeks(first: date, last: date) -> tuple[str, ...]:
    """The ISO weeks from one day to another, as the dimension names them: the axis of a series."""
    from datetime import timedelta

    monday = first - timedelta(days=first.weekday())
    count = (last - monday).days // 7 + 1
    days = (monday + timedelta(weeks=n) for n in range(max(0, count)))
    return tuple(f"{day.isocalendar().year}-W{day.isocalendar().week:02}" for day in days)


def is_shown(n: int, *, is_score: bool) -> Shown:
    """Whether a figure that rests on `n` is drawn, and how."""
    if n == 0:
        return Shown.EMPTY
    if is_score and n < SHOWN_FROM:
        return Shown.HIDDEN
    return Shown.GREY if n < FIRM_FROM else Shown.FIRM
