"""How far two raters agree beyond chance: Cohen's κ with its interval. Pure.

κ = (p_o − p_e) ÷ (1 − p_e) (Cohen 1960). Its large-sample variance is that of Fleiss, Cohen & Everitt (1969), "Large sample
standard errors of kappa and weighted kappa", Psychological Bulletin 72, 323–327.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from bot.intervals import Interval, Z

LEAST = 10
"""Pairs under which no κ is told: its interval would span most of the scale."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """`agree` is the plain share of pairs that are equal; κ is None where neither rater ever varied."""

    n: int
    agree: float
    kappa: float | None
    interval: Interval | None


def cohen(pairs: Sequence[tuple[Hashable, Hashable]]) -> Agreement | None:
    """κ of pairs of marks, one by each rater; None without pairs. The interval is cut to −1…1."""
    n = len(pairs)
    if n == 0:
        return None
    cells, rows, columns = Counter(pairs), Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    same = sum(count for (a, b), count in cells.items() if a == b) / n
    chance = sum(rows[mark] * columns[mark] for mark in rows) / n**2
    if chance >= 1:
        return Agreement(n, same, None, None)
    kappa = (same - chance) / (1 - chance)
    on = sum(
        count / n * (1 - (rows[a] + columns[a]) / n * (1 - kappa)) ** 2 for (a, b), count in cells.items() if a == b
    )
    off = (1 - kappa) ** 2 * sum(
        count / n * ((columns[a] + rows[b]) / n) ** 2 for (a, b), count in cells.items() if a != b
    )
    spread = on + off - (kappa - chance * (1 - kappa)) ** 2
    half = Z * math.sqrt(max(0.0, spread) / n) / (1 - chance)
    return Agreement(n, same, kappa, Interval(max(-1.0, kappa - half), min(1.0, kappa + half)))
