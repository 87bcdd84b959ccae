"""Takes the README's pictures from the running product: `make pictures`."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from playwright.async_api import Page

from bot.storage import schema
from tests.support import browser, needs, synthetic
from tests.support.house import House
from tests.support.past import fill_sqlite

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SECRET = "the host site and we share this one"
REPLY = "Hi Kari, Robin here. Your blanket left Oslo this morning, so it should be with you on Friday."


async def take(folder: Path) -> None:
    """Play the tour of the demo page, and photograph both sides of it."""
    executable = browser.find_chromium()
    if executable is None:
        raise SystemExit(needs.GET_BROWSER)
    now = datetime.now(UTC)
    async with House(folder, now=now, web_identity_secret=SECRET) as house, browser.launch(executable) as chromium:
        context = await chromium.new_context(
            viewport={"width": 1280, "height": 760}, device_scale_factor=1.5, locale="en-GB"
        )
        customer, agent = await context.new_page(), await context.new_page()
        await customer.goto(house.url + "/")
        await agent.goto(house.url + "/desk")
        await customer.evaluate("Stafett.open()")
        claims = {"sub": "kari", "aud": "stafett", "iat": now, "exp": now + timedelta(hours=1), "name": "Kari Nordmann"}
        await customer.evaluate("token => Stafett.identify(token)", jwt.encode(claims, SECRET, algorithm="HS256"))
        await customer.wait_for_timeout(600)
        for words in ("Where is my order?", "AB123456"):
            await say(house, customer, words)
        await customer.screenshot(path=PICTURES / "widget.png")
        await say(house, customer, "Could I talk to a human, please?")
        desk = await house.agent()
        (case,) = await desk.sees()
        await desk.does(case["id"], "claim")
        await desk.does(case["id"], "note", text="Carrier confirms: no delay.")
        await desk.replies(case["id"], REPLY)
        await agent.goto(house.url + "/desk")
        await agent.get_by_text("Mine").first.click()
        await agent.get_by_text("Robin here").first.click()
        await agent.wait_for_timeout(800)
        await agent.screenshot(path=PICTURES / "desk.png")
        await context.close()


async def take_figures(folder: Path) -> None:
    """A made-up year of a house, by its page of figures."""
    executable = browser.find_chromium()
    if executable is None:
        raise SystemExit(needs.GET_BROWSER)
    database, weeks = folder / "stafett.db", 30
    await schema.upgrade(f"sqlite+aiosqlite:///{database}")
    fill_sqlite(database, synthetic.batches(4000, seed=7, days=7 * weeks))
    end = synthetic.START + timedelta(weeks=weeks)
    async with House(folder, now=end - timedelta(hours=12)) as house, browser.launch(executable) as chromium:
        context = await chromium.new_context(
            viewport={"width": 1360, "height": 1500}, device_scale_factor=1.2, locale="en-GB"
        )
        await house.app.rollups.catch_up()
        page = await context.new_page()
        await page.goto(house.url + "/admin")
        await page.get_by_label("Password").fill("open sesame")
        await page.get_by_role("button", name="Sign in").click()
        await page.goto(house.url + "/admin/figures", wait_until="domcontentloaded")
        await page.locator(".board > .notice").wait_for(state="detached", timeout=60_000)  # all of the past is counted
        await page.wait_for_timeout(1500)
        await page.screenshot(path=PICTURES / "figures.png")
        await context.close()


async def say(house: House, page: Page, words: str) -> None:
    await page.evaluate("words => Stafett.say(words)", words)
    await page.wait_for_timeout(600)
    await house.settle()
    await page.wait_for_timeout(600)


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(take(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(take_figures(Path(folder)))


if __name__ == "__main__":
    main()
