"""(g): sixty customers ask for a human at once, and all cases go into one Slack channel, which takes one post a second.

The stand-in for Slack refuses (429) what goes beyond the limit: one post a second in a channel, after a rest five in a row. With
--quick both, the product's pace and the stand-in's limit, are five times as fast; the full run is in real seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from bot.app import App
from bot.model import Inbound, Sender, Wrote
from bot.settings import Settings
from channels.delivery import paces
from tests.bench.table import Row
from tests.fakes.faults import Fault, Params
from tests.fakes.slack import SlackServer

DESK = "C1"
IN_A_ROW = 5  # Slack lets short bursts pass; so many, that a busy machine's hiccups are no 429


class StrictSlack(SlackServer):
    """Refuses the posts into one channel that come too fast: so many a second, IN_A_ROW after a rest."""

    def __init__(self, per_second: float) -> None:
        super().__init__()
        self._per_second = per_second
        self._free = 0.0
        self.posts = 0
        self.refused = 0

    async def _act(self, method: str, token: str, params: Params) -> web.Response:
        if method == "chat.postMessage" and params.get("channel") == DESK:
            self.posts += 1
            now = time.monotonic()
            free = max(self._free, now - (IN_A_ROW - 1) / self._per_second)
            if free > now:
                self.refused += 1
                return self.refuse(Fault.status(429, retry_after=1))
            self._free = free + 1 / self._per_second
        return await super()._act(method, token, params)


async def run(*, quick: bool = False, tiny: bool = False) -> list[Row]:
    count, speed = (3, 50.0) if tiny else (20, 5.0) if quick else (60, 1.0)
    normal = paces.RATES
    paces.RATES = {
        name: replace(rate, per_second=rate.per_second * speed)
        for name, rate in normal.items()
        if name.startswith("slack")
    }
    try:
        async with StrictSlack(speed) as slack:
            slack.channel(DESK, members=[slack.person("U1", "Ann")])
            with tempfile.TemporaryDirectory() as folder:
                return await _burst(slack, folder, count, speed)
    finally:
        paces.RATES = normal


async def _burst(slack: StrictSlack, folder: str, count: int, speed: float) -> list[Row]:
    given: dict[str, Any] = {
        "slack_bot_token": SecretStr(slack.bot_token),
        "slack_app_token": SecretStr(slack.app_token),
    }
    app = App(
        Settings(
            _env_file=None, database_url=f"sqlite+aiosqlite:///{folder}/bench.db", secret=SecretStr("s" * 40),
            admin_password=SecretStr("bench-password"), slack_api_url=slack.api_url, slack_agent_channel=DESK, **given,
        )
    )  # fmt: skip
    await app.start()
    try:
        async with asyncio.timeout(60):
            await app.tokens_accepted()
        began = time.perf_counter()
        for number in range(count):
            name = f"Kari N{number:02}"
            sender = Sender(
                "web", f"visitor-{number}", f"visitor-{number}", name=name, locale="en", evidence="anonymous"
            )
            await app.inbox.receive(Inbound("web", f"say-{number}", sender, Wrote("I want to talk to a human")))
        await _until(lambda: len(_shown(slack)) >= count, 60 + count * 10 / speed)
        taken = time.perf_counter() - began
    finally:
        await app.stop()
    shown = _shown(slack)
    wrong = sum(one > later for one, later in itertools.pairwise(shown))
    return [
        Row("g", f"of {count} cases at once, not shown in Slack", float(count - len(set(shown))), 0.0, unit="",
            detail=f"{taken:.0f} s at {speed:.0f} post/s, {slack.posts} posts"),
        Row("g", "of them, shown before one that came earlier", float(wrong), 0.0, unit=""),
        Row("g", "posts that Slack refused (429)", 100 * slack.refused / max(1, slack.posts), 1.0, unit=" %"),
    ]  # fmt: skip


def _shown(slack: SlackServer) -> list[str]:
    """Whose cases have a card, in the order of the channel."""
    found = [re.search(r"Kari N\d\d", card.says) for card in slack.channel(DESK).cards]
    return [one[0] for one in found if one]


async def _until(done: Callable[[], bool], seconds: float) -> None:
    """Until then, or until the time is up: what is missing is told in the table."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:  # noqa: ASYNC110 - the stand-in keeps no event for it
        await asyncio.sleep(0.1)
