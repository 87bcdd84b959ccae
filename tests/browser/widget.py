"""The widget as a person at the page sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from playwright.async_api import Locator, Page, expect

from tests.browser.stub_server import StubServer


class Widget:
    def __init__(self, page: Page, stub: StubServer) -> None:
        self.page = page
        self.stub = stub
        page.set_default_timeout(30_000)
        self.crashes: list[str] = []
        page.on("pageerror", lambda error: self.crashes.append(str(error)))
        self.panel = page.get_by_role("dialog")
        self.log = self.panel.get_by_role("log")
        self.text = self.panel.get_by_role("textbox")
        self.launcher = page.locator("stafett-widget .launch")

    async def visit(self, query: str = "open=true", path: str = "/") -> Widget:
        await self.page.goto(f"{self.stub.url}{path}?{query}")
        await expect(self.launcher).to_be_attached()
        return self

    async def connected(self) -> Widget:
        await eventually(lambda: bool(self.stub.visitors) and len(self.stub.visitor.sockets) > 0)
        return self

    async def write(self, text: str) -> None:
        await self.text.fill(text)
        await self.text.press("Enter")

    async def shows(self, *texts: str) -> None:
        """Exactly these messages, in this order."""
        await expect(self.bubbles).to_have_text(list(texts))

    @property
    def bubbles(self) -> Locator:
        return self.log.locator(".msg .prose")

    @property
    def unsent(self) -> Locator:
        return self.log.locator(".pending")


async def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Lets the browser go on until it holds: there is no clock of ours in its process."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in another process
            await asyncio.sleep(0.01)
