"""What makes the product quick and quiet, as counts: which modules a start loads, who wakes up while nothing happens."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from bot.inbox import Inbox
from bot.model import Inbound, Sender, Wrote
from bot.server import Server
from bot.storage import history
from bot.worker import Worker
from tests.support.house import House

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
SLOW_TO_IMPORT = {
    "aiogram", "aiohttp", "alembic", "babel", "fastapi", "jinja2", "numpy", "rapidfuzz", "scipy", "simplemma", "slack_bolt",
    "slack_sdk", "typer",
}  # fmt: skip
NOT_FOR_HELP = SLOW_TO_IMPORT - {"typer"} | {
    "pydantic",
    "rich",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
    "yaml",
}
SOON = 15.0  # seconds; keep-alives and pings come after 20
PASSES = 50  # of the event loop


def loaded_by(code: str) -> set[str]:
    """The top packages that a fresh Python holds after this code."""
    asked = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_start_with_all_channels_loads_nothing_that_only_some_work_needs(tmp_path: Path) -> None:
    """Each of these costs a tenth of a second to five; whoever needs one imports it then, in the background."""
    code = f"""
from bot import server
from bot.app import App
from bot.settings import Settings
App(Settings(_env_file=None, database_url="sqlite+aiosqlite:///{tmp_path}/x.db", telegram_token="1:a", slack_bot_token="xoxb-1", slack_signing_secret="s"))
"""
    assert loaded_by(code) & SLOW_TO_IMPORT == set()


def test_the_commands_help_needs_no_product() -> None:
    code = """
import contextlib, io
from bot.cli import app
with contextlib.redirect_stdout(io.StringIO()):
    app(["--help"], standalone_mode=False)
"""
    assert loaded_by(code) & NOT_FOR_HELP == set()


async def passes_of_the_loop(count: int = PASSES) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("due", [None, NOW + timedelta(hours=1)])
async def test_a_worker_with_nothing_due_runs_once_and_then_only_when_woken(due: datetime | None) -> None:
    runs = 0

    async def work() -> datetime | None:
        nonlocal runs
        runs += 1
        return due

    worker = Worker("idle", work, lambda: NOW)
    worker.start()
    await passes_of_the_loop()
    assert runs == 1
    worker.wake()
    await passes_of_the_loop()
    assert runs == 2
    await worker.stop()


async def test_the_server_waits_to_be_told_where_uvicorn_looks_ten_times_a_second() -> None:
    server = Server(uvicorn.Config(lambda *_: None, log_config=None))
    timers = len(due_soon())
    running = asyncio.create_task(server.main_loop())
    await passes_of_the_loop()
    assert not running.done()
    assert len(due_soon()) == timers
    server.should_exit = True
    await running


async def test_an_idle_house_has_nothing_to_wake_up_for(tmp_path: Path) -> None:
    """Web server, workers, a connected widget, a conversation behind them: no timer is due in the next seconds."""
    async with House(tmp_path) as house:
        visitor = await house.visitor()
        await visitor.says("where is my order?")
        await visitor.hears("order number", "bot")
        await house.settle()
        house.app.workers["tally"].wake()  # what the conversation counted is written: once, and no more
        house.app.workers["inbox"].wake()  # the first words of all were parked until their language could be told
        await passes_of_the_loop()
        assert due_soon() == []


def due_soon() -> list[str]:
    """The loop's timers that ring within SOON."""
    loop: Any = asyncio.get_running_loop()
    horizon = loop.time() + SOON
    return [repr(timer) for timer in loop._scheduled if not timer.cancelled() and timer.when() <= horizon]


async def test_a_scripted_answer_is_committed_together_with_its_question(tmp_path: Path) -> None:
    """One transaction: when the question is acknowledged, its answer is already in the timeline."""
    async with House(tmp_path) as house:
        inbox: Inbox = house.app.inbox
        asked = Inbound("web", "v:1", Sender("web", "v", "v"), Wrote("where is my order?", id="1"))
        receipt = await inbox.receive(asked)
        assert receipt.customer_id is not None

        def query(conn: Any) -> list[str]:
            assert history.last_seq(conn, receipt.customer_id or "") == 2
            return [entry.message.author.kind.value for entry in history.since(conn, receipt.customer_id or "", 0, 10)]

        assert await house.app.storage.read(query) == ["customer", "bot"]
