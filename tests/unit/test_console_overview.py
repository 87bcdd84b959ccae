"""The figures on the console's first page: few, in the reader's language, and none that rests on a handful of cases."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert

from bot.console.pages.overview import PLACES, _rows
from bot.console.store import waiting
from bot.storage import tables as t
from bot.storage.tx import Tx
from bot.texts import known, say
from surveys.figures import reduce
from surveys.figures.catalogue import METRICS
from surveys.figures.columns import Groups
from surveys.report import _score
from tests.support.console_site import a_database

REPORT: dict[str, list[dict[str, Any]]] = {
    "scores": [
        {"instrument": "ces7", "n": 40, "score": 5.3, "interval": [5.0, 5.6], "share": 0.75, "share_interval": None},
        {"instrument": "nps", "n": 4, "score": 50.0, "interval": None, "share": None, "share_interval": None},
    ],
    "rates": [
        {"rate": "reopened", "n": 44, "share": 0.053, "interval": [0.01, 0.15]},  # on the page of figures, not here
        {"rate": "fcr", "n": 44, "share": 0.853, "interval": [0.75, 0.91]},
    ],
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
        (
            "nl",
            [
                ("Gemak (CES, 1–7)", "5,3", "5 – 5,6"),
                ("In één keer opgelost", "85%", "75% – 91%"),
                ("Oplostijd", "13 min", ""),
            ],
        ),
        (
            "en",
            [
                ("Ease (CES, 1–7)", "5.3", "5 – 5.6"),
                ("Solved at first contact", "85%", "75% – 91%"),
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


async def test_what_waits_for_somebody_is_counted_and_what_is_looked_after_is_not(tmp_path: Path) -> None:
    at = datetime(2026, 3, 9, 12, tzinfo=UTC)
    async with a_database(tmp_path, lambda: at) as storage:

        def unit(tx: Tx) -> None:
            case = {"customer_id": "kari", "channel": "web", "locale": "en", "opened_at": at, "updated_at": at}
            problem = {"title": "Late", "created_by": "Ada", "created_at": at, "updated_at": at}
            add = tx.conn.execute
            add(insert(t.customers).values(id="kari", name="", locale="en", created_at=at))
            add(insert(t.cases).values(id="1", status="queued", **case))
            add(insert(t.cases).values(id="2", status="closed", **case))
            for n, (state, due) in enumerate((("open", "2026-03-08"), ("open", "2026-03-09"), ("fixed", "2026-03-01"))):
                add(insert(t.problems).values(id=str(n), state=state, due_on=due, **problem))

        await storage.write(unit)
        found = await storage.read(lambda conn: waiting(conn, "2026-03-09"))
    assert {key: n for key, n in found.items() if n} == {"console_waits_queue": 1, "console_waits_problems": 1}
    assert set(found) <= set(PLACES)
    assert all(known(key) for key in PLACES)
