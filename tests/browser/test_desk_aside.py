"""What helps an agent at the web desk's page: saved replies by keyboard, a second look at what is rude, colleagues who are asked."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from bot.desk_folder.desk import Macro
from handoff import cases
from handoff.errands import store as errands
from handoff.errands import verbs
from surveys.insights.records import labelling
from surveys.insights.records import store as records
from surveys.insights.records.nouns import Area, LabelKind
from tests.browser.desk_site import Site
from tests.support.browser import slow_line

MACROS = (
    Macro("hello", "Hello", "en", "Hello {{ customer.name }}, this is {{ agent.name }}."),
    Macro("refund", "Refund", "en", "We paid you back for {{ order_number }} within {{ days }} days."),
)
STAY = "() => { const real = setTimeout; window.setTimeout = (act, ms) => (ms === 5000 ? 0 : real(act, ms)); }"
"""What the page tells for five seconds stays, however slow the machine is."""


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(f"sqlite+aiosqlite:///{tmp_path / 'desk.db'}", macros=MACROS) as running:
        yield running


async def test_an_agent_is_helped_and_asks_colleagues_without_leaving_the_keyboard(page: Page, site: Site) -> None:
    case = await site.told()
    await site.house.do(cases.claim, case.id, "ann", desk="wall")
    page.set_default_timeout(30_000)
    await page.set_viewport_size({"width": 1400, "height": 900})
    line = await slow_line(page, "**/reply")
    await page.goto(f"{site.url}/desk#{case.id}", wait_until="domcontentloaded")
    box = page.get_by_role("textbox", name="Reply to customer")
    await expect(box).to_be_visible()

    # A saved reply: found, previewed with this case's values, put into the box, not sent.
    await box.focus()
    await page.keyboard.press("/")
    await page.keyboard.type("refu")
    await expect(page.locator(".macros .preview")).to_contain_text("for AB123456 within [days?] days")
    await page.keyboard.press("Enter")
    await expect(box).to_have_value("We paid you back for AB123456 within [days?] days.")
    await expect(page.locator(".macros")).to_have_count(0)

    # A second look: nothing leaves until it is sent anyway, or edited.
    await page.keyboard.press("Enter")
    await expect(page.locator(".again")).to_contain_text("Still to be filled in: [days?].")
    await expect(page.get_by_role("button", name="Edit")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(box).to_be_focused()
    # What is warned of late, when other words stand in the box, is only told: "send anyway" would mean those.
    await page.evaluate(STAY)
    line.clear()
    await page.keyboard.press("Enter")
    await page.get_by_role("tab", name="Note").click()
    line.set()
    await expect(page.locator(".toast").filter(has_text="This has not left yet.")).to_be_visible()
    await expect(page.locator(".again")).to_be_hidden()
    await page.get_by_role("tab", name="Reply").click()
    await box.fill("It takes three days.")
    await page.keyboard.press("Enter")
    await expect(page.locator(".undo")).to_contain_text("Goes to the customer in")
    assert "[days?]" not in " ".join(await site.house.said(case.customer_id))

    # Colleagues: asked beside the case; what they say is there at once, and what is being written stays.
    await page.get_by_role("button", name="Consult…").click()
    await page.get_by_role("textbox", name="What do you want to know?").fill("Is it paid?")
    await page.get_by_role("button", name="Ask", exact=True).click()
    card = page.locator(".errand")
    await expect(card).to_contain_text("Question to Billing")
    [errand] = await site.house.look(errands.of_case, case.id)
    await card.get_by_role("textbox").fill("One more thing")
    await site.house.do(verbs.talk, errand.id, "bill", "Yes, on Monday", desk="wall")
    await expect(card).to_contain_text("Yes, on Monday")
    await expect(card).to_have_class(re.compile("answered"))
    assert "paid" not in " ".join((await site.house.said(case.customer_id))[-2:])
    found = await Axe().run(page)
    serious = [one for one in found.response["violations"] if one["impact"] in {"serious", "critical"}]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious] == []


async def test_what_a_case_told_is_shown_before_it_is_taken_away(page: Page, site: Site) -> None:
    case = await site.told()
    await site.house.do(cases.claim, case.id, "ann", desk="wall")
    await site.house.do(labelling.label_case, case.id, LabelKind.COMPLAINT, Area.SERVICE, "Too slow", "ann")
    page.set_default_timeout(30_000)
    await page.set_viewport_size({"width": 1400, "height": 900})
    await page.goto(f"{site.url}/desk#{case.id}", wait_until="domcontentloaded")
    for button in ("Cancel", "Send"):
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("menuitem", name="Complaint, wish, praise…").click()
        await page.get_by_role("dialog").get_by_text("is taken away").click()
        await page.get_by_role("dialog").get_by_role("button", name="Send").click()
        shown = page.get_by_role("dialog").filter(has_text="Is this the one?")
        await expect(shown).to_contain_text("Complaint · Service: Too slow")
        await shown.get_by_role("button", name=button).click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        if button == "Cancel":
            assert len(await site.house.look(records.labels)) == 1
    await expect(page.locator(".toast").filter(has_text="Kept. Thank you.")).to_be_visible()
    assert await site.house.look(records.labels) == []
