"""The figures on the console's first page: few, in the reader's language, and none that rests on a handful of cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bot.console.pages.overview import _rows
from bot.texts import say
from surveys.figures import reduce
from surveys.figures.catalogue import METRICS
from surveys.figures.columns import Groups
from surveys.report import _score

REPORT: dict[str, list[dict[str, Any]]] = {
    "scores": [
        {"instrument": "ces7", "n": 40, "score": 5.3, "interval": [5.0, 5.6], "share": 0.75, "share_interval": None},
        {"instrument": "nps", "n": 4, "score": 50.0, "interval": None, "share": None, "share_interval": None},
    ],
    "rates": [{"rate": "reopened", "n": 44, "share": 0.053, "interval": [0.01, 0.15]}],
    "times": [
        {"metric": "ttr", "n": 30, "median_s": 754.2, "median_interval_s": None},
        {"metric": "frt", "n": 0, "median_s": None, "median_interval_s": None},
    ],
}


class Reader:
    def __init__(self, locale: str) -> None:
        self.locale = locale

    def t(self, key: str, /, **values: object) -> str:
        return say(key, self.locale, None, **values)


@pytest.mark.parametrize(
    ("locale", "rows"),
    [
        ("nl", [("Gemak (CES, 1–7)", "5,3", "5 – 5,6"), ("Heropend", "5%", "1% – 15%"), ("Oplostijd", "13 min", "")]),
        (
            "en",
            [
                ("Ease (CES, 1–7)", "5.3", "5 – 5.6"),
                ("Reopened", "5%", "1% – 15%"),
                ("Time to resolution", "13 min", ""),
            ],
        ),
    ],
)
def test_figures_are_told_in_the_readers_language_with_their_intervals(
    locale: str, rows: list[tuple[str, str, str]]
) -> None:
    reader: Any = Reader(locale)
    assert [row[:3] for row in _rows(reader, REPORT)] == rows


def test_satisfaction_is_told_as_the_report_has_it() -> None:
    made = reduce.scores(METRICS["csat5"], np.array([5.0] * 8 + [2.0] * 2), Groups(np.zeros(10, dtype=np.int64), ({},)))
    reader: Any = Reader("en")
    report = {"scores": [_score(one) for one in made], "rates": [], "times": []}
    assert [row[1:] for row in _rows(reader, report)] == [("80%", "49% – 94%", 10)]
