"""The browser that the other tests here stand on."""

from __future__ import annotations

import pytest
from playwright.async_api import Page


@pytest.mark.parametrize("again", [1, 2])
async def test_each_test_has_a_clean_page(page: Page, again: int) -> None:
    """The second run would see the first one's mark if profiles were shared."""
    await page.set_content(f"<title>{again}</title><p dir=rtl>שלום</p>")
    assert await page.title() == str(again)
    assert await page.locator("p").inner_text() == "שלום"
