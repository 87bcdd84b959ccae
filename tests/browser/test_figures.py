"""The page of figures in a browser: drawn, live within two seconds, usable by all; and a notice that is approved."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from sqlalchemy import insert

from bot.model import new_id
from bot.storage import tables as t
from tests.support.house import House

PAINTED = """() => [...document.querySelectorAll("canvas")].map(one => {
  const drawn = one.getContext("2d").getImageData(0, 0, one.width, one.height).data;
  return drawn.some(value => value !== 0);
})"""


async def cases(house: House, *scores: int) -> None:
    """An ended case and its answer for each score."""

    def unit(tx: Any) -> None:
        for score in scores:
            who, case, at = new_id(), new_id(), tx.now - timedelta(hours=1)
            tx.conn.execute(insert(t.customers).values(id=who, name="", locale="en", created_at=at))
            tx.conn.execute(insert(t.conversations).values(customer_id=who, updated_at=at))
            values = {"status": "resolved", "channel": "web", "locale": "en", "outcome": "resolved", "topic": "parcel"}
            times = {"opened_at": at, "resolved_at": tx.now, "updated_at": tx.now}
            tx.conn.execute(insert(t.cases).values(id=case, customer_id=who, **values, **times))
            answer = {"id": new_id(), "case_id": case, "customer_id": who, "instrument": "ces7", "score": score}
            tx.conn.execute(insert(t.survey_responses).values(**answer, channel="web", topic="parcel", at=tx.now))

    await house.app.storage.write(unit)


async def test_an_answer_changes_the_page_while_it_is_looked_at(admin: Page, console: House) -> None:
    page = admin
    await cases(console, 7, 6, 5, 7)
    await page.goto(f"{console.url}/admin/figures")
    await expect(page.locator(".figs")).to_contain_text(["fewer than 5: not shown"])
    await cases(console, 6)
    score = page.locator(".figs li").filter(has_text="Ease (CES, 1–7)")
    await expect(score).to_contain_text("6.2", timeout=30_000)
    assert await page.evaluate(PAINTED) == [True] * 4
    await page.locator("summary", has_text="As a table").first.click()
    await expect(page.get_by_role("row").filter(has_text="6.2").first).to_be_visible()
    await page.get_by_label("Table by").select_option("topic")
    await expect(page).to_have_url(re.compile("by=topic"))
    await expect(page.get_by_role("link", name="parcel")).to_be_visible()


async def test_figures_and_notices_are_usable_by_all_on_a_phone_in_hebrew_and_in_the_dark(
    admin: Page, console: House
) -> None:
    page = admin
    await cases(console, 7, 6, 5, 7, 2)
    for scheme, width, lang in (("light", 1440, "en"), ("dark", 390, "he")):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await page.set_viewport_size({"width": width, "height": 860})
        for place in ("/figures", "/notices", "/notices/new"):
            await page.goto(f"{console.url}/admin{place}?lang={lang}", wait_until="domcontentloaded")
            found = await Axe().run(page)
            serious = [one for one in found.response["violations"] if one["impact"] in {"serious", "critical"}]
            assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious] == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
