"""Slack says who somebody is, so `/stafett desk` lets them into the web desk: by a link of their own, once and soon."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from bot.desk_folder.desk import Agent, Desk, SlackAccount, Team
from bot.errors import NotFound
from handoff.slack import commands
from handoff.slack.agents import Who
from handoff.web import sign_in
from tests.support.rooms import rooms

DESK = Desk(
    "Fjord",
    teams=(Team("support", "Support"),),
    agents=(Agent("ann", "Ann", "support", slack=SlackAccount("T1", "U1")),),
)
ANN = Who("ann", "Ann", "U1", "T1:U1", listed=True)
BOB = Who("slack:T1:U2", "Bob", "U2", "T1:U2", listed=False)


async def test_a_listed_agent_comes_in_once_by_a_link_that_slack_shows_only_them(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        house.storage.wiring.desk = lambda: DESK

        async def asks(who: Who) -> str:
            def unit(tx: Any) -> str:
                return str(commands.run(tx, "desk", who, DESK, "", "https://help.example")["text"])

            return await house.storage.write(unit)

        said = await asks(ANN)
        found = re.match(r"<https://help\.example/desk/join\?token=([^|]+)\|Open the web desk> ", said)
        assert found
        session = await house.storage.write(lambda tx: sign_in.accept(tx, found[1]))
        assert (session.agent_id, session.demo) == ("ann", False)
        with pytest.raises(NotFound):
            await house.storage.write(lambda tx: sign_in.accept(tx, found[1]))

        late = re.search(r"token=([^|]+)", await asks(ANN))
        assert late
        house.clock.now += timedelta(minutes=10, seconds=1)
        with pytest.raises(NotFound):
            await house.storage.write(lambda tx: sign_in.accept(tx, late[1]))
        assert "listed in desk.yaml" in await asks(BOB)
