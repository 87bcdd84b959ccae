"""A row of the result, and how it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` is what was found, `bound` what it is held against, if anything; `detail` the figures behind it."""

    letter: str
    what: str
    ratio: float
    bound: float | None = None
    at_least: bool = False
    detail: str = ""
    unit: str = "×"

    @property
    def holds(self) -> bool:
        if self.bound is None:
            return True
        return self.ratio >= self.bound if self.at_least else self.ratio <= self.bound


def of_rounds(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of ours over the median of theirs, of alternating rounds."""
    return median(ours) / median(theirs)


def render(rows: Sequence[Row]) -> str:
    """Columns of text, as wide as they need to be."""
    lines = [("", "measured", "found", "bound", "", "")]
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        verdict = "" if row.bound is None else "holds" if row.holds else "DOES NOT HOLD"
        bound = "" if row.bound is None else f"{sign} {_number(row.bound)}{row.unit}"
        lines.append((row.letter, row.what, f"{_number(row.ratio)}{row.unit}", bound, verdict, row.detail))
    widths = [max(len(line[place]) for line in lines) for place in range(6)]
    return "\n".join(
        "  ".join(cell.ljust(wide) for cell, wide in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"
