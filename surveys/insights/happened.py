"""What happened in a span, in columns and in the order of time: how "what to mend" reads a million cases, from the same facts
that figures are made of (`surveys/rollups`).

A case's topic is its tag, else its flow (`topics.topic_of`). A case counts with the topic and channel that it has in the end, an
answer with those at the closing of its case, as in every figure. Spam and duplicates are no cases here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.storage.marks import ANSWERS, ASKS, CASES
from surveys.figures.columns import among
from surveys.insights.risk import BAD_OUTCOMES
from surveys.rollups.blocks import NOBODY, Table
from surveys.rollups.facts import WHO, micros
from surveys.rollups.keeping import happened
from surveys.rollups.store import Reader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

NO_SPEECH = frozenset({"spam", "duplicate"})
TOPIC = "about"  # the tag, else the flow
_PLACES = ("channel", "team", "topic", "flow")


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of one length, in the order of `at` (µs since 1970). `codes[name]` are numbers of `names[name]`, "" for none;
    `values` are whatever else there is to one row.
    """

    at: Array
    codes: Mapping[str, Array]
    names: Mapping[str, Sequence[str]]
    values: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def between(self, since: datetime, until: datetime) -> Rows:
        """Those of a span: views of the same numbers."""
        first, last = self.at.searchsorted([micros(since), micros(until)])
        return self._only(slice(int(first), max(int(first), int(last))))

    def kept(self, rows: Array) -> Rows:
        """Those of a mask."""
        import numpy as np

        return self._only(np.flatnonzero(rows))

    def _only(self, rows: slice | Array) -> Rows:
        return replace(
            self,
            at=self.at[rows],
            codes={name: codes[rows] for name, codes in self.codes.items()},
            values={name: values[rows] for name, values in self.values.items()},
        )

    def scoped(self, scope: Mapping[str, str], *, outside: bool = False) -> Rows:
        """Those for which all of a scope's conditions hold; `outside`: all others."""
        import numpy as np

        if not scope:
            return self
        inside = np.ones(len(self), dtype=bool)
        for name, value in scope.items():
            inside &= self.of(TOPIC if name == "topic" else name, value)
        return self.kept(~inside if outside else inside)

    def of(self, name: str, *texts: str) -> Array:
        """Where a column has one of these texts."""
        return among(self.codes[name], self.names[name], texts)

    def counted(self, name: str) -> dict[str, int]:
        """Text → how often it stands there; "" for none."""
        import numpy as np

        times = np.bincount(self.codes[name], minlength=len(self.names[name])).tolist()
        return {text: n for text, n in zip(self.names[name], times, strict=True) if n}


def cases(conn: Reader, since: datetime, until: datetime) -> Rows:
    """`reopened`, `escalated`, `unsolved`, `solved` are flags; `ttr` seconds to the first resolution, NaN where there is none;
    `who` the customer's number, `said` when they last wrote in it (µs).
    """
    import numpy as np

    table = happened(conn, CASES, since, until, {*_PLACES, "outcome", "ttr", "ttr_first", "spoke", WHO})
    first, last = table.numbers["ttr_first"], table.numbers["ttr"]
    values = {
        "reopened": table.count("ever_reopened") > 0,
        "escalated": table.count("escalated") > 0,
        "solved": table.count("solved") > 0,
        "unsolved": among(table.codes["outcome"], table.names["outcome"], BAD_OUTCOMES),
        "ttr": np.where(np.isnan(first), last, first),
        "who": table.numbers[WHO],
        "said": table.at + (np.nan_to_num(table.numbers["spoke"]).astype(np.float64) * 1e6).astype(np.int64),
    }
    found = _rows(table, values)
    return found.kept(~among(table.codes["outcome"], table.names["outcome"], NO_SPEECH))


def answers(conn: Reader, since: datetime, until: datetime) -> Rows:
    """`score` of each answer, and the customer's number, `who`; `instrument` is one of the codes."""
    table = happened(conn, ANSWERS, since, until, {*_PLACES, "instrument", "score", WHO})
    return _rows(table, {"score": table.numbers["score"], "who": table.numbers[WHO]}, "instrument")


def asks(conn: Reader, since: datetime, until: datetime) -> Rows:
    """The questions that arrived, by the time at which they were decided; `answered` is a flag."""
    table = happened(conn, ASKS, since, until, {*_PLACES, "instrument", "state"})
    values = {"answered": among(table.codes["state"], table.names["state"], {"answered"})}
    return _rows(table, values, "instrument").kept(table.count("delivered") > 0)


def _rows(table: Table, values: Mapping[str, Array], *more: str) -> Rows:
    about, texts = _about(table)
    codes = {TOPIC: about, **{name: table.codes[name] for name in (*_PLACES, *more)}}
    names = {TOPIC: texts, **{name: table.names[name] for name in (*_PLACES, *more)}}
    return Rows(table.at, codes, names, values)


def _about(table: Table) -> tuple[Array, Sequence[str]]:
    """Each row's topic: its tag, else its flow."""
    import numpy as np

    known = {NOBODY: 0}
    tags, flows = (
        np.array([known.setdefault(text, len(known)) for text in table.names[name]], dtype=np.int64)
        for name in ("topic", "flow")
    )
    tagged = tags[table.codes["topic"]]
    return np.where(tagged > 0, tagged, flows[table.codes["flow"]]), list(known)
