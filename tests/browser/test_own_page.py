"""The page at `/` where the desk is somebody's own: their name and languages, and nothing of the demo shop."""

from __future__ import annotations

from pathlib import Path

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


@pytest.mark.parametrize(
    ("asked", "locale", "words", "lang", "way"),
    [
        ("nl-BE", "nl-BE", "Open de chat", "nl", "ltr"),
        ("he", "he-IL", "לפתיחת הצ׳אט", "he", "rtl"),
        ("pt-BR", "pt-BR", "Open the chat", "en", "ltr"),
    ],
)
async def test_a_language_of_one_country_is_shown_in_that_languages_words(
    page: Page, tmp_path: Path, asked: str, locale: str, words: str, lang: str, way: str
) -> None:
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "desk.yaml").write_text("schema: 1\nname: Fjord\nlocales: [nl-BE, he-IL, pt-BR]\n")
    async with House(tmp_path, desk=tmp_path / "desk") as house:
        await page.goto(f"{house.url}/?locale={asked}")
        await expect(page.get_by_role("button", name=words)).to_be_visible()
        root = page.locator("html")
        await expect(root).to_have_attribute("lang", lang)
        await expect(root).to_have_attribute("dir", way)
        await expect(page.locator(".tongues [aria-current]")).to_have_attribute("hreflang", locale)
