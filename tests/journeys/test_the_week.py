"""Monday, nine o'clock: the week stands in the agents' channel, with its picture, once."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert

from bot.storage import tables as t
from channels.delivery import paces
from surveys.digest.week import Plan, due
from tests.fakes.slack import SlackServer
from tests.support.slack_house import SteppingClock, a_house


async def test_the_week_is_told_in_slack_with_a_picture(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    monkeypatch.setattr(paces, "RATES", {})
    async with SlackServer(clock=SteppingClock()) as slack, a_house(slack, sqlite_url, "http") as house:
        card = await house.claimed()
        await house.ann.posts("C1", "It is on its way", thread_ts=card.ts)
        await house.later()
        answer = {"id": "r1", "instrument": "ces7", "score": 6, "at": house.clock(), "extra": {}}
        await house.app.storage.write(lambda tx: tx.conn.execute(insert(t.survey_responses).values(**answer)))
        # not `next_due`: in the small hours of a Monday that tells of the week before this one
        told_at = due(Plan(), house.clock() + timedelta(days=7), ZoneInfo(house.app.rules.time_zone))[1]
        house.clock.ahead += told_at - house.clock()
        for _ in range(2):
            await house.app.workers["digest"].run_once()
            await house.rest()
        told = [post for post in house.desk.messages if "The week of" in post.says]
        assert len(told) == 1
        assert [file["name"].startswith("week-") for file in told[0].files] == [True]
