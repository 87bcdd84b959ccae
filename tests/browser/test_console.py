"""The console as an admin lives it, who is no programmer: the real product, a desk of their own, a browser."""

from __future__ import annotations

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.support.house import House

OWN = "flows/order_status.yaml"


async def test_an_admin_changes_a_flow_sees_a_fault_as_they_write_publishes_and_goes_back(
    admin: Page, console: House
) -> None:
    page = admin
    await page.get_by_role("link", name="Flows").click()
    await page.get_by_role("link", name="Order status").click()
    box = page.get_by_role("textbox", name="Text of flows/order_status.yaml")
    before = await box.input_value()

    # A box of the picture leads to its line; the keyboard does as well as the mouse.
    step = page.locator(".graph a.ask").first
    line = int(await step.get_attribute("data-line") or 0)
    await step.focus()
    await page.keyboard.press("Enter")
    await expect(box).to_be_focused()
    at = await box.evaluate("one => one.value.slice(0, one.selectionStart).split('\\n').length")
    assert at == line

    # A fault is told while it is written, and leads to its line.
    await box.fill(before.replace("ask: order_no", "ask: ordr_no", 1))
    fault = page.locator("#checked .fault").first
    await expect(fault).to_contain_text("ordr_no")
    assert f"{line}:" in await fault.inner_text()
    await expect(page.locator(".gutter .fault")).to_have_text(str(line))

    # Mended and changed: the picture follows, the draft is kept, customers meet it once it is published.
    await box.fill(before.replace("id: q_order", "id: q_number", 1).replace("next: q_order", "next: q_number"))
    await expect(page.locator("#checked")).to_contain_text("No faults")
    await expect(page.locator(".graph")).to_contain_text("q_number")
    await page.keyboard.press("Control+s")
    await expect(page.get_by_role("status")).to_contain_text("saved in the draft")
    assert console.app.rules.flows["order_status"].step("q_number") is None

    await page.get_by_role("link", name="Changes", exact=True).or_(page.get_by_role("link", name="Changes 1")).click()
    await expect(page.locator(".diff .new")).to_contain_text("q_number")
    await page.get_by_label("What is new?").fill("A better name")
    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_role("status")).to_contain_text("It is in force")
    assert console.app.rules.flows["order_status"].step("q_number") is not None

    await page.get_by_role("row").filter(has_text="As it was found").get_by_role("link").click()
    await page.get_by_label("What is new?").fill("The old name was known to all")
    await page.get_by_role("button", name="Go back").click()
    await expect(page.get_by_role("status")).to_contain_text("in force")
    assert console.app.rules.flows["order_status"].step("q_order") is not None
    assert (console.folder / "desk" / OWN).read_text(encoding="utf-8") == before


async def test_every_page_is_usable_by_all_on_a_phone_in_hebrew_and_in_the_dark(admin: Page, console: House) -> None:
    """axe finds nothing serious, nothing is wider than the screen, Hebrew runs from the right."""
    page = admin
    await page.goto(f"{console.url}/admin/flows")
    await page.get_by_label("Its name").fill("gift wrap")
    await page.get_by_role("button", name="Make it").click()
    await expect(page.locator(".graph")).to_be_visible()
    for scheme, width, lang in (("light", 1440, "en"), ("dark", 390, "he")):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await page.set_viewport_size({"width": width, "height": 860})
        for place in ("", f"/{OWN}", "/changes", "/people"):
            await page.goto(f"{console.url}/admin{place}?lang={lang}")
            found = await Axe().run(page)
            serious = [one for one in found.response["violations"] if one["impact"] in {"serious", "critical"}]
            assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious] == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert await page.evaluate("document.dir") == ("rtl" if lang == "he" else "ltr")
