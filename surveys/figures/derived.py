"""Columns of cases that follow from stored ones: what is known by now, and what was solved by whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from surveys.rollups.blocks import Table
from surveys.rollups.facts import WITHIN, micros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_RETURN = ("ended", "ttr", "again", "ever_reopened", "resolved", "alone")
_ALONE = ("alone", "resolved", "confirmed", "ended")
DERIVED: Mapping[str, tuple[str, ...]] = {
    "fcr": _RETURN,
    "contained_no_return": _RETURN,
    "bot_confirmed": _ALONE,
    "bot_assumed": _ALONE,
    "contained": _ALONE,
    "wait_error": ("wait_bias",),
}
"""Metric → the stored columns that it is made of, where its own are derived."""


class Cases:
    """Columns of cases by name, with those that follow from others as of `now`."""

    def __init__(self, table: Table, now: datetime) -> None:
        self.table = table
        self._now = micros(now)
        self._known: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._known:
            made = getattr(self, f"_{name}", None)
            self._known[name] = made() if made is not None else self.table.numbers[name]
        return self._known[name]

    def _one(self) -> Array:
        import numpy as np

        return np.ones(self.table.n, dtype=np.uint8)

    def _fcr_known(self) -> Array:
        import numpy as np

        ended, lasted = self["ended"] > 0, self["ttr"]
        ago = self._now - (self.table.at + np.where(ended, lasted, 0).astype(np.float64) * 1e6)
        return ended & (ago >= WITHIN.total_seconds() * 1e6)

    def _stayed(self) -> Array:
        """Known, never reopened, and no case of that customer on that topic within the days after."""
        again = self["again"] <= WITHIN.total_seconds()  # NaN is never less
        stayed: Array = self["fcr_known"] & (self["ever_reopened"] == 0) & ~again
        return stayed

    def _fcr(self) -> Array:
        solved: Array = self["stayed"] & (self["resolved"] > 0)
        return solved

    def _contained(self) -> Array:
        return self["alone"]

    def _contained_stayed(self) -> Array:
        stayed: Array = self["stayed"] & (self["alone"] > 0)
        return stayed

    def _bot_confirmed(self) -> Array:
        said_so: Array = self._solved_alone() & (self["confirmed"] > 0)
        return said_so

    def _bot_assumed(self) -> Array:
        nobody_said: Array = self._solved_alone() & (self["confirmed"] == 0)
        return nobody_said

    def _solved_alone(self) -> Array:
        alone: Array = (self["alone"] > 0) & (self["resolved"] > 0)
        return alone

    def _wait_error(self) -> Array:
        import numpy as np

        error: Array = np.abs(self["wait_bias"])
        return error
