"""The doctor on Slack: each fault with what to click; and what it knows of the events that ever came."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from bot.doctor_slack import came, membership, slack_desk
from bot.settings import Settings
from bot.storage import schema
from bot.storage.engine import Storage
from channels.slack.heard import Heard, name_of
from channels.slack.manifest import BOT_EVENTS
from channels.slack.store import heard
from tests.fakes.slack import SlackServer


@pytest.mark.parametrize(
    ("told", "level", "says"),
    [
        ({"ok": True, "channel": {"name": "help", "is_member": True}}, "ok", "#help"),
        ({"ok": True, "channel": {"name": "help", "is_member": False}}, "fault", "/invite @stafett"),
        ({"ok": True, "channel": {"name": "help", "is_member": True, "is_archived": True}}, "fault", "unarchive"),
        (
            {"ok": True, "channel": {"name": "help", "is_member": True, "is_ext_shared": True}},
            "warning",
            "other workspace",
        ),
        ({"ok": False, "error": "channel_not_found"}, "fault", "copy the id"),
        ({"error": "can't be reached", "unreached": True}, "warning", "mend what stands above"),
        ({"ok": True, "channel": "odd"}, "fault", "refused"),
    ],
)
def test_an_agents_channel_is_looked_at(told: dict[str, Any], level: str, says: str) -> None:
    found = membership("C1", told)
    assert found.level == level
    assert says in str(found)


def test_events_that_never_came_are_named_with_where_to_turn_them_on() -> None:
    everything = dict.fromkeys(BOT_EVENTS, "2026-03-09T12:00:00+00:00")
    assert came(everything, BOT_EVENTS).level == "ok"
    assert came({}, BOT_EVENTS).level == "warning"
    without = {name: at for name, at in everything.items() if name != "reaction_added"}
    found = came(without, BOT_EVENTS)
    assert (found.level, "reaction_added" in found.told) == ("warning", True)
    assert "Event Subscriptions" in found.todo
    homeless = {name: at for name, at in everything.items() if name != "app_home_opened"}
    assert "Home Tab" in came(homeless, BOT_EVENTS).todo
    one_kind = {name: at for name, at in everything.items() if name != "message.groups"}
    assert came(one_kind, BOT_EVENTS).level == "ok", "a desk in a public channel gets no private one's"


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"type": "message", "channel_type": "im"}, "message.im"),
        ({"type": "message", "channel_type": "group"}, "message.groups"),
        ({"type": "message"}, ""),
        ({"type": "reaction_added"}, "reaction_added"),
        ({}, ""),
        ({"type": 3}, ""),
    ],
)
def test_an_event_has_the_manifests_name(event: dict[str, Any], name: str) -> None:
    assert name_of(event) == name


@pytest_asyncio.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    url = f"sqlite+aiosqlite:///{tmp_path}/s.db"
    async with SlackServer() as server:
        server.channel("C1", members=[server.person("U1", "Ann")])
        yield Settings(
            _env_file=None, database_url=url, slack_bot_token=SecretStr(server.bot_token),
            slack_app_token=SecretStr(server.app_token), slack_api_url=server.api_url,
        )  # fmt: skip


async def test_the_whole_check_up_asks_slack_and_the_database(settings: Settings) -> None:
    events = ("reaction_added", "app_home_opened")
    found = [one async for one in slack_desk(settings, ["C1", "C404"], events, heard)]
    assert [one.level for one in found] == ["ok", "fault"], "without a database there is nothing to say of events"
    await schema.upgrade(settings.database_url)
    storage = Storage(settings.database_url)
    await storage.open()
    known = Heard(storage)
    assert known.is_news({"type": "reaction_added"})
    await known.keep({"type": "reaction_added"})
    assert not known.is_news({"type": "reaction_added"}), "once an hour is enough"
    await storage.close()
    found = [one async for one in slack_desk(settings, [], events, heard)]
    assert [one.told for one in found] == ["never came: app_home_opened"]
