"""What cases add up to: rates that follow from what a case counts, and from how long ago it ended. Pure.

A case's kind (`rollups/blocks.py`) tells all that it counts; what is unknown until some days have passed needs one look more.
So a case is of one of twice as many *sorts* as there are kinds, and how many of each sort there are tells every rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from surveys.figures.columns import Groups
from surveys.rollups.blocks import KIND, Table
from surveys.rollups.facts import COUNTS, WITHIN, micros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

DERIVED: Mapping[str, tuple[str, ...]] = {
    "fcr": ("ttr",),
    "contained_no_return": ("ttr",),
    "wait_error": ("wait_bias",),
}
"""Metric → the stored columns that it is made of, where its own are derived."""
DENSE = 8_000_000  # so many groups times sorts are counted in a plain array


class Cases:
    """A table of cases with what follows from it as of `now`."""

    def __init__(self, table: Table, now: datetime) -> None:
        self.table = table
        self._now = micros(now)
        self._worth: dict[str, Array] = {}

    def numbers(self, name: str) -> Array:
        """A column of spans."""
        import numpy as np

        if name == "wait_error":
            error: Array = np.abs(self.table.numbers["wait_bias"])
            return error
        return self.table.numbers[name]

    def worth(self, name: str) -> Array:
        """What each sort of case counts for `name`."""
        import numpy as np

        if name not in self._worth:
            made = getattr(self, f"_{name}", None)
            self._worth[name] = made() if made is not None else np.repeat(self._counts[name], 2)
        return self._worth[name]

    def total(self, name: str, *, cases: bool = False) -> int:
        """Over all cases; with `cases` how many there are that count anything at all."""
        worth = self.worth(name)
        return int(self.sorts_in_all @ ((worth > 0) if cases else worth))

    @cached_property
    def live(self) -> Array:
        """Which cases have not ended."""
        live: Array = (self.worth("ended") == 0)[self.sorts]
        return live

    @cached_property
    def sorts(self) -> Array:
        """The sort of each case: twice its kind, and one more where it is known by now whether it came back."""
        import numpy as np

        kinds = self.table.codes[KIND].astype(np.int64) * 2
        if "ttr" not in self.table.numbers:
            return kinds
        ago = self._now - WITHIN.total_seconds() * 1e6 - self.table.at
        known: Array = self.table.numbers["ttr"].astype(np.float64) * 1e6 <= ago  # NaN is never less
        kinds += known
        return kinds

    @cached_property
    def sorts_in_all(self) -> Array:
        import numpy as np

        counted: Array = np.bincount(self.sorts, minlength=2 * len(self.table.names[KIND]))
        return counted

    @cached_property
    def _counts(self) -> Mapping[str, Array]:
        return dict(zip(COUNTS[self.table.family], self.table.counts_of_kinds().T, strict=True))

    def _one(self) -> Array:
        import numpy as np

        return np.ones(2 * len(self.table.names[KIND]), dtype=np.int64)

    def _fcr_known(self) -> Array:
        import numpy as np

        known: Array = self.worth("ended") * (np.arange(2 * len(self.table.names[KIND])) % 2)
        return known

    def _stayed(self) -> Array:
        """Known, never reopened, and no case of that customer on that topic within the days after."""
        stayed: Array = self.worth("fcr_known") * (self.worth("ever_reopened") == 0) * (self.worth("returned") == 0)
        return stayed

    def _fcr(self) -> Array:
        solved: Array = self.worth("stayed") * self.worth("resolved")
        return solved

    def _contained(self) -> Array:
        return self.worth("alone")

    def _contained_stayed(self) -> Array:
        stayed: Array = self.worth("stayed") * self.worth("alone")
        return stayed

    def _bot_confirmed(self) -> Array:
        said_so: Array = self.worth("alone") * self.worth("resolved") * self.worth("confirmed")
        return said_so

    def _bot_assumed(self) -> Array:
        nobody_said: Array = self.worth("alone") * self.worth("resolved") * (self.worth("confirmed") == 0)
        return nobody_said


class Sorted:
    """How many cases of each sort each group has."""

    def __init__(self, cases: Cases, groups: Groups) -> None:
        self._cases, self._groups = cases, groups

    @cached_property
    def _matrix(self) -> Array | None:
        import numpy as np

        if self._groups.count == 1:
            return self._cases.sorts_in_all[None, :]
        sorts = 2 * len(self._cases.table.names[KIND])
        if sorts * self._groups.count > DENSE:
            return None
        key = self._groups.of * sorts
        key += self._cases.sorts
        return np.bincount(key, minlength=sorts * self._groups.count).reshape(self._groups.count, sorts)

    def sums(self, name: str) -> list[int]:
        """What each group's cases count for `name`, together."""
        worth = self._cases.worth(name)
        if self._matrix is not None:
            return [int(one) for one in (self._matrix @ worth).tolist()]
        return [int(one) for one in self._groups.sums(worth[self._cases.sorts]).tolist()]
