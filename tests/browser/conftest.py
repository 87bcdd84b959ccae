"""The stand-in server of the widget's tests, and an admin at the console. The browser itself is a fixture of all tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from bot.desk_folder.starter import write_starter
from tests.browser.stub_server import StubServer
from tests.support.house import House


@pytest_asyncio.fixture(loop_scope="session")
async def stub() -> AsyncIterator[StubServer]:
    async with StubServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def console(tmp_path: Path) -> AsyncIterator[House]:
    """The whole product, with a desk of its own."""
    write_starter(tmp_path / "desk")
    async with House(tmp_path, now=datetime.now(UTC), desk=tmp_path / "desk") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def admin(page: Page, console: House) -> AsyncIterator[Page]:
    """Ann, signed in; whatever the browser complains of (a script that fails, a broken rule of ours) fails the test."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("request", lambda asked: None if asked.url.startswith(console.url) else complaints.append(asked.url))
    page.set_default_timeout(60_000)
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.goto(f"{console.url}/admin")
    await page.get_by_label("Password").fill("open sesame")
    await page.get_by_label("Your name").fill("Ann")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    yield page
    assert [one for one in complaints if "401" not in one] == []  # the door itself
