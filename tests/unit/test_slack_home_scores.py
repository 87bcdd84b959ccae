"""What customers said, on an agent's Home: what each instrument is told by, how sure it is, and nothing of a handful."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from bot.desk_folder.desk import Desk
from bot.model import new_id
from bot.storage import tables as t
from handoff.slack.home import store, view
from handoff.slack.wording import Wording
from tests.support.rooms import rooms

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
GIVEN = {"ces7": [7] * 4, "csat5": [5] * 28 + [3, 1], "csat2": [1, 1, 1, 0, 1], "nps": [9] * 6}


async def test_an_agent_sees_no_score_of_fewer_than_five_and_every_other_with_its_interval(database_url: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "instrument": name,
            "score": score,
            "agent_id": "ada",
            "at": NOW - timedelta(days=1),
            "extra": {},
        }
        for name, scores in GIVEN.items()
        for score in scores
    ]
    async with rooms(database_url) as house:
        await house.storage.write(lambda tx: tx.conn.execute(insert(t.survey_responses), rows))
        found = await house.storage.read(lambda conn: store.scores(conn, "ada", NOW))
    (_, line) = view._scores(found, Wording(Desk("Acme")))
    told = str(line)
    assert "CES7 fewer than 5: not shown (n = 4)" in told
    assert "CSAT5 93% (79% – 98%, n = 30)" in told
    assert "CSAT2 80% (38% – 96%, n = 5, rests on few)" in told
    assert "NPS" not in told
