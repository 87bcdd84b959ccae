"""Texts and conversations as an admin changes and tries them in a browser, by keyboard, on a phone, in Hebrew."""

from __future__ import annotations

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.support.house import House


async def test_a_text_is_changed_by_keyboard_and_nothing_else_of_its_file(admin: Page, console: House) -> None:
    page = admin
    file = console.folder / "desk" / "texts/shop.yaml"
    before = file.read_text(encoding="utf-8")
    await page.get_by_role("link", name="Texts").click()
    await page.get_by_role("searchbox").fill("on_way_soon")
    await page.keyboard.press("Enter")
    row = page.locator("[data-row]").filter(has=page.get_by_role("heading", name="on_way_soon", exact=True))
    cell = row.get_by_label("Nederlands", exact=True)
    old = await cell.input_value()

    await cell.fill(old.replace("{{ order.carrier }}", "{{ order.carier }}"))
    await expect(row.locator(".row-faults")).to_contain_text("{{ order.carier }}")
    await cell.fill("Hoera: " + old)
    await expect(row.locator(".row-faults li")).to_have_count(0)
    await cell.press("Control+Enter")
    await expect(row.locator(".tag.changed")).to_have_text("in draft")
    await expect(row.get_by_label("Nederlands", exact=True)).to_have_value("Hoera: " + old)
    assert file.read_text(encoding="utf-8") == before

    await page.goto(f"{console.url}/admin/changes")
    await expect(page.locator(".diff tr.new")).to_have_count(1)
    await expect(page.locator(".diff tr.gone")).to_have_count(1)
    await expect(page.locator(".diff tr.new")).to_contain_text("Hoera: ")


async def test_a_conversation_is_played_by_keyboard_and_saved_as_a_test(admin: Page, console: House) -> None:
    page = admin
    await page.get_by_role("link", name="Simulator").click()
    await page.wait_for_url("**/simulator*")
    await page.wait_for_load_state("load")  # the script that keeps the keyboard where it was is there
    say = page.get_by_label("What the customer writes")
    log = page.get_by_role("log")
    await say.fill("where is my order?")
    await say.press("Enter")
    await expect(log).to_contain_text("What is your order number?")
    await expect(say).to_be_focused()
    await say.fill("AB123456")
    await say.press("Enter")
    await expect(log).to_contain_text("is on its way")
    await expect(page.locator(".phone.telegram .keys")).to_contain_text(["Yes, thanks", "No, talk to a person"])
    await expect(page.locator(".slots")).to_contain_text("AB123456")
    await page.get_by_role("button", name="No, talk to a person").press("Enter")
    await expect(page.locator(".people .tag")).to_contain_text("waits for support")
    await page.get_by_role("button", name="Claim").click()
    await expect(log).to_contain_text("a colleague claims the case")
    await page.get_by_role("button", name="+ 1h").click()
    await expect(log).to_contain_text("1h later")
    await page.get_by_label("What the colleague writes").fill("Hello, I am Robin")
    await page.get_by_role("button", name="Reply").click()
    await expect(log).to_contain_text("Hello, I am Robin")
    await page.get_by_role("button", name="resolved").click()
    await expect(log).to_contain_text("the colleague ends the case")
    await page.get_by_role("group", name="The customer’s score").get_by_role("button", name="7").click()
    await expect(log.locator(".customer").last).to_contain_text("7")
    await page.get_by_label("What it shows, in a few words").fill("a person takes over")
    await page.get_by_role("button", name="Save test").click()
    await expect(page.get_by_role("status").first).to_contain_text("is in the draft, and passes")
    await expect(page.get_by_role("link", name="a person takes over")).to_be_visible()


async def test_the_pages_of_content_are_usable_by_all_on_a_phone_in_hebrew_and_in_the_dark(
    admin: Page, console: House
) -> None:
    """axe finds nothing serious, nothing is wider than the screen."""
    page = admin
    shown = ("/texts", "/articles/knowledge/returns.he.md", "/simulator")
    others = ("/articles", "/unanswered", "/dry-run", "/trouble")  # built of the same pieces
    for scheme, width, lang in (("light", 1440, "en"), ("dark", 390, "he")):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await page.set_viewport_size({"width": width, "height": 860})
        for place in (*shown, *others):
            await page.goto(f"{console.url}/admin{place}?q=order_q&lang={lang}")
            if place == "/simulator":
                await page.locator("[data-say]").fill("AB123456")
                await page.locator("[data-say]").press("Enter")
                await expect(page.locator(".said.bot").first).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
            if place in others:
                continue
            found = await Axe().run(page)
            serious = [one for one in found.response["violations"] if one["impact"] in {"serious", "critical"}]
            assert [(place, one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious] == []
