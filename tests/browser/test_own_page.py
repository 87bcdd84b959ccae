"""The page at `/` where the desk is somebody's own: their name and languages, and nothing of the demo shop."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.support.house import House


@pytest.mark.parametrize(
    ("asked", "locale", "words"),
    [
        ("?locale=en", "en", "Open the chat"),
        ("?locale=nl-BE", "nl", "Open de chat"),
        ("?locale=no", "nb", "Åpne chatten"),
        ("?locale=he", "he", "לפתיחת הצ׳אט"),
        ("?locale=fr", "en", "Open the chat"),
    ],
)
async def test_an_own_desk_is_not_shown_beside_the_demo_shops_words(
    page: Page, console: House, asked: str, locale: str, words: str
) -> None:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    file = console.folder / "desk" / "desk.yaml"
    file.write_text(file.read_text().replace("name: Stafett demo shop", 'name: "Fjord & <b>Søn</b>"'))
    await console.app.desk.reload()
    await page.goto(f"{console.url}/{asked}")
    await expect(page.get_by_role("heading", name="Fjord & <b>Søn</b>")).to_be_visible()
    assert await page.title() == "Fjord & <b>Søn</b>"
    assert await page.locator(".tongues a").all_inner_texts() == ["English", "Nederlands", "norsk bokmål", "עברית"]
    await expect(page.locator(".tongues [aria-current]")).to_have_attribute("hreflang", locale)
    await page.get_by_role("button", name=words).click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await page.evaluate("Stafett.locale") == locale
    await expect(page.locator("stafett-widget .starters button")).to_have_count(0)
    assert "AB123456" not in await page.locator("body").inner_text()
    assert complaints == []
