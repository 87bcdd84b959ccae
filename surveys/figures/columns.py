"""Columns filtered and grouped: which rows a question is about, and which group each of them is in. Pure.

Moments are local to the desk, on days of 23 and 25 hours too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from surveys.figures.shape import MOMENTS, Question
from surveys.rollups.blocks import Table, only, taken
from surveys.rollups.facts import EPOCH, TOGETHER, micros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

DAY, HOUR, QUARTER = 86_400_000_000, 3_600_000_000, 900_000_000  # µs
INVOLVED = "involved"
DENSE = 4_000_000  # so many combinations of values are counted in a plain array


@dataclass(frozen=True)
class Groups:
    """`of[row]` is the group of each row, `places[group]` what it has in common."""

    of: Array
    places: Sequence[Mapping[str, str | None]]

    @property
    def count(self) -> int:
        return len(self.places)

    def of_rows(self, rows: Array) -> Groups:
        """The groups of these rows alone."""
        return Groups(self.of[rows] if self.count > 1 else self.of[: len(rows)], self.places)

    def counted(self, rows: Array | None = None) -> list[int]:
        """How many rows (of these, a mask) each group has."""
        import numpy as np

        if self.count == 1:
            return [len(self.of) if rows is None else int(np.count_nonzero(rows))]
        of = self.of if rows is None else self.of[rows]
        return [int(n) for n in np.bincount(of, minlength=self.count).tolist()]

    def sums(self, values: Array) -> Array:
        """The sum of a column in each group."""
        import numpy as np

        if self.count == 1:
            return np.array([values.sum(dtype=np.float64)])
        return np.bincount(self.of, values, self.count)


def asked_for(table: Table, question: Question) -> Table:
    """The rows that a question is about."""
    import numpy as np

    kept = np.ones(table.n, dtype=bool)
    if table.n and question.since is not None and table.at.min() < (since := micros(question.since)):
        kept &= table.at >= since
    if table.n and question.until is not None and table.at.max() >= (until := micros(question.until)):
        kept &= table.at < until
    for dimension in dict.fromkeys(name for name, _ in question.where):
        codes, texts = coded(table, dimension, question.zone)
        wanted = {value for name, value in question.where if name == dimension}
        if dimension == INVOLVED:
            wanted = {text for text in texts if wanted & set(text.split(TOGETHER))}
        kept &= among(codes, texts, wanted)
    return only(table, kept)


def each_involved(table: Table) -> Table:
    """Every row once for each agent who was involved; one that nobody was involved in stays one."""
    import numpy as np

    if INVOLVED not in table.codes:
        return table
    known: dict[str, int] = {}
    of_text = [[known.setdefault(one, len(known)) for one in text.split(TOGETHER)] for text in table.names[INVOLVED]]
    many = np.array([len(one) for one in of_text], dtype=np.int64)
    starts = np.cumsum(many) - many
    members = np.array([one for some in of_text for one in some], dtype=np.int64)
    codes = table.codes[INVOLVED]
    rows = np.repeat(np.arange(table.n), many[codes])
    within = np.arange(len(rows)) - np.repeat(np.cumsum(many[codes]) - many[codes], many[codes])
    spread = taken(table, rows)
    who = {INVOLVED: members[starts[codes[rows]] + within]}
    return replace(spread, codes={**spread.codes, **who}, names={**spread.names, INVOLVED: list(known)})


def among(codes: Array, texts: Sequence[str], wanted: Collection[str]) -> Array:
    """Where the text that a number stands for is one of those wanted."""
    import numpy as np

    flags: Array = np.array([text in wanted for text in texts], dtype=bool)
    return flags[codes]


def times_each(table: Table, column: str, rows: Array | None = None) -> dict[str, int]:
    """Name → how often it stands there, in these rows (a mask; None: in all)."""
    import numpy as np

    codes = table.codes[column] if rows is None else table.codes[column][rows]
    counted = np.bincount(codes, minlength=len(table.names[column])).tolist()
    return {text: n for text, n in zip(table.names[column], counted, strict=True) if n}


def whole(table: Table) -> Groups:
    """All rows as one group."""
    import numpy as np

    return Groups(np.zeros(table.n, dtype=np.int64), ({},))


def grouped(table: Table, by: Sequence[str], zone: tzinfo) -> Groups:
    """Each combination of values that occurs, in the order of their names; what has none comes last."""
    import numpy as np

    keyed = [coded(table, name, zone) for name in by]
    texts = [names for _, names in keyed]
    size = int(np.prod([len(names) for names in texts], dtype=np.int64)) if keyed else 1
    key = np.zeros(table.n, dtype=np.int64) if not keyed else keyed[0][0].astype(np.int64)
    for codes, names in keyed[1:]:
        key *= len(names)
        key += codes
    if size <= DENSE:
        present = np.flatnonzero(np.bincount(key, minlength=size))
    else:
        present, key = np.unique(key, return_inverse=True)
    values = [_values(int(one), texts) for one in present]
    order = sorted(range(len(values)), key=lambda n: [(value is None, value or "") for value in values[n]])
    ranks = np.zeros(len(order), dtype=np.int64)
    ranks[np.array(order, dtype=np.int64)] = np.arange(len(order))
    if size <= DENSE:
        numbered = np.zeros(size, dtype=np.int64)
        numbered[present] = ranks
        ranks = numbered
    return Groups(ranks[key], [dict(zip(by, values[n], strict=True)) for n in order])


def _values(key: int, texts: Sequence[Sequence[str]]) -> list[str | None]:
    found: list[str | None] = []
    for one in reversed(texts):
        key, code = divmod(key, len(one))
        found.append(one[code] or None)
    return found[::-1]


def coded(table: Table, dimension: str, zone: tzinfo) -> tuple[Array, Sequence[str]]:
    """Each row's value as a number into a list of texts; "" for none. A dimension that this family lacks is none for all."""
    import numpy as np

    if dimension in MOMENTS:
        return _moments(table.at, dimension, zone)
    if dimension not in table.codes:
        return np.zeros(table.n, dtype=np.int64), ("",)
    return table.codes[dimension], table.names[dimension]


def _moments(at: Array, name: str, zone: tzinfo) -> tuple[Array, Sequence[str]]:
    """By quarters of an hour, in which no clock on a wall is changed: what each of them is called is looked up once."""
    import numpy as np

    if not len(at):
        return np.zeros(0, dtype=np.int64), ("",)
    quarters = at // QUARTER
    first = int(quarters.min())
    begins = np.arange(first, int(quarters.max()) + 1) * QUARTER
    quarters -= first
    local = begins + _offsets(begins, zone)
    if name == "hour":
        return (local // HOUR % 24)[quarters], [f"{hour:02}" for hour in range(24)]
    days = local // DAY
    texts: dict[str, int] = {}
    codes = np.zeros(int(days.max() - days.min()) + 1, dtype=np.int64)
    start = int(days.min())
    seen = np.zeros(len(codes), dtype=bool)
    seen[(days - start)[np.flatnonzero(np.bincount(quarters, minlength=len(days)))]] = True
    for day in np.flatnonzero(seen).tolist():
        codes[day] = texts.setdefault(of_day((EPOCH + timedelta(days=start + day)).date(), name), len(texts))
    return codes[days - start][quarters], list(texts)


def _offsets(at: Array, zone: tzinfo) -> Array:
    """How far the clock on the wall is ahead of UTC at each of some moments in their order, in µs.

    Looked up once for each day; for a day on which the clock is changed, once for each quarter of an hour.
    """
    import numpy as np

    days = at // DAY
    first, last = int(days[0]), int(days[-1])
    ahead = np.array([_offset(zone, day * DAY) for day in range(first, last + 2)], dtype=np.int64)
    found: Array = ahead[days - first]
    for day in np.flatnonzero(np.diff(ahead)).tolist():
        rows = days == first + day
        quarters = np.array([_offset(zone, (first + day) * DAY + quarter * QUARTER) for quarter in range(96)])
        found[rows] = quarters[(at[rows] - (first + day) * DAY) // QUARTER]
    return found


def _offset(zone: tzinfo, at: int) -> int:
    ahead = (EPOCH + timedelta(microseconds=at)).astimezone(zone).utcoffset() or timedelta()
    return ahead // timedelta(microseconds=1)


def of_day(day: date, name: str) -> str:
    """A local day as a value of that dimension."""
    if name == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02}"
    if name == "weekday":
        return str(day.isoweekday())
    return day.isoformat() if name == "day" else f"{day:%Y-%m}"
