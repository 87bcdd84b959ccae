"""The score over the last weeks as a picture, for where no page can be drawn. matplotlib is imported when one is made.

Only figures and dates stand in it, so that it reads the same in every language; a week of fewer than five answers is a gap.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date

from surveys.figures.shape import Series, Shown
from surveys.pages.board import scale

GREEN, SOFT, LINE = "#0b6b5d", "#8b948f", "#e3e5e0"
INCHES, DPI = (8, 3.2), 150
NAMES = {"ces7": "CES 1–7", "ces7_statement": "CES 2.0", "csat5": "CSAT %", "csat2": "CSAT %", "nps": "NPS"}


def draw(line: Series) -> bytes:
    """A PNG of the line with its 95 % band, by the Mondays of its weeks; grey points rest on fewer than thirty answers."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    sheet = Sheet(figsize=INCHES, dpi=DPI, layout="constrained")
    FigureCanvasAgg(sheet)
    axes = sheet.subplots()
    ends = scale(line.metric)
    factor = 100 if ends["unit"] == "%" else 1
    known = [at for at, one in enumerate(line.points) if one.value is not None and one.interval is not None]
    for part in _runs(known):
        spans = [line.points[at].interval for at in part]
        low = [one.low * factor for one in spans if one]
        high = [one.high * factor for one in spans if one]
        if len(part) == 1:  # a band needs two weeks
            axes.vlines(part, low, high, color=GREEN, alpha=0.3, linewidth=6)
        axes.fill_between(part, low, high, color=GREEN, alpha=0.16, linewidth=0)
        axes.plot(part, [(line.points[at].value or 0) * factor for at in part], color=GREEN, linewidth=2)
    for at in known:
        shade = GREEN if line.points[at].shown is Shown.FIRM else SOFT
        axes.plot(at, (line.points[at].value or 0) * factor, marker="o", color=shade)
        axes.annotate(f"n={line.points[at].n}", (at, ends["min"]), color=SOFT, fontsize=7, ha="center", va="bottom")
    axes.set_ylim(ends["min"], ends["max"])
    axes.set_ylabel(NAMES.get(line.metric, line.metric))
    axes.set_xticks(range(len(line.axis)), [f"{_monday(one):%d.%m.}" for one in line.axis])
    axes.set_xlim(-0.5, len(line.axis) - 0.5)
    axes.grid(axis="y", color=LINE)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    out = io.BytesIO()
    sheet.savefig(out, format="png")
    return out.getvalue()


def _monday(week: str) -> date:
    year, number = week.split("-W")
    return date.fromisocalendar(int(year), int(number), 1)


def _runs(places: Sequence[int]) -> list[list[int]]:
    """Neighbours together: a line is not drawn over a gap."""
    runs: list[list[int]] = []
    for at in places:
        if runs and runs[-1][-1] == at - 1:
            runs[-1].append(at)
        else:
            runs.append([at])
    return runs
